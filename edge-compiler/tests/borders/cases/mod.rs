//! Layers on both sides of every condition under which a fast kernel is exact: what a channel's
//! accumulator can reach, shifts at the ends of each form, clamps at the zero point and one beside
//! it, weights of -128 where 8-bit blocks cannot hold them.
//!
//! The suite of this crate runs them on the host's decoders, the emulator's on the processors.

mod inputs;
mod list;
mod reference;

pub use inputs::rows;
pub use list::{borders, sweep};
pub use reference::reference;

use edge_compiler::{
    Activation, Convolution, Graph, Operator, OperatorKind, Padding, RoundingMode, Tensor, Weights,
};
use inputs::noise;

/// The layers; each kind has a fast kernel of its own somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 1x1, 64 channels or more to 8.
    Pointwise,
    /// 3x3, 16 channels or more to 8, padded. A fully connected layer beside it lets it take the
    /// room that its fastest packing needs.
    Square,
    /// 2x3, 5 channels to 7, strides of 2 and 1: divisible by nothing.
    Odd,
    /// 70 inputs or more, 9 outputs; 4 where it takes thousands of inputs.
    Dense,
    /// 64 inputs, 12 outputs: whole blocks, which are smaller than canonical weights.
    DenseBlocks,
    /// 3x3 on 8 channels, padded.
    Depthwise,
    /// 3x2 on 5 channels.
    DepthwiseOdd,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Pointwise,
        Self::Square,
        Self::Odd,
        Self::Dense,
        Self::DenseBlocks,
        Self::Depthwise,
        Self::DepthwiseOdd,
    ];
}

/// Where weights of -128 stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lowest {
    /// Nowhere: weights are -127..=127.
    Nowhere,
    /// In an odd channel, over a negative weight of the channel before it: what a half-word of two
    /// 8-bit weights cannot hold.
    Borrowed,
    /// Everywhere.
    Everywhere,
}

/// A layer to be made.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub kind: Kind,
    /// The greatest magnitude of every channel's accumulator, reached exactly: at the upper end in
    /// even channels, at the lower in odd ones. The layer has as many inputs as it takes to reach
    /// back over zero, else the outputs were constant and the compiler would make nothing of it.
    /// Zero: a usual layer, whose channels each step from one output to the next in the middle of
    /// what they reach.
    pub reach: i64,
    /// `input scale * weight scale / output scale`.
    pub real: f64,
    pub zero_point: i32,
    pub activation: Activation,
    pub rounding: RoundingMode,
    pub lowest: Lowest,
}

/// The multiplier whose fixed-point form has this shift, in double and single rounding.
pub fn real(shift: i32) -> f64 {
    0.8046875 * 2f64.powi(shift)
}

