use super::*;
use crate::graph::Convolution;
use crate::testing::*;
use proptest::prelude::*;

/// A graph of operators that need no weights: each reads one of the tensors before it.
fn random_graph() -> impl Strategy<Value = Graph> {
    let node = (any::<prop::sample::Index>(), 0..3u8);
    (1..400usize, 1..6usize, prop::collection::vec(node, 1..24)).prop_map(|(w, c, nodes)| {
        let mut tensors = vec![tensor([1, 1, w * 8, c], 0.1, 0)];
        let mut operators = Vec::new();
        for (from, kind) in nodes {
            let input = from.index(tensors.len());
            let shape = tensors[input].shape;
            let (kind, shape) = match kind {
                0 if shape[2] > 1 => (pool(), [1, shape[1], shape[2] / 2, shape[3]]),
                1 => (OperatorKind::Reshape, [1, shape[3], shape[2], shape[1]]),
                _ => (OperatorKind::Activation(crate::Activation::Relu), shape),
            };
            operators.push(operator(kind, input, tensors.len()));
            tensors.push(tensor(shape, 0.1, 0));
        }
        let output = tensors.len() - 1;
        Graph {
            tensors,
            operators,
            input: 0,
            output,
            further_inputs: Vec::new(),
            further_outputs: Vec::new(),
        }
    })
}

proptest! {
    #![proptest_config(cases(400))]

    /// Runs the plan on bytes that say whose they are: every operator finds its input whole when it
    /// reads the last row it needs, row by row, and the output is whole in the end.
    #[test]
    fn nothing_is_overwritten_that_is_still_needed(
        graph in random_graph(),
        scratch in prop::collection::vec(0..100usize, 24),
    ) {
        graph.check().unwrap();
        let scratch = &scratch[..graph.operators.len()];
        let plan = plan(&graph, scratch);
        for (tensor, &offset) in graph.tensors.iter().zip(&plan.offsets) {
            prop_assert_eq!(offset % ALIGNMENT, 0);
            prop_assert!(offset + tensor.len() <= plan.arena_bytes);
        }
        // A reshape gives the same values another name.
        let mut value: Vec<usize> = (0..graph.tensors.len()).collect();
        for operator in &graph.operators {
            if matches!(operator.kind, OperatorKind::Reshape) {
                value[operator.output] = value[operator.inputs[0]];
            }
        }
        // The value that the byte belongs to, and its element.
        let mut arena = vec![(usize::MAX, 0); plan.arena_bytes];
        let whole = |arena: &[(usize, usize)], tensor: usize, from: usize| {
            let offset = plan.offsets[tensor];
            (from..graph.tensors[tensor].len()).all(|i| arena[offset + i] == (value[tensor], i))
        };
        let write = |arena: &mut [(usize, usize)], tensor: usize, elements: std::ops::Range<usize>| {
            for i in elements {
                arena[plan.offsets[tensor] + i] = (value[tensor], i);
            }
        };
        write(&mut arena, graph.input, 0..graph.tensors[graph.input].len());
        for (index, operator) in graph.operators.iter().enumerate() {
            let (input, output) = (operator.inputs[0], operator.output);
            let (from, to) = (&graph.tensors[input], &graph.tensors[output]);
            let (start, len) = plan.scratch[index];
            prop_assert!(len >= scratch[index]);
            arena[start..start + len].fill((usize::MAX, 0));
            prop_assert!(whole(&arena, input, 0), "operator {index}: its input is gone");
            match operator.kind {
                // Pixel by pixel: two input pixels make one.
                OperatorKind::MaxPool2d { .. } => {
                    let channels = to.shape[3];
                    for pixel in 0..to.len() / channels {
                        let needed = pixel / to.shape[2] * from.shape[2] + pixel % to.shape[2] * 2;
                        prop_assert!(whole(&arena, input, needed * channels));
                        write(&mut arena, output, pixel * channels..(pixel + 1) * channels);
                    }
                }
                _ => write(&mut arena, output, 0..to.len()),
            }
        }
        prop_assert!(whole(&arena, graph.output, 0));
    }
}

