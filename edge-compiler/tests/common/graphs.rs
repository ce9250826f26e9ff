//! Random graphs that are sound, so that a compiler may only refuse them for a proof.

use edge_compiler::shape::output_plane;
use edge_compiler::{
    Activation, Convolution, Graph, Operator, OperatorKind, Padding, RoundingMode, Tensor, Weights,
};
use proptest::prelude::*;

use super::noise;

pub const ROUNDINGS: [RoundingMode; 3] = [
    RoundingMode::Double,
    RoundingMode::Single,
    RoundingMode::High32,
];

pub fn tensor(shape: [usize; 4], scale: f32, zero_point: i32) -> Tensor {
    Tensor::activation(format!("{shape:?}"), shape, scale, zero_point)
}

/// A graph of operators that each read what the one before wrote.
pub fn chain(tensors: Vec<Tensor>, kinds: Vec<OperatorKind>) -> Graph {
    let operator = |(index, kind)| Operator::new(kind, index, index + 1);
    let output = tensors.len() - 1;
    Graph {
        operators: kinds.into_iter().enumerate().map(operator).collect(),
        tensors,
        input: 0,
        output,
        further_inputs: Vec::new(),
        further_outputs: Vec::new(),
    }
}

pub fn weights(seed: u32, outputs: usize, taps: usize, one_scale: bool) -> Weights {
    let scales = noise(seed + 1, if one_scale { 1 } else { outputs });
    let bias = noise(seed + 2, outputs);
    Weights {
        values: noise(seed, outputs * taps),
        scales: scales
            .iter()
            .map(|&s| 0.004 + (f32::from(s) + 128.0) * 1e-4)
            .collect(),
        // One seed in four fills the accumulator.
        bias: bias
            .iter()
            .map(|&b| i32::from(b) * if seed % 4 == 3 { 16_000_000 } else { 50 })
            .collect(),
    }
}

pub fn quantisation() -> impl Strategy<Value = (f32, i32)> {
    // Scales so that multipliers lie on both sides of 1/2 and of 1.
    let scale = prop_oneof![0.002..0.02f32, 0.02..0.5f32, 0.5..4.0f32];
    (
        scale,
        prop_oneof![Just(-128), Just(0), Just(127), -128..=127],
    )
}

pub fn activation() -> impl Strategy<Value = Activation> {
    use Activation::{None, Relu, Relu6, ReluN1To1};
    prop_oneof![Just(None), Just(Relu), Just(Relu6), Just(ReluN1To1)]
}

pub fn rounding() -> impl Strategy<Value = RoundingMode> {
    prop::sample::select(&ROUNDINGS[..])
}

pub fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![Just(Padding::Same), Just(Padding::Valid)]
}

pub fn pair(range: std::ops::Range<usize>) -> impl Strategy<Value = [usize; 2]> {
    [range.clone(), range]
}

pub fn convolution() -> impl Strategy<Value = Graph> {
    let window = (pair(1..4), pair(1..4), pair(1..3), padding());
    let shapes = (pair(1..9), 1..5usize, 1..6usize);
    let numbers = (quantisation(), quantisation(), any::<u16>(), any::<bool>());
    (window, shapes, numbers, activation(), rounding()).prop_filter_map(
        "the kernel must fit",
        |((kernel, stride, dilation, padding), ([h, w], c, o), numbers, activation, rounding)| {
            let ((from, from_zero), (to, to_zero), seed, one_scale) = numbers;
            let input = [1, h, w, c];
            let (plane, _) = output_plane(padding, input, kernel, stride, dilation)?;
            let weights = weights(seed.into(), o, kernel[0] * kernel[1] * c, one_scale);
            let tensors = vec![
                tensor(input, from, from_zero),
                tensor([1, plane[0], plane[1], o], to, to_zero),
            ];
            let kind = OperatorKind::Conv2d(Convolution {
                weights,
                kernel,
                stride,
                padding,
                dilation,
                activation,
                rounding,
            });
            Some(chain(tensors, vec![kind]))
        },
    )
}

