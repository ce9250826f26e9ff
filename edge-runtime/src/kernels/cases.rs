//! Which cases of its kernels an image needs: forms of requantisation, strides, odd sizes. A firmware
//! that is built for one image leaves the others out, and refuses images that need them.
//!
//! A set is a number, so that it can be a parameter of a kernel (`const CASES: u64`). Only the
//! kernels of the DSP extension have parts that can be left out.

use super::packing::dsp_blocks::Width;
use super::packing::dsp_forms::Form;
use super::packing::dsp_panels::{fits, gathers, is_direct_len as is_direct, padded};
use super::packing::{depthwise_dsp, winograd_dsp};
use super::reference::Window;
use super::reference::requantise::Rounding;
use crate::format::{OperatorRecord, TensorRecord, opcode, packing};

/// Every case.
pub const ALL: u64 = u64::MAX;

/// Forms of 16-bit weights, from this bit on, in the order of their codes.
const FORMS_I16: u32 = 0;
/// Forms of 8-bit weights, likewise.
const FORMS_I8: u32 = 8;
/// Accumulators that are requantised by the reference's arithmetic.
pub(crate) const RAW: u64 = form(Width::I16, Form::Raw) | form(Width::I8, Form::Raw);
/// CONV_2D with an odd number of output pixels.
pub(crate) const ODD: u64 = 1 << 22;
/// The kernel of CONV_2D for the last of an odd number of pixels; without it a pair computes it twice.
/// No image needs it, see [`odd`].
pub(crate) const ODD_PIXELS: u64 = 1 << 16;
/// Output channels that fill no block of four.
pub(crate) const PARTIAL: u64 = 1 << 17;
/// FULLY_CONNECTED that reads its inputs in place.
pub(crate) const DIRECT: u64 = 1 << 18;
/// FULLY_CONNECTED that widens them first.
pub(crate) const WIDENED: u64 = 1 << 19;
/// An activation with another range than that of `i8`.
pub(crate) const LIMITED: u64 = 1 << 20;
/// A pool with channels that fill no four.
pub(crate) const POOL_ANY: u64 = 1 << 21;
/// CONV_2D with windows whose rows are gathered one by one.
pub(crate) const GATHERED: u64 = 1 << 23;
/// CONV_2D on a copy of the input with its padding.
pub(crate) const PADDED: u64 = 1 << 31;
/// Depthwise: forms from this bit on, in the order of their codes.
const DEPTHWISE_FORMS: u32 = 24;
/// Depthwise: stride 1.
pub(crate) const STRIDE_1: u64 = 1 << 27;
/// Depthwise: stride 2.
pub(crate) const STRIDE_2: u64 = 1 << 28;
/// Depthwise: the kernel for the last of an odd number of output rows, likewise.
pub(crate) const ODD_ROWS: u64 = 1 << 29;
/// Depthwise: an odd number of output columns.
pub(crate) const ODD_COLUMNS: u64 = 1 << 30;
/// Winograd's F(2x2): forms for 16 input channels, then for others.
const WINOGRAD_2X2: u32 = 32;
/// F(4x4), likewise.
const WINOGRAD_4X4: u32 = 36;
/// Any of these transformations.
pub(crate) const WINOGRAD: u64 = 0xFF << WINOGRAD_2X2;
/// ADD in linear form with a shift of 20, then 21, 22, 23.
const ADD_SHIFTS: u32 = 40;
/// ADD in linear form with another shift, or of elements that fill no four.
pub(crate) const ADD_ANY: u64 = 1 << 44;

