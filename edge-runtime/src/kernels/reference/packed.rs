//! The reference kernels on weights that were packed for an instruction set: what lets any machine
//! run any image.

use super::table::{canonical_depthwise, run_conv, run_depthwise, run_fully_connected};
use super::weights::Weights;
use crate::format::{opcode, packing};
use crate::kernels::Kernel;
use crate::kernels::layer::Layer;
use crate::kernels::packing::dsp_blocks::{Blocks, Taps, Width};
use crate::kernels::packing::mve_dense::MveDense;
use crate::kernels::packing::mve_depthwise::MveDepthwise;
use crate::kernels::packing::mve_depthwise_any::MveDepthwiseAny;
use crate::kernels::packing::mve_direct::MveDirect;
use crate::kernels::packing::mve_panel::MvePanel;
use crate::kernels::packing::pair_blocks::PairBlocks;
use crate::kernels::packing::winograd_dsp::Transform;
use crate::kernels::packing::{
    depthwise_16x4, depthwise_dsp, dot_16x4, rows_128, winograd_16x2, winograd_dsp,
};
use crate::kernels::portable::depthwise_conv_2d::by_channel;
use crate::operator::layers::{self, Packed};
use crate::operator::packed;
use crate::operator::{Call, Cost, Fault};

const fn kernel(
    opcode: u8,
    packing: u8,
    check: fn(&Call<'_>) -> Result<Cost, Fault>,
    run: fn(&Call<'_>),
) -> Kernel {
    Kernel {
        opcode,
        packing,
        check,
        run,
    }
}

/// A convolution or fully connected layer in a packing, for `check` and `run`.
macro_rules! entries {
    ($(($opcode:ident, $packing:ident, $check:ident, $bind:ident, $run:ident, $decode:expr)),* $(,)?) => {
        &[$(kernel(
            opcode::$opcode,
            packing::$packing,
            |call| layers::$check(call, &UNSCRATCHED.of(&packed::$packing)),
            |call| $run(&layers::$bind(call), $decode),
        )),*]
    };
}

/// The reference kernels need no scratch, whatever an image reserves for those that do.
struct Unscratched;
const UNSCRATCHED: Unscratched = Unscratched;

impl Unscratched {
    const fn of(&self, packed: &Packed) -> Packed {
        Packed {
            scratch_len: |_| 0,
            ..*packed
        }
    }
}

/// One entry for each operator in each packing but the canonical one.
pub const KERNELS: &[Kernel] = entries![
    (CONV_2D, DSP_I16, check_conv, layer, run_conv, |l| dsp(
        l,
        Width::I16
    )),
    (CONV_2D, DSP_I8, check_conv, layer, run_conv, |l| dsp(
        l,
        Width::I8
    )),
    (
        CONV_2D,
        DSP_WINOGRAD_2X2,
        check_conv,
        layer,
        run_conv,
        |l| winograd(l, Transform::F2)
    ),
    (
        CONV_2D,
        DSP_WINOGRAD_4X4,
        check_conv,
        layer,
        run_conv,
        |l| winograd(l, Transform::F4)
    ),
    (
        FULLY_CONNECTED,
        DSP_I16,
        check_fully_connected,
        flat_layer,
        run_fully_connected,
        |l| dsp(l, Width::I16)
    ),
    (
        FULLY_CONNECTED,
        DSP_I8,
        check_fully_connected,
        flat_layer,
        run_fully_connected,
        |l| dsp(l, Width::I8)
    ),
    (
        DEPTHWISE_CONV_2D,
        DSP_DEPTHWISE,
        check_depthwise,
        layer,
        run_depthwise,
        depthwise
    ),
    (
        DEPTHWISE_CONV_2D,
        DSP_DEPTHWISE_SMALL,
        check_depthwise,
        layer,
        run_depthwise,
        canonical_depthwise
    ),
    (CONV_2D, MVE_PANEL, check_conv, layer, run_conv, mve_panel),
    (
        FULLY_CONNECTED,
        MVE_DENSE,
        check_fully_connected,
        flat_layer,
        run_fully_connected,
        mve_dense
    ),
    (CONV_2D, MVE_DIRECT, check_conv, layer, run_conv, mve_direct),
    (
        DEPTHWISE_CONV_2D,
        MVE_DEPTHWISE,
        check_depthwise,
        layer,
        run_depthwise,
        mve_depthwise
    ),
    (
        DEPTHWISE_CONV_2D,
        MVE_DEPTHWISE_ANY,
        check_depthwise,
        layer,
        run_depthwise,
        mve_depthwise_any
    ),
    (CONV_2D, DOT_16X4, check_conv, layer, run_conv, dot),
    (
        CONV_2D,
        WINOGRAD_16X2,
        check_conv,
        layer,
        run_conv,
        winograd_blocks
    ),
    (
        FULLY_CONNECTED,
        DOT_16X4,
        check_fully_connected,
        flat_layer,
        run_fully_connected,
        dot
    ),
    (
        FULLY_CONNECTED,
        ROWS_128,
        check_fully_connected,
        flat_layer,
        run_fully_connected,
        rows
    ),
    (
        DEPTHWISE_CONV_2D,
        DEPTHWISE_16X4,
        check_depthwise,
        layer,
        run_depthwise,
        depthwise_blocks
    ),
    (CONV_2D, PAIRS, check_conv, layer, run_conv, PairBlocks::of),
    (
        FULLY_CONNECTED,
        PAIRS,
        check_fully_connected,
        flat_layer,
        run_fully_connected,
        PairBlocks::of
    ),
    (
        DEPTHWISE_CONV_2D,
        DEPTHWISE_CHANNELS,
        check_depthwise,
        layer,
        run_depthwise,
        by_channel
    ),
];

fn taps(layer: &Layer<'_>) -> usize {
    let ([height, width], [_, _, depth]) = (layer.window.kernel, layer.window.input);
    height.saturating_mul(width).saturating_mul(depth)
}

fn channels(layer: &Layer<'_>) -> usize {
    let [_, _, channels] = layer.window.output;
    channels
}

fn dsp<'a>(layer: &Layer<'a>, width: Width) -> Option<Blocks<'a>> {
    Blocks::new(
        layer.weights,
        width,
        Taps::of(&layer.window),
        channels(layer),
        layer.rounding,
    )
}

