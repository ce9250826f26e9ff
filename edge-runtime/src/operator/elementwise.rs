//! Operators that treat each element by itself.

use super::{Call, Cost, Fault, Inputs, Sharing, same_quantisation};
use crate::format::TensorRecord;
use crate::kernels::reference::add::{Add, AddFitted};
use crate::kernels::reference::broadcast::{Broadcast, Operand};
use crate::kernels::reference::mul::Mul;
use crate::kernels::reference::prelu::Prelu;

/// What all of one input have in common: no window, no state, and as many elements out as in.
fn check_unary(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(Inputs::One, Sharing::InPlace)?;
    call.no_window()?;
    call.no_parameters()?;
    call.no_state()?;
    let (x, y) = (call.x(), call.y());
    if x.shape != y.shape {
        return Err(Fault::Geometry);
    }
    Ok(Cost::of_work(y.len))
}

pub(crate) fn check_clamp(call: &Call<'_>) -> Result<Cost, Fault> {
    let cost = check_unary(call)?;
    call.no_constants()?;
    same_quantisation(call.x(), call.y())?;
    Ok(cost)
}

pub(crate) fn check_lookup(call: &Call<'_>) -> Result<Cost, Fault> {
    let cost = check_unary(call)?;
    call.no_channels()?;
    call.no_clamp()?;
    call.check_weights(256)?;
    Ok(cost)
}

/// What all of two inputs have in common: no window or state, and shapes that broadcast.
fn check_binary(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(Inputs::Two, Sharing::InPlace)?;
    call.no_window()?;
    call.no_state()?;
    let y = call.y();
    for x in [call.x(), call.second()] {
        let pairs = x.shape.iter().zip(&y.shape);
        for (from, to) in pairs {
            if from != to && *from != 1 {
                return Err(Fault::Geometry);
            }
        }
    }
    Ok(Cost::of_work(y.len))
}

/// A multiplier that is not negative and a shift that the rounding knows.
fn check_scale(multiplier: i32, shift: i32) -> Result<(), Fault> {
    (multiplier >= 0 && (-31..=30).contains(&shift))
        .then_some(())
        .ok_or(Fault::Parameters)
}

/// How the inputs of an operator of two spread over its output.
pub(crate) fn broadcast(call: &Call<'_>) -> Broadcast {
    let y = call.y();
    Broadcast {
        shape: y.hwc(),
        strides: [call.x(), call.second()].map(strides),
    }
}

fn strides(x: &TensorRecord) -> [usize; 3] {
    let [height, width, channels] = x.hwc();
    let unless_one = |size, stride| if size == 1 { 0 } else { stride };
    [
        unless_one(height, width.saturating_mul(channels)),
        unless_one(width, channels),
        unless_one(channels, 1),
    ]
}

/// Both inputs of an operator of two.
pub(crate) fn operands<'a>(call: &Call<'a>) -> [Operand<'a>; 2] {
    [call.operand(call.x()), call.operand(call.second())]
}

/// Zero points of the first and second input and the output.
fn zero_points(call: &Call<'_>) -> [i32; 3] {
    [
        call.x().zero_point,
        call.second().zero_point,
        call.y().zero_point,
    ]
}

pub(crate) fn check_add(call: &Call<'_>) -> Result<Cost, Fault> {
    let cost = check_binary(call)?;
    call.no_constants()?;
    let Add {
        multipliers,
        shifts,
        left_shift,
        ..
    } = add(call);
    for (multiplier, shift) in multipliers.iter().zip(shifts) {
        check_scale(*multiplier, shift.into())?;
    }
    let [_, _, _, _, subtract] = call.record.parameters;
    if left_shift > 22 || !(0..=1).contains(&subtract) {
        return Err(Fault::Parameters);
    }
    Ok(cost)
}

pub(crate) fn add(call: &Call<'_>) -> Add {
    let [first, second, sum, shifts, subtract] = call.record.parameters;
    let [a, b, c, left_shift] = shifts.to_le_bytes();
    Add {
        broadcast: broadcast(call),
        multipliers: [first, second, sum],
        shifts: [a, b, c].map(u8::cast_signed),
        zero_points: zero_points(call),
        left_shift: left_shift.into(),
        subtract: subtract == 1,
        min: call.record.clamp_min,
        max: call.record.clamp_max,
    }
}

pub(crate) fn check_add_fitted(call: &Call<'_>) -> Result<Cost, Fault> {
    let cost = check_binary(call)?;
    check_linear_form(call)?;
    Ok(cost)
}

/// The parameters of a linear form, and nothing else.
fn check_linear_form(call: &Call<'_>) -> Result<(), Fault> {
    let record = call.record;
    let constants = record.weights | record.weights_len | record.bias | record.multipliers;
    if constants | record.shifts | u32::from(record.rounding) != 0 {
        return Err(Fault::Unused);
    }
    let [_, _, _, shift, last] = record.parameters;
    if !(0..=31).contains(&shift) || last != 0 {
        return Err(Fault::Parameters);
    }
    Ok(())
}

/// As [`check_add_fitted`], of two tensors of the arena that are as large as their sum.
#[cfg(all(target_arch = "arm", feature = "dsp"))]
pub(crate) fn check_add_fitted_flat(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(Inputs::Two, Sharing::InPlace)?;
    call.no_window()?;
    call.no_state()?;
    check_linear_form(call)?;
    let y = call.y();
    for x in [call.x(), call.second()] {
        if x.shape != y.shape || x.storage != crate::format::storage::ARENA {
            return Err(Fault::Geometry);
        }
    }
    Ok(Cost::of_work(y.len))
}

pub(crate) fn add_fitted(call: &Call<'_>) -> AddFitted {
    let [a, b, c, shift, _] = call.record.parameters;
    AddFitted {
        a,
        b,
        c,
        shift: shift.cast_unsigned() & 31,
        min: call.record.clamp_min,
        max: call.record.clamp_max,
    }
}

pub(crate) fn check_mul(call: &Call<'_>) -> Result<Cost, Fault> {
    let cost = check_binary(call)?;
    call.no_constants()?;
    let [multiplier, shift, a, b, c] = call.record.parameters;
    check_scale(multiplier, shift)?;
    ([a, b, c] == [0; 3]).then_some(cost).ok_or(Fault::Unused)
}

pub(crate) fn mul(call: &Call<'_>) -> Mul {
    let [multiplier, shift, ..] = call.record.parameters;
    Mul {
        broadcast: broadcast(call),
        multiplier,
        shift: shift.clamp(-31, 30) as i8,
        zero_points: zero_points(call),
        min: call.record.clamp_min,
        max: call.record.clamp_max,
    }
}

pub(crate) fn check_prelu(call: &Call<'_>) -> Result<Cost, Fault> {
    let cost = check_binary(call)?;
    call.no_constants()?;
    call.no_clamp()?;
    let [positive, negative, positive_shift, negative_shift, last] = call.record.parameters;
    check_scale(positive, positive_shift)?;
    check_scale(negative, negative_shift)?;
    (last == 0).then_some(cost).ok_or(Fault::Unused)
}

pub(crate) fn prelu(call: &Call<'_>) -> Prelu {
    let [positive, negative, positive_shift, negative_shift, _] = call.record.parameters;
    Prelu {
        broadcast: broadcast(call),
        multipliers: [positive, negative],
        shifts: [positive_shift, negative_shift].map(|shift| shift.clamp(-31, 30) as i8),
        zero_points: zero_points(call),
    }
}
