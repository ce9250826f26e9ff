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

    /// Whether the value grows with the accumulator: no shift to the left wraps.
    fn grows(&self) -> bool {
        self.shift <= 0 && self.multiplier >= 0
    }

    /// The outputs above `min`, each with its [`step`](Self::step).
    fn steps(&self) -> impl Iterator<Item = (i32, i64)> {
        (i32::from(self.min) + 1..=i32::from(self.max)).map(|y| (y, self.step(y)))
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
        end.grows() && self.fits(end.steps())
    }

    /// [`is_exact`](Self::is_exact), for the outputs and their lowest accumulators.
    fn fits(self, mut steps: impl Iterator<Item = (i32, i64)>) -> bool {
        // Else a value might not fit 32 bits.
        self.scale > 0.0
            && self.scale < 1.0
            && steps.all(|(y, step)| {
                let from = i32::try_from(step).ok();
                let below = i32::try_from(step - 1).ok();
                from.is_none_or(|acc| value(self, acc) >= y as f32)
                    && below.is_none_or(|acc| value(self, acc) < y as f32)
            })
    }

    /// An exact pair, if one near the real scale is.
    pub fn find(end: &End) -> Option<Self> {
        /// Neighbours of the real scale that are tried, on each side.
        const NEIGHBOURS: i32 = 6;
        let one = if end.rounding == Rounding::High32 {
            32.0
        } else {
            31.0
        };
        let real = f64::from(end.multiplier) * libm::exp2(f64::from(end.shift) - one);
        if !end.grows() || !(real > 1e-9 && real < 0.999) {
            return None;
        }
        let mut found = [(0, 0); 256];
        let mut count = 0;
        for (place, step) in found.iter_mut().zip(end.steps()) {
            *place = step;
            count += 1;
        }
        let steps = || found.iter().copied().take(count);
        let nearest = (real as f32).to_bits().cast_signed();
        (0..=2 * NEIGHBOURS).find_map(|distance| {
            let sign = if distance % 2 == 0 { 1 } else { -1 };
            let bits = nearest + sign * ((distance + 1) / 2);
            let scale = f32::from_bits(bits.cast_unsigned());
            // How far the line may be moved down and up before a step comes too late or too early.
            let (down, up) = steps().fold((f64::MAX, f64::MAX), |(down, up), (y, step)| {
                let half = f64::from(y) - 0.5;
                let above = step as f64 * f64::from(scale) - half;
                (down.min(above), up.min(f64::from(scale) - above))
            });
            let add = ((up - down) / 2.0) as f32;
            let affine = Self { scale, add };
            (down + up > 0.0 && affine.fits(steps())).then_some(affine)
        })
    }
}
