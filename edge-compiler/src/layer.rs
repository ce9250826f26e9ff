//! A layer with weights as the packers and the kernels see it: integers only.

use std::borrow::Cow;

use edge_runtime::kernels::reference::Window;
use edge_runtime::kernels::reference::requantise::{Requantise, Rounding};

use crate::error::CompileError;
use crate::graph::{Convolution, Graph, Operator, OperatorKind, RoundingMode, Tensor, Weights};
use crate::prepare::fully_connected::single_multiplier;
use crate::proofs::{self, AccumulatorBound};
use crate::scales::{self, Multiplier};

/// Which of the layers with weights it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// A fully connected layer: its window is one pixel.
    FullyConnected,
    /// A convolution.
    Conv2d,
    /// A depthwise convolution.
    DepthwiseConv2d,
    /// A transposed convolution.
    TransposeConv,
}

/// A layer before its weights are packed.
#[derive(Clone, Debug)]
pub struct LayerSource<'a> {
    /// What it is.
    pub kind: LayerKind,
    /// Shapes and window.
    pub window: Window,
    /// `[output channel][tap]`; the taps of a depthwise convolution are those of one channel.
    pub weights: Cow<'a, [i8]>,
    /// One for each output channel, the input's zero point folded in.
    pub bias: Vec<i32>,
    /// One for each output channel.
    pub multipliers: Vec<i32>,
    /// One for each output channel.
    pub shifts: Vec<i8>,
    /// What the accumulator of each output channel can reach.
    pub bounds: Vec<AccumulatorBound>,
    /// How accumulators become outputs.
    pub rounding: Rounding,
    /// Zero point of the input, which padding reads as.
    pub pad: i8,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Lowest output after the fused activation.
    pub min: i8,
    /// Highest output after the fused activation.
    pub max: i8,
}

impl LayerSource<'_> {
    /// Gives channels whose output never changes the plainest constants that have the same output:
    /// no weights, and a bias that the multiplier 2^-8 takes to it.
    ///
    /// Training leaves such channels behind; with per-channel scales they come with biases near the
    /// ends of int32, for which no fast kernel is exact.
    fn silence(&mut self) {
        let requantise = Requantise {
            rounding: self.rounding,
            zero_point: self.zero_point,
            min: self.min,
            max: self.max,
        };
        let taps = self.taps();
        for channel in 0..self.bias.len() {
            let (multiplier, shift) = (self.multipliers[channel], self.shifts[channel]);
            let bound = self.bounds[channel];
            // The proof bounds them by 32 bits, and an output never falls as its sum grows.
            let [least, greatest] = [bound.least, bound.greatest]
                .map(|sum| requantise.apply(sum as i32, multiplier, shift));
            if least != greatest {
                continue;
            }
            let row = channel * taps..(channel + 1) * taps;
            self.weights.to_mut()[row].fill(0);
            let bias = (i32::from(least) - self.zero_point) << 8;
            self.bias[channel] = bias;
            (self.multipliers[channel], self.shifts[channel]) = match self.rounding {
                Rounding::Double | Rounding::Single => (1 << 30, -7),
                Rounding::High32 => (1 << 24, 0),
            };
            self.bounds[channel] = AccumulatorBound {
                partial: i64::from(bias).abs(),
                least: bias.into(),
                greatest: bias.into(),
            };
        }
    }

    /// Taps of one output channel.
    pub fn taps(&self) -> usize {
        self.weights.len() / self.bias.len().max(1)
    }

    /// Multiply-accumulate operations of one inference.
    pub fn macs(&self) -> u64 {
        let [height, width, _] = self.window.output;
        (self.weights.len() * height * width) as u64
    }
}

/// The layer of each operator; `None` for operators without weights. The graph has passed its
/// check.
///
/// # Errors
/// [`CompileError`]: a multiplier that cannot be expressed, or a sum that may overflow.
pub fn layers(graph: &Graph) -> Result<Vec<Option<LayerSource<'_>>>, CompileError> {
    (0..graph.operators.len())
        .map(|index| of(graph, index))
        .collect()
}

