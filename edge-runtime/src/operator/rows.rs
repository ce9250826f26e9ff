//! Operators that look at a run of elements at once.

use super::{Call, Cost, Fault, Inputs, Sharing, product};
use crate::kernels::reference::mean::Mean;
use crate::kernels::reference::softmax::{MAX_CHANNELS, Softmax};

pub(crate) fn check_softmax(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(Inputs::One, Sharing::Never)?;
    call.no_window()?;
    call.no_constants()?;
    call.no_clamp()?;
    call.no_state()?;
    let (x, y) = (call.x(), call.y());
    if x.shape != y.shape {
        return Err(Fault::Geometry);
    }
    if y.scale != 1.0 / 256.0 || y.zero_point != -128 {
        return Err(Fault::Quantisation);
    }
    let [multiplier, left_shift, smallest_difference, a, b] = call.record.parameters;
    if a | b != 0 {
        return Err(Fault::Unused);
    }
    // 31 in Q5.26: the greatest magnitude that a difference may have after the shift.
    let greatest = (31_i32 << 26).wrapping_shr(left_shift.cast_unsigned());
    let [_, _, channels] = y.hwc();
    if multiplier < 0
        || !(0..=31).contains(&left_shift)
        || !(-greatest..=0).contains(&smallest_difference)
        || channels > MAX_CHANNELS
    {
        return Err(Fault::Softmax);
    }
    Ok(Cost::of_work(product(&[y.elements(), 2])?))
}

pub(crate) fn softmax(call: &Call<'_>) -> Softmax {
    let [multiplier, left_shift, smallest_difference, _, _] = call.record.parameters;
    let [_, _, channels] = call.y().hwc();
    Softmax {
        channels,
        multiplier,
        left_shift: left_shift.cast_unsigned(),
        smallest_difference,
    }
}

pub(crate) fn check_mean(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(Inputs::One, Sharing::Never)?;
    call.no_window()?;
    call.no_constants()?;
    call.no_clamp()?;
    call.no_state()?;
    let [_, _, _, multiplier, shift] = call.record.parameters;
    let Mean {
        outer,
        reduce,
        inner,
        ..
    } = mean(call);
    if reduce == 0
        || product(&[outer, reduce, inner])? != call.x().len
        || product(&[outer, inner])? != call.y().len
    {
        return Err(Fault::Geometry);
    }
    if multiplier < 0 || !(-31..=30).contains(&shift) {
        return Err(Fault::Parameters);
    }
    Ok(Cost::of_work(call.x().len))
}

pub(crate) fn mean(call: &Call<'_>) -> Mean {
    let [outer, reduce, inner, multiplier, shift] = call.record.parameters;
    let [outer, reduce, inner] =
        [outer, reduce, inner].map(|value| usize::try_from(value).unwrap_or(0));
    Mean {
        outer,
        reduce,
        inner,
        multiplier,
        shift: shift.clamp(-31, 30) as i8,
        zero_points: [call.x().zero_point, call.y().zero_point],
    }
}