/// A chain of pools and clamps whose tensors have these lengths.
fn chain(widths: &[usize]) -> Graph {
    let tensors: Vec<_> = widths
        .iter()
        .map(|&w| tensor([1, 1, w, 16], 0.1, 0))
        .collect();
    let step = |index| {
        let kind = match (widths[index], widths[index + 1]) {
            (a, b) if a == 2 * b => pool(),
            (a, b) if a == b => OperatorKind::Activation(crate::Activation::Relu),
            other => panic!("no operator makes {other:?}"),
        };
        operator(kind, index, index + 1)
    };
    let graph = Graph {
        operators: (0..widths.len() - 1).map(step).collect(),
        input: 0,
        output: widths.len() - 1,
        tensors,
        further_inputs: Vec::new(),
        further_outputs: Vec::new(),
    };
    graph.check().unwrap();
    graph
}

/// Clamps write over their input; a pool in one row writes over what it has read, so that the
/// first tensor is all that a chain needs.
#[test]
fn chains_take_no_more_than_their_largest_tensor() {
    for widths in [
        &[64, 64, 32, 16, 16, 8][..],
        &[8, 8],
        &[100, 50, 25, 25, 25],
        &[64, 64, 64, 64, 32, 32, 32],
    ] {
        let plan = plan(&chain(widths), &vec![0; widths.len() - 1]);
        // A pool writes its first pixel before it has read the second.
        let pools = widths.windows(2).any(|pair| pair[0] != pair[1]);
        let needed = 16 * (widths[0] + usize::from(pools));
        assert_eq!(plan.arena_bytes, needed, "{widths:?}");
    }
}

#[test]
fn a_reshape_costs_nothing() {
    let graph = network();
    let plan = plan(&graph, &[0; 6]);
    assert_eq!(plan.offsets[3], plan.offsets[4]);
    // The convolution: two tensors of 32 bytes, of which the second lies over the first.
    assert_eq!((plan.live_bytes, plan.peak_operator), (48, 0));
    assert_eq!(plan.arena_bytes, 48);
}

#[test]
fn the_output_lives_to_the_end() {
    let mut graph = chain(&[16, 16, 16, 16]);
    graph.output = 1;
    let plan = plan(&graph, &[0; 3]);
    assert_eq!(plan.lifetimes[1], Lifetime { first: 0, last: 3 });
    assert_eq!(plan.arena_bytes, 2 * 256);
}

/// The stage of a residual network: 32x32x16 in, two 3x3 convolutions beside a skip. Three whole
/// tensors are 48 KiB; two, a row and two pixels are enough.
#[test]
fn convolutions_write_over_their_input() {
    let convolution = || {
        OperatorKind::Conv2d(Convolution {
            weights: weights(16, 144),
            kernel: [3, 3],
            stride: [1, 1],
            padding: crate::Padding::Same,
            dilation: [1, 1],
            activation: crate::Activation::None,
            rounding: crate::RoundingMode::Double,
        })
    };
    let graph = Graph::new(
        (0..4).map(|_| tensor([1, 32, 32, 16], 0.1, 0)).collect(),
        vec![
            operator(convolution(), 0, 1),
            operator(convolution(), 1, 2),
            crate::Operator {
                inputs: vec![2, 0],
                ..operator(
                    OperatorKind::Add {
                        subtract: false,
                        activation: crate::Activation::None,
                    },
                    2,
                    3,
                )
            },
        ],
        0,
        3,
    );
    graph.check().unwrap();
    let plan = plan(&graph, &[0; 3]);
    assert_eq!(plan.live_bytes, 3 * 16384);
    assert_eq!(plan.arena_bytes, 2 * 16384 + 34 * 16);
}
