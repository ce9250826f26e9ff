//! DEPTHWISE_CONV_2D with a 3x3 kernel, stride 1 or 2.
#![allow(unsafe_code)] // Calls assembly, and writes to scratch as words.

use super::copy::copy_words;
use super::depthwise_rows::{self as loops, Kernel, Rows};
use crate::kernels::footprint::dsp_depthwise::{COLUMN, columns};
pub use crate::kernels::footprint::dsp_depthwise::{fits, scratch_len};
use crate::kernels::layer::Layer;
use crate::kernels::packing::depthwise_dsp::{Form, HEADER, RECORD};

/// Runs a layer in packing 5, any rounding mode; leaves the output as it is where [`fits`] says no
/// or a length is wrong. `bias`, `multipliers` and `shifts` are in the packed weights.
///
/// Exact under the conditions that packing checks. Both output rows of a step are kept in scratch
/// until all channels have been read, so that input and output may overlap.
pub fn depthwise_i16_2x2(layer: &Layer<'_>) {
    let window = &layer.window;
    let [height, width, channels] = window.input;
    let [out_height, out_width, _] = window.output;
    let [padding_y, padding_x] = window.padding;
    let [stride, _] = window.stride;
    if !fits(window)
        || layer.input.len() != height * width * channels
        || layer.output.len() != out_height * out_width * channels
        || layer.weights.len() != HEADER + channels * RECORD
        || layer.scratch.len() < scratch_len(window)
        || !layer.input.as_ptr().addr().is_multiple_of(4)
        || !layer.output.as_ptr().addr().is_multiple_of(4)
        || !layer.weights.as_ptr().addr().is_multiple_of(4)
        || !layer.scratch.as_ptr().addr().is_multiple_of(4)
    {
        return;
    }
    let Some(form) = Form::of(layer.weights) else {
        return;
    };
    let (two, one): (Kernel, Kernel) = match (form, stride) {
        (Form::Fixed, 1) => (loops::two_rows_fixed, loops::one_row_fixed),
        (Form::Merged, 1) => (loops::two_rows_merged, loops::one_row_merged),
        (Form::Ties, 1) => (loops::two_rows_ties, loops::one_row_ties),
        (Form::Fixed, _) => (loops::two_rows_fixed, loops::one_row_stride_2_fixed),
        (Form::Merged, _) => (loops::two_rows_merged, loops::one_row_stride_2_merged),
        (Form::Ties, _) => (loops::two_rows_ties, loops::one_row_stride_2_ties),
    };

    let all_columns = columns(window);
    // Columns that lie on the input; those left and right of it hold padding for good.
    let interior = width.min(all_columns.saturating_sub(padding_x));
    let stage: *mut u32 = layer.scratch.as_ptr().cast::<u32>().cast_mut();
    let pad = u32::from(layer.pad.cast_unsigned());
    let pad_halves = (i32::from(layer.pad) as u16 as u32) * 0x0001_0001;
    // SAFETY: the lengths and alignments were checked above: `scratch_len` covers the columns,
    // then `width` pixels of padding, then two output rows; `Cell`s may be written through a shared
    // reference. Input rows are at most `height - 1`, output rows at most `out_height - 1`, and the
    // loops read and write what `Rows` says.
    unsafe {
        let padding_row = stage.add(all_columns * COLUMN);
        for word in 0..width * channels / 4 {
            padding_row.add(word).write(pad * 0x0101_0101);
        }
        for column in (0..padding_x.min(all_columns)).chain(padding_x + interior..all_columns) {
            for word in 0..COLUMN {
                stage.add(column * COLUMN + word).write(pad_halves);
            }
        }
        let row_words = out_width * channels / 4;
        let upper = padding_row.add(width * channels / 4);
        let lower = upper.add(row_words);
        let input: *const i8 = layer.input.as_ptr().cast();
        let row = |y: usize| match y.checked_sub(padding_y).filter(|y| *y < height) {
            Some(y) => input.add(y * width * channels),
            None => padding_row.cast_const().cast(),
        };
        let first = stage.add(padding_x.min(all_columns) * COLUMN);
        let mut y = 0;
        while y < out_height {
            let pair = stride == 1 && y + 1 < out_height;
            let top = y * stride;
            let rows = Rows {
                working: [0; 4],
                step: 2 * channels,
                pairs_end: stage.add(out_width / 2 * 2 * stride * COLUMN),
                // The lowest row counts only for a pair.
                rows: [
                    row(top),
                    row(top + 1),
                    row(top + 2),
                    row(top + 2 + usize::from(pair)),
                ],
                channels,
                interior: [first, first.add(interior * COLUMN)],
                columns: stage,
                records: layer.weights.as_ptr().add(HEADER),
                outputs: [upper.cast(), lower.cast()],
                groups: channels / 4,
                odd: out_width % 2,
                unused: 0,
            };
            (if pair { two } else { one })(&rows);
            let count = if pair { 2 } else { 1 };
            let output = layer.output.as_ptr().cast::<u32>().cast_mut();
            copy_words(output.add(y * row_words), upper, count * row_words);
            y += count;
        }
    }
    super::limit::limit(layer.min, layer.max, layer.output);
}