/// Depthwise: four outputs at a time, unrolled, instead of one.
pub(crate) const DEPTHWISE_PAIRS: u64 = 1 << 45;
/// CONV_2D: words in a pass through the unrolled loop, six bits from this one on; zero for
/// [`COMPACT_WORDS`].
const LOOP: u32 = 48;
/// Most words that a loop is unrolled to.
pub(crate) const LOOP_WORDS: usize = 36;
/// Words of the loop where it is not to be unrolled.
const COMPACT_WORDS: usize = 2;
/// The image has a feature pipeline.
pub(crate) const FEATURES: u64 = 1 << 54;
/// The image has labels.
pub(crate) const LABELS: u64 = 1 << 55;
/// The image has a drift reference.
pub(crate) const DRIFT: u64 = 1 << 56;
/// The image has metadata.
pub(crate) const METADATA: u64 = 1 << 57;
/// The image has states.
pub(crate) const STATES: u64 = 1 << 58;
/// The image has further inputs or outputs.
pub(crate) const FURTHER: u64 = 1 << 59;
/// All parts of an image that it may do without.
#[cfg(test)]
pub(crate) const OF_SECTIONS: u64 = FEATURES | LABELS | DRIFT | METADATA | STATES | FURTHER;
/// Loops that are unrolled for speed. A firmware that leaves these bits out of its cases has a few
/// kilobytes less of kernels, which take up to half as many instructions again.
pub const UNROLLED: u64 = 0x3F << LOOP | DEPTHWISE_PAIRS | WHOLE_LOOPS;
/// CONV_2D: one pass through the unrolled loop for the longest window. Without it two passes, which
/// take half of the flash and about six instructions more for eight outputs.
pub const WHOLE_LOOPS: u64 = 1 << 46;
/// Kernels for what is left over of odd sizes. A firmware that leaves these bits out of its cases
/// computes the last pixel or row twice: up to two kilobytes less of kernels.
pub const LEFT_OVER: u64 = ODD_PIXELS | ODD_ROWS;

/// The case of a loop of so many words.
pub(crate) const fn loop_of(words: usize) -> u64 {
    let words = if words < LOOP_WORDS {
        words
    } else {
        LOOP_WORDS
    };
    (words as u64) << LOOP
}

/// Words in a pass through the loop of CONV_2D.
pub(crate) const fn loop_words(cases: u64) -> usize {
    let words = match (cases >> LOOP & 0x3F) as usize {
        0 => return COMPACT_WORDS,
        words if words < LOOP_WORDS => words,
        _ => LOOP_WORDS,
    };
    if cases & WHOLE_LOOPS == 0 {
        words.div_ceil(2)
    } else {
        words
    }
}

/// The case of a bit below 32: where the bit is not known when a program is compiled, a shift of 64 bits
/// would be a dozen instructions on a device.
const fn word(bit: u32) -> u64 {
    1_u32.wrapping_shl(bit) as u64
}

/// The case of a bit from 32 on, likewise.
const fn upper(bit: u32) -> u64 {
    (1_u32.wrapping_shl(bit) as u64) << 32
}

/// The case of a form of weights of a width.
pub(crate) const fn form(width: Width, form: Form) -> u64 {
    let first = match width {
        Width::I16 => FORMS_I16,
        Width::I8 => FORMS_I8,
    };
    word(first + form.code() as u32)
}

/// The forms of weights of a width, by their codes.
pub(crate) const fn forms(cases: u64, width: Width) -> u32 {
    let first = match width {
        Width::I16 => FORMS_I16,
        Width::I8 => FORMS_I8,
    };
    (cases >> first) as u32 & 0x7F
}

/// The case of a form of depthwise weights.
pub(crate) const fn depthwise_form(form: depthwise_dsp::Form) -> u64 {
    word(DEPTHWISE_FORMS + form as u32)
}

/// The case of a transformation, a form and a number of input channels.
pub(crate) const fn winograd(
    transform: winograd_dsp::Transform,
    form: winograd_dsp::Form,
    channels: usize,
) -> u64 {
    let first = match transform {
        winograd_dsp::Transform::F2 => WINOGRAD_2X2,
        winograd_dsp::Transform::F4 => WINOGRAD_4X4,
    };
    upper(first + form as u32 + if channels == 16 { 0 } else { 2 })
}

