//! DEPTHWISE_CONV_2D with a window of 3x3 and one output for each input channel.
//!
//! The rows under the window are kept, padded, in a ring in the scratch, because a strip of
//! outputs is written group by group of channels while the columns under it are still needed.

use super::ring::Ring;
use super::strip::{Strip, depthwise_i8_8x1, depthwise_i8_8x1_stride_2};
use super::strip_relu::{depthwise_relu_i8_6x1, depthwise_relu_i8_8x1};
use super::{Mode, mode, splat, start, word_aligned};
use crate::kernels::footprint::mve::ring_len;
pub use crate::kernels::footprint::mve::{
    scratch_len_depthwise as scratch_len, supports_depthwise as supports,
};
use crate::kernels::layer::Layer;
use crate::kernels::packing::mve_depthwise::packed_len;

/// Pixels of a strip.
const PIXELS: usize = 8;

/// A depthwise convolution with weights in `packing::mve_depthwise`, where [`supports`] holds.
///
/// Exact for all rounding modes, shifts and clamps, as long as no accumulator leaves 32 bits, also
/// after the left shift of its channel (`max(shift, 0)` bits, or `max(shift + 2, 0)` where it is
/// rounded once).
#[inline(never)] // or the frames of all kernels are one, on the stack of each
pub fn depthwise_conv_2d_i8_8x1(layer: &Layer<'_>) {
    let window = &layer.window;
    let [height, width, channels] = window.output;
    let fits = |len: usize, [a, b, c]: [usize; 3]| {
        a.checked_mul(b).and_then(|ab| ab.checked_mul(c)) == Some(len) && len != 0
    };
    if !supports(window)
        || !fits(layer.input.len(), window.input)
        || !fits(layer.output.len(), window.output)
        || layer.weights.len() != packed_len(channels)
        || layer.scratch.len() < scratch_len(window)
        || !word_aligned(layer.scratch.as_ptr())
        || !word_aligned(layer.weights.as_ptr())
    {
        return;
    }
    let Some(mode) = mode(layer) else { return };
    let [stride_y, stride_x] = window.stride;
    let mut ring = Ring::new(layer);
    let scratch = start(layer.scratch);
    let mut strip = Strip {
        rows: [scratch.cast_const(); 3],
        step: channels,
        turned: scratch.wrapping_add(ring_len(window)),
        columns: 0,
        weights: layer.weights.as_ptr().wrapping_add(16),
        channels: channels as u32,
        output: start(layer.output),
        zero_point: layer.zero_point,
        min: splat(layer.min),
        max: splat(layer.max),
        mode: mode as u32,
        skipped: 0,
        mask: 0,
        offsets: offsets(LANES, channels),
    };
    let mut lanes_of = 0; // pixels that `offsets` and `mask` are for
    let relu = mode == Mode::DoubleRelu && stride_x == 1;
    for y in 0..height {
        ring.fill((y * stride_y).saturating_add(3));
        let rows = [0, 1, 2].map(|row| scratch.wrapping_add(ring.offset(y * stride_y + row)));
        let mut x = 0;
        while x < width {
            // Two strips of five or six are cheaper than one of eight and a short one.
            let pixels = match width - x {
                left @ 9..=12 if relu => left.div_ceil(2),
                left => left.min(PIXELS),
            };
            let column = x * stride_x * channels;
            strip.rows = rows.map(|row| row.wrapping_add(column).cast_const());
            strip.columns = ((pixels - 1) * stride_x + 3) as u32;
            let few = relu && (pixels == 5 || pixels == 6);
            let lanes = if few { LANES_OF_SIX } else { LANES };
            if lanes_of != pixels {
                lanes_of = pixels;
                strip.offsets = offsets(lanes, channels);
                strip.mask = mask(lanes, pixels);
                strip.skipped = match stride_x {
                    1 => 4 - pixels.div_ceil(2),
                    _ => 8 - pixels,
                } as u32;
            }
            let kernel = match (stride_x, few, relu && pixels == 8) {
                (1, true, _) => depthwise_relu_i8_6x1,
                (1, _, true) => depthwise_relu_i8_8x1,
                (1, _, _) => depthwise_i8_8x1,
                _ => depthwise_i8_8x1_stride_2,
            };
            // SAFETY: the ring has the columns of the strip, and what lies up to 15 bytes beyond
            // is the turned columns, for which there is room; `packed_len` was checked; the mask
            // lets the pixels through that are in the output. Nothing reads the output.
            unsafe { kernel(&raw const strip) };
            strip.output = strip.output.wrapping_add(pixels * channels);
            x += pixels;
        }
    }
}

/// The pixel in each lane of what is stored.
const LANES: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// The same for `depthwise_relu_i8_6x1`; two lanes hold none.
const LANES_OF_SIX: [usize; 8] = [0, 4, 1, 6, 2, 5, 3, 7];

fn offsets(lanes: [usize; 8], channels: usize) -> [u16; 8] {
    lanes.map(|pixel| (pixel * channels) as u16)
}

/// Two bits for each lane whose pixel is one of the first `pixels`.
fn mask(lanes: [usize; 8], pixels: usize) -> u32 {
    lanes
        .iter()
        .enumerate()
        .filter(|(_, pixel)| **pixel < pixels)
        .fold(0, |mask, (lane, _)| mask | 0b11 << (2 * lane))
}
