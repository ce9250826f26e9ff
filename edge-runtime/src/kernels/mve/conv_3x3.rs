//! CONV_2D with a window of 3x3 at a horizontal stride of 1, on a multiple of 16 channels.
//!
//! The rows under the window are kept, padded, in a ring in the scratch, 16 channels of all columns
//! after the other, so that columns are always 16 bytes apart.

use core::cell::Cell;

use crate::kernels::reference::runs;

use super::copy::{copy_pieces, fill};
use super::direct::conv_3x3_i8_4x2;
use super::panel::Panel;
use super::{mode, splat, start, word_aligned};
use crate::kernels::footprint::mve::plane_len;
pub use crate::kernels::footprint::mve::{
    scratch_len_3x3 as scratch_len, supports_3x3 as supports,
};
use crate::kernels::layer::Layer;
use crate::kernels::packing::mve_direct::packed_len;

/// A convolution with weights in `packing::mve_direct`, where [`supports`] holds.
///
/// Exact for all rounding modes, shifts and clamps, as long as no accumulator leaves 32 bits, also
/// after the left shift of its channel (`max(shift, 0)` bits, or `max(shift + 2, 0)` where it is
/// rounded once).
#[inline(never)] // or the frames of all kernels are one, on the stack of each
pub fn conv_2d_3x3_i8_4x2(layer: &Layer<'_>) {
    let window = &layer.window;
    let [_, _, in_channels] = window.input;
    let [height, width, channels] = window.output;
    let fits = |len: usize, [a, b, c]: [usize; 3]| {
        a.checked_mul(b).and_then(|ab| ab.checked_mul(c)) == Some(len) && len != 0
    };
    if !supports(window)
        || !fits(layer.input.len(), window.input)
        || !fits(layer.output.len(), window.output)
        || layer.weights.len() != packed_len(in_channels, channels)
        || layer.scratch.len() < scratch_len(window)
        || !word_aligned(layer.scratch.as_ptr())
        || !word_aligned(layer.weights.as_ptr())
    {
        return;
    }
    let Some(mode) = mode(layer) else { return };
    let scratch = start(layer.scratch);
    let plane = plane_len(window);
    let row_len = plane * (in_channels / 16);
    let weights = layer.weights.as_ptr().wrapping_add(16);
    let pixel = |i: usize| (i * channels) as u16;
    let mut arguments = Panel {
        pixels: [scratch.cast_const(); 4],
        weights,
        weights_end: layer.weights.as_ptr_range().end,
        output: start(layer.output),
        tiles: 0,
        input_step: 64,
        output_step: 3 * channels,
        zero_point: layer.zero_point,
        min: splat(layer.min),
        max: splat(layer.max),
        passes: (in_channels / 16 - 1) as u32,
        rest: plane as u32,
        mode: mode as u32,
        offsets: [0, 1, 2, 3, 4, 5, 6, 7].map(|lane| pixel(lane / 2) + lane as u16 % 2),
    };
    let mut next = 0;
    for y in 0..height {
        let top = y * window.stride[0];
        next = next.max(top);
        while next < top + 3 {
            let slot = next % 3 * row_len;
            let row = layer.scratch.get(slot..).unwrap_or_default();
            read_row(layer, next, row.get(..row_len).unwrap_or_default(), plane);
            next += 1;
        }
        let rows = [0, 1, 2].map(|ky| scratch.wrapping_add((top + ky) % 3 * row_len));
        // The last tile starts where it ends with the row: some pixels are computed twice.
        let row_output = start(layer.output).wrapping_add(y * width * channels);
        for (first, tiles) in [(0, width / 4), (width - 4, 1)] {
            if first == 0 || !width.is_multiple_of(4) {
                for (pixel, row) in arguments.pixels.iter_mut().zip(rows) {
                    *pixel = row.wrapping_add(first * 16);
                }
                arguments.output = row_output.wrapping_add(first * channels);
                arguments.tiles = tiles as u32;
                // SAFETY: a row of the ring has the columns of all tiles, for all channels; the
                // outputs are in the row; `packed_len` was checked. Nothing reads the output.
                unsafe { conv_3x3_i8_4x2(&raw const arguments) };
            }
        }
    }
}

/// Reads row `y` of the padded input.
fn read_row(layer: &Layer<'_>, y: usize, row: &[Cell<i8>], plane: usize) {
    let window = &layer.window;
    let [height, width, channels] = window.input;
    let [above, left] = window.padding;
    let source = y
        .checked_sub(above)
        .filter(|y| *y < height)
        .and_then(|y| layer.input.get(y * width * channels..))
        .and_then(|rest| rest.get(..width * channels))
        .unwrap_or_default();
    for (index, target) in runs(row, plane).enumerate() {
        let left_len = left.saturating_mul(16).min(target.len());
        let copied = source
            .len()
            .checked_div(channels)
            .unwrap_or(0)
            .min((target.len() - left_len) / 16);
        let (before, rest) = target.split_at_checked(left_len).unwrap_or_default();
        let (middle, after) = rest.split_at_checked(copied * 16).unwrap_or_default();
        let source = source.get(index * 16..).unwrap_or_default();
        // SAFETY: parts of the scratch, which overlaps nothing; `copied` pixels of the input have
        // 16 channels from `index * 16` on.
        unsafe {
            fill(start(before), splat(layer.pad), before.len());
            fill(start(after), splat(layer.pad), after.len());
            if copied != 0 {
                copy_pieces(start(middle), start(source), 16, copied, channels);
            }
        }
    }
}
