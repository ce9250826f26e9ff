//! CONV_2D over streams of [`crate::kernels::packing::dsp_blocks`].
//!
//! The window of each output pixel is laid out in scratch as `i16` (a *panel*: all taps, for two
//! pixels word by word in turn), then all output channels are computed from it. A panel holds all
//! that its pixels need, and pixels come in raster order, so the rule of overlap holds.

use super::super::layer::Layer;
use super::super::packing::dsp_blocks::{Form, Taps, Width};
use super::matmul::{self, Kernel};
use super::panel::{Panel, Position};
use super::stream::{Entry, Stream};

pub use super::panel::{fits, scratch_len};

/// The kernels for a width of weights.
struct Kernels {
    width: Width,
    pair: (Kernel, Entry),
    single: (Kernel, Entry),
}

/// CONV_2D with 16-bit weights (packing 1). Leaves the output as it is where lengths do not fit
/// together, alignment is missing or the window does not [`fits`].
pub fn conv_2d_i16_2x4(layer: &Layer<'_>) {
    let kernels = Kernels {
        width: Width::I16,
        pair: (matmul::pair_i16_2x4, matmul::entry_i16_2x4),
        single: (matmul::single_i16_1x4, matmul::entry_i16_1x4),
    };
    conv_2d(layer, &kernels);
}

/// CONV_2D with 8-bit weights (packing 2), else as [`conv_2d_i16_2x4`].
pub fn conv_2d_i8_2x4(layer: &Layer<'_>) {
    let kernels = Kernels {
        width: Width::I8,
        pair: (matmul::pair_i8_2x4, matmul::entry_i8_2x4),
        single: (matmul::single_i8_1x4, matmul::entry_i8_1x4),
    };
    conv_2d(layer, &kernels);
}

fn conv_2d(layer: &Layer<'_>, kernels: &Kernels) {
    // Borrowed, not moved: a move is a copy on the stack.
    let panel = Panel::new(layer, &layer.window);
    let stream = Stream::new(layer, kernels.width, Taps::of(&layer.window));
    let (Some(panel), Some(stream)) = (&panel, &stream) else {
        return;
    };
    let batch = match stream.form {
        Form::Raw => 1,
        _ => panel.batch,
    };
    let mut at = Position { y: 0, x: 0 };
    let mut pixel = 0;
    while pixel < panel.pixels {
        let pairs = ((panel.pixels - pixel) / 2).min(batch);
        // SAFETY: `Panel::new` checked that input, output and scratch hold what the window says;
        // there are `2 * pairs` more pixels (or one), and no more than a batch.
        unsafe {
            if pairs == 0 {
                panel.fill_single(at);
                stream.run(kernels.single, (panel.words, 4 * stream.words), pixel, 1, 1);
                break;
            }
            at = panel.fill_pairs(at, pairs);
            stream.run(
                kernels.pair,
                (panel.words, 8 * stream.words),
                pixel,
                pairs,
                2,
            );
        }
        pixel += 2 * pairs;
    }
}