impl Weights for Option<Blocks<'_>> {
    fn weight(&self, channel: usize, tap: usize) -> i32 {
        self.map_or(0, |blocks| blocks.weight(channel, tap).into())
    }
    fn bias(&self, channel: usize) -> i32 {
        self.map_or(0, |blocks| blocks.bias(channel))
    }
    fn multiplier(&self, channel: usize) -> i32 {
        self.map_or(0, |blocks| blocks.multiplier(channel))
    }
    fn shift(&self, channel: usize) -> i8 {
        self.map_or(0, |blocks| blocks.shift(channel))
    }
}

/// [`winograd_dsp`].
struct Winograd<'a> {
    transform: Transform,
    packed: &'a [u8],
    depth: usize,
}

fn winograd<'a>(layer: &Layer<'a>, transform: Transform) -> Winograd<'a> {
    let [_, _, depth] = layer.window.input;
    Winograd {
        transform,
        packed: layer.weights,
        depth,
    }
}

impl Winograd<'_> {
    fn channel(&self, channel: usize) -> (i32, i32, i8) {
        winograd_dsp::channel(self.transform, self.packed, self.depth, channel).unwrap_or_default()
    }
}

impl Weights for Winograd<'_> {
    fn weight(&self, channel: usize, tap: usize) -> i32 {
        let (Some(place), Some(input)) = (tap.checked_div(self.depth), tap.checked_rem(self.depth))
        else {
            return 0;
        };
        let weights =
            winograd_dsp::weights(self.transform, self.packed, self.depth, [channel, input]);
        let weights = weights.unwrap_or_default();
        weights
            .as_flattened()
            .get(place)
            .copied()
            .unwrap_or(0)
            .into()
    }
    fn bias(&self, channel: usize) -> i32 {
        self.channel(channel).0
    }
    fn multiplier(&self, channel: usize) -> i32 {
        self.channel(channel).1
    }
    fn shift(&self, channel: usize) -> i8 {
        self.channel(channel).2
    }
}

/// [`depthwise_dsp`].
struct Depthwise<'a>(&'a [u8]);

fn depthwise<'a>(layer: &Layer<'a>) -> Depthwise<'a> {
    Depthwise(layer.weights)
}

