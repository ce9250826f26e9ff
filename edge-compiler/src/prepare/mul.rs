//! MUL.

use edge_runtime::kernels::reference::broadcast::Broadcast;
use edge_runtime::kernels::reference::mul::Mul;

use super::{Quantisation, multiplier};

/// Settings of a MUL with the outputs limited to `min..=max`.
pub fn mul(
    broadcast: Broadcast,
    inputs: [Quantisation; 2],
    output: Quantisation,
    min: i8,
    max: i8,
) -> Option<Mul> {
    let [first, second] = inputs;
    // All in f32.
    let m = multiplier(f64::from(first.scale * second.scale / output.scale))?;
    Some(Mul {
        broadcast,
        multiplier: m.value,
        shift: m.shift,
        zero_points: [first.zero_point, second.zero_point, output.zero_point],
        min,
        max,
    })
}
