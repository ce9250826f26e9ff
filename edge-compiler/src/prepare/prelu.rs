//! PRELU.

use edge_runtime::kernels::reference::broadcast::Broadcast;
use edge_runtime::kernels::reference::prelu::Prelu;

use super::{Quantisation, multiplier};

/// Settings of a PRELU; the second input of `broadcast` is alpha.
pub fn prelu(
    broadcast: Broadcast,
    input: Quantisation,
    alpha: Quantisation,
    output: Quantisation,
) -> Option<Prelu> {
    // All in f32.
    let positive = multiplier(f64::from(input.scale / output.scale))?;
    let negative = multiplier(f64::from(input.scale * alpha.scale / output.scale))?;
    Some(Prelu {
        broadcast,
        multipliers: [positive.value, negative.value],
        shifts: [positive.shift, negative.shift],
        zero_points: [input.zero_point, alpha.zero_point, output.zero_point],
    })
}
