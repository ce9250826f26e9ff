//! MAX_POOL_2D and AVERAGE_POOL_2D.

use super::layers::check_window;
use super::{Call, Cost, Fault, Inputs, Sharing, product, same_quantisation};
pub(crate) fn check(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(Inputs::One, Sharing::Raster)?;
    call.no_constants()?;
    call.no_parameters()?;
    call.no_state()?;
    let window = call.window();
    check_window(&window)?;
    let ([_, _, depth], [_, _, channels]) = (window.input, window.output);
    if depth != channels || window.dilation != [1, 1] {
        return Err(Fault::Geometry);
    }
    same_quantisation(call.x(), call.y())?;
    let [height, width] = window.kernel;
    Ok(Cost::of_work(product(&[
        call.y().elements(),
        height,
        width,
    ])?))
}