impl Weights for Depthwise<'_> {
    fn weight(&self, channel: usize, tap: usize) -> i32 {
        let found = depthwise_dsp::channel(self.0, channel);
        let weight = found.and_then(|found| found.weights.as_flattened().get(tap).copied());
        weight.unwrap_or(0).into()
    }
    fn bias(&self, channel: usize) -> i32 {
        depthwise_dsp::channel(self.0, channel).map_or(0, |found| found.bias)
    }
    fn multiplier(&self, channel: usize) -> i32 {
        depthwise_dsp::channel(self.0, channel).map_or(0, |found| found.multiplier)
    }
    fn shift(&self, channel: usize) -> i8 {
        depthwise_dsp::channel(self.0, channel).map_or(0, |found| found.shift)
    }
}

fn mve_panel<'a>(layer: &Layer<'a>) -> MvePanel<'a> {
    MvePanel {
        packed: layer.weights,
        taps: taps(layer),
    }
}

fn mve_dense<'a>(layer: &Layer<'a>) -> MveDense<'a> {
    MveDense {
        packed: layer.weights,
        taps: taps(layer),
    }
}

fn mve_direct<'a>(layer: &Layer<'a>) -> MveDirect<'a> {
    let [_, _, inputs] = layer.window.input;
    MveDirect {
        packed: layer.weights,
        inputs,
    }
}

fn mve_depthwise<'a>(layer: &Layer<'a>) -> MveDepthwise<'a> {
    MveDepthwise {
        packed: layer.weights,
    }
}

fn mve_depthwise_any<'a>(layer: &Layer<'a>) -> MveDepthwiseAny<'a> {
    let [height, width] = layer.window.kernel;
    MveDepthwiseAny {
        packed: layer.weights,
        taps: height.saturating_mul(width),
    }
}

/// Hands each value on to the decoder's own function of the same name.
macro_rules! forward {
    ($($decoder:ty),*) => {
        $(impl Weights for $decoder {
            fn weight(&self, channel: usize, tap: usize) -> i32 {
                <$decoder>::weight(self, channel, tap)
            }
            fn bias(&self, channel: usize) -> i32 {
                <$decoder>::bias(self, channel)
            }
            fn multiplier(&self, channel: usize) -> i32 {
                <$decoder>::multiplier(self, channel)
            }
            fn shift(&self, channel: usize) -> i8 {
                <$decoder>::shift(self, channel)
            }
        })*
    };
}

forward!(
    MvePanel<'_>,
    MveDense<'_>,
    MveDirect<'_>,
    MveDepthwise<'_>,
    MveDepthwiseAny<'_>
);

/// A packing that holds the weights only.
struct Apart<'a, F> {
    layer: Layer<'a>,
    weight: F,
}

fn dot<'a>(layer: &Layer<'a>) -> Apart<'a, impl Fn(usize, usize) -> i8 + use<'a>> {
    let (shape, packed) = (dot_16x4::Shape::new(&layer.window), layer.weights);
    Apart {
        layer: *layer,
        weight: move |channel, tap| shape.weight(packed, channel, tap),
    }
}

fn winograd_blocks<'a>(layer: &Layer<'a>) -> Apart<'a, impl Fn(usize, usize) -> i8 + use<'a>> {
    let (window, packed) = (layer.window, layer.weights);
    Apart {
        layer: *layer,
        weight: move |channel, tap| winograd_16x2::weight(&window, packed, channel, tap),
    }
}

fn rows<'a>(layer: &Layer<'a>) -> Apart<'a, impl Fn(usize, usize) -> i8 + use<'a>> {
    let (window, packed) = (layer.window, layer.weights);
    Apart {
        layer: *layer,
        weight: move |channel, tap| rows_128::weight(&window, packed, channel, tap),
    }
}

fn depthwise_blocks<'a>(layer: &Layer<'a>) -> Apart<'a, impl Fn(usize, usize) -> i8 + use<'a>> {
    let (shape, packed) = (depthwise_16x4::Shape::new(&layer.window), layer.weights);
    Apart {
        layer: *layer,
        weight: move |channel, tap| shape.weight(packed, channel, tap),
    }
}

impl<F: Fn(usize, usize) -> i8> Weights for Apart<'_, F> {
    fn weight(&self, channel: usize, tap: usize) -> i32 {
        (self.weight)(channel, tap).into()
    }
    fn bias(&self, channel: usize) -> i32 {
        self.layer.bias.get(channel).copied().unwrap_or(0)
    }
    fn multiplier(&self, channel: usize) -> i32 {
        self.layer.multipliers.get(channel).copied().unwrap_or(0)
    }
    fn shift(&self, channel: usize) -> i8 {
        self.layer.shifts.get(channel).copied().unwrap_or(0)
    }
}
