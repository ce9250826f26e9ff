//! One operator: its record against its tensors and constants.

use super::error::OperatorFault as Fault;
use super::plan::overlap;
use crate::format::{
    ALIGNMENT, NO_TENSOR, OperatorRecord, TensorRecord, opcode, packing, rounding,
};
use crate::kernels::{self, reference::softmax::MAX_CHANNELS};
use crate::model::TensorInfo;

/// What an operator is checked against.
pub(super) struct Context<'a> {
    pub tensors: &'a [TensorRecord],
    /// The constants of the whole image.
    pub constants: &'a [u8],
    pub arena_bytes: u32,
}

/// What one execution takes.
#[derive(Default)]
pub(super) struct Cost {
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// These, comparisons and elements.
    pub work: u64,
}

pub(super) fn check(operator: &OperatorRecord, context: &Context<'_>) -> Result<Cost, Fault> {
    if kernels::operator_name(operator.opcode).is_none() {
        return Err(Fault::Opcode);
    }
    let [input, second] = operator.inputs;
    let tensor = |index: u16| {
        context
            .tensors
            .get(usize::from(index))
            .ok_or(Fault::Tensors)
    };
    let (x, y) = (tensor(input)?, tensor(operator.output)?);
    if second != NO_TENSOR {
        return Err(Fault::Tensors);
    }
    if operator.packing != packing::CANONICAL {
        return Err(Fault::Packing);
    }
    if operator.reserved != [0; 3] || operator.reserved_shape != 0 {
        return Err(Fault::Unused);
    }
    if operator.clamp_min > operator.clamp_max {
        return Err(Fault::Clamp);
    }
    check_places(operator, context, x, y)?;
    let (x, y) = (TensorInfo::of(x), TensorInfo::of(y));
    let same_scale = x.scale == y.scale && x.zero_point == y.zero_point;
    match operator.opcode {
        opcode::FULLY_CONNECTED => {
            no_window(operator)?;
            no_parameters(operator)?;
            if y.hwc() != [1, 1, y.len] {
                return Err(Fault::Geometry);
            }
            let macs = product(&[x.len, y.len])?;
            check_weights(operator, context, macs)?;
            check_channels(operator, context, y.len)?;
            Ok(Cost { macs, work: macs })
        }
        opcode::CONV_2D => {
            no_parameters(operator)?;
            check_window(operator, &x, &y)?;
            let ([_, _, depth], [_, _, channels]) = (x.hwc(), y.hwc());
            let [height, width] = operator.kernel.map(usize::from);
            check_weights(
                operator,
                context,
                product(&[channels, height, width, depth])?,
            )?;
            check_channels(operator, context, channels)?;
            let macs = product(&[y.len, height, width, depth])?;
            Ok(Cost { macs, work: macs })
        }
        opcode::MAX_POOL_2D => {
            no_constants(operator)?;
            no_parameters(operator)?;
            check_window(operator, &x, &y)?;
            let ([_, _, depth], [_, _, channels]) = (x.hwc(), y.hwc());
            if depth != channels || operator.dilation != [1, 1] {
                return Err(Fault::Geometry);
            }
            if !same_scale {
                return Err(Fault::Quantisation);
            }
            let [height, width] = operator.kernel.map(usize::from);
            no_macs(product(&[y.len, height, width])?)
        }
        opcode::RESHAPE => {
            no_window(operator)?;
            no_constants(operator)?;
            no_parameters(operator)?;
            no_clamp(operator)?;
            if x.len != y.len {
                return Err(Fault::Geometry);
            }
            if !same_scale {
                return Err(Fault::Quantisation);
            }
            no_macs(product(&[y.len])?)
        }
        opcode::SOFTMAX => {
            no_window(operator)?;
            no_constants(operator)?;
            no_clamp(operator)?;
            if x.shape != y.shape {
                return Err(Fault::Geometry);
            }
            if y.scale != 1.0 / 256.0 || y.zero_point != -128 {
                return Err(Fault::Quantisation);
            }
            check_softmax(operator, &y)?;
            no_macs(product(&[y.len, 2])?)
        }
        opcode::CLAMP => {
            no_window(operator)?;
            no_constants(operator)?;
            no_parameters(operator)?;
            if x.shape != y.shape {
                return Err(Fault::Geometry);
            }
            if !same_scale {
                return Err(Fault::Quantisation);
            }
            no_macs(product(&[y.len])?)
        }
        _ => Err(Fault::Opcode),
    }
}

/// Input, output and scratch in the arena.
fn check_places(
    operator: &OperatorRecord,
    context: &Context<'_>,
    x: &TensorRecord,
    y: &TensorRecord,
) -> Result<(), Fault> {
    let scratch = (operator.scratch, operator.scratch_len);
    let end = operator.scratch.checked_add(operator.scratch_len);
    if !(operator.scratch as usize).is_multiple_of(ALIGNMENT)
        || end.is_none_or(|end| end > context.arena_bytes)
    {
        return Err(Fault::Scratch);
    }
    let (input, output) = ((x.arena_offset, x.len), (y.arena_offset, y.len));
    let may_be_in_place = matches!(operator.opcode, opcode::RESHAPE | opcode::CLAMP);
    let in_place = may_be_in_place && input == output;
    if (overlap(input, output) && !in_place) || overlap(input, scratch) || overlap(output, scratch)
    {
        return Err(Fault::Overlap);
    }
    Ok(())
}

