//! DEPTHWISE_CONV_2D with a 3x3 kernel, stride 1 or 2.
#![allow(unsafe_code)] // Calls assembly, and writes to scratch as words.

use core::arch::naked_asm;
use core::cell::Cell;

use super::copy::copy_words;
use super::depthwise_rows::{self as loops, Kernel, Rows};
use super::len;
use crate::kernels::cases;
use crate::kernels::footprint::dsp_depthwise::{FOUR_ROWS, column_words, columns};
pub use crate::kernels::footprint::dsp_depthwise::{fits, scratch_len, scratch_len_canonical};
use crate::kernels::layer::Layer;
use crate::kernels::packing::depthwise_dsp::{
    Form, HEADER, RECORD, Shared, canonical_scale, finish_canonical,
};

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
/// scratch: about 45 instructions a channel for an image with 22 bytes a channel less.
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
    let Some((records, scratch)) = layer.scratch.split_at_checked(channels * RECORD) else {
        return;
    };
    let words: *mut u32 = records.as_ptr().cast::<u32>().cast_mut();
    let mut constants = words;
    for ((bias, multiplier), shift) in layer.bias.iter().zip(layer.multipliers).zip(layer.shifts) {
        let Some(finish) = finish_canonical(&shared, *shift) else {
            return;
        };
        // SAFETY: there are as many records of ten words as channels, and scratch was found aligned;
        // cells may be written through a shared reference.
        unsafe {
            let bias = *bias << (finish.scale & 3);
            constants.add(6).write(bias.cast_unsigned());
            constants.add(7).write(multiplier.cast_unsigned());
            constants.add(8).write(finish.addend.cast_unsigned());
            constants.add(9).write(finish.shift.into());
        }
        constants = constants.wrapping_add(RECORD / 4);
    }
    let scale = canonical_scale(&shared).into();
    // SAFETY: as above; `fits` says that the channels, of which there are some, are a multiple of four.
    unsafe { pack_weights(words, layer.weights.as_ptr(), channels, scale, channels / 4) };
    run::<CASES>(layer, shared.form(), words.cast_const().cast(), scratch);
}

/// The first six words of each record, from weights `[tap][channel]`, times `2^scale`: so many groups
/// of four channels, `step` bytes from a tap to the next.
///
/// # Safety
///
/// `groups` and `scale` are not zero; nine taps of four times as many channels can be read, as many
/// records written; `words` lies on a 4-byte boundary.
#[unsafe(naked)]
unsafe extern "C" fn pack_weights(
    words: *mut u32,
    weights: *const u8,
    step: usize,
    scale: u32,
    groups: usize,
) {
    naked_asm!(
        dsp_cpu!(),
        "
        push {{r4-r11, lr}}
        add r12, r2, r2, lsl #1 // Three taps: a row.
    1:  mov lr, #3
    2:  ldr r4, [r1]
        ldr r5, [r1, r12]
        ldr r6, [r1, r12, lsl #1]
        sxtb16 r7, r4
        sxtb16 r8, r5
        sxtb16 r9, r6
        sxtb16 r4, r4, ror #8
        sxtb16 r5, r5, ror #8
        sxtb16 r6, r6, ror #8
        mov r10, r3
    3:  sadd16 r4, r4, r4
        sadd16 r5, r5, r5
        sadd16 r6, r6, r6
        sadd16 r7, r7, r7
        sadd16 r8, r8, r8
        sadd16 r9, r9, r9
        subs r10, #1
        bne 3b
        // Channels 0 and 2 lie in the halves of r7 to r9, 1 and 3 in those of r4 to r6.
        pkhbt r10, r7, r8, lsl #16
        pkhbt r11, r8, r9, lsl #16
        strd r10, r11, [r0]
        pkhtb r10, r8, r7, asr #16
        pkhtb r11, r9, r8, asr #16
        strd r10, r11, [r0, #80]
        pkhbt r10, r4, r5, lsl #16
        pkhbt r11, r5, r6, lsl #16
        strd r10, r11, [r0, #40]
        pkhtb r10, r5, r4, asr #16
        pkhtb r11, r6, r5, asr #16
        strd r10, r11, [r0, #120]
        adds r0, #8
        add r1, r2
        subs lr, #1
        bne 2b
        sub r1, r1, r12
        adds r1, #4
        adds r0, #136
        ldr r10, [sp, #36]
        subs r10, #1
        str r10, [sp, #36]
        bne 1b
        pop {{r4-r11, pc}}
        "
    )
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