/// The layer of one operator, as [`layers`] has it.
///
/// # Errors
/// As [`layers`].
pub fn of(graph: &Graph, index: usize) -> Result<Option<LayerSource<'_>>, CompileError> {
    let operator = &graph.operators[index];
    let (kind, weights, mode) = match &operator.kind {
        OperatorKind::FullyConnected {
            weights, rounding, ..
        } => (LayerKind::FullyConnected, weights, *rounding),
        OperatorKind::Conv2d(Convolution {
            weights, rounding, ..
        }) => (LayerKind::Conv2d, weights, *rounding),
        OperatorKind::DepthwiseConv2d(Convolution {
            weights, rounding, ..
        }) => (LayerKind::DepthwiseConv2d, weights, *rounding),
        OperatorKind::TransposeConv {
            weights, rounding, ..
        } => (LayerKind::TransposeConv, weights, *rounding),
        _ => return Ok(None),
    };
    let input = &graph.tensors[operator.inputs[0]];
    let output = &graph.tensors[operator.output];
    let multipliers = multipliers(graph, index, operator, weights, mode)?;
    proofs::accumulators(graph, index, weights, input.zero_point, &multipliers)?;
    let (min, max) = operator
        .kind
        .activation()
        .unwrap_or_default()
        .range(output.scale, output.zero_point);
    let mut source = LayerSource {
        kind,
        window: window(operator, input, output),
        weights: Cow::Borrowed(&weights.values),
        // The proof bounds the folded biases too.
        bias: scales::folded_bias(weights, input.zero_point)
            .iter()
            .map(|&bias| bias as i32)
            .collect(),
        multipliers: multipliers.iter().map(|m| m.value).collect(),
        shifts: multipliers.iter().map(|m| m.shift).collect(),
        bounds: proofs::accumulator_bounds(weights, input.zero_point),
        rounding: match mode {
            RoundingMode::Double => Rounding::Double,
            RoundingMode::Single => Rounding::Single,
            RoundingMode::High32 => Rounding::High32,
        },
        pad: input.zero_point as i8,
        zero_point: output.zero_point,
        min,
        max,
    };
    source.silence();
    Ok(Some(source))
}

fn window(operator: &Operator, input: &Tensor, output: &Tensor) -> Window {
    match &operator.kind {
        OperatorKind::TransposeConv { padding, .. } => {
            let sliding = operator
                .kind
                .window()
                .map(|window| window.on(input, output));
            Window {
                padding: *padding,
                ..sliding.unwrap_or(pixel(input, output))
            }
        }
        kind => kind
            .window()
            .map_or_else(|| pixel(input, output), |window| window.on(input, output)),
    }
}

/// A fully connected layer as a window of one pixel.
fn pixel(input: &Tensor, output: &Tensor) -> Window {
    Window {
        input: [1, 1, input.len()],
        output: [1, 1, output.len()],
        kernel: [1; 2],
        stride: [1; 2],
        padding: [0; 2],
        dilation: [1; 2],
    }
}

fn multipliers(
    graph: &Graph,
    index: usize,
    operator: &Operator,
    weights: &Weights,
    rounding: RoundingMode,
) -> Result<Vec<Multiplier>, CompileError> {
    let (input, output) = (
        &graph.tensors[operator.inputs[0]],
        &graph.tensors[operator.output],
    );
    let refused = |channel, real| CompileError::Multiplier {
        operator: graph.describe(index),
        channel,
        real,
        rounding,
    };
    if rounding == RoundingMode::Single {
        let bounds = proofs::accumulator_bounds(weights, input.zero_point);
        let activation = operator.kind.activation().unwrap_or_default();
        let (min, max) = activation.range(output.scale, output.zero_point);
        let steps = [min, max].map(|bound| i64::from(bound) - i64::from(output.zero_point));
        let of_channel = |(channel, bound): (usize, &AccumulatorBound)| {
            // All widened first, unlike the other modes for a whole layer's scale.
            let scale = f64::from(weights.scale(channel));
            let real = f64::from(input.scale) * scale / f64::from(output.scale);
            let sums = [bound.least, bound.greatest];
            single_multiplier(real, sums, steps).ok_or_else(|| refused(channel, real))
        };
        return bounds.iter().enumerate().map(of_channel).collect();
    }
    let of_channel = |channel| {
        let real = scales::real_multiplier(&operator.kind, weights, channel, input, output);
        scales::multiplier(real, rounding).ok_or_else(|| refused(channel, real))
    };
    (0..weights.bias.len()).map(of_channel).collect()
}
