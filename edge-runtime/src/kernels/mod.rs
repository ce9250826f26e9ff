//! The operators. Each instruction set has a folder of its own; [`reference`] is the definition
//! that any other must match byte for byte, and until there is another it is what every target
//! runs.
//!
//! A kernel takes slices and a struct of its settings. It never panics: with lengths that do not
//! fit together (which no loaded model has) some outputs are left as they were.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
pub mod layer;
pub mod packing;
pub mod reference;
#[cfg(target_arch = "x86_64")]
pub mod x86;

use crate::format::{OperatorRecord, opcode};
use crate::model::{Model, TensorInfo};
use reference::conv_2d::{Conv2d, conv_2d};
use reference::fully_connected::{FullyConnected, fully_connected};
use reference::max_pool_2d::{MaxPool2d, max_pool_2d};
use reference::requantise::{Requantise, Rounding};
use reference::softmax::{Softmax, softmax};
use reference::{Window, clamp::clamp, reshape::reshape};

/// One kernel that this crate has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its [`opcode`].
    pub opcode: u8,
    /// The operator's name, as TFLite has it where TFLite has it.
    pub operator: &'static str,
    /// The folder it lives in.
    pub instruction_set: &'static str,
}

const fn in_reference(opcode: u8, operator: &'static str) -> Kernel {
    Kernel {
        opcode,
        operator,
        instruction_set: "reference",
    }
}

/// Every kernel; the table in `README.md` is checked against it.
pub const KERNELS: &[Kernel] = &[
    in_reference(opcode::FULLY_CONNECTED, "FULLY_CONNECTED"),
    in_reference(opcode::CONV_2D, "CONV_2D"),
    in_reference(opcode::MAX_POOL_2D, "MAX_POOL_2D"),
    in_reference(opcode::RESHAPE, "RESHAPE"),
    in_reference(opcode::SOFTMAX, "SOFTMAX"),
    in_reference(opcode::CLAMP, "CLAMP"),
];

/// The name of an operator; `None` for an unknown opcode.
pub fn operator_name(opcode: u8) -> Option<&'static str> {
    KERNELS
        .iter()
        .find(|kernel| kernel.opcode == opcode)
        .map(|kernel| kernel.operator)
}

/// Runs one operator of a model in its arena.
pub(crate) fn execute(model: &Model<'_>, operator: &OperatorRecord, arena: &mut [i8]) {
    let [input_index, _] = operator.inputs;
    let input = model.tensor(input_index);
    let output = model.tensor(operator.output);
    if input.arena_offset == output.arena_offset {
        // The plan aliases them: `Model::load` lets only these two work in place.
        if operator.opcode == opcode::CLAMP {
            let end = output.arena_offset.saturating_add(output.len);
            let values = arena.get_mut(output.arena_offset..end).unwrap_or_default();
            clamp(operator.clamp_min, operator.clamp_max, values);
        }
        return;
    }
    let Some((x, y)) = disjoint(arena, &input, &output) else {
        return;
    };
    match operator.opcode {
        opcode::FULLY_CONNECTED => {
            let settings = FullyConnected {
                weights: model.constant_i8(operator.weights, operator.weights_len as usize),
                bias: model.constant_i32(operator.bias, output.len),
                requantise: requantise(model, operator, &output, output.len),
            };
            fully_connected(&settings, x, y);
        }
        opcode::CONV_2D => {
            let [_, _, channels] = output.hwc();
            let settings = Conv2d {
                window: window(operator, &input, &output),
                pad: input.zero_point as i8,
                weights: model.constant_i8(operator.weights, operator.weights_len as usize),
                bias: model.constant_i32(operator.bias, channels),
                requantise: requantise(model, operator, &output, channels),
            };
            conv_2d(&settings, x, y);
        }
        opcode::MAX_POOL_2D => {
            let settings = MaxPool2d {
                window: window(operator, &input, &output),
                min: operator.clamp_min,
                max: operator.clamp_max,
            };
            max_pool_2d(&settings, x, y);
        }
        opcode::RESHAPE => reshape(x, y),
        opcode::SOFTMAX => {
            let [multiplier, left_shift, smallest_difference, _, _] = operator.parameters;
            let [_, _, channels] = output.hwc();
            let settings = Softmax {
                channels,
                multiplier,
                left_shift: left_shift.cast_unsigned(),
                smallest_difference,
            };
            softmax(&settings, x, y);
        }
        opcode::CLAMP => {
            reshape(x, y);
            clamp(operator.clamp_min, operator.clamp_max, y);
        }
        _ => {}
    }
}

/// Two tensors of the arena, one to read and one to write; `None` where they overlap.
fn disjoint<'a>(
    arena: &'a mut [i8],
    input: &TensorInfo,
    output: &TensorInfo,
) -> Option<(&'a [i8], &'a mut [i8])> {
    if input.arena_offset < output.arena_offset {
        let (low, high) = arena.split_at_mut_checked(output.arena_offset)?;
        let low = low.get(input.arena_offset..)?.get(..input.len)?;
        Some((low, high.get_mut(..output.len)?))
    } else {
        let (low, high) = arena.split_at_mut_checked(input.arena_offset)?;
        let low = low.get_mut(output.arena_offset..)?.get_mut(..output.len)?;
        Some((high.get(..input.len)?, low))
    }
}

fn window(operator: &OperatorRecord, input: &TensorInfo, output: &TensorInfo) -> Window {
    Window {
        input: input.hwc(),
        output: output.hwc(),
        kernel: operator.kernel.map(usize::from),
        stride: operator.stride.map(usize::from),
        padding: operator.padding.map(usize::from),
        dilation: operator.dilation.map(usize::from),
    }
}

fn requantise<'a>(
    model: &Model<'a>,
    operator: &OperatorRecord,
    output: &TensorInfo,
    channels: usize,
) -> Requantise<'a> {
    Requantise {
        // Loaded models have only known codes.
        rounding: Rounding::from_code(operator.rounding).unwrap_or(Rounding::Double),
        multipliers: model.constant_i32(operator.multipliers, channels),
        shifts: model.constant_i8(operator.shifts, channels),
        zero_point: output.zero_point,
        min: operator.clamp_min,
        max: operator.clamp_max,
    }
}