/// One axis of a sliding window: the padding before the input and the one that follows behind it
/// are each shorter than the (dilated) kernel, and no step of the kernel is left out.
fn axis_follows(
    [input, output]: [usize; 2],
    kernel: u16,
    stride: u16,
    padding: u16,
    dilation: u16,
) -> bool {
    // u16 each: nothing here comes near the limits of an i64.
    let [kernel, stride, padding, dilation] = [kernel, stride, padding, dilation].map(i64::from);
    let (Ok(input), Ok(output)) = (i64::try_from(input), i64::try_from(output)) else {
        return false;
    };
    if kernel < 1 || stride < 1 || dilation < 1 || output < 1 {
        return false;
    }
    let extent = (kernel - 1) * dilation + 1;
    let behind = (output - 1) * stride + extent - padding - input;
    padding < extent && behind < extent && behind > -stride
}

fn check_window(operator: &OperatorRecord, x: &TensorInfo, y: &TensorInfo) -> Result<(), Fault> {
    let [kernel_y, kernel_x] = operator.kernel;
    let [stride_y, stride_x] = operator.stride;
    let [padding_y, padding_x] = operator.padding;
    let [dilation_y, dilation_x] = operator.dilation;
    let ([in_height, in_width, _], [out_height, out_width, _]) = (x.hwc(), y.hwc());
    let rows = [in_height, out_height];
    let columns = [in_width, out_width];
    if axis_follows(rows, kernel_y, stride_y, padding_y, dilation_y)
        && axis_follows(columns, kernel_x, stride_x, padding_x, dilation_x)
    {
        Ok(())
    } else {
        Err(Fault::Geometry)
    }
}

fn no_window(operator: &OperatorRecord) -> Result<(), Fault> {
    let neutral = operator.kernel == [1, 1]
        && operator.stride == [1, 1]
        && operator.padding == [0, 0]
        && operator.dilation == [1, 1];
    neutral.then_some(()).ok_or(Fault::Unused)
}

fn no_constants(operator: &OperatorRecord) -> Result<(), Fault> {
    if operator.rounding != 0 {
        return Err(Fault::Rounding);
    }
    let neutral = [
        operator.weights,
        operator.weights_len,
        operator.bias,
        operator.multipliers,
        operator.shifts,
    ] == [0; 5];
    neutral.then_some(()).ok_or(Fault::Unused)
}

fn no_parameters(operator: &OperatorRecord) -> Result<(), Fault> {
    (operator.parameters == [0; 5])
        .then_some(())
        .ok_or(Fault::Unused)
}

fn no_clamp(operator: &OperatorRecord) -> Result<(), Fault> {
    (operator.clamp_min == i8::MIN && operator.clamp_max == i8::MAX)
        .then_some(())
        .ok_or(Fault::Unused)
}

fn no_macs(work: u64) -> Result<Cost, Fault> {
    Ok(Cost { macs: 0, work })
}

/// The product, if it is at most 2^32 - 1.
fn product(factors: &[usize]) -> Result<u64, Fault> {
    let mut product = 1_u32;
    for factor in factors {
        product = u32::try_from(*factor)
            .ok()
            .and_then(|factor| product.checked_mul(factor))
            .ok_or(Fault::Work)?;
    }
    Ok(product.into())
}

/// `len` bytes of constants at an offset, if they are there and it is a multiple of `alignment`.
fn constants<'a>(
    context: &Context<'a>,
    offset: u32,
    len: usize,
    alignment: usize,
) -> Option<&'a [u8]> {
    let offset = offset as usize;
    if !offset.is_multiple_of(alignment) {
        return None;
    }
    context.constants.get(offset..)?.get(..len)
}

fn check_weights(
    operator: &OperatorRecord,
    context: &Context<'_>,
    expected: u64,
) -> Result<(), Fault> {
    let len = operator.weights_len as usize;
    if u64::from(operator.weights_len) != expected
        || constants(context, operator.weights, len, ALIGNMENT).is_none()
    {
        return Err(Fault::Weights);
    }
    Ok(())
}

fn check_channels(
    operator: &OperatorRecord,
    context: &Context<'_>,
    channels: usize,
) -> Result<(), Fault> {
    let words = channels.checked_mul(4).ok_or(Fault::Channels)?;
    constants(context, operator.bias, words, 4).ok_or(Fault::Channels)?;
    let multipliers = constants(context, operator.multipliers, words, 4).ok_or(Fault::Channels)?;
    let shifts = constants(context, operator.shifts, channels, 4).ok_or(Fault::Channels)?;
    let range = match operator.rounding {
        rounding::DOUBLE | rounding::SINGLE => -31..=30,
        rounding::HIGH_32 => 0..=7,
        _ => return Err(Fault::Rounding),
    };
    // Little-endian: the sign is in the last byte.
    if multipliers
        .iter()
        .skip(3)
        .step_by(4)
        .any(|byte| *byte >= 0x80)
    {
        return Err(Fault::Multiplier);
    }
    if shifts
        .iter()
        .any(|shift| !range.contains(&shift.cast_signed()))
    {
        return Err(Fault::Shift);
    }
    Ok(())
}

fn check_softmax(operator: &OperatorRecord, y: &TensorInfo) -> Result<(), Fault> {
    let [multiplier, left_shift, smallest_difference, a, b] = operator.parameters;
    let [_, _, channels] = y.hwc();
    if [a, b] != [0, 0] {
        return Err(Fault::Unused);
    }
    // 31 in Q5.26: the greatest magnitude that a difference may have after the shift.
    let greatest = (0..=31)
        .contains(&left_shift)
        .then(|| (31_i32 << 26) >> left_shift);
    if multiplier < 0
        || greatest.is_none_or(|greatest| !(-greatest..=0).contains(&smallest_difference))
        || channels > MAX_CHANNELS
    {
        return Err(Fault::Softmax);
    }
    Ok(())
}
