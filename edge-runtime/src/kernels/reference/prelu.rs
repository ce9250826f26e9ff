//! PRELU.

use core::cell::Cell;

use super::broadcast::{Broadcast, Operand};
use super::requantise::{Rounding, limit};

/// Settings of [`prelu`].
#[derive(Clone, Copy, Debug)]
pub struct Prelu {
    /// Shapes; the second input is alpha.
    pub broadcast: Broadcast,
    /// Of values from zero up, and of the product of a value below zero with its alpha: see
    /// [`Rounding::Double`].
    pub multipliers: [i32; 2],
    /// As `multipliers`.
    pub shifts: [i8; 2],
    /// Of the input, alpha and the output, each -128..=127.
    pub zero_points: [i32; 3],
}

impl Prelu {
    /// One output.
    pub fn apply(&self, x: i8, alpha: i8) -> i8 {
        let [m_positive, m_negative] = self.multipliers;
        let [s_positive, s_negative] = self.shifts;
        let [z_input, z_alpha, z_output] = self.zero_points;
        let x = i32::from(x).wrapping_sub(z_input);
        let scaled = if x >= 0 {
            Rounding::Double.scale(x, m_positive, s_positive)
        } else {
            let product = x.wrapping_mul(i32::from(alpha).wrapping_sub(z_alpha));
            Rounding::Double.scale(product, m_negative, s_negative)
        };
        limit(scaled.saturating_add(z_output), i8::MIN, i8::MAX)
    }
}

/// `y = x` of the real values where `x >= 0`, else `alpha * x`. `output` may be the input.
pub fn prelu(settings: &Prelu, input: &[Cell<i8>], alpha: Operand<'_>, output: &[Cell<i8>]) {
    let operation = |x, alpha| settings.apply(x, alpha);
    let inputs = [Operand::Activation(input), alpha];
    settings.broadcast.each(inputs, output, operation);
}
