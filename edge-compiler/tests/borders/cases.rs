//! Layers on both sides of every condition under which a fast kernel is exact: what a channel's
//! accumulator can reach, shifts at the ends of each form, clamps at the zero point and one beside
//! it, weights of -128 where 8-bit blocks cannot hold them.
//!
//! The suite of this crate runs them on the host's decoders, the emulator's on the processors.

use std::cell::Cell;

use edge_compiler::layer::{LayerKind, LayerSource, layers};
use edge_compiler::pack::{folded_bias, multiplier, real_multiplier};
use edge_compiler::{
    Activation, Graph, Operator, OperatorKind, Optimize, Padding, RoundingMode, Tensor, Weights,
};
use edge_runtime::format::packing;
use edge_runtime::kernels::reference::conv_2d::{Conv2d, conv_2d};
use edge_runtime::kernels::reference::depthwise_conv_2d::{DepthwiseConv2d, depthwise_conv_2d};
use edge_runtime::kernels::reference::fully_connected::{FullyConnected, fully_connected};
use edge_runtime::kernels::reference::requantise::{Requantise, Rounding};
use edge_runtime::kernels::reference::weights::Canonical;

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
                let [height, width] = if needed > 0 { [3, 3] } else { [5, 6] };
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
            Kind::Depthwise | Kind::DepthwiseOdd => OperatorKind::DepthwiseConv2d {
                weights,
                kernel,
                stride,
                padding,
                dilation,
                activation,
                rounding,
            },
            _ => OperatorKind::Conv2d {
                weights,
                kernel,
                stride,
                padding,
                dilation,
                activation,
                rounding,
            },
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

/// `n` bytes that depend on the seed alone.
fn noise(seed: u64, n: usize) -> Vec<i8> {
    let mut state = seed * 2 + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8 as i8
    };
    (0..n).map(|_| next()).collect()
}

/// Inputs: noise, both extremes, and for some channels the one that drives the accumulator of a
/// pixel inside the image to its ends.
pub fn rows(graph: &Graph) -> Vec<Vec<i8>> {
    let layer = layers(graph).unwrap().remove(0).unwrap();
    let weights = &graph.operators[0].kind.weights().unwrap().values;
    let len = graph.tensors[0].len();
    let mut rows = vec![
        noise(1, len),
        noise(2, len),
        vec![-128; len],
        vec![127; len],
    ];
    let depth = layer.window.input[2];
    let depthwise = layer.kind == LayerKind::DepthwiseConv2d;
    for channel in 0..layer.bias.len().min(4) {
        for sign in [1, -1] {
            let mut row = noise(channel as u64, len);
            let own = weights.chunks(layer.taps()).nth(channel).unwrap();
            for (tap, &weight) in own.iter().enumerate() {
                let (place, source) = match depthwise {
                    true => (tap, channel),
                    false => (tap / depth, tap % depth),
                };
                if let Some(pixel) = under(&layer, place) {
                    let against = i32::from(weight) * sign < 0;
                    row[pixel * depth + source] = if against { -128 } else { 127 };
                }
            }
            rows.push(row);
        }
    }
    rows
}

/// The input pixel under a tap of the second output pixel of the second row, or of the first one.
fn under(layer: &LayerSource<'_>, place: usize) -> Option<usize> {
    let window = &layer.window;
    let tap = [place / window.kernel[1], place % window.kernel[1]];
    let at = |axis: usize| {
        let output = usize::from(window.output[axis] > 1);
        (output * window.stride[axis] + tap[axis] * window.dilation[axis])
            .checked_sub(window.padding[axis])
            .filter(|at| *at < window.input[axis])
    };
    Some(at(0)? * window.input[1] + at(1)?)
}

/// What the reference kernels give on canonical weights, for all layers one after the other.
pub fn reference(graph: &Graph, input: &[i8]) -> Vec<i8> {
    let layers = layers(graph).unwrap();
    let layers = layers.iter().flatten().zip(&graph.operators);
    layers
        .flat_map(|(layer, operator)| reference_layer(graph, layer, operator, input))
        .collect()
}

