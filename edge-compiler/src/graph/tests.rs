//! One test for each way in which a graph can be wrong.

use super::*;
use crate::testing::*;

fn refused(change: impl FnOnce(&mut Graph)) -> GraphError {
    let mut graph = network();
    change(&mut graph);
    graph.check().unwrap_err()
}

fn weights_of(graph: &mut Graph, operator: usize) -> &mut Weights {
    match &mut graph.operators[operator].kind {
        OperatorKind::FullyConnected { weights, .. }
        | OperatorKind::Conv2d(Convolution { weights, .. }) => weights,
        other => panic!("{other:?} has no weights"),
    }
}

#[test]
fn a_sound_graph_passes() {
    network().check().unwrap();
}

#[test]
fn empty_and_trivial_graphs_are_refused() {
    assert_eq!(refused(|g| g.operators.clear()), GraphError::Empty);
    assert_eq!(refused(|g| g.output = g.input), GraphError::OutputIsInput);
}

#[test]
fn more_than_an_image_can_name_is_refused() {
    let spare = tensor([1, 1, 1, 1], 1.0, 0);
    let error = refused(|g| g.tensors.resize(65_535, spare));
    assert!(matches!(
        error,
        GraphError::TooMany {
            what: "tensors",
            found: 65_535,
            ..
        }
    ));
    let error = refused(|g| {
        let last = g.operators[0].clone();
        g.operators.resize(1025, last);
    });
    assert!(matches!(
        error,
        GraphError::TooMany {
            what: "operators",
            ..
        }
    ));
}

#[test]
fn missing_tensors_are_refused() {
    let missing = |e| {
        matches!(
            e,
            GraphError::NoSuchTensor {
                tensor: 99,
                tensors: 7,
                ..
            }
        )
    };
    assert!(missing(refused(|g| g.input = 99)));
    assert!(missing(refused(|g| g.output = 99)));
    assert!(missing(refused(|g| g.operators[2].inputs = vec![99])));
    assert!(missing(refused(|g| g.operators[2].output = 99)));
}

#[test]
fn bad_shapes_are_refused() {
    for shape in [
        [2, 1, 8, 2],
        [1, 0, 8, 2],
        [1, 1, 65_536, 2],
        [1, 65_535, 65_535, 1],
        [1, usize::MAX, usize::MAX, usize::MAX],
    ] {
        let error = refused(|g| g.tensors[0].shape = shape);
        assert_eq!(error, GraphError::BadShape { tensor: 0, shape });
    }
}

#[test]
fn bad_quantisation_is_refused() {
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, f32::MIN_POSITIVE / 2.0] {
        let error = refused(|g| g.tensors[3].scale = scale);
        assert!(
            matches!(error, GraphError::BadQuantisation { tensor: 3, .. }),
            "{scale}"
        );
    }
    for zero_point in [-129, 128, i32::MAX] {
        let error = refused(|g| g.tensors[3].zero_point = zero_point);
        assert!(matches!(
            error,
            GraphError::BadQuantisation { tensor: 3, .. }
        ));
    }
}

#[test]
fn inputs_are_counted() {
    for inputs in [vec![], vec![0, 1]] {
        let found = inputs.len();
        let error = refused(|g| g.operators[1].inputs = inputs);
        assert!(matches!(error, GraphError::InputCount { found: f, .. } if f == found));
    }
}

#[test]
fn order_and_single_writers_are_kept() {
    let error = refused(|g| g.operators.swap(2, 3));
    assert!(matches!(
        error,
        GraphError::ReadBeforeWritten { tensor: 3, .. }
    ));
    let error = refused(|g| g.operators.truncate(5));
    assert!(matches!(
        error,
        GraphError::ReadBeforeWritten { tensor: 6, .. }
    ));
    let error = refused(|g| g.operators[1].output = 1);
    assert!(matches!(error, GraphError::WrittenTwice { tensor: 1, .. }));
    let error = refused(|g| g.operators[1].output = 0);
    assert!(matches!(error, GraphError::WrittenTwice { tensor: 0, .. }));
}

#[test]
fn a_tensor_that_was_read_gets_no_further_parts() {
    let part = |from| {
        let copy = crate::strided::place(&[1, 1, 1, 8], &[1, 1, 1, 16], &[0, 0, 0, from]).unwrap();
        let purpose = "CONCATENATION".into();
        operator(OperatorKind::Copy { copy, purpose }, 0, 1)
    };
    let read = operator(OperatorKind::Activation(Activation::Relu), 1, 2);
    let of = |operators| Graph {
        tensors: [8, 16, 16]
            .map(|depth| tensor([1, 1, 1, depth], 0.1, -10))
            .into(),
        operators,
        input: 0,
        output: 2,
        further_inputs: Vec::new(),
        further_outputs: Vec::new(),
    };
    of(vec![part(0), part(8), read.clone()]).check().unwrap();
    let error = of(vec![part(0), read, part(8)]).check().unwrap_err();
    assert!(matches!(error, GraphError::WrittenTwice { tensor: 1, .. }));
}

#[test]
fn windows_must_fit() {
    for (kernel, stride) in [
        ([1, 9], [1, 2]),
        ([0, 2], [1, 2]),
        ([1, 2], [1, 0]),
        ([1, 65_536], [1, 1]),
    ] {
        let error = refused(|g| {
            let padding = Padding::Valid;
            g.operators[2].kind = OperatorKind::MaxPool2d {
                activation: Activation::None,
                kernel,
                stride,
                padding,
            };
        });
        assert!(
            matches!(error, GraphError::BadWindow { .. }),
            "{kernel:?} {stride:?}"
        );
    }
}

