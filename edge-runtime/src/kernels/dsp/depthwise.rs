//! DEPTHWISE_CONV_2D with a 3x3 kernel, stride 1 or 2.
#![allow(unsafe_code)] // Calls assembly, and writes to scratch as words.

use core::cell::Cell;

use super::copy::copy_words;
use super::depthwise_rows::{self as loops, Kernel, Rows};
use super::len;
use crate::kernels::cases;
use crate::kernels::footprint::dsp_depthwise::{FOUR_ROWS, column_words, columns};
pub use crate::kernels::footprint::dsp_depthwise::{fits, scratch_len, scratch_len_canonical};
use crate::kernels::layer::Layer;
use crate::kernels::packing::depthwise_dsp::{Form, HEADER, RECORD, Shared, finish};

/// Runs a layer in packing 5, any rounding mode; leaves the output as it is where [`fits`] says no
/// or a length is wrong. `bias`, `multipliers` and `shifts` are in the packed weights.
///
/// Exact under the conditions that packing checks. Both output rows of a step are kept in scratch
/// until all channels have been read, so that input and output may overlap.
pub fn depthwise_i16_2x2(layer: &Layer<'_>) {
    packed::<{ cases::ALL }>(layer);
}

/// [`depthwise_i16_2x2`] in these cases; the output of others stays as it is.
pub(super) fn packed<const CASES: u64>(layer: &Layer<'_>) {
    let channels = layer.window.input[2];
    let Some(form) = Form::of(layer.weights) else {
        return;
    };
    let Some(records) = layer.weights.get(HEADER..) else {
        return;
    };
    if fits(&layer.window) && records.len() == channels * RECORD {
        run::<CASES>(layer, form, records.as_ptr().cast(), layer.scratch);
    }
}

/// As [`depthwise_i16_2x2`] on canonical weights, `[row][column][channel]`, which it packs into
/// scratch: about 70 instructions a channel for an image with 22 bytes a channel less.
///
/// Exact where the compiler's `fits_canonical` holds.
pub fn depthwise_i16_2x2_canonical(layer: &Layer<'_>) {
    canonical::<{ cases::ALL }>(layer);
}

/// [`depthwise_i16_2x2_canonical`] in these cases; the output of others stays as it is.
pub(super) fn canonical<const CASES: u64>(layer: &Layer<'_>) {
    let channels = layer.window.input[2];
    if !fits(&layer.window)
        || layer.weights.len() != channels * 9
        || layer.bias.len() != channels
        || layer.multipliers.len() != channels
        || layer.shifts.len() != channels
        || layer.scratch.len() < scratch_len_canonical(&layer.window)
        || !layer.scratch.as_ptr().addr().is_multiple_of(4)
    {
        return;
    }
    let shared = Shared {
        rounding: layer.rounding,
        zero_point: layer.zero_point,
        min: layer.min,
    };
    let form = shared.form();
    let Some((records, scratch)) = layer.scratch.split_at_checked(channels * RECORD) else {
        return;
    };
    let constants = layer.bias.iter().zip(layer.multipliers).zip(layer.shifts);
    // Shifts are few.
    let mut known = [None; 4];
    for ((bytes, first), ((bias, multiplier), shift)) in records
        .chunks_exact(RECORD)
        .zip(layer.weights)
        .zip(constants)
    {
        let Some(known) = known.get_mut(usize::from(shift.cast_unsigned() % 4)) else {
            return;
        };
        let finish = match *known {
            Some((of, finish)) if of == *shift => finish,
            _ => {
                let Some(finish) = finish(&shared, *shift, form) else {
                    return;
                };
                *known = Some((*shift, finish));
                finish
            }
        };
        let words: *mut u32 = bytes.as_ptr().cast::<u32>().cast_mut();
        // SAFETY: `first` is one of the first `channels` of nine times as many weights. The chunk has
        // `RECORD` bytes, ten words, and scratch was found aligned; cells may be written through a
        // shared reference.
        unsafe {
            pack_weights(words, &raw const *first, channels, finish.scale);
            words
                .add(6)
                .write((*bias << (finish.scale & 31)).cast_unsigned());
            words.add(7).write(multiplier.cast_unsigned());
            words.add(8).write(finish.addend.cast_unsigned());
            words.add(9).write(finish.shift.into());
        }
    }
    run::<CASES>(layer, form, records.as_ptr().cast(), scratch);
}