fn reference_layer(
    graph: &Graph,
    layer: &LayerSource<'_>,
    operator: &Operator,
    input: &[i8],
) -> Vec<i8> {
    let (from, to) = (&graph.tensors[0], &graph.tensors[operator.output]);
    let own = operator.kind.weights().unwrap();
    // From the graph, where that says all: the compiler may have changed channels that cannot
    // change their output. How LiteRT's single rounding becomes a multiplier is tested elsewhere.
    let mut layer = layer.clone();
    if layer.rounding != Rounding::Single {
        let mode = match layer.rounding {
            Rounding::High32 => RoundingMode::High32,
            _ => RoundingMode::Double,
        };
        layer.weights = own.values.as_slice().into();
        layer.bias = folded_bias(own, from.zero_point)
            .into_iter()
            .map(|bias| bias as i32)
            .collect();
        for channel in 0..layer.bias.len() {
            let real = real_multiplier(&operator.kind, own, channel, from, to);
            let fixed = multiplier(real, mode).unwrap();
            (layer.multipliers[channel], layer.shifts[channel]) = (fixed.value, fixed.shift);
        }
    }
    let weights = Canonical {
        weights: &layer.weights,
        taps: layer.taps(),
        bias: &layer.bias,
        multipliers: &layer.multipliers,
        shifts: &layer.shifts,
    };
    let requantise = Requantise {
        rounding: layer.rounding,
        zero_point: layer.zero_point,
        min: layer.min,
        max: layer.max,
    };
    let (window, pad) = (layer.window, layer.pad);
    let input: Vec<Cell<i8>> = input.iter().map(|&x| Cell::new(x)).collect();
    let output = vec![Cell::new(0); to.len()];
    match layer.kind {
        LayerKind::FullyConnected => {
            let [inputs, outputs] = [window.input[2], window.output[2]];
            let settings = FullyConnected {
                inputs,
                outputs,
                weights,
                requantise,
            };
            fully_connected(&settings, &input, &output);
        }
        LayerKind::DepthwiseConv2d => {
            let settings = DepthwiseConv2d {
                window,
                pad,
                weights,
                requantise,
            };
            depthwise_conv_2d(&settings, &input, &output);
        }
        _ => {
            let settings = Conv2d {
                window,
                pad,
                weights,
                requantise,
            };
            conv_2d(&settings, &input, &output);
        }
    }
    output.iter().map(Cell::get).collect()
}

/// A condition: a layer that meets it, one just beyond, and what the compiler makes of them: the
/// packing and the first byte of the packed weights, which is their form or mode.
pub struct Border {
    pub what: &'static str,
    pub target: &'static str,
    pub optimize: Optimize,
    pub near: Settings,
    pub far: Settings,
    pub chosen: [(u8, u8); 2],
}

/// For the Cortex-M4F.
pub const M4F: &str = "mps2-an386";
/// For the Cortex-M55.
pub const M55: &str = "mps3-an547";

