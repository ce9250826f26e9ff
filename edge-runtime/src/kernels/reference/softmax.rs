//! SOFTMAX in the fixed-point arithmetic of TFLite's int8 reference kernel (which is gemmlowp's):
//! no float, the same bytes everywhere.
//!
//! `Qa.b` has `a` integer and `b` fraction bits beside the sign.

use crate::kernels::reference::runs;
use core::cell::Cell;

use super::requantise;

/// Greatest number of channels: one more could overflow the sum of the exponentials.
pub const MAX_CHANNELS: usize = 4095;
/// Integer bits of a scaled difference: Q5.26.
const DIFFERENCE_BITS: u32 = 5;
/// Integer bits of the sum of exponentials: Q12.19.
const SUM_BITS: u32 = 12;

/// Settings of [`softmax`].
#[derive(Clone, Copy, Debug)]
pub struct Softmax {
    /// Elements that sum to one; every run of this length is a softmax of its own.
    pub channels: usize,
    /// With `left_shift` scales a difference of inputs to Q5.26:
    /// `beta * input scale * 2^26 = multiplier / 2^31 * 2^left_shift`.
    pub multiplier: i32,
    /// 0..=31.
    pub left_shift: u32,
    /// Inputs further below the greatest one than this (negative) difference count as zero:
    /// `-floor(31 * 2^26 / 2^left_shift)`.
    pub smallest_difference: i32,
}

impl Softmax {
    /// `exp(x - greatest)` in Q0.31, or `None` where it counts as zero.
    fn exponential(&self, x: i8, greatest: i8) -> Option<i32> {
        let difference = i32::from(x) - i32::from(greatest);
        if difference < self.smallest_difference {
            return None;
        }
        let shifted = difference.wrapping_shl(self.left_shift);
        Some(exp_of_negative(doubling_high_multiply(
            shifted,
            self.multiplier,
        )))
    }
}

/// Over each run of `channels` elements. The output has scale 1/256 and zero point -128; it may be
/// the input itself.
pub fn softmax(settings: &Softmax, input: &[Cell<i8>], output: &[Cell<i8>]) {
    if settings.channels == 0 {
        return;
    }
    let rows = runs(input, settings.channels);
    for (x, y) in rows.zip(runs(output, settings.channels)) {
        row(settings, x, y);
    }
}

fn row(settings: &Softmax, input: &[Cell<i8>], output: &[Cell<i8>]) {
    let greatest = input.iter().map(Cell::get).max().unwrap_or(i8::MIN);
    let sum = input
        .iter()
        .filter_map(|x| settings.exponential(x.get(), greatest))
        .fold(0_i32, |sum, exponential| {
            sum.wrapping_add(rounding_divide_by_power(exponential, SUM_BITS))
        });
    // The greatest input adds one, 2^19, so that `sum` is at least that.
    let headroom = sum.leading_zeros();
    let bits_over_unit = SUM_BITS.saturating_sub(headroom);
    let fraction = sum
        .cast_unsigned()
        .unbounded_shl(headroom)
        .wrapping_sub(1 << 31);
    let reciprocal = one_over_one_plus(fraction.cast_signed());
    for (x, y) in input.iter().zip(output) {
        let exponential = settings.exponential(x.get(), greatest);
        y.set(exponential.map_or(i8::MIN, |exponential| {
            let product = doubling_high_multiply(reciprocal, exponential);
            let probability = rounding_divide_by_power(product, bits_over_unit + 31 - 8);
            probability.saturating_sub(128).clamp(-128, 127) as i8
        }));
    }
}

/// [`requantise::doubling_high_multiply`], called on devices: inlined a dozen times it is most of the
/// code.
#[cfg_attr(target_os = "none", inline(never))]
fn doubling_high_multiply(a: i32, b: i32) -> i32 {
    requantise::doubling_high_multiply(a, b)
}