/// The first six words of a record, from weights that are `step` bytes apart. `scale` is below 16.
///
/// # Safety
///
/// Nine weights can be read, six words written.
#[inline(always)]
unsafe fn pack_weights(words: *mut u32, first: *const u8, step: usize, scale: u8) {
    let mut first = first.cast::<i8>();
    for column in 0..3 {
        let rows = [
            first,
            first.wrapping_add(3 * step),
            first.wrapping_add(6 * step),
        ];
        // SAFETY: as the caller says.
        unsafe {
            let [a, b, c] = rows.map(|row| i32::from(row.read()) << (scale & 15));
            let pair = |low: i32, high: i32| u32::from(low as u16) | (high << 16).cast_unsigned();
            words.add(2 * column).write(pair(a, b));
            words.add(2 * column + 1).write(pair(b, c));
        }
        first = first.wrapping_add(step);
    }
}

/// Runs a layer whose window fits, from records of all its channels; leaves the output as it is
/// where another length is wrong.
fn run<const CASES: u64>(layer: &Layer<'_>, form: Form, records: *const u8, scratch: &[Cell<i8>]) {
    let window = &layer.window;
    let [height, width, channels] = window.input;
    let [out_height, out_width, _] = window.output;
    let [padding_y, padding_x] = window.padding;
    let [stride, _] = window.stride;
    if Some(layer.input.len()) != len(window.input)
        || Some(layer.output.len()) != len(window.output)
        || scratch.len() < scratch_len(window)
        || !layer.input.as_ptr().addr().is_multiple_of(4)
        || !layer.output.as_ptr().addr().is_multiple_of(4)
        || !records.addr().is_multiple_of(4)
        || !scratch.as_ptr().addr().is_multiple_of(4)
    {
        return;
    }
    let Some((two, one)) = kernels::<CASES>(form, stride) else {
        return;
    };
    let pairs = CASES & cases::DEPTHWISE_PAIRS != 0;
    if pairs && CASES & cases::ODD_COLUMNS == 0 && out_width % 2 == 1 {
        return;
    }

    let all_columns = columns(window);
    // Columns that lie on the input; those left and right of it hold padding for good.
    let interior = width.min(all_columns.saturating_sub(padding_x));
    let stage: *mut u32 = scratch.as_ptr().cast::<u32>().cast_mut();
    let pad = u32::from(layer.pad.cast_unsigned());
    let pad_halves = (i32::from(layer.pad) as u16 as u32) * 0x0001_0001;
    // SAFETY: the lengths and alignments were checked above: `scratch_len` covers the columns,
    // then `width` pixels of padding, then two output rows; `Cell`s may be written through a shared
    // reference. Input rows are at most `height - 1`, output rows at most `out_height - 1`, and the
    // loops read and write what `Rows` says.
    unsafe {
        let padding_row = stage.add(all_columns * column_words(window));
        for word in 0..width * channels / 4 {
            padding_row.add(word).write(pad * 0x0101_0101);
        }
        let row_words = out_width * channels / 4;
        let upper = padding_row.add(width * channels / 4);
        let lower = upper.add(row_words);
        let input: *const i8 = layer.input.as_ptr().cast();
        let row = |y: usize| match y.checked_sub(padding_y).filter(|y| *y < height) {
            Some(y) => input.add(y * width * channels),
            None => padding_row.cast_const().cast(),
        };
        let mut y = 0;
        while y < out_height {
            // The second row of a last pair without one is computed and left in scratch.
            let pair = pairs && (CASES & cases::ODD_ROWS == 0 || y + 1 < out_height);
            let words = if pair {
                column_words(window)
            } else {
                FOUR_ROWS
            };
            let first = stage.add(padding_x * words);
            if y == 0 || (pairs && !pair) {
                // The layout changes: columns beside the input keep this, the others are written.
                for word in 0..all_columns * words {
                    stage.add(word).write(pad_halves);
                }
            }
            let top = y * stride;
            let (step, end) = if pairs {
                (2 * channels, out_width / 2 * 2)
            } else {
                (4 * FOUR_ROWS * (stride - 1), out_width)
            };
            let lowest = if pairs { top + 3 } else { top };
            let rows = Rows {
                working: [0; 4],
                step,
                pairs_end: stage.add(end * stride * words),
                // The lowest rows count only for a pair.
                rows: [row(top), row(top + 1), row(top + 2), row(lowest)],
                channels,
                interior: [first, first.add(interior * words)],
                columns: stage,
                records,
                outputs: [upper.cast(), lower.cast()],
                groups: channels / 4,
                odd: out_width % 2,
                fifth_row: if pairs {
                    row(top + 4)
                } else {
                    padding_row.cast()
                },
            };
            (if pair { two } else { one })(&rows);
            let count = if pairs && y + 1 < out_height { 2 } else { 1 };
            let output = layer.output.as_ptr().cast::<u32>().cast_mut();
            copy_words(output.add(y * row_words), upper, count * row_words);
            y += count;
        }
    }
    super::limit::limit::<CASES>(layer.min, layer.max, layer.output);
}

