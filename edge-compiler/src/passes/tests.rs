use super::*;
use crate::graph::Operator;
use crate::testing::*;

fn activation_of(graph: &Graph, operator: usize) -> Activation {
    match graph.operators[operator].kind {
        OperatorKind::FullyConnected { activation, .. }
        | OperatorKind::Conv2d(Convolution { activation, .. })
        | OperatorKind::Activation(activation) => activation,
        _ => panic!("operator {operator} has no activation"),
    }
}

/// A fully connected layer and stand-alone activations behind it.
fn layer_then(activations: &[Activation]) -> Graph {
    let tensors = vec![tensor([1, 1, 1, 4], 0.1, -10); activations.len() + 2];
    let mut operators = vec![operator(fully_connected(4, 4), 0, 1)];
    for (index, &activation) in activations.iter().enumerate() {
        operators.push(operator(
            OperatorKind::Activation(activation),
            index + 1,
            index + 2,
        ));
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
}

#[test]
fn an_activation_moves_into_the_layer_before_it() {
    let graph = fuse_activations(network());
    assert_eq!(graph.operators.len(), 5);
    assert_eq!(activation_of(&graph, 0), Activation::Relu);
    assert_eq!(graph.operators[0].output, 2);
    graph.check().unwrap();
}

#[test]
fn of_two_clamps_the_narrower_stays() {
    let fused = |activations: &[Activation]| {
        let graph = fuse_activations(layer_then(activations));
        graph.check().unwrap();
        (graph.operators.len(), activation_of(&graph, 0))
    };
    assert_eq!(
        fused(&[Activation::Relu, Activation::Relu6]),
        (1, Activation::Relu6)
    );
    assert_eq!(
        fused(&[Activation::Relu6, Activation::Relu]),
        (1, Activation::Relu6)
    );
    // 0..=6 and -1..=1 cut each other: neither does the work of both.
    assert_eq!(
        fused(&[Activation::Relu6, Activation::ReluN1To1]),
        (2, Activation::Relu6)
    );
}

#[test]
fn a_tensor_that_others_read_is_kept() {
    let mut graph = layer_then(&[Activation::Relu]);
    graph.tensors.push(tensor([1, 1, 1, 4], 0.1, -10));
    graph
        .operators
        .push(operator(OperatorKind::Activation(Activation::Relu6), 1, 3));
    assert_eq!(fuse_activations(graph.clone()), graph);

    let mut graph = layer_then(&[Activation::Relu]);
    graph.output = 1;
    assert_eq!(fuse_activations(graph.clone()), graph);
}

#[test]
fn nothing_fuses_into_a_reshape_or_the_input() {
    let shape = |w| tensor([1, 1, w, 4], 0.1, -10);
    let relu = || OperatorKind::Activation(Activation::Relu);
    let graph = Graph {
        tensors: vec![shape(8), shape(8), shape(8), shape(8)],
        operators: vec![
            operator(relu(), 0, 1),
            operator(OperatorKind::Reshape, 1, 2),
            operator(relu(), 2, 3),
        ],
        input: 0,
        output: 3,
        further_inputs: Vec::new(),
        further_outputs: Vec::new(),
    };
    graph.check().unwrap();
    assert_eq!(fuse_activations(graph.clone()), graph);
}

fn reshape(input: TensorId, output: TensorId) -> Operator {
    operator(OperatorKind::Reshape, input, output)
}

#[test]
fn what_the_output_does_not_need_is_dropped() {
    let mut graph = layer_then(&[Activation::Relu]);
    let live = graph.clone();
    // A dead chain in front, in the middle and behind, and a tensor that nothing names.
    graph
        .tensors
        .splice(0..0, vec![tensor([1, 1, 2, 2], 0.1, -10); 2]);
    for operator in &mut graph.operators {
        operator.inputs[0] += 2;
        operator.output += 2;
    }
    (graph.input, graph.output) = (2, 4);
    graph.operators.insert(1, reshape(3, 0));
    graph.operators.push(reshape(0, 1));
    graph.tensors.push(tensor([1, 9, 9, 9], 1.0, 0));
    graph.check().unwrap();
    assert_eq!(drop_dead(graph), live);
}

#[test]
fn a_graph_without_dead_parts_stays() {
    assert_eq!(drop_dead(network()), network());
}

#[test]
fn a_depthwise_convolution_of_one_channel_is_an_ordinary_one() {
    let graph = |channels| {
        let kind = OperatorKind::DepthwiseConv2d(Convolution {
            weights: weights(4, 9),
            kernel: [3, 3],
            stride: [1, 1],
            padding: crate::graph::Padding::Same,
            dilation: [1, 1],
            activation: Activation::None,
            rounding: crate::graph::RoundingMode::Double,
        });
        let tensors = vec![
            tensor([1, 5, 5, channels], 0.1, -10),
            tensor([1, 5, 5, 4], 0.1, -10),
        ];
        Graph::new(tensors, vec![operator(kind, 0, 1)], 0, 1)
    };
    let name = |channels| {
        let widened = widen_depthwise(graph(channels));
        widened.check().unwrap();
        widened.operators[0].kind.name().to_owned()
    };
    assert_eq!(name(1), "CONV_2D");
    assert_eq!(name(2), "DEPTHWISE_CONV_2D");
}

#[test]
fn a_reshape_that_changes_no_shape_is_taken_out() {
    let relu = || OperatorKind::Activation(Activation::Relu);
    let graph = |last| Graph {
        tensors: vec![
            tensor([1, 1, 2, 4], 0.1, -10),
            tensor([1, 1, 2, 4], 0.1, -10),
            tensor([1, 1, 1, 8], 0.1, -10),
            tensor(last, 0.1, -10),
            tensor(last, 0.1, -10),
        ],
        operators: vec![
            reshape(0, 1),
            reshape(1, 2),
            reshape(2, 3),
            operator(relu(), 3, 4),
        ],
        input: 0,
        output: 4,
        further_inputs: Vec::new(),
        further_outputs: Vec::new(),
    };
    for (last, left) in [([1, 1, 1, 8], 2), ([1, 8, 1, 1], 3)] {
        let dropped = drop_reshapes(graph(last));
        dropped.check().unwrap();
        assert_eq!(dropped.operators.len(), left, "{last:?}");
        assert_eq!(dropped.operators[0].inputs, [0]);
    }
    // What the caller reads has a place of its own.
    let mut read = graph([1, 1, 1, 8]);
    read.further_outputs = vec![1, 3];
    assert_eq!(drop_reshapes(read.clone()), read);
}
