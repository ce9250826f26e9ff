//! DEPTHWISE_CONV_2D of any window with one output for each input channel.
//!
//! (A depthwise convolution on one input channel is a convolution: see `conv_2d`.)

use super::any::{ROWS, Taps, depthwise_i8_1x16};
use super::ring::Ring;
use super::{Mode, mode, start, word_aligned};
pub use crate::kernels::footprint::mve::{
    scratch_len_depthwise_any as scratch_len, supports_depthwise_any as supports,
};
use crate::kernels::layer::Layer;
use crate::kernels::packing::mve_depthwise_any::packed_len;

/// A depthwise convolution with weights in `packing::mve_depthwise_any`, where [`supports`] holds.
///
/// Exact for all rounding modes, shifts and clamps, as long as no accumulator leaves 32 bits, also
/// after the left shift of its channel (`max(shift, 0)` bits, or `max(shift + 2, 0)` where it is
/// rounded once).
#[inline(never)] // or the frames of all kernels are one, on the stack of each
pub fn depthwise_conv_2d_i8_1x16(layer: &Layer<'_>) {
    let window = &layer.window;
    let [height, width, channels] = window.output;
    let [kernel_height, kernel_width] = window.kernel;
    let taps = kernel_height.saturating_mul(kernel_width);
    let fits = |len: usize, [a, b, c]: [usize; 3]| {
        a.checked_mul(b).and_then(|ab| ab.checked_mul(c)) == Some(len) && len != 0
    };
    if !supports(window)
        || taps == 0
        || !fits(layer.input.len(), window.input)
        || !fits(layer.output.len(), window.output)
        || layer.weights.len() != packed_len(taps, channels)
        || layer.scratch.len() < scratch_len(window)
        || !word_aligned(layer.weights.as_ptr())
    {
        return;
    }
    let rounding = match mode(layer) {
        Some(Mode::DoubleRelu | Mode::Double | Mode::DoubleAny) => 0,
        Some(Mode::SingleAny) => 1,
        Some(Mode::High32) => 2,
        Some(Mode::Single) | None => return, // not packed so
    };
    let [stride_y, stride_x] = window.stride;
    let [dilation_y, dilation_x] = window.dilation;
    let mut ring = Ring::new(layer);
    let scratch = start(layer.scratch);
    let mut arguments = Taps {
        rows: kernel_height,
        columns: kernel_width,
        step: dilation_x * channels,
        offset: 0,
        weights: layer.weights.as_ptr(),
        output: start(layer.output),
        channels: 16,
        zero_point: layer.zero_point,
        min: layer.min.into(),
        max: layer.max.into(),
        rounding,
        starts: [scratch.cast_const(); ROWS],
    };
    for y in 0..height {
        ring.fill((y * stride_y).saturating_add(ring.rows));
        for (row, start) in arguments.starts.iter_mut().enumerate().take(kernel_height) {
            let at = ring.offset(y * stride_y + row * dilation_y);
            *start = scratch.wrapping_add(at);
        }
        for x in 0..width {
            arguments.weights = layer.weights.as_ptr().wrapping_add(16);
            for first in (0..channels).step_by(16) {
                let count = (channels - first).min(16);
                arguments.offset = x * stride_x * channels + first;
                arguments.channels = count as u32;
                // SAFETY: the ring has the columns of all windows and is followed by 16 bytes of
                // scratch; `packed_len` was checked; `count` channels of this pixel are written.
                // Nothing reads the output.
                unsafe { depthwise_i8_1x16(&raw const arguments) };
                arguments.weights = arguments.weights.wrapping_add(taps * 16 + 192);
                arguments.output = arguments.output.wrapping_add(count);
            }
        }
    }
}
