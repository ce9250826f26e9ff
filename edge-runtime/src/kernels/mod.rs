//! The operators. Each instruction set has a folder of its own; [`reference`] is the definition
//! that any other must match byte for byte, and until there is another it is what every target
//! runs.
//!
//! A kernel takes slices and a struct of its settings. It never panics: with lengths that do not
//! fit together (which no loaded model has) some outputs are left as they were.

pub mod layer;
pub mod reference;

use core::cell::Cell;

use crate::format::{OperatorRecord, opcode};
use crate::model::{Model, TensorInfo};
use reference::conv_2d::{Conv2d, conv_2d};
use reference::fully_connected::{FullyConnected, fully_connected};
use reference::max_pool_2d::{MaxPool2d, max_pool_2d};
use reference::requantise::{Requantise, Rounding};
use reference::softmax::{Softmax, softmax};
use reference::weights::Canonical;
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
    let arena = Cell::from_mut(arena).as_slice_of_cells();
    let (x, y) = (place(arena, &input), place(arena, &output));
    match operator.opcode {
        opcode::FULLY_CONNECTED => {
            let settings = FullyConnected {
                inputs: input.len,
                outputs: output.len,
                weights: canonical(model, operator, output.len),
                requantise: requantise(operator, &output),
            };
            fully_connected(&settings, x, y);
        }
        opcode::CONV_2D => {
            let [_, _, channels] = output.hwc();
            let settings = Conv2d {
                window: window(operator, &input, &output),
                pad: input.zero_point as i8,
                weights: canonical(model, operator, channels),
                requantise: requantise(operator, &output),
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
        opcode::CLAMP => clamp(operator.clamp_min, operator.clamp_max, x, y),
        _ => {}
    }
}

/// Where a tensor lies in the arena.
fn place<'a>(arena: &'a [Cell<i8>], tensor: &TensorInfo) -> &'a [Cell<i8>] {
    let end = tensor.arena_offset.saturating_add(tensor.len);
    arena.get(tensor.arena_offset..end).unwrap_or_default()
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

fn canonical<'a>(model: &Model<'a>, operator: &OperatorRecord, channels: usize) -> Canonical<'a> {
    let weights = model.constant_i8(operator.weights, operator.weights_len as usize);
    Canonical {
        weights,
        taps: weights.len().checked_div(channels).unwrap_or(0),
        bias: model.constant_i32(operator.bias, channels),
        multipliers: model.constant_i32(operator.multipliers, channels),
        shifts: model.constant_i8(operator.shifts, channels),
    }
}

fn requantise(operator: &OperatorRecord, output: &TensorInfo) -> Requantise {
    Requantise {
        // Loaded models have only known codes.
        rounding: Rounding::from_code(operator.rounding).unwrap_or(Rounding::Double),
        zero_point: output.zero_point,
        min: operator.clamp_min,
        max: operator.clamp_max,
    }
}