/// The case of a shift of ADD in linear form.
pub(crate) const fn add_shift(shift: u32) -> u64 {
    match shift {
        20..=23 => upper(ADD_SHIFTS + shift - 20),
        _ => ADD_ANY,
    }
}

/// The cases that an operator needs; of other packings than those of the DSP extension none. `form` is the
/// first byte of the weights, 0 where there are none.
pub(crate) const fn of(
    record: &OperatorRecord,
    x: &TensorRecord,
    y: &TensorRecord,
    form: u8,
) -> u64 {
    match (record.opcode, record.packing) {
        (opcode::CONV_2D, packing::DSP_I16) => of_conv(&window(record, x, y), form, Width::I16),
        (opcode::CONV_2D, packing::DSP_I8) => of_conv(&window(record, x, y), form, Width::I8),
        (opcode::FULLY_CONNECTED, packing::DSP_I16) => of_dense(x, y, form, Width::I16),
        (opcode::FULLY_CONNECTED, packing::DSP_I8) => of_dense(x, y, form, Width::I8),
        (opcode::CONV_2D, packing::DSP_WINOGRAD_2X2) => {
            of_winograd(record, x, form, winograd_dsp::Transform::F2)
        }
        (opcode::CONV_2D, packing::DSP_WINOGRAD_4X4) => {
            of_winograd(record, x, form, winograd_dsp::Transform::F4)
        }
        (opcode::DEPTHWISE_CONV_2D, packing::DSP_DEPTHWISE) => {
            let form = match form {
                0 => depthwise_dsp::Form::Fixed,
                1 => depthwise_dsp::Form::Merged,
                _ => depthwise_dsp::Form::Ties,
            };
            of_depthwise(record, y, form)
        }
        (opcode::DEPTHWISE_CONV_2D, packing::DSP_DEPTHWISE_SMALL) => {
            let form = of_canonical(record, y);
            of_depthwise(record, y, form)
        }
        (opcode::AVERAGE_POOL_2D | opcode::MAX_POOL_2D, packing::CANONICAL) => of_pool(record, y),
        (opcode::ADD, packing::FITTED) => of_add(record, y),
        _ => 0,
    }
}

const fn limited(record: &OperatorRecord) -> u64 {
    if record.clamp_min == i8::MIN && record.clamp_max == i8::MAX {
        0
    } else {
        LIMITED
    }
}

/// The geometry of an operator.
pub(crate) const fn window(record: &OperatorRecord, x: &TensorRecord, y: &TensorRecord) -> Window {
    const fn pair([a, b]: [u16; 2]) -> [usize; 2] {
        [a as usize, b as usize]
    }
    const fn extents([_, height, width, channels]: [u16; 4]) -> [usize; 3] {
        [height as usize, width as usize, channels as usize]
    }
    Window {
        input: extents(x.shape),
        output: extents(y.shape),
        kernel: pair(record.kernel),
        stride: pair(record.stride),
        padding: pair(record.padding),
        dilation: pair(record.dilation),
    }
}

/// Of CONV_2D with weights of a width.
pub(crate) const fn of_conv(window: &Window, form: u8, width: Width) -> u64 {
    let [height, width_out, channels] = window.output;
    let odd = if height & width_out & 1 == 0 { 0 } else { ODD };
    of_blocks(channels as u32, form, width) | odd | of_padding(window)
}

/// How the inputs of a window are read.
const fn of_padding(window: &Window) -> u64 {
    if !fits(window) || !gathers(window) {
        0
    } else if padded(window).is_some() {
        PADDED
    } else {
        GATHERED
    }
}

/// Of FULLY_CONNECTED with weights of a width.
pub(crate) const fn of_dense(x: &TensorRecord, y: &TensorRecord, form: u8, width: Width) -> u64 {
    let direct = is_direct(x.len as usize, y.len as usize);
    of_blocks(y.len, form, width) | if direct { DIRECT } else { WIDENED }
}

