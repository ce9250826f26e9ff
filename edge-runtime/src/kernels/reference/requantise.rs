//! From a 32-bit accumulator to an output: the three rounding modes.

use crate::format::rounding;

/// How a product with a fixed-point multiplier is rounded, see [`rounding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// TFLite's two steps.
    Double,
    /// One step on the 64-bit product.
    Single,
    /// The high word of the product, rounded.
    High32,
}

impl Rounding {
    /// The mode with this code; `None` where there is none.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            rounding::DOUBLE => Some(Self::Double),
            rounding::SINGLE => Some(Self::Single),
            rounding::HIGH_32 => Some(Self::High32),
            _ => None,
        }
    }

    /// Scales an accumulator. Shifts beyond the range of the mode are limited to it; a result
    /// beyond 32 bits saturates (`Single` only); the left shift before a product wraps.
    #[cfg_attr(target_os = "none", inline(never))] // On a device its size counts.
    pub fn scale(self, acc: i32, multiplier: i32, shift: i8) -> i32 {
        match self {
            Self::Double => {
                let shift = i32::from(shift).clamp(-31, 30);
                let shifted = acc.wrapping_shl(shift.max(0).unsigned_abs());
                let product = doubling_high_multiply(shifted, multiplier);
                rounding_divide_by_power(product, shift.min(0).unsigned_abs())
            }
            Self::Single => {
                let shift = 31 - i64::from(shift).clamp(-31, 30); // 1..=62
                let product = i64::from(acc) * i64::from(multiplier);
                let scaled = (product + (1_i64 << (shift - 1))) >> shift;
                scaled.clamp(i32::MIN.into(), i32::MAX.into()) as i32
            }
            Self::High32 => {
                let shifted = acc.wrapping_shl(i32::from(shift).clamp(0, 7).unsigned_abs());
                ((i64::from(shifted) * i64::from(multiplier) + (1 << 31)) >> 32) as i32
            }
        }
    }
}

/// The end of an operator that accumulates: what is the same for all its channels.
#[derive(Clone, Copy, Debug)]
pub struct Requantise {
    /// How an accumulator is scaled.
    pub rounding: Rounding,
    /// Of the output, -128..=127.
    pub zero_point: i32,
    /// Lowest output after the fused activation.
    pub min: i8,
    /// Highest output after the fused activation.
    pub max: i8,
}

impl Requantise {
    /// `clamp(zero_point + scale(acc), min, max)`; the addition saturates.
    pub fn apply(&self, acc: i32, multiplier: i32, shift: i8) -> i8 {
        let scaled = self.rounding.scale(acc, multiplier, shift);
        limit(scaled.saturating_add(self.zero_point), self.min, self.max)
    }
}

/// `value` limited to `min..=max`; where `min > max`, it is `max`.
pub(crate) fn limit(value: i32, min: i8, max: i8) -> i8 {
    value.max(min.into()).min(max.into()) as i8
}

/// gemmlowp's SaturatingRoundingDoublingHighMul: `a * b / 2^31`, halves upwards; only
/// `i32::MIN * i32::MIN` saturates.
#[cfg_attr(target_os = "none", inline(never))] // On a device its size counts.
pub fn doubling_high_multiply(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = i64::from(a) * i64::from(b);
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    // A division, not a shift: it rounds towards zero.
    ((product + nudge) / (1 << 31)) as i32
}

/// gemmlowp's RoundingDivideByPOT: `x / 2^exponent`, halves away from zero. Defined up to an
/// exponent of 62 here (gemmlowp: 31); greater ones are limited to that.
#[cfg_attr(target_os = "none", inline(never))] // On a device its size counts.
pub fn rounding_divide_by_power(x: i32, exponent: u32) -> i32 {
    let exponent = exponent.min(62);
    let x = i64::from(x);
    let mask = (1_i64 << exponent) - 1;
    let remainder = x & mask;
    let threshold = (mask >> 1) + i64::from(x < 0);
    ((x >> exponent) + i64::from(remainder > threshold)) as i32
}
