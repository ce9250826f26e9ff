//! CONV_2D over streams of [`crate::kernels::packing::dsp_blocks`].
//!
//! The window of each output pixel is laid out in scratch as `i16` (a *panel*: all taps, for two
//! pixels word by word in turn), then all output channels are computed from it. A panel holds all
//! that its pixels need, and pixels come in raster order, so the rule of overlap holds.

use super::super::layer::Layer;
use super::super::packing::dsp_blocks::Width;
use super::job::Driven;
use super::pad::pad;
use super::panel::Panel;
use super::stream::Stream;
use super::{matmul_1x4, matmul_2x4};
use crate::kernels::cases;
use crate::operator::{Call, layers};

pub use super::super::packing::dsp_panels::{conv_2d_scratch_len as scratch_len, fits};

/// The kernels for a width of weights.
struct Kernels {
    width: Width,
    pair: &'static Driven,
    single: &'static Driven,
}

const fn i16<const CASES: u64>() -> &'static Kernels {
    const {
        &Kernels {
            width: Width::I16,
            pair: matmul_2x4::i16::<CASES>(),
            single: matmul_1x4::i16::<CASES>(),
        }
    }
}

const fn i8<const CASES: u64>() -> &'static Kernels {
    const {
        &Kernels {
            width: Width::I8,
            pair: matmul_2x4::i8::<CASES>(),
            single: matmul_1x4::i8::<CASES>(),
        }
    }
}

/// CONV_2D with 16-bit weights (packing 1). Leaves the output as it is where lengths do not fit
/// together, alignment is missing or the window does not [`fits`].
pub fn conv_2d_i16_2x4(layer: &Layer<'_>) {
    conv_2d::<{ cases::ALL }>(&mut { *layer }, i16::<{ cases::ALL }>());
}

/// CONV_2D with 8-bit weights (packing 2), else as [`conv_2d_i16_2x4`].
pub fn conv_2d_i8_2x4(layer: &Layer<'_>) {
    conv_2d::<{ cases::ALL }>(&mut { *layer }, i8::<{ cases::ALL }>());
}

/// [`conv_2d_i16_2x4`] of an operator.
pub(super) fn run_i16<const CASES: u64>(call: &Call<'_>) {
    run::<CASES>(call, i16::<CASES>());
}

/// [`conv_2d_i8_2x4`] of an operator.
pub(super) fn run_i8<const CASES: u64>(call: &Call<'_>) {
    run::<CASES>(call, i8::<CASES>());
}

#[inline(never)]
fn run<const CASES: u64>(call: &Call<'_>, kernels: &Kernels) {
    conv_2d::<CASES>(&mut layers::layer(call), kernels);
}

#[inline(always)] // One frame with the layer's.
fn conv_2d<const CASES: u64>(layer: &mut Layer<'_>, kernels: &Kernels) {
    if CASES & cases::PADDED != 0 && pad(layer).is_none() {
        return;
    }
    // Borrowed, not moved: a move is a copy on the stack.
    let panel = Panel::<CASES>::new(layer, &layer.window);
    let Some(panel) = &panel else {
        return;
    };
    if panel.pixels % 2 == 1 && CASES & cases::ODD == 0 {
        return;
    }
    let mut stream = Stream::<CASES>::new(layer, kernels.width, kernels.pair, panel.words);
    let Some(stream) = &mut stream else {
        return;
    };
    let batch = if stream.takes_batches() {
        panel.batch
    } else {
        1
    };
    let mut at = panel.start();
    let mut left = panel.pixels;
    while left > 1 {
        let pairs = (left / 2).min(batch);
        // SAFETY: `Panel::new` checked that input, output and scratch hold what the window says;
        // there are `2 * pairs` more pixels, and no more than a batch.
        unsafe {
            panel.fill_pairs(&mut at, pairs);
            stream.run(pairs);
        }
        left -= 2 * pairs;
    }
    if left == 1 && CASES & cases::ODD != 0 {
        if CASES & cases::ODD_PIXELS == 0 {
            stream.repeat();
        } else {
            stream.drive(kernels.single);
        }
        // SAFETY: as above, for the last pixel; a pair holds it twice, and both go to its output.
        unsafe {
            if CASES & cases::ODD_PIXELS == 0 {
                panel.fill_twice(&mut at);
            } else {
                panel.fill_single(&at);
            }
            stream.run(1);
        }
    }
}
