//! Operators that treat each element by itself.

use super::{Call, Cost, Fault, Sharing, same_quantisation};

/// What all of one input have in common: no window, no state, and as many elements out as in.
fn check_unary(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(1, Sharing::InPlace)?;
    call.no_window()?;
    call.no_parameters()?;
    call.no_state()?;
    let (x, y) = (call.x(), call.y());
    if x.shape != y.shape {
        return Err(Fault::Geometry);
    }
    Ok(Cost::of_work(y.len as u64))
}

pub(crate) fn check_clamp(call: &Call<'_>) -> Result<Cost, Fault> {
    let cost = check_unary(call)?;
    call.no_constants()?;
    same_quantisation(&call.x(), &call.y())?;
    Ok(cost)
}

pub(crate) fn check_lookup(call: &Call<'_>) -> Result<Cost, Fault> {
    let cost = check_unary(call)?;
    call.no_channels()?;
    call.no_clamp()?;
    call.check_weights(256)?;
    Ok(cost)
}
