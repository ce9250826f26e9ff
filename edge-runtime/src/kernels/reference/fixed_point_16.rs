//! tanh and the logistic function on 16-bit fixed-point numbers, as gemmlowp's `fixedpoint.h` has
//! them: what LiteRT's integer LSTM uses. No float, the same bits everywhere.
//!
//! `Qa.b` has `a` integer and `b` fraction bits beside the sign, 15 in all. The constants are those
//! of the 32-bit functions (see SOFTMAX), rounded to 16 bits.

use super::requantise::rounding_divide_by_power;

/// 1 in Q0.15, as near as it gets.
pub const ONE: i16 = i16::MAX;
/// 1 in Q2.13.
const ONE_Q2: i16 = 1 << 13;

/// `1 / (1 + exp(-x))` in Q0.15 for `x` in Q3.12.
pub fn logistic(x: i16) -> i16 {
    if x == 0 {
        return 1 << 14;
    }
    let magnitude = if x > 0 { x } else { x.wrapping_neg() };
    let exponential = exp_of_negative(magnitude.wrapping_neg(), 3);
    // A quotient in Q2.13 is one half of it in Q1.14.
    let positive = shift_left_saturating(reciprocal(exponential), 1);
    if x > 0 {
        positive
    } else {
        ONE.wrapping_sub(positive)
    }
}

/// `tanh(x)` in Q0.15 for `x` with `integer_bits` (0..=6) integer bits; more count as 6.
pub fn tanh(x: i16, integer_bits: u32) -> i16 {
    if x == 0 {
        return 0;
    }
    let negative = if x < 0 { x } else { x.wrapping_neg() };
    // exp(2x): the same bits with one more integer bit.
    let exponential = exp_of_negative(negative, integer_bits.min(6).saturating_add(1));
    // (1 - a) / (1 + a) = 2 / (1 + a) - 1
    let quotient = reciprocal(exponential).wrapping_sub(ONE_Q2);
    let magnitude = shift_left_saturating(quotient, 2);
    if x < 0 {
        magnitude.wrapping_neg()
    } else {
        magnitude
    }
}

/// `exp(a)` in Q0.15 for a negative or zero `a` with `integer_bits` (1..=7) integer bits.
fn exp_of_negative(a: i16, integer_bits: u32) -> i16 {
    if a == 0 {
        return ONE;
    }
    let fraction_bits = 15_u32.saturating_sub(integer_bits);
    // Below -32 it is zero; six integer bits and more reach there.
    if integer_bits > 5 && i32::from(a) < 32_i32.wrapping_shl(fraction_bits).wrapping_neg() {
        return 0;
    }
    let quarter = 1_i16.wrapping_shl(fraction_bits.saturating_sub(2));
    // `a` less a multiple of a quarter lies in [-1/4, 0): a polynomial gives its exponential.
    let rest = (a & quarter.wrapping_sub(1)).wrapping_sub(quarter);
    let mut result = exp_near_zero(shift_left_saturating(rest, integer_bits));
    // The multiple is a sum of powers of two; each has its own factor exp(-2^power).
    let quarters = i32::from(rest.wrapping_sub(a));
    const FACTORS: [i16; 7] = [
        25_520, // exp(-1/4)
        19_875, // exp(-1/2)
        12_055, // exp(-1)
        4_435,  // exp(-2)
        600,    // exp(-4)
        11,     // exp(-8)
        0,      // exp(-16)
    ];
    // The factor of 2^(i - 2) belongs to bit `fraction_bits + i - 2`; the sign is none of them.
    let used = usize::try_from(integer_bits.saturating_add(2)).unwrap_or(0);
    let mut bit = i32::from(quarter);
    for factor in FACTORS.iter().take(used) {
        if quarters & bit != 0 {
            result = multiply(result, *factor);
        }
        bit = bit.wrapping_shl(1);
    }
    result
}

/// `exp(a)` in Q0.15 for `a` in [-1/4, 0), in Q0.15: the Taylor series about -1/8.
fn exp_near_zero(a: i16) -> i16 {
    const EXP_OF_MINUS_EIGHTH: i16 = 28_918;
    const THIRD: i16 = 10_923;
    let x = a.wrapping_add(1 << 12);
    let x2 = multiply(x, x);
    let x3 = multiply(x2, x);
    let x4 = multiply(x2, x2);
    let thirds = multiply(divide(x4, 2).wrapping_add(x3), THIRD);
    let higher = divide(thirds.wrapping_add(x2), 1);
    let change = multiply(EXP_OF_MINUS_EIGHTH, x.wrapping_add(higher));
    EXP_OF_MINUS_EIGHTH.saturating_add(change)
}

/// `2 / (1 + a)` in Q2.13 for `a` in [0, 1), in Q0.15: three steps of Newton and Raphson.
fn reciprocal(a: i16) -> i16 {
    const Q2_48_OVER_17: i16 = 23_130;
    const Q2_MINUS_32_OVER_17: i16 = -15_420;
    // Neither is negative: halves upwards.
    let sum = i32::from(a).wrapping_add(ONE.into()).wrapping_add(1);
    let half_denominator = (sum / 2) as i16;
    let mut x = Q2_48_OVER_17.wrapping_add(multiply(half_denominator, Q2_MINUS_32_OVER_17));
    for _ in 0..3 {
        let error = ONE_Q2.wrapping_sub(multiply(half_denominator, x));
        x = x.wrapping_add(shift_left_saturating(multiply(x, error), 2));
    }
    x
}

/// gemmlowp's SaturatingRoundingDoublingHighMul: `a * b / 2^15`, halves upwards.
fn multiply(a: i16, b: i16) -> i16 {
    let product = i32::from(a).wrapping_mul(b.into());
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    // A division, not a shift: it rounds towards zero. Only MIN * MIN saturates.
    (product.wrapping_add(nudge) / (1 << 15)).min(ONE.into()) as i16
}

/// `x / 2^exponent`, halves away from zero.
fn divide(x: i16, exponent: u32) -> i16 {
    rounding_divide_by_power(x.into(), exponent) as i16
}

/// `x * 2^exponent`, saturating.
fn shift_left_saturating(x: i16, exponent: u32) -> i16 {
    let shifted = i32::from(x).wrapping_shl(exponent);
    shifted.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

#[cfg(test)]
mod tests {
    use super::{logistic, tanh};

    #[test]
    fn both_are_close_to_the_real_ones() {
        for x in i16::MIN..=i16::MAX {
            let real = 1.0 / (1.0 + libm::exp(-f64::from(x) / 4096.0));
            let error = f64::from(logistic(x)) / 32768.0 - real;
            assert!(error.abs() < 0.0007, "logistic {x}: {error}");
            for integer_bits in 0..=6 {
                let real = libm::tanh(f64::from(x) / f64::from(1 << (15 - integer_bits)));
                let error = f64::from(tanh(x, integer_bits)) / 32768.0 - real;
                assert!(error.abs() < 0.0015, "tanh {x} {integer_bits}: {error}");
            }
        }
    }
}
