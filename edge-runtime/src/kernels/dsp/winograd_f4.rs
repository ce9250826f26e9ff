//! CONV_2D with a 3x3 kernel and stride 1 by Winograd's F(4x4, 3x3) in integers: 36 products where
//! the definition has 144, and the same bytes.
//!
//! See [`super::winograd`] for F(2x2, 3x3). Here the rows of `G` are scaled so that weights have at
//! most 6272 in magnitude and inputs 12800, and `A` takes the scales back: the result is 576 times
//! the convolution. Modulo 2^32 that can be multiplied by the inverse of 9, which leaves 64 times
//! the accumulator, exactly wherever that fits.
#![allow(unsafe_code)] // Calls assembly, and writes to scratch as words.

use super::copy::copy_words;
use super::len;
use super::winograd::gather;
use super::winograd_f4_inputs::{Patch, transform};
use super::winograd_f4_tiles::{self as tiles, Kernel, Tiles};
use crate::kernels::cases;
use crate::kernels::footprint::dsp_winograd::{COLUMNS, PIXELS, SUMS_4X4 as SUMS};
pub use crate::kernels::footprint::dsp_winograd::{fits, scratch_len_4x4 as scratch_len};
use crate::kernels::layer::Layer;
use crate::kernels::packing::winograd_dsp::{Form, HEADER, Transform};

/// Runs a layer in packing 4, any rounding mode; leaves the output as it is where [`fits`] says no
/// or a length is wrong. `bias`, `multipliers` and `shifts` are in the packed weights.
///
/// Exact under the conditions that packing checks. The lower three of four output rows are kept in
/// scratch until all are done, so that input and output may overlap.
pub fn winograd_f4_i16_2x4(layer: &Layer<'_>) {
    run::<{ cases::ALL }>(layer);
}

/// [`winograd_f4_i16_2x4`] in these cases; the output of others stays as it is.
pub(super) fn run<const CASES: u64>(layer: &Layer<'_>) {
    let window = &layer.window;
    let [height, width, channels] = window.input;
    let [out_height, out_width, out_channels] = window.output;
    let [padding_y, padding_x] = window.padding;
    if !fits(window)
        || Some(layer.input.len()) != len(window.input)
        || Some(layer.output.len()) != len(window.output)
        || layer.weights.len() != HEADER + out_channels / 4 * Transform::F4.block_len(channels)
        || layer.scratch.len() < scratch_len(window)
        || !layer.input.as_ptr().addr().is_multiple_of(4)
        || !layer.output.as_ptr().addr().is_multiple_of(4)
        || !layer.weights.as_ptr().addr().is_multiple_of(4)
        || !layer.scratch.as_ptr().addr().is_multiple_of(4)
    {
        return;
    }
    let has = |form, channels| CASES & cases::winograd(Transform::F4, form, channels) != 0;
    // One kernel for any number of channels where those for few and many would both be linked.
    let any = |form| CASES != cases::ALL && has(form, 16) && has(form, 0);
    let kernel: Kernel = match (Form::of(layer.weights), channels) {
        (Some(Form::Merged), _) if any(Form::Merged) => tiles::two_tiles_any_merged,
        (Some(Form::Ties), _) if any(Form::Ties) => tiles::two_tiles_any_ties,
        (Some(Form::Merged), 16) if has(Form::Merged, 16) => tiles::two_tiles_16_merged,
        (Some(Form::Merged), 32..) if has(Form::Merged, 0) => tiles::two_tiles_merged,
        (Some(Form::Ties), 16) if has(Form::Ties, 16) => tiles::two_tiles_16_ties,
        (Some(Form::Ties), 32..) if has(Form::Ties, 0) => tiles::two_tiles_ties,
        _ => return,
    };
    // SAFETY: the lengths and alignments were checked above; `scratch_len` is the sum of the
    // regions, all multiples of 4 bytes. A patch is read in place only where all of it lies on the
    // input. Outputs outside the image go to the last region, and those of the lower rows to the one
    // before. `Cell`s may be written through a shared reference.
    unsafe {
        let inputs: *mut u32 = layer.scratch.as_ptr().cast::<u32>().cast_mut();
        let inputs_end = inputs.add(36 * channels);
        let sums = inputs_end;
        let columns = sums.add(SUMS);
        let outputs: *mut *mut i8 = columns.add(COLUMNS).cast();
        let patch = columns.add(COLUMNS + PIXELS);
        let lower = patch.add(15 * channels);
        let row_words = out_width * out_channels / 4;
        let unwanted: *mut i8 = lower.add(3 * row_words).cast();
        let input: *const i8 = layer.input.as_ptr().cast();
        let output: *mut u32 = layer.output.as_ptr().cast::<u32>().cast_mut();
        let tiles = Tiles {
            sums,
            inputs_end,
            back: 144 * channels - 64,
            sums_end: sums.add(SUMS),
            current: outputs,
            channel: 0,
            outputs,
            outputs_end: outputs.add(PIXELS),
            blocks: layer.weights.as_ptr().add(HEADER),
            inputs,
            count: out_channels / 4,
            first_end: sums.add(8),
        };
        let mut y = 0;
        while y < out_height {
            let mut x = 0;
            while x < out_width {
                let inside = y >= padding_y
                    && x >= padding_x
                    && y - padding_y + 6 <= height
                    && x - padding_x + 10 <= width;
                let (from, row) = if inside {
                    let first = (y - padding_y) * width + x - padding_x;
                    (input.add(first * channels), width * channels)
                } else {
                    gather(layer, [y, x], [6, 10], patch);
                    (patch.cast_const().cast(), 10 * channels)
                };
                for group in 0..channels / 4 {
                    transform(&Patch {
                        from: from.add(group * 4),
                        row,
                        channels,
                        columns,
                        to: inputs.add(group / 4 * 36 * 16 + group % 4 * 4),
                    });
                }
                for at in 0..PIXELS {
                    let (row, column) = (at % 16 / 4, x + at / 16 * 4 + at % 4);
                    let pixel = column * out_channels;
                    let pointer = if column >= out_width {
                        unwanted
                    } else if row == 0 {
                        output.add(y * row_words).cast::<i8>().add(pixel)
                    } else {
                        lower.add((row - 1) * row_words).cast::<i8>().add(pixel)
                    };
                    outputs.add(at).write(pointer);
                }
                kernel(&tiles);
                x += 8;
            }
            let rows = (out_height - y).min(4) - 1;
            if rows > 0 {
                copy_words(output.add((y + 1) * row_words), lower, rows * row_words);
            }
            y += 4;
        }
    }
    super::limit::limit::<CASES>(layer.min, layer.max, layer.output);
}
