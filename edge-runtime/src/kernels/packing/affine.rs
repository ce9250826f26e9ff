//! Requantisation as one fused multiply-add in `f32`, where that is proven to be exact.
//!
//! An output is a step function of its accumulator: it grows with it, between the limits. So is
//! `round(fma(acc as f32, scale, add))`, because conversion, fused multiply-add and rounding (to
//! nearest, halves to even) each keep order. Two such functions are equal everywhere if they step
//! at the same accumulators: at most 255 comparisons decide it, for all 2^32 accumulators at once.
//!
//! With `M = 2^(shift - 31) * multiplier` the steps lie `1 / M` apart, and `f32` has 24 bits: about
//! all channels with `M > 0.004` have a pair that fits, hardly any below 0.0005. Double rounding
//! has its halves away from zero, so that its steps are not evenly spaced around zero: few channels
//! fit that have outputs on both sides of the zero point.

use crate::kernels::reference::requantise::Rounding;

/// `round(fma(acc as f32, scale, add))`, limited to the layer's `min..=max`, is the output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Above 0 and below 1.
    pub scale: f32,
    /// Holds the zero point.
    pub add: f32,
}

/// The end of one channel, as in [`Requantise`](crate::kernels::reference::requantise::Requantise).
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Of the layer.
    pub rounding: Rounding,
    /// Of the channel, not negative.
    pub multiplier: i32,
    /// Of the channel.
    pub shift: i8,
    /// Of the output.
    pub zero_point: i8,
    /// Lowest output.
    pub min: i8,
    /// Highest output.
    pub max: i8,
}

impl End {
    /// The output of an accumulator, before the limits.
    fn value(&self, acc: i32) -> i32 {
        let scaled = self.rounding.scale(acc, self.multiplier, self.shift);
        scaled.saturating_add(self.zero_point.into())
    }

    /// The lowest accumulator with a value of at least `y`; above all of them if there is none.
    fn step(&self, y: i32) -> i64 {
        let (mut low, mut high) = (i64::from(i32::MIN), i64::from(i32::MAX) + 1);
        while low < high {
            let middle = (low + high) >> 1;
            match i32::try_from(middle) {
                Ok(acc) if self.value(acc) < y => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }
}

/// As the vector instructions compute it.
fn value(affine: Affine, acc: i32) -> f32 {
    libm::rintf(libm::fmaf(acc as f32, affine.scale, affine.add))
}

impl Affine {
    /// Whether it gives the outputs of `end` for every accumulator.
    pub fn is_exact(self, end: &End) -> bool {
        // Only then does the value grow with the accumulator, and fit 32 bits.
        if end.shift > 0 || end.multiplier < 0 || !(self.scale > 0.0 && self.scale < 1.0) {
            return false;
        }
        (i32::from(end.min) + 1..=i32::from(end.max)).all(|y| {
            let step = end.step(y);
            let from = i32::try_from(step);
            let below = i32::try_from(step - 1);
            from.is_ok_and(|acc| value(self, acc) >= y as f32) | from.is_err()
                && below.is_ok_and(|acc| value(self, acc) < y as f32) | below.is_err()
        })
    }

    /// An exact pair, if one near the real scale is.
    pub fn find(end: &End) -> Option<Self> {
        /// Neighbours of the real scale that are tried, on each side.
        const NEIGHBOURS: i32 = 6;
        let real = f64::from(end.multiplier)
            * libm::exp2(
                f64::from(end.shift) - {
                    if end.rounding == Rounding::High32 {
                        32.0
                    } else {
                        31.0
                    }
                },
            );
        if end.shift > 0 || !(real > 1e-9 && real < 0.999) {
            return None;
        }
        let nearest = (real as f32).to_bits().cast_signed();
        for distance in 0..=2 * NEIGHBOURS {
            let sign = if distance % 2 == 0 { 1 } else { -1 };
            let bits = nearest + sign * ((distance + 1) / 2);
            let scale = f32::from_bits(bits.cast_unsigned());
            // How far the line may be moved down and up before a step comes too late or too early.
            let (mut down, mut up) = (f64::MAX, f64::MAX);
            for y in i32::from(end.min) + 1..=i32::from(end.max) {
                let step = end.step(y) as f64;
                let half = f64::from(y) - 0.5;
                down = down.min(step * f64::from(scale) - half);
                up = up.min(half - (step - 1.0) * f64::from(scale));
            }
            let add = ((up - down) / 2.0) as f32;
            let affine = Self { scale, add };
            if down + up > 0.0 && affine.is_exact(end) {
                return Some(affine);
            }
        }
        None
    }
}