pub fn dense() -> impl Strategy<Value = Graph> {
    let numbers = (quantisation(), quantisation(), any::<u16>(), any::<bool>());
    (
        pair(1..4),
        1..20usize,
        1..12usize,
        numbers,
        activation(),
        rounding(),
    )
        .prop_map(|([h, w], c, o, numbers, activation, rounding)| {
            let ((from, from_zero), (to, to_zero), seed, one_scale) = numbers;
            let tensors = vec![
                tensor([1, h, w, c], from, from_zero),
                tensor([1, 1, 1, o], to, to_zero),
            ];
            let weights = weights(seed.into(), o, h * w * c, one_scale);
            chain(
                tensors,
                vec![OperatorKind::FullyConnected {
                    weights,
                    activation,
                    rounding,
                }],
            )
        })
}

pub fn pooling() -> impl Strategy<Value = Graph> {
    (
        pair(1..5),
        pair(1..4),
        padding(),
        pair(1..9),
        1..5usize,
        quantisation(),
    )
        .prop_filter_map(
            "the pool must fit",
            |(kernel, stride, padding, [h, w], c, (scale, zero_point))| {
                let input = [1, h, w, c];
                let (plane, _) = output_plane(padding, input, kernel, stride, [1, 1])?;
                let tensors = vec![
                    tensor(input, scale, zero_point),
                    tensor([1, plane[0], plane[1], c], scale, zero_point),
                ];
                Some(chain(
                    tensors,
                    vec![OperatorKind::MaxPool2d {
                        activation: Activation::None,
                        kernel,
                        stride,
                        padding,
                    }],
                ))
            },
        )
}

pub fn softmax() -> impl Strategy<Value = Graph> {
    let scale = prop_oneof![1e-3..0.3f32, 0.3..5.0f32, 15.0..40.0f32];
    (scale, -128..=127, pair(1..3), 1..40usize).prop_map(|(scale, zero_point, [h, w], c)| {
        let tensors = vec![
            tensor([1, h, w, c], scale, zero_point),
            tensor([1, h, w, c], 1.0 / 256.0, -128),
        ];
        chain(tensors, vec![OperatorKind::Softmax { beta: 1.0 }])
    })
}

pub fn clamping() -> impl Strategy<Value = Graph> {
    (quantisation(), activation(), pair(1..6), 1..6usize).prop_map(
        |((s, z), activation, [h, w], c)| {
            let tensors = vec![tensor([1, h, w, c], s, z); 2];
            chain(tensors, vec![OperatorKind::Activation(activation)])
        },
    )
}

/// Two convolutions with clamps between, a pool, a reshape, a fully connected layer, a softmax.
pub fn network(seed: u32, rounding: RoundingMode) -> Graph {
    let convolution = |seed, taps: usize, outputs| {
        OperatorKind::Conv2d(Convolution {
            weights: weights(seed, outputs, 3 * taps, false),
            kernel: [1, 3],
            stride: [1, 1],
            padding: Padding::Same,
            dilation: [1, 1],
            activation: Activation::None,
            rounding,
        })
    };
    let pool = OperatorKind::MaxPool2d {
        activation: Activation::None,
        kernel: [1, 2],
        stride: [1, 2],
        padding: Padding::Valid,
    };
    let dense = OperatorKind::FullyConnected {
        weights: weights(seed + 20, 4, 48, false),
        activation: Activation::None,
        rounding,
    };
    chain(
        vec![
            tensor([1, 1, 16, 2], 0.05, 3),
            tensor([1, 1, 16, 8], 0.3, -5),
            tensor([1, 1, 16, 8], 0.3, -5),
            tensor([1, 1, 16, 6], 0.4, 9),
            tensor([1, 1, 16, 6], 0.4, 9),
            tensor([1, 1, 8, 6], 0.4, 9),
            tensor([1, 1, 1, 48], 0.4, 9),
            tensor([1, 1, 1, 4], 0.5, -2),
            tensor([1, 1, 1, 4], 1.0 / 256.0, -128),
        ],
        vec![
            convolution(seed, 2, 8),
            OperatorKind::Activation(Activation::Relu),
            convolution(seed + 10, 8, 6),
            OperatorKind::Activation(Activation::Relu6),
            pool,
            OperatorKind::Reshape,
            dense,
            OperatorKind::Softmax { beta: 1.0 },
        ],
    )
}