/// For two output rows and for one; `None` where the cases lack the form or the stride. The second
/// stands for nothing where they lack odd rows.
#[inline(always)]
fn kernels<const CASES: u64>(form: Form, stride: usize) -> Option<(Kernel, Kernel)> {
    let stride_case = if stride == 1 {
        cases::STRIDE_1
    } else {
        cases::STRIDE_2
    };
    if CASES & cases::depthwise_form(form) == 0 || CASES & stride_case == 0 {
        return None;
    }
    // What the cases lack needs no comparison.
    let has = |form| CASES & cases::depthwise_form(form) != 0;
    let (ties, merged, fixed) = (has(Form::Ties), has(Form::Merged), has(Form::Fixed));
    let is_ties = ties && (form == Form::Ties || !merged && !fixed);
    let is_merged = merged && (form == Form::Merged || !fixed);
    let strides = cases::STRIDE_1 | cases::STRIDE_2;
    let narrow = CASES & strides == cases::STRIDE_1 || (CASES & strides == strides && stride == 1);
    let has_odd = CASES & cases::ODD_ROWS != 0;
    let pair = |two: Kernel, one: Kernel| (two, if has_odd { one } else { two });
    if CASES & cases::DEPTHWISE_PAIRS == 0 {
        let single: Kernel = match (is_ties, is_merged) {
            (true, _) => loops::single_ties::<CASES>,
            (_, true) => loops::single_merged::<CASES>,
            _ => loops::single_fixed::<CASES>,
        };
        return Some((single, single));
    }
    Some(match (narrow, is_ties, is_merged) {
        (true, true, _) => pair(loops::two_rows_ties::<CASES>, loops::one_row_ties::<CASES>),
        (true, _, true) => pair(
            loops::two_rows_merged::<CASES>,
            loops::one_row_merged::<CASES>,
        ),
        (true, ..) => pair(
            loops::two_rows_fixed::<CASES>,
            loops::one_row_fixed::<CASES>,
        ),
        (_, true, _) => pair(
            loops::two_rows_stride_2_ties::<CASES>,
            loops::one_row_stride_2_ties::<CASES>,
        ),
        (_, _, true) => pair(
            loops::two_rows_stride_2_merged::<CASES>,
            loops::one_row_stride_2_merged::<CASES>,
        ),
        _ => pair(
            loops::two_rows_stride_2_fixed::<CASES>,
            loops::one_row_stride_2_fixed::<CASES>,
        ),
    })
}
