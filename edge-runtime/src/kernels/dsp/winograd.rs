//! CONV_2D with a 3x3 kernel and stride 1 by Winograd's F(2x2, 3x3) in integers: 16 products where
//! the definition has 36, and the same bytes.
//!
//! With `G` doubled, `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A` is 4 times the convolution, exactly: weights
//! have at most 1152 and inputs 512 in magnitude, so both fit 16 bits, and sums of 32 bits may wrap
//! on the way because the result, which packing proves to fit, is right modulo 2^32. The factor 4 is
//! just what turns both roundings into one constant (see packing 5).
#![allow(unsafe_code)] // Calls assembly, and writes to scratch as words.

use super::copy::copy_words;
use super::len;
use super::winograd_inputs::{Patch, transform};
use super::winograd_tiles::{self as tiles, Kernel, Tiles};
use crate::kernels::cases;
use crate::kernels::footprint::dsp_winograd::SUMS;
pub use crate::kernels::footprint::dsp_winograd::{fits, scratch_len};
use crate::kernels::layer::Layer;
use crate::kernels::packing::winograd_dsp::{Form, HEADER, Transform};

/// Runs a layer in packing 3, any rounding mode; leaves the output as it is where [`fits`] says no
/// or a length is wrong. `bias`, `multipliers` and `shifts` are in the packed weights.
///
/// Exact under the conditions that packing checks. The lower of two output rows is kept in scratch
/// until both are done, so that input and output may overlap.
pub fn winograd_f2_i16_2x4(layer: &Layer<'_>) {
    run::<{ cases::ALL }>(layer);
}

/// [`winograd_f2_i16_2x4`] in these cases; the output of others stays as it is.
pub(super) fn run<const CASES: u64>(layer: &Layer<'_>) {
    let window = &layer.window;
    let [height, width, channels] = window.input;
    let [out_height, out_width, out_channels] = window.output;
    let [padding_y, padding_x] = window.padding;
    if !fits(window)
        || Some(layer.input.len()) != len(window.input)
        || Some(layer.output.len()) != len(window.output)
        || layer.weights.len() != HEADER + out_channels / 4 * Transform::F2.block_len(channels)
        || layer.scratch.len() < scratch_len(window)
        || !layer.input.as_ptr().addr().is_multiple_of(4)
        || !layer.output.as_ptr().addr().is_multiple_of(4)
        || !layer.weights.as_ptr().addr().is_multiple_of(4)
        || !layer.scratch.as_ptr().addr().is_multiple_of(4)
    {
        return;
    }
    let has = |form, channels| CASES & cases::winograd(Transform::F2, form, channels) != 0;
    let kernel: Kernel = match (Form::of(layer.weights), channels) {
        (Some(Form::Merged), 16) if has(Form::Merged, 16) => tiles::two_tiles_16_merged,
        (Some(Form::Merged), 32..) if has(Form::Merged, 0) => tiles::two_tiles_merged,
        (Some(Form::Ties), 16) if has(Form::Ties, 16) => tiles::two_tiles_16_ties,
        (Some(Form::Ties), 32..) if has(Form::Ties, 0) => tiles::two_tiles_ties,
        _ => return,
    };
    // SAFETY: the lengths and alignments were checked above; `scratch_len` is the sum of the five
    // regions, all multiples of 4 bytes. A patch is read in place only where all of it lies on the
    // input. Outputs outside the image go to the last region, and those of the lower row to the
    // fourth. `Cell`s may be written through a shared reference.
    unsafe {
        let inputs: *mut u32 = layer.scratch.as_ptr().cast::<u32>().cast_mut();
        let sums = inputs.add(16 * channels);
        let patch = sums.add(SUMS / 4);
        let lower = patch.add(6 * channels);
        let unwanted: *mut i8 = lower.add(out_width * out_channels / 4).cast();
        let lower: *mut i8 = lower.cast();
        let input: *const i8 = layer.input.as_ptr().cast();
        let output: *mut i8 = layer.output.as_ptr().cast::<i8>().cast_mut();
        let mut tiles = Tiles {
            sums,
            inputs_end: inputs.add(16 * channels),
            back: 64 * channels - 16,
            sums_end: sums.add(SUMS / 4),
            outputs: [unwanted; 8],
            blocks: layer.weights.as_ptr().add(HEADER),
            inputs,
            count: out_channels / 4,
            unused: 0,
        };
        let mut y = 0;
        while y < out_height {
            let upper = output.add(y * out_width * out_channels);
            let mut x = 0;
            while x < out_width {
                let inside = y >= padding_y
                    && x >= padding_x
                    && y - padding_y + 4 <= height
                    && x - padding_x + 6 <= width;
                let (first, row) = if inside {
                    let first = (y - padding_y) * width + x - padding_x;
                    (input.add(first * channels), width * channels)
                } else {
                    gather(layer, [y, x], [4, 6], patch);
                    (patch.cast_const().cast(), 6 * channels)
                };
                transform(&Patch {
                    rows: [
                        first,
                        first.add(row),
                        first.add(2 * row),
                        first.add(3 * row),
                    ],
                    to: inputs,
                    channels,
                });
                for (column, at) in [0, 1, 4, 5].into_iter().enumerate() {
                    let wanted = x + column < out_width;
                    let pixel = (x + column) * out_channels;
                    if let Some(pointer) = tiles.outputs.get_mut(at) {
                        *pointer = if wanted { upper.add(pixel) } else { unwanted };
                    }
                    if let Some(pointer) = tiles.outputs.get_mut(at + 2) {
                        *pointer = if wanted { lower.add(pixel) } else { unwanted };
                    }
                }
                kernel(&tiles);
                x += 4;
            }
            if y + 1 < out_height {
                let words = out_width * out_channels / 4;
                copy_words(upper.cast::<u32>().add(words), lower.cast(), words);
            }
            y += 2;
        }
    }
    super::limit::limit::<CASES>(layer.min, layer.max, layer.output);
}

/// Copies `rows` times `columns` pixels under tiles whose first output is `(y, x)`, with padding.
///
/// # Safety
/// The layer's lengths checked and on 4-byte boundaries; `to` valid for the pixels.
pub(super) unsafe fn gather(
    layer: &Layer<'_>,
    [y, x]: [usize; 2],
    [rows, columns]: [usize; 2],
    to: *mut u32,
) {
    let [height, width, channels] = layer.window.input;
    let [padding_y, padding_x] = layer.window.padding;
    let pad = u32::from(layer.pad.cast_unsigned()) * 0x0101_0101;
    let words = channels / 4;
    let input: *const u32 = layer.input.as_ptr().cast();
    // The columns that lie on the input.
    let begin = padding_x.saturating_sub(x).min(columns);
    let end = (width + padding_x).saturating_sub(x).clamp(begin, columns);
    let mut to = to;
    for row in y..y + rows {
        let row = row
            .checked_sub(padding_y)
            .filter(|row| *row < height && begin < end);
        let (begin, end) = if row.is_some() {
            (begin, end)
        } else {
            (columns, columns)
        };
        // SAFETY: row and columns lie on the input, whose length was checked; `columns` pixels are
        // written to `to`.
        unsafe {
            for word in (0..begin * words).chain(end * words..columns * words) {
                to.add(word).write(pad);
            }
            if let Some(row) = row {
                let from = input.add((row * width + x + begin - padding_x) * words);
                copy_words(to.add(begin * words), from, (end - begin) * words);
            }
            to = to.add(columns * words);
        }
    }
}
