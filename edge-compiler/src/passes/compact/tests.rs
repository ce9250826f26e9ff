use super::*;
use crate::graph::{Activation, Operator, Padding, RoundingMode, Tensor};
use crate::package::Package;
use crate::testing::{operator, tensor};
use crate::{AlignedBytes, Options, Target, compile_with};
use edge_runtime::{Model, Session};

/// `dead` channels never rise above the zero point, `high` ones never fall below 127.
fn convolution(outputs: usize, taps: usize, dead: &[usize], high: &[usize]) -> OperatorKind {
    let mut bias = vec![3; outputs];
    for &channel in dead {
        bias[channel] = -1_000_000;
    }
    for &channel in high {
        bias[channel] = 1_000_000;
    }
    let weights = Weights {
        values: (0..outputs * taps)
            .map(|i| (i * 41 % 251) as u8 as i8)
            .collect(),
        scales: vec![0.01],
        bias,
    };
    OperatorKind::Conv2d(Convolution {
        weights,
        kernel: [1, 1],
        stride: [1, 1],
        padding: Padding::Same,
        dilation: [1, 1],
        activation: Activation::Relu,
        rounding: RoundingMode::Double,
    })
}

fn depthwise(channels: usize, padding: Padding) -> OperatorKind {
    let OperatorKind::Conv2d(Convolution {
        mut weights,
        activation,
        rounding,
        ..
    }) = convolution(channels, 9, &[], &[])
    else {
        unreachable!()
    };
    weights.bias.fill(-40);
    OperatorKind::DepthwiseConv2d(Convolution {
        weights,
        kernel: [3, 3],
        stride: [1, 1],
        padding,
        dilation: [1, 1],
        activation,
        rounding,
    })
}

/// Convolution, depthwise convolution, convolution.
fn network(padding: Padding, dead: &[usize], high: &[usize]) -> Graph {
    let inner = if padding == Padding::Same { 5 } else { 3 };
    let tensors: Vec<Tensor> = vec![
        tensor([1, 5, 5, 3], 0.05, 4),
        tensor([1, 5, 5, 8], 0.05, -7),
        tensor([1, inner, inner, 8], 0.05, -128),
        tensor([1, inner, inner, 4], 0.1, 1),
    ];
    let operators: Vec<Operator> = vec![
        operator(convolution(8, 3, dead, high), 0, 1),
        operator(depthwise(8, padding), 1, 2),
        operator(convolution(4, 8, &[], &[]), 2, 3),
    ];
    let graph = Graph::new(tensors, operators, 0, 3);
    graph.check().unwrap();
    graph
}

fn run(graph: Graph, unfused: bool) -> Vec<Vec<i8>> {
    let options = Options {
        unfused,
        ..Options::default()
    };
    let target = Target::board("mps2-an385").unwrap();
    let compiled = compile_with(&Package::bare(graph), &target, options).unwrap();
    let model = Model::load(&compiled.image).unwrap();
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, arena.as_i8_mut()).unwrap();
    let mut outputs = Vec::new();
    for seed in 0..20_u32 {
        for (index, x) in session.input_mut().iter_mut().enumerate() {
            *x = (index as u32 + 1)
                .wrapping_mul(2_654_435_761 + seed * 97)
                .to_le_bytes()[3] as i8;
        }
        session.run();
        outputs.push(session.output().to_vec());
    }
    outputs
}

#[test]
fn constant_channels_go_and_the_outputs_stay() {
    for (padding, dead, high, left) in [
        (Padding::Same, &[0, 2, 3, 7][..], &[][..], 4),
        (Padding::Valid, &[1, 5], &[0, 6], 4),
        (Padding::Same, &[0, 1, 2, 3, 4, 5, 6, 7], &[], 4),
        // On padding a channel that is always 127 is seen as the zero point.
        (Padding::Same, &[], &[0, 1, 2, 3], 8),
        (Padding::Valid, &[], &[0, 1, 2, 3], 4),
        // Five are left, which eight hold.
        (Padding::Same, &[0, 2, 3], &[], 8),
    ] {
        let graph = network(padding, dead, high);
        let compacted = compact(graph.clone(), 4);
        compacted.check().unwrap();
        let channels = compacted.tensors[1].shape[3];
        assert_eq!(channels, left, "{padding:?} {dead:?} {high:?}");
        assert_eq!(compacted.tensors[2].shape[3], left);
        assert_eq!(run(graph.clone(), false), run(graph, true));
    }
}

#[test]
fn without_a_granule_no_constant_channel_stays() {
    let compacted = compact(network(Padding::Same, &[0, 2, 3], &[]), 1);
    assert_eq!(compacted.tensors[1].shape[3], 5);
}

#[test]
fn what_the_caller_reads_stays() {
    let mut graph = network(Padding::Same, &[0, 2, 3, 7], &[]);
    graph.further_outputs = vec![1];
    assert_eq!(compact(graph.clone(), 4), graph);
}
