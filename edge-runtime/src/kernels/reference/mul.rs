//! MUL.

use core::cell::Cell;

use super::broadcast::{Broadcast, Operand};
use super::requantise::{Rounding, limit};

/// Settings of [`mul`].
#[derive(Clone, Copy, Debug)]
pub struct Mul {
    /// Shapes.
    pub broadcast: Broadcast,
    /// Of the product: see [`Rounding::Double`].
    pub multiplier: i32,
    /// Of the product: see [`Rounding::Double`].
    pub shift: i8,
    /// Of the first input, the second and the output, each -128..=127.
    pub zero_points: [i32; 3],
    /// Lowest output after the fused activation.
    pub min: i8,
    /// Highest output after the fused activation.
    pub max: i8,
}

impl Mul {
    /// One output.
    pub fn apply(&self, x1: i8, x2: i8) -> i8 {
        let [z1, z2, z] = self.zero_points;
        let x1 = i32::from(x1).wrapping_sub(z1);
        let x2 = i32::from(x2).wrapping_sub(z2);
        let scaled = Rounding::Double.scale(x1.wrapping_mul(x2), self.multiplier, self.shift);
        limit(scaled.saturating_add(z), self.min, self.max)
    }
}

/// `y = clamp(scale((x1 - z1) * (x2 - z2)) + z, min, max)`. `output` may be either input.
pub fn mul(settings: &Mul, inputs: [Operand<'_>; 2], output: &[Cell<i8>]) {
    let operation = |x1, x2| settings.apply(x1, x2);
    settings.broadcast.each(inputs, output, operation);
}
