//! Operators that move elements without changing them.

use super::{Call, Cost, Fault, Sharing, same_quantisation};

pub(crate) fn check_reshape(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(1, Sharing::InPlace)?;
    call.no_window()?;
    call.no_constants()?;
    call.no_parameters()?;
    call.no_clamp()?;
    call.no_state()?;
    let (x, y) = (call.x(), call.y());
    if x.len != y.len {
        return Err(Fault::Geometry);
    }
    same_quantisation(&x, &y)?;
    Ok(Cost::of_work(y.len as u64))
}
