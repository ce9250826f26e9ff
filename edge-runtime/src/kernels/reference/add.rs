//! ADD and SUB: in TFLite's arithmetic, and in one product sum that was proven equal to it.

use core::cell::Cell;

use super::broadcast::{Broadcast, Operand};
use super::requantise::{Rounding, limit};

/// Settings of [`add`].
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// Shapes.
    pub broadcast: Broadcast,
    /// Of the first input, the second and the output: see [`Rounding::Double`].
    pub multipliers: [i32; 3],
    /// Of the first input, the second and the output: see [`Rounding::Double`].
    pub shifts: [i8; 3],
    /// Of the first input, the second and the output, each -128..=127.
    pub zero_points: [i32; 3],
    /// Bits by which inputs are raised before they are scaled, 0..=22; TFLite has 20.
    pub left_shift: u32,
    /// SUB: the first input less the second.
    pub subtract: bool,
    /// Lowest output after the fused activation.
    pub min: i8,
    /// Highest output after the fused activation.
    pub max: i8,
}

impl Add {
    /// One output.
    pub fn apply(&self, x1: i8, x2: i8) -> i8 {
        let [m1, m2, m] = self.multipliers;
        let [s1, s2, s] = self.shifts;
        let [z1, z2, z] = self.zero_points;
        let scaled = |x: i8, zero_point: i32, multiplier, shift| {
            let raised = i32::from(x)
                .wrapping_sub(zero_point)
                .wrapping_shl(self.left_shift);
            Rounding::Double.scale(raised, multiplier, shift)
        };
        let (a, b) = (scaled(x1, z1, m1, s1), scaled(x2, z2, m2, s2));
        let sum = if self.subtract {
            a.wrapping_sub(b)
        } else {
            a.wrapping_add(b)
        };
        let value = Rounding::Double.scale(sum, m, s).saturating_add(z);
        limit(value, self.min, self.max)
    }
}

/// `y = x1 + x2` (or `-`) of the real values, with the roundings of TFLite's int8 kernel: each input
/// less its zero point is raised by `left_shift` bits and scaled, the sum is scaled to the output.
/// `output` may be either input.
pub fn add(settings: &Add, inputs: [Operand<'_>; 2], output: &[Cell<i8>]) {
    let operation = |x1, x2| settings.apply(x1, x2);
    settings.broadcast.each(inputs, output, operation);
}

/// Settings of [`add_fitted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddFitted {
    /// Of the first input.
    pub a: i32,
    /// Of the second input; negative for SUB.
    pub b: i32,
    /// Both zero points, the output's and the rounding.
    pub c: i32,
    /// 0..=31.
    pub shift: u32,
    /// Lowest output after the fused activation.
    pub min: i8,
    /// Highest output after the fused activation.
    pub max: i8,
}

impl AddFitted {
    /// `clamp((x1 * a + x2 * b + c) >> shift, min, max)`. Wraps; the shift is arithmetic.
    pub fn apply(&self, x1: i8, x2: i8) -> i8 {
        let sum = i32::from(x1)
            .wrapping_mul(self.a)
            .wrapping_add(i32::from(x2).wrapping_mul(self.b))
            .wrapping_add(self.c);
        limit(sum.wrapping_shr(self.shift), self.min, self.max)
    }
}

/// [`AddFitted::apply`] of each pair. The compiler uses it where it equals [`add`] for all 65,536
/// pairs. `output` may be either input.
pub fn add_fitted(
    settings: &AddFitted,
    broadcast: &Broadcast,
    inputs: [Operand<'_>; 2],
    output: &[Cell<i8>],
) {
    broadcast.each(inputs, output, |x1, x2| settings.apply(x1, x2));
}