/// [`requantise::rounding_divide_by_power`], likewise.
#[cfg_attr(target_os = "none", inline(never))]
fn rounding_divide_by_power(x: i32, exponent: u32) -> i32 {
    requantise::rounding_divide_by_power(x, exponent)
}

/// `exp(a)` in Q0.31 for a negative or zero `a` in Q5.26.
fn exp_of_negative(a: i32) -> i32 {
    if a == 0 {
        return i32::MAX;
    }
    const QUARTER: i32 = 1 << (31 - DIFFERENCE_BITS - 2);
    // `a` less a multiple of a quarter lies in [-1/4, 0): a polynomial gives its exponential.
    let rest = (a & (QUARTER - 1)) - QUARTER;
    let mut result = exp_near_zero(shift_left_saturating(rest, DIFFERENCE_BITS));
    // The multiple is a sum of powers of two; each has its own factor exp(-2^power).
    let quarters = rest.wrapping_sub(a);
    const FACTORS: [i32; 7] = [
        1_672_461_947, // exp(-1/4)
        1_302_514_674, // exp(-1/2)
        790_015_084,   // exp(-1)
        290_630_308,   // exp(-2)
        39_332_535,    // exp(-4)
        720_401,       // exp(-8)
        242,           // exp(-16)
    ];
    let mut bit = QUARTER;
    for factor in FACTORS {
        if quarters & bit != 0 {
            result = doubling_high_multiply(result, factor);
        }
        bit = bit.wrapping_shl(1);
    }
    result
}

/// `exp(a)` in Q0.31 for `a` in [-1/4, 0), in Q0.31: the Taylor series about -1/8.
fn exp_near_zero(a: i32) -> i32 {
    const EXP_OF_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = a.wrapping_add(1 << 28);
    let x2 = doubling_high_multiply(x, x);
    let x3 = doubling_high_multiply(x2, x);
    let x4 = doubling_high_multiply(x2, x2);
    let x4_over_4 = rounding_divide_by_power(x4, 2);
    let thirds = doubling_high_multiply(x4_over_4.wrapping_add(x3), THIRD);
    let higher = rounding_divide_by_power(thirds.wrapping_add(x2), 1);
    EXP_OF_MINUS_EIGHTH.wrapping_add(doubling_high_multiply(
        EXP_OF_MINUS_EIGHTH,
        x.wrapping_add(higher),
    ))
}

/// `1 / (1 + a)` in Q0.31 for `a` in [0, 1), in Q0.31: three steps of Newton and Raphson.
fn one_over_one_plus(a: i32) -> i32 {
    const ONE_Q2: i32 = 1 << 29;
    const Q2_48_OVER_17: i32 = 1_515_870_810;
    const Q2_MINUS_32_OVER_17: i32 = -1_010_580_540;
    let half_denominator = half_of_one_and(a);
    let mut x = Q2_48_OVER_17.wrapping_add(doubling_high_multiply(
        half_denominator,
        Q2_MINUS_32_OVER_17,
    ));
    for _ in 0..3 {
        let error = ONE_Q2.wrapping_sub(doubling_high_multiply(half_denominator, x));
        x = x.wrapping_add(shift_left_saturating(doubling_high_multiply(x, error), 2));
    }
    // Half of `x` in Q2.29 has the same bits in Q1.30.
    shift_left_saturating(x, 1)
}

/// `(a + (2^31 - 1)) / 2` for `a` of zero or more, halves away from zero: without the 64 bits that
/// gemmlowp's RoundingHalfSum takes for any two numbers.
fn half_of_one_and(a: i32) -> i32 {
    (a.cast_unsigned().wrapping_add(1 << 31) >> 1).cast_signed()
}

/// `x * 2^exponent`, saturating; `exponent` is below 31.
fn shift_left_saturating(x: i32, exponent: u32) -> i32 {
    x.saturating_mul(1_i32.wrapping_shl(exponent))
}