#[test]
fn output_shapes_follow_from_the_operator() {
    for (index, shape) in [
        (1, [1, 2, 4, 4]),
        (2, [1, 1, 4, 8]),
        (3, [1, 1, 3, 4]),
        (6, [1, 1, 3, 1]),
    ] {
        let error = refused(|g| g.tensors[index].shape = shape);
        assert!(
            matches!(error, GraphError::OutputShape { .. }),
            "{index}: {error}"
        );
    }
    let error = refused(|g| g.tensors[4].shape = [1, 1, 1, 15]);
    assert!(matches!(error, GraphError::OutputShape { .. }), "{error}");
}

#[test]
fn constants_are_counted() {
    for (what, change) in [
        (
            "biases",
            (|w| w.bias.truncate(w.bias.len() - 1)) as fn(&mut Weights),
        ),
        ("weights", |w| w.values.truncate(w.values.len() - 1)),
        ("weight scales (or 1)", |w| {
            w.scales.truncate(w.scales.len() - 1)
        }),
    ] {
        for operator in [0, 4] {
            let error = refused(|g| change(weights_of(g, operator)));
            assert!(
                matches!(&error, GraphError::ConstantCount { what: found, .. } if *found == what),
                "{what}: {error}"
            );
        }
    }
    let error = refused(|g| weights_of(g, 0).scales[2] = 0.0);
    assert!(matches!(
        error,
        GraphError::BadWeightScale { channel: 2, .. }
    ));
}

#[test]
fn quantisation_is_kept_where_nothing_requantises() {
    // Activation, pool, reshape.
    for index in [2, 3, 4] {
        let error = refused(|g| g.tensors[index].scale = 0.11);
        assert!(
            matches!(error, GraphError::QuantisationChanged { .. }),
            "{index}"
        );
        let error = refused(|g| g.tensors[index].zero_point = 0);
        assert!(
            matches!(error, GraphError::QuantisationChanged { .. }),
            "{index}"
        );
    }
    let error = refused(|g| g.tensors[6].scale = 1.0 / 255.0);
    assert!(matches!(
        error,
        GraphError::SoftmaxOutput {
            zero_point: -128,
            ..
        }
    ));
}

#[test]
fn a_softmax_has_a_limit() {
    let graph = Graph {
        tensors: vec![
            tensor([1, 1, 1, 4096], 0.1, 0),
            tensor([1, 1, 1, 4096], 1.0 / 256.0, -128),
        ],
        operators: vec![operator(OperatorKind::Softmax { beta: 1.0 }, 0, 1)],
        input: 0,
        output: 1,
        further_inputs: Vec::new(),
        further_outputs: Vec::new(),
    };
    let error = graph.check().unwrap_err();
    assert!(matches!(
        error,
        GraphError::SoftmaxChannels { channels: 4096, .. }
    ));
}

#[test]
fn clamps_are_those_of_tflite() {
    // scale 6/255, zero point -128: ReLU6 spans int8.
    assert_eq!(Activation::Relu6.range(6.0 / 255.0, -128), (-128, 127));
    assert_eq!(Activation::Relu6.range(0.1, -10), (-10, 50));
    assert_eq!(Activation::Relu.range(0.1, -10), (-10, 127));
    assert_eq!(Activation::ReluN1To1.range(0.1, 3), (-7, 13));
    // A half is rounded away from zero.
    assert_eq!(Activation::ReluN1To1.range(0.4, 0), (-3, 3));
    assert_eq!(Activation::None.range(0.1, 3), (-128, 127));
    assert_eq!(Activation::Relu6.range(f32::MIN_POSITIVE, 127), (127, 127));
}

#[test]
fn macs_and_work_are_counted() {
    let graph = network();
    // 8 places x 4 channels x 3 x 2 taps, and 3 x 16.
    assert_eq!(graph.macs(), 192 + 48);
    // And clamp 32, pool 16 x 2, reshape 16, softmax 2 x 3.
    assert_eq!(graph.work(), 240 + 32 + 32 + 16 + 6);
}

#[test]
fn the_hash_sees_all_but_names() {
    let hash = network().hash();
    let changed = |change: fn(&mut Graph)| {
        let mut graph = network();
        change(&mut graph);
        graph.hash()
    };
    assert_eq!(changed(|g| g.tensors[1].name = "other".into()), hash);
    let changes: [fn(&mut Graph); 8] = [
        |g| g.tensors[1].scale += 0.1,
        |g| g.tensors[1].zero_point += 1,
        |g| g.tensors[1].shape = [1, 8, 1, 4],
        |g| g.output = 5,
        |g| weights_of(g, 0).values[0] ^= 1,
        |g| weights_of(g, 0).bias[0] += 1,
        |g| weights_of(g, 4).scales[1] *= 2.0,
        |g| g.operators[1].kind = OperatorKind::Activation(Activation::Relu6),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        assert_ne!(changed(change), hash, "change {index}");
    }
}

/// A fielded model is known by this hash: it may never change for the same graph.
#[test]
fn the_hash_is_pinned() {
    let hex: String = network()
        .hash()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(
        hex,
        "c3950895f0d3a88effb6939a03115de93b2614a5cdebf3627a58fa3ed4b29455"
    );
}
