//! Which cases of its kernels an image needs: forms of requantisation, strides, odd sizes. A firmware
//! that is built for one image leaves the others out, and refuses images that need them.
//!
//! A set is a number, so that it can be a parameter of a kernel (`const CASES: u64`). Only the
//! kernels of the DSP extension have parts that can be left out.

use super::packing::dsp_blocks::Width;
use super::packing::dsp_forms::Form;
use super::packing::dsp_panels::is_direct;
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
pub(crate) const ODD_PIXELS: u64 = 1 << 16;
/// Output channels that fill no block of four.
pub(crate) const PARTIAL: u64 = 1 << 17;
/// FULLY_CONNECTED that reads its inputs in place.
pub(crate) const DIRECT: u64 = 1 << 18;
/// FULLY_CONNECTED that widens them first.
pub(crate) const WIDENED: u64 = 1 << 19;
/// An activation with another range than that of `i8`.
pub(crate) const LIMITED: u64 = 1 << 20;
/// A pool with channels that fill no four, or of more than 255 columns.
pub(crate) const POOL_ANY: u64 = 1 << 21;
/// Depthwise: forms from this bit on, in the order of their codes.
const DEPTHWISE_FORMS: u32 = 24;
/// Depthwise: every form.
pub(crate) const DEPTHWISE_ALL: u64 = 7 << DEPTHWISE_FORMS;
/// Depthwise: stride 1.
pub(crate) const STRIDE_1: u64 = 1 << 27;
/// Depthwise: stride 2.
pub(crate) const STRIDE_2: u64 = 1 << 28;
/// Depthwise: an odd number of output rows.
pub(crate) const ODD_ROWS: u64 = 1 << 29;
/// Depthwise: an odd number of output columns.
pub(crate) const ODD_COLUMNS: u64 = 1 << 30;
/// Winograd's F(2x2): forms for 16 input channels, then for others.
const WINOGRAD_2X2: u32 = 32;
/// F(4x4), likewise.
const WINOGRAD_4X4: u32 = 36;
/// ADD in linear form with a shift of 20, then 21, 22, 23.
const ADD_SHIFTS: u32 = 40;
/// ADD in linear form with another shift, or of elements that fill no four.
pub(crate) const ADD_ANY: u64 = 1 << 44;

/// The case of a form of weights of a width.
pub(crate) const fn form(width: Width, form: Form) -> u64 {
    let first = match width {
        Width::I16 => FORMS_I16,
        Width::I8 => FORMS_I8,
    };
    1 << (first + form.code() as u32)
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
    1 << (DEPTHWISE_FORMS + form as u32)
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
    1 << (first + form as u32 + if channels == 16 { 0 } else { 2 })
}

/// The case of a shift of ADD in linear form.
pub(crate) const fn add_shift(shift: u32) -> u64 {
    match shift {
        20..=23 => 1 << (ADD_SHIFTS + shift - 20),
        _ => ADD_ANY,
    }
}

/// The cases that an operator needs; of other packings than those of the DSP extension none. `form` is the
/// first byte of the weights, 0 where there are none, `zero_point` that of the output.
pub(crate) const fn of(
    record: &OperatorRecord,
    window: &Window,
    form: u8,
    zero_point: i32,
) -> u64 {
    let limited = if record.clamp_min == i8::MIN && record.clamp_max == i8::MAX {
        0
    } else {
        LIMITED
    };
    let [_, _, in_channels] = window.input;
    let [height, width, channels] = window.output;
    match (record.opcode, record.packing) {
        (opcode::CONV_2D | opcode::FULLY_CONNECTED, packing::DSP_I16 | packing::DSP_I8) => {
            let of_form = 1
                << (form as u32 & 7)
                    + match record.packing {
                        packing::DSP_I16 => FORMS_I16,
                        _ => FORMS_I8,
                    };
            let partial = if channels.is_multiple_of(4) { 0 } else { PARTIAL };
            let shape = if record.opcode == opcode::FULLY_CONNECTED {
                if is_direct(window) {
                    DIRECT
                } else {
                    WIDENED
                }
            } else if (height & width & 1) != 0 {
                ODD_PIXELS
            } else {
                0
            };
            of_form | partial | shape
        }
        (opcode::CONV_2D, packing::DSP_WINOGRAD_2X2 | packing::DSP_WINOGRAD_4X4) => {
            let transform = match record.packing {
                packing::DSP_WINOGRAD_2X2 => winograd_dsp::Transform::F2,
                _ => winograd_dsp::Transform::F4,
            };
            let form = match form {
                0 => winograd_dsp::Form::Merged,
                _ => winograd_dsp::Form::Ties,
            };
            limited | winograd(transform, form, in_channels)
        }
        (opcode::DEPTHWISE_CONV_2D, packing::DSP_DEPTHWISE | packing::DSP_DEPTHWISE_SMALL) => {
            let form = match (record.packing, form) {
                (packing::DSP_DEPTHWISE_SMALL, _) => {
                    let shared = depthwise_dsp::Shared {
                        rounding: match Rounding::from_code(record.rounding) {
                            Some(rounding) => rounding,
                            None => Rounding::Double,
                        },
                        zero_point,
                        min: record.clamp_min,
                    };
                    shared.form()
                }
                (_, 0) => depthwise_dsp::Form::Fixed,
                (_, 1) => depthwise_dsp::Form::Merged,
                _ => depthwise_dsp::Form::Ties,
            };
            limited
                | depthwise_form(form)
                | if window.stride[0] == 1 { STRIDE_1 } else { STRIDE_2 }
                | if height & 1 != 0 { ODD_ROWS } else { 0 }
                | if width & 1 != 0 { ODD_COLUMNS } else { 0 }
        }
        (opcode::AVERAGE_POOL_2D | opcode::MAX_POOL_2D, packing::CANONICAL) => {
            let whole = channels.is_multiple_of(4) && window.kernel[1] <= 255;
            limited | if whole { 0 } else { POOL_ANY }
        }
        (opcode::ADD, packing::FITTED) => {
            let [_, _, _, shift, _] = record.parameters;
            let elements = height.wrapping_mul(width).wrapping_mul(channels);
            let rest = if elements.is_multiple_of(4) { 0 } else { ADD_ANY };
            limited | rest | add_shift((shift & 31).cast_unsigned())
        }
        _ => 0,
    }
}

/// The window of an operator between two tensors.
pub(crate) const fn window(
    record: &OperatorRecord,
    input: &TensorRecord,
    output: &TensorRecord,
) -> Window {
    const fn widened([a, b]: [u16; 2]) -> [usize; 2] {
        [a as usize, b as usize]
    }
    const fn extents(tensor: &TensorRecord, flat: bool) -> [usize; 3] {
        let [_, height, width, channels] = tensor.shape;
        if flat {
            [1, 1, tensor.len as usize]
        } else {
            [height as usize, width as usize, channels as usize]
        }
    }
    let flat = record.opcode == opcode::FULLY_CONNECTED;
    Window {
        input: extents(input, flat),
        output: extents(output, flat),
        kernel: widened(record.kernel),
        stride: widened(record.stride),
        padding: widened(record.padding),
        dilation: widened(record.dilation),
    }
}