const fn of_blocks(channels: u32, form: u8, width: Width) -> u64 {
    let first = match width {
        Width::I16 => FORMS_I16,
        Width::I8 => FORMS_I8,
    };
    let partial = if channels.is_multiple_of(4) {
        0
    } else {
        PARTIAL
    };
    partial | word(first + (form as u32 & 7))
}

/// Of CONV_2D by a transformation.
pub(crate) const fn of_winograd(
    record: &OperatorRecord,
    x: &TensorRecord,
    form: u8,
    transform: winograd_dsp::Transform,
) -> u64 {
    let [_, _, _, channels] = x.shape;
    let form = match form {
        0 => winograd_dsp::Form::Merged,
        _ => winograd_dsp::Form::Ties,
    };
    limited(record) | winograd(transform, form, channels as usize)
}

/// Of DEPTHWISE_CONV_2D in a form.
pub(crate) const fn of_depthwise(
    record: &OperatorRecord,
    y: &TensorRecord,
    form: depthwise_dsp::Form,
) -> u64 {
    let [_, _, width, _] = y.shape;
    let [stride, _] = record.stride;
    limited(record)
        | depthwise_form(form)
        | if stride == 1 { STRIDE_1 } else { STRIDE_2 }
        | if width & 1 == 0 { 0 } else { ODD_COLUMNS }
}

/// The form in which DEPTHWISE_CONV_2D packs canonical weights for itself.
pub(crate) const fn of_canonical(record: &OperatorRecord, y: &TensorRecord) -> depthwise_dsp::Form {
    let shared = depthwise_dsp::Shared {
        rounding: match Rounding::from_code(record.rounding) {
            Some(rounding) => rounding,
            None => Rounding::Double,
        },
        zero_point: y.zero_point,
        min: record.clamp_min,
    };
    shared.form()
}

/// Of AVERAGE_POOL_2D and MAX_POOL_2D.
pub(crate) const fn of_pool(record: &OperatorRecord, y: &TensorRecord) -> u64 {
    let [_, _, _, channels] = y.shape;
    let whole = channels.is_multiple_of(4);
    limited(record) | if whole { 0 } else { POOL_ANY }
}

/// Of ADD in linear form.
pub(crate) const fn of_add(record: &OperatorRecord, y: &TensorRecord) -> u64 {
    let [_, _, _, shift, _] = record.parameters;
    let rest = if y.len.is_multiple_of(4) { 0 } else { ADD_ANY };
    limited(record) | rest | add_shift(shift.cast_unsigned() & 31)
}

/// Whether a kernel for what is left over of odd sizes would help an operator: which one, the
/// multiplications that it would save, and those of the operator.
pub(crate) const fn odd(record: &OperatorRecord, x: &TensorRecord, y: &TensorRecord) -> Odd {
    let [_, height, width, channels] = y.shape;
    let [kernel_height, kernel_width] = record.kernel;
    let taps = kernel_height as u64 * kernel_width as u64;
    let (height, width, channels) = (height as u64, width as u64, channels as u64);
    let (case, each, count) = match (record.opcode, record.packing) {
        (opcode::CONV_2D, packing::DSP_I16 | packing::DSP_I8) => {
            let [_, _, _, depth] = x.shape;
            (ODD_PIXELS, taps * depth as u64 * channels, height * width)
        }
        (opcode::DEPTHWISE_CONV_2D, packing::DSP_DEPTHWISE | packing::DSP_DEPTHWISE_SMALL) => {
            // As much as three multiplications, for each output.
            (ODD_ROWS, 3 * taps * channels * width, height)
        }
        _ => (0, taps * channels, height * width),
    };
    Odd {
        case,
        saved: if count % 2 == 0 { 0 } else { each / 2 },
        all: each * count,
    }
}

/// See [`odd`].
pub(crate) struct Odd {
    pub case: u64,
    pub saved: u64,
    pub all: u64,
}
