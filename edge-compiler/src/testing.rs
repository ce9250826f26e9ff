//! Small graphs for the tests of this crate.

use crate::graph::*;

/// The same cases on every run, and no files beside the sources.
pub fn cases(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        cases,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..Default::default()
    }
}

pub fn tensor(shape: [usize; 4], scale: f32, zero_point: i32) -> Tensor {
    Tensor::activation(format!("{shape:?}"), shape, scale, zero_point)
}

pub fn operator(kind: OperatorKind, input: TensorId, output: TensorId) -> Operator {
    Operator::new(kind, input, output)
}

pub fn weights(outputs: usize, taps: usize) -> Weights {
    Weights {
        values: (0..outputs * taps)
            .map(|i| (i * 37 % 255) as u8 as i8)
            .collect(),
        scales: (0..outputs).map(|o| 0.01 + o as f32 * 0.001).collect(),
        bias: (0..outputs).map(|o| o as i32 * 10 - 20).collect(),
    }
}

pub fn fully_connected(outputs: usize, taps: usize) -> OperatorKind {
    OperatorKind::FullyConnected {
        weights: weights(outputs, taps),
        activation: Activation::None,
        rounding: RoundingMode::High32,
    }
}

pub fn pool() -> OperatorKind {
    OperatorKind::MaxPool2d {
        activation: Activation::None,
        kernel: [1, 2],
        stride: [1, 2],
        padding: Padding::Valid,
    }
}

/// Convolution, clamp, pool, reshape, fully connected, softmax: every operator once.
pub fn network() -> Graph {
    let convolution = OperatorKind::Conv2d(Convolution {
        weights: weights(4, 3 * 2),
        kernel: [1, 3],
        stride: [1, 1],
        padding: Padding::Same,
        dilation: [1, 1],
        activation: Activation::None,
        rounding: RoundingMode::Double,
    });
    Graph {
        tensors: vec![
            tensor([1, 1, 8, 2], 0.05, 3),
            tensor([1, 1, 8, 4], 0.1, -5),
            tensor([1, 1, 8, 4], 0.1, -5),
            tensor([1, 1, 4, 4], 0.1, -5),
            tensor([1, 1, 1, 16], 0.1, -5),
            tensor([1, 1, 1, 3], 0.2, 7),
            tensor([1, 1, 1, 3], 1.0 / 256.0, -128),
        ],
        operators: vec![
            operator(convolution, 0, 1),
            operator(OperatorKind::Activation(Activation::Relu), 1, 2),
            operator(pool(), 2, 3),
            operator(OperatorKind::Reshape, 3, 4),
            operator(fully_connected(3, 16), 4, 5),
            operator(OperatorKind::Softmax { beta: 1.0 }, 5, 6),
        ],
        input: 0,
        output: 6,
        further_inputs: Vec::new(),
        further_outputs: Vec::new(),
    }
}