/// All of them.
pub fn borders() -> Vec<Border> {
    use packing::{
        CANONICAL, DSP_DEPTHWISE, DSP_I8, DSP_I16, DSP_WINOGRAD_2X2, DSP_WINOGRAD_4X4,
        MVE_DEPTHWISE, MVE_DIRECT, MVE_PANEL,
    };
    // The codes of the forms and modes in the packings' headers.
    const FIXED: u8 = 0;
    const PLAIN: u8 = 1;
    const GENERAL: u8 = 2;
    const RAW: u8 = 3;
    const LINEAR: u8 = 4;
    const SMALL: u8 = 5;
    const SMALL_LINEAR: u8 = 6;
    const MERGED: u8 = 0;
    const TIES: u8 = 1;
    let mut borders = Vec::new();
    let mut border =
        |what, target, optimize, near: Settings, change: &dyn Fn(&mut Settings), chosen| {
            let mut far = near;
            change(&mut far);
            borders.push(Border {
                what,
                target,
                optimize,
                near,
                far,
                chosen,
            });
        };
    let speed = Optimize::Speed;
    let base = Settings::new;
    let reach = |kind, reach, shift| Settings {
        reach,
        real: real(shift),
        ..base(kind)
    };
    let further: &dyn Fn(&mut Settings) = &|far| far.reach += 1;
    let smaller: &dyn Fn(&mut Settings) = &|far| far.real /= 2.0;
    let larger: &dyn Fn(&mut Settings) = &|far| far.real *= 2.0;
    let beside: &dyn Fn(&mut Settings) = &|far| far.zero_point += 1;

    // Blocks of 16-bit weights.
    for (what, bits, shift) in [
        ("accumulators times 2^8", 23, -5),
        ("accumulators times 2^6", 25, -7),
    ] {
        let near = reach(Kind::Pointwise, (1 << bits) - 1, shift);
        border(
            what,
            M4F,
            speed,
            near,
            further,
            [(DSP_I16, FIXED), (DSP_I16, LINEAR)],
        );
    }
    let near = reach(Kind::Pointwise, (1 << 23) - 1, -12);
    border(
        "accumulators of the plain form",
        M4F,
        speed,
        near,
        further,
        [(DSP_I16, PLAIN), (DSP_I16, LINEAR)],
    );
    let near = reach(Kind::Dense, (1 << 29) - 1, -11);
    border(
        "accumulators times 2^2",
        M4F,
        speed,
        near,
        further,
        [(DSP_I16, FIXED), (DSP_I16, LINEAR)],
    );
    let near = reach(Kind::Square, (1 << 30) - 1, -14);
    border(
        "accumulators times 2",
        M4F,
        speed,
        near,
        further,
        [(DSP_I16, LINEAR), (DSP_I16, RAW)],
    );
    let near = reach(Kind::Pointwise, 0, -11);
    border(
        "the last shift of the fixed form",
        M4F,
        speed,
        near,
        smaller,
        [(DSP_I16, FIXED), (DSP_I16, PLAIN)],
    );
    let near = reach(Kind::Pointwise, 0, -5);
    border(
        "the first shift of the fixed form",
        M4F,
        speed,
        near,
        larger,
        [(DSP_I16, FIXED), (DSP_I16, PLAIN)],
    );
    let near = reach(Kind::Dense, 0, -15);
    border(
        "the last shift of the plain form",
        M4F,
        speed,
        near,
        smaller,
        [(DSP_I16, PLAIN), (DSP_I16, RAW)],
    );
    let near = reach(Kind::Dense, 0, 6);
    border(
        "the first shift of the plain form",
        M4F,
        speed,
        near,
        larger,
        [(DSP_I16, PLAIN), (DSP_I16, RAW)],
    );
    let near = base(Kind::Pointwise);
    border(
        "ties that show",
        M4F,
        speed,
        near,
        beside,
        [(DSP_I16, FIXED), (DSP_I16, LINEAR)],
    );
    let near = Settings {
        zero_point: -127,
        ..base(Kind::Pointwise)
    };
    border(
        "a clamp at the zero point",
        M4F,
        speed,
        near,
        &|far| far.activation = Activation::Relu,
        [(DSP_I16, LINEAR), (DSP_I16, GENERAL)],
    );
    let near = Settings {
        zero_point: 5,
        real: real(-15),
        ..base(Kind::Odd)
    };
    border(
        "the last shift with ties",
        M4F,
        speed,
        near,
        smaller,
        [(DSP_I16, LINEAR), (DSP_I16, RAW)],
    );
    let near = Settings {
        rounding: RoundingMode::Single,
        zero_point: 5,
        real: real(-11),
        ..base(Kind::Dense)
    };
    border(
        "single rounding, the fixed form",
        M4F,
        speed,
        near,
        smaller,
        [(DSP_I16, FIXED), (DSP_I16, PLAIN)],
    );
    let near = Settings {
        rounding: RoundingMode::High32,
        zero_point: 5,
        reach: (1 << 23) - 1,
        real: 1.1e-5,
        ..base(Kind::Dense)
    };
    border(
        "accumulators with the high word",
        M4F,
        speed,
        near,
        further,
        [(DSP_I16, PLAIN), (DSP_I16, RAW)],
    );

    // Blocks of 8-bit weights.
    let size = Optimize::Size;
    for (what, shift, form) in [
        ("accumulators with 8-bit weights", -7, GENERAL),
        ("accumulators with 8-bit weights, halved", -9, SMALL),
    ] {
        let near = reach(Kind::Pointwise, (1 << 23) - 1, shift);
        border(
            what,
            M4F,
            size,
            near,
            further,
            [(DSP_I8, form), (DSP_I16, FIXED)],
        );
    }
    // The product's high word is 103 times the accumulator, and with two roundings it has to be below
    // 2^28, to be below 2^15 after all but the last of the shift.
    let near = reach(Kind::Pointwise, 2_606_166, -7);
    border(
        "halves of 16 bits",
        M4F,
        size,
        near,
        further,
        [(DSP_I8, SMALL), (DSP_I8, GENERAL)],
    );
    // Here it is 103 / 128 of the accumulator, and the bound is 2^21.
    let near = Settings {
        zero_point: -127,
        ..reach(Kind::Pointwise, 2_605_848, -7)
    };
    border(
        "halves of 16 bits with ties",
        M4F,
        size,
        near,
        further,
        [(DSP_I8, SMALL_LINEAR), (DSP_I8, GENERAL)],
    );
    border(
        "ties that show with 8-bit weights",
        M4F,
        size,
        base(Kind::Pointwise),
        beside,
        [(DSP_I8, SMALL), (DSP_I8, SMALL_LINEAR)],
    );
    border(
        "8-bit weights that borrow",
        M4F,
        size,
        base(Kind::Pointwise),
        &|far| far.lowest = Lowest::Borrowed,
        [(DSP_I8, SMALL), (DSP_I16, FIXED)],
    );
    border(
        "8-bit weights that borrow, dense",
        M4F,
        size,
        base(Kind::DenseBlocks),
        &|far| far.lowest = Lowest::Everywhere,
        [(DSP_I8, SMALL), (CANONICAL, 0)],
    );

    // Winograd's convolutions.
    let near = reach(Kind::Square, (1 << 25) - 1, -10);
    border(
        "accumulators times 64",
        M4F,
        speed,
        near,
        further,
        [(DSP_WINOGRAD_4X4, MERGED), (DSP_WINOGRAD_2X2, MERGED)],
    );
    let near = reach(Kind::Square, (1 << 29) - 1, -13);
    border(
        "accumulators times 4",
        M4F,
        speed,
        near,
        further,
        [(DSP_WINOGRAD_2X2, MERGED), (DSP_I16, LINEAR)],
    );
    border(
        "ties that show, transformed",
        M4F,
        speed,
        base(Kind::Square),
        beside,
        [(DSP_WINOGRAD_4X4, MERGED), (DSP_WINOGRAD_4X4, TIES)],
    );
    let near = Settings {
        zero_point: 5,
        real: real(-1),
        ..base(Kind::Square)
    };
    border(
        "ties without a shift",
        M4F,
        speed,
        near,
        larger,
        [(DSP_WINOGRAD_4X4, TIES), (DSP_I16, GENERAL)],
    );
    let near = reach(Kind::Square, 0, -16);
    border(
        "the last shift that merges",
        M4F,
        speed,
        near,
        smaller,
        [(DSP_WINOGRAD_4X4, MERGED), (DSP_WINOGRAD_4X4, TIES)],
    );

    // Depthwise convolutions.
    let near = Settings {
        zero_point: 5,
        real: real(-1),
        ..base(Kind::Depthwise)
    };
    border(
        "ties without a shift, depthwise",
        M4F,
        speed,
        near,
        larger,
        [(DSP_DEPTHWISE, 2), (CANONICAL, 0)],
    );
    let near = Settings {
        zero_point: 5,
        real: real(-21),
        ..base(Kind::Depthwise)
    };
    border(
        "the last shift, depthwise",
        M4F,
        speed,
        near,
        smaller,
        [(DSP_DEPTHWISE, 2), (CANONICAL, 0)],
    );

    // Helium.
    let near = reach(Kind::Pointwise, 0, 0);
    border(
        "a shift to the left",
        M55,
        speed,
        near,
        larger,
        [(MVE_PANEL, 0), (MVE_PANEL, 2)],
    );
    border(
        "ties that show, Helium",
        M55,
        speed,
        base(Kind::Square),
        beside,
        [(MVE_DIRECT, 0), (MVE_DIRECT, 1)],
    );
    let near = Settings {
        zero_point: 5,
        real: real(-1),
        ..base(Kind::Depthwise)
    };
    border(
        "no shift, Helium",
        M55,
        speed,
        near,
        larger,
        [(MVE_DEPTHWISE, 1), (MVE_DEPTHWISE, 2)],
    );
    border(
        "a clamp at the zero point, Helium",
        M55,
        speed,
        base(Kind::Odd),
        &|far| {
            far.zero_point = 5;
            far.activation = Activation::Relu;
        },
        [(MVE_PANEL, 0), (MVE_PANEL, 2)],
    );
    let near = Settings {
        rounding: RoundingMode::Single,
        real: real(-2),
        ..base(Kind::Dense)
    };
    border(
        "single rounding, Helium",
        M55,
        speed,
        near,
        larger,
        [(packing::MVE_DENSE, 3), (packing::MVE_DENSE, 4)],
    );
    borders
}

/// Every kind with every shift at an end of a form, clamped and not, in all roundings: whatever is
/// chosen, the bytes have to be those of the reference.
pub fn sweep() -> Vec<Settings> {
    let mut all = Vec::new();
    let ends = [-22, -16, -15, -12, -11, -5, -2, -1, 0, 1];
    for (index, kind) in Kind::ALL.into_iter().enumerate() {
        for (place, shift) in ends.into_iter().enumerate() {
            let choice = index + place;
            all.push(Settings {
                real: real(shift),
                zero_point: [-128, -127, 0, 5, 127][choice % 5],
                activation: [Activation::None, Activation::Relu][choice / 2 % 2],
                rounding: [RoundingMode::Double, RoundingMode::Single][choice / 3 % 2],
                lowest: [Lowest::Nowhere, Lowest::Borrowed, Lowest::Everywhere][choice % 3],
                ..Settings::new(kind)
            });
        }
    }
    all
}