impl Settings {
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            reach: 0,
            real: 0.8046875 / 128.0,
            zero_point: -128,
            activation: Activation::None,
            rounding: RoundingMode::Double,
            lowest: Lowest::Nowhere,
        }
    }

    /// Inputs that each output of a layer takes in to reach from one end to beyond zero.
    fn taps_needed(&self) -> usize {
        let width = match self.reach {
            0 => 0.0,
            reach => reach as f64 + 4.0 / self.real,
        };
        (width / (126.0 * 255.0)).ceil() as usize
    }

    /// A graph of the layer, and of what is beside it.
    pub fn graph(&self) -> Graph {
        let needed = self.taps_needed();
        let large = needed > 4000;
        let outputs = 8; // as few as Winograd's convolutions are chosen for
        let (from, to, taps) = match self.kind {
            Kind::Pointwise => {
                let depth = needed.next_multiple_of(4).max(64);
                ([1, 3, 3, depth], [1, 3, 3, outputs], depth)
            }
            Kind::Square => {
                let depth = needed.div_ceil(9).next_multiple_of(16).max(16);
                let [height, width] = if needed > 0 { [4, 8] } else { [7, 8] };
                let to = [1, height, width, outputs];
                ([1, height, width, depth], to, 9 * depth)
            }
            Kind::Odd => ([1, 6, 5, 5], [1, 3, 3, 7], 30),
            Kind::Dense => {
                let inputs = needed.max(70);
                let outputs = if large { 4 } else { 9 };
                ([1, 1, 1, inputs], [1, 1, 1, outputs], inputs)
            }
            Kind::DenseBlocks => ([1, 1, 1, 64], [1, 1, 1, 12], 64),
            Kind::Depthwise => ([1, 5, 6, 8], [1, 5, 6, 8], 9),
            Kind::DepthwiseOdd => ([1, 6, 5, 5], [1, 4, 4, 5], 6),
        };
        let kind = self.layer(to[3], taps);
        let mut graph = Graph {
            operators: vec![Operator::new(kind, 0, 1)],
            tensors: vec![
                Tensor::activation("input", from, 1.0, INPUT_ZERO),
                Tensor::activation("output", to, 1.0, self.zero_point),
            ],
            input: 0,
            output: 1,
            further_inputs: Vec::new(),
            further_outputs: Vec::new(),
        };
        if self.kind == Kind::Square && !large {
            let beside = Self::new(Kind::Dense);
            let kind = beside.layer(20, graph.tensors[0].len());
            graph.operators.push(Operator::new(kind, 0, 2));
            let to = [1, 1, 1, 20];
            let tensor = Tensor::activation("beside", to, 1.0, beside.zero_point);
            graph.tensors.push(tensor);
            graph.further_outputs.push(2);
        }
        graph
    }

    fn layer(&self, outputs: usize, taps: usize) -> OperatorKind {
        let values = self.weights(outputs, taps);
        let bias = values.chunks(taps).enumerate().map(|(channel, row)| {
            let ends = row
                .iter()
                .map(|&w| (i64::from(w) * -128, i64::from(w) * 127));
            let (low, high) = ends.fold((0, 0), |(low, high), (a, b)| {
                (low + a.min(b), high + a.max(b))
            });
            let folded = match (self.reach, channel % 2) {
                (0, _) => {
                    // Where a positive step does not show, a negative one.
                    let step = (channel % 5) as f64 + 0.5;
                    let step = if self.zero_point > 100 { -step } else { step };
                    (step / self.real) as i64 - (low + high) / 2
                }
                (reach, 0) => reach - high,
                (reach, _) => -reach - low,
            };
            let sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
            (folded + i64::from(INPUT_ZERO) * sum) as i32
        });
        let weights = Weights {
            bias: bias.collect(),
            values,
            scales: vec![self.real as f32],
        };
        let (activation, rounding) = (self.activation, self.rounding);
        let padding = match self.kind {
            Kind::Square | Kind::Depthwise => Padding::Same,
            _ => Padding::Valid,
        };
        let kernel = match self.kind {
            Kind::Pointwise => [1, 1],
            Kind::Odd => [2, 3],
            Kind::DepthwiseOdd => [3, 2],
            _ => [3, 3],
        };
        let stride = if self.kind == Kind::Odd {
            [2, 1]
        } else {
            [1, 1]
        };
        let dilation = [1, 1];
        match self.kind {
            Kind::Dense | Kind::DenseBlocks => OperatorKind::FullyConnected {
                weights,
                activation,
                rounding,
            },
            Kind::Depthwise | Kind::DepthwiseOdd => OperatorKind::DepthwiseConv2d(Convolution {
                weights,
                kernel,
                stride,
                padding,
                dilation,
                activation,
                rounding,
            }),
            _ => OperatorKind::Conv2d(Convolution {
                weights,
                kernel,
                stride,
                padding,
                dilation,
                activation,
                rounding,
            }),
        }
    }

    fn weights(&self, outputs: usize, taps: usize) -> Vec<i8> {
        let mut values = noise(7, outputs * taps);
        for (index, weight) in values.iter_mut().enumerate() {
            // In an odd channel -127 with a borrow would be -128: none stands there.
            let most = if index / taps % 2 == 1 { 126 } else { 127 };
            *weight = match self.reach {
                0 => (*weight).clamp(-most, most),
                _ if *weight < 0 => -most,
                _ => most,
            };
        }
        match self.lowest {
            Lowest::Nowhere => {}
            Lowest::Borrowed => {
                values[4] = -1;
                values[taps + 4] = -128;
            }
            Lowest::Everywhere => values.fill(-128),
        }
        values
    }
}

/// Zero point of the inputs.
const INPUT_ZERO: i32 = 3;
