//! Requantisation as one fused multiply-add in `f32`, where that is proven to be exact.
//!
//! An output is a step function of its accumulator: it grows with it, between the limits. So is
//! `round(fma(acc as f32, scale, add))`, because conversion, fused multiply-add and rounding (to
//! nearest, halves to even) each keep order. Two such functions are equal everywhere if they step
//! at the same accumulators: at most 255 comparisons decide it, for all accumulators at once. Only those count that the
//! weights and the bias can reach.
//!
//! With `M = 2^(shift - 31) * multiplier` the steps lie `1 / M` apart, and `f32` has 24 bits: about
//! all channels with `M > 0.004` have a pair that fits, hardly any below 0.0005. Double rounding
//! has its halves away from zero, so that its steps are not evenly spaced around zero: few channels
//! fit that have outputs on both sides of the zero point. For these there is [`Odd`], two lines with a
//! step at zero.
//!
//! An [`Affine`] with a zero point of -128 has an `add` of that size, whose last bit is as large as the
//! room that some channels leave. Where that is too coarse, [`Centred`] has most of it in an integer
//! that is added to the accumulator.

use crate::kernels::reference::requantise::Rounding;

/// `round(fma(acc as f32, scale, add))`, limited to the layer's `min..=max`, is the output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Above 0 and below 1.
    pub scale: f32,
    /// Holds the zero point.
    pub add: f32,
}

/// Where the values of a channel reach an output.
#[derive(Clone, Copy)]
struct Step {
    /// The lowest sum in reach with it, if any.
    from: Option<i32>,
    /// The highest sum in reach below it, if any.
    below: Option<i32>,
}

/// The lowest and the highest accumulator of a channel over all inputs, from its bias (the input's
/// zero point folded in) and its weights; everything if a sum could wrap.
pub fn reach(bias: i32, weights: impl Iterator<Item = i8>) -> [i32; 2] {
    let mut ends = [i64::from(bias); 2];
    for weight in weights {
        let products = [i8::MIN, i8::MAX].map(|x| i64::from(weight) * i64::from(x));
        let [low, high] = ends;
        let [a, b] = products;
        ends = [low.saturating_add(a.min(b)), high.saturating_add(a.max(b))];
    }
    match ends.map(i32::try_from) {
        [Ok(low), Ok(high)] => [low, high],
        _ => [i32::MIN, i32::MAX],
    }
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
    /// Lowest and highest accumulator that occurs, see [`reach`].
    pub reach: [i32; 2],
    /// How many times the accumulator the sums are that lines scale: 1, or more behind a fast
    /// algorithm. See [`Centred::shift`] for the other thing that it decides.
    pub times: u16,
}

impl End {
    /// The output of an accumulator, before the limits.
    fn value(&self, acc: i32) -> i32 {
        let scaled = self.rounding.scale(acc, self.multiplier, self.shift);
        scaled.saturating_add(self.zero_point.into())
    }

    /// Whether the value grows with the sum: no shift to the left wraps, and no sum in reach.
    fn grows(&self) -> bool {
        let wraps = |acc: i32| acc.checked_mul(self.times.into()).is_none();
        self.shift <= 0 && self.multiplier >= 0 && !self.reach.into_iter().any(wraps)
    }

    /// Whether values before the zero point leave room for it in 32 bits.
    fn is_small(&self) -> bool {
        let most = self
            .reach
            .map(|acc| f64::from(acc).abs() * f64::from(self.times) * self.scale());
        most.iter().all(|value| *value < f64::from(1 << 30))
    }

    /// The real factor from sums to values.
    fn scale(&self) -> f64 {
        let one = if self.rounding == Rounding::High32 {
            32.0
        } else {
            31.0
        };
        let scale = f64::from(self.multiplier) * libm::exp2(f64::from(self.shift) - one);
        scale / f64::from(self.times)
    }

    /// The outputs above `min`, each with the sums around its step.
    fn steps(&self) -> impl Iterator<Item = (i32, Step)> {
        let [lowest, highest] = self.reach;
        (i32::from(self.min) + 1..=i32::from(self.max)).map(move |y| {
            let step = self.step(y);
            // A value grows: the nearest accumulator in reach speaks for all on its side.
            let from = step.max(lowest.into());
            let below = (step - 1).min(highest.into());
            let from = i32::try_from(from).ok().filter(|acc| *acc <= highest);
            let below = i32::try_from(below).ok().filter(|acc| *acc >= lowest);
            let sum = |acc: i32| acc.wrapping_mul(self.times.into());
            let step = Step {
                from: from.map(sum),
                below: below.map(sum),
            };
            (y, step)
        })
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
    /// Whether it gives the outputs of `end` for every accumulator in reach.
    pub fn is_exact(self, end: &End) -> bool {
        end.grows() && self.fits(end.steps())
    }

    /// [`is_exact`](Self::is_exact), for the outputs and the accumulators around their steps.
    fn fits(self, mut steps: impl Iterator<Item = (i32, Step)>) -> bool {
        // Else a value might not fit 32 bits.
        self.scale > 0.0
            && self.scale < 1.0
            && steps.all(|(y, step)| {
                step.from.is_none_or(|acc| value(self, acc) >= y as f32)
                    && step.below.is_none_or(|acc| value(self, acc) < y as f32)
            })
    }

    /// An exact pair, if one near the real scale is.
    pub fn find(end: &End) -> Option<Self> {
        Self::find_shifted(end, |_| 0, 0)
    }

    /// An exact pair for accumulators to which what `shift` makes of the scale has been added.
    /// `places` of the line in its room are tried on each side of its middle.
    fn find_shifted(end: &End, shift: impl Fn(f32) -> i32, places: i32) -> Option<Self> {
        /// Neighbours of the real scale that are tried, on each side.
        const NEIGHBOURS: i32 = 6;
        let real = end.scale();
        if !end.grows() || real >= 0.999 {
            return None;
        }
        let real = (real as f32).max(1e-12); // a channel that never leaves its zero point
        let nothing = Step {
            from: None,
            below: None,
        };
        let mut found = [(0, nothing); 256];
        let mut count = 0;
        for (place, step) in found.iter_mut().zip(end.steps()) {
            *place = step;
            count += 1;
        }
        let steps = || found.iter().copied().take(count);
        let nearest = real.to_bits().cast_signed();
        (0..=2 * NEIGHBOURS).find_map(|distance| {
            let sign = if distance % 2 == 0 { 1 } else { -1 };
            let bits = nearest + sign * ((distance + 1) / 2);
            let scale = f32::from_bits(bits.cast_unsigned());
            let shift = shift(scale);
            // It must not wrap, or values would not grow.
            for acc in end.reach {
                acc.wrapping_mul(end.times.into()).checked_add(shift)?;
            }
            let shifted = |(y, step): (i32, Step)| {
                let step = Step {
                    from: step.from.map(|acc| acc.wrapping_add(shift)),
                    below: step.below.map(|acc| acc.wrapping_add(shift)),
                };
                (y, step)
            };
            let steps = || steps().map(shifted);
            // How far the line may be moved down and up before a step comes too late or too early.
            let (down, up) = steps().fold((1e9, 1e9), |(down, up): (f64, f64), (y, step)| {
                let half = f64::from(y) - 0.5;
                let above = |acc: i32| f64::from(acc) * f64::from(scale) - half;
                (
                    down.min(step.from.map_or(down, above)),
                    up.min(step.below.map_or(up, |acc| -above(acc))),
                )
            });
            // In the middle of its room, or beside the only end that it has; then elsewhere in it, and a
            // little outside, because rounding the sum moves it too.
            let middle = match (down < 1e9, up < 1e9) {
                (true, false) => 1.0 - down,
                (false, true) => up - 1.0,
                _ => (up - down) / 2.0,
            };
            let room = (down + up).clamp(0.0, 1.0) + 4e-6;
            (0..=2 * places).find_map(|place| {
                let sign = if place % 2 == 0 { 1.0 } else { -1.0 };
                let away = f64::from((place + 1) / 2) / f64::from(2 * places.max(1));
                let add = (middle + sign * away * room) as f32;
                let affine = Self { scale, add };
                (down + up > -8e-6 && affine.fits(steps())).then_some(affine)
            })
        })
    }
}

/// `round(fma((acc + shift) as f32, scale, add))`, limited to the layer's `min..=max`, is the output,
/// with the [`shift`](Self::shift) that brings the zero point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Centred {
    /// At least `LEAST` and below 1.
    pub scale: f32,
    /// What the shift leaves of the zero point, and the half that the rounding wants.
    pub add: f32,
}

impl Centred {
    /// What a packing multiplies [`scale`](Self::scale) by, so that it is told from those of
    /// [`Affine`]: above 1, and exact.
    pub const MARK: f32 = 18_446_744_073_709_551_616.0;

    /// The least scale: a shift fits 32 bits.
    const LEAST: f32 = 1e-7;

    /// Of what the shift of sums is a multiple that are some times an accumulator.
    pub const GRANULE: u16 = 16;

    /// What is added to a sum: the zero point divided by the scale, to the nearest integer or, where
    /// sums are not the accumulators themselves, to the nearest multiple of [`GRANULE`](Self::GRANULE).
    pub fn shift(scale: f32, zero_point: i8, times: u16) -> i32 {
        let granule = f32::from(if times == 1 { 1 } else { Self::GRANULE });
        // A power of two: the product is exact, and what 32 bits do not hold their end.
        (libm::rintf(f32::from(zero_point) / scale / granule) * granule) as i32
    }

    /// An exact pair, if one near the real scale is.
    pub fn find(end: &End) -> Option<Self> {
        let Affine { scale, add } = Affine::find_shifted(
            end,
            |scale| Self::shift(scale, end.zero_point, end.times),
            24,
        )?;
        (scale >= Self::LEAST).then_some(Self { scale, add })
    }

    /// As the vector instructions compute it.
    #[cfg(test)]
    fn value(self, sum: i32, zero_point: i8, times: u16) -> f32 {
        let sum = sum + Self::shift(self.scale, zero_point, times);
        libm::rintf(libm::fmaf(sum as f32, self.scale, self.add))
    }
}

/// `round(fma(acc as f32, scale, copysign(tie, acc)))` plus the zero point, limited to the layer's
/// `min..=max`, is the output. Each operation keeps order here too, so that the same comparisons
/// decide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Odd {
    /// Above 0 and below 1.
    pub scale: f32,
    /// Not negative.
    pub tie: f32,
}

impl Odd {
    /// As the vector instructions compute it, before the zero point.
    fn value(self, acc: i32) -> f32 {
        let acc = acc as f32;
        libm::rintf(libm::fmaf(acc, self.scale, libm::copysignf(self.tie, acc)))
    }

    /// Whether it gives the outputs of `end` for every accumulator in reach.
    pub fn is_exact(self, end: &End) -> bool {
        end.grows() && end.is_small() && self.fits(end.zero_point.into(), end.steps())
    }

    fn fits(self, zero_point: i32, mut steps: impl Iterator<Item = (i32, Step)>) -> bool {
        self.scale > 0.0
            && self.scale < 1.0
            && self.tie >= 0.0
            && steps.all(|(y, step)| {
                let y = (y - zero_point) as f32;
                step.from.is_none_or(|acc| self.value(acc) >= y)
                    && step.below.is_none_or(|acc| self.value(acc) < y)
            })
    }

    /// An exact pair, if one near the real scale is.
    pub fn find(end: &End) -> Option<Self> {
        /// As in [`Affine::find`].
        const NEIGHBOURS: i32 = 6;
        let real = end.scale();
        if !end.grows() || !end.is_small() || real >= 0.999 {
            return None;
        }
        let nothing = Step {
            from: None,
            below: None,
        };
        let mut found = [(0, nothing); 256];
        let mut count = 0;
        for (place, step) in found.iter_mut().zip(end.steps()) {
            *place = step;
            count += 1;
        }
        let steps = || found.iter().copied().take(count);
        let zero_point = i32::from(end.zero_point);
        let nearest = (real as f32).max(1e-12).to_bits().cast_signed();
        (0..=2 * NEIGHBOURS).find_map(|distance| {
            let sign = if distance % 2 == 0 { 1 } else { -1 };
            let bits = nearest + sign * ((distance + 1) / 2);
            let scale = f32::from_bits(bits.cast_unsigned());
            // The ties that let every step come neither too late nor too early.
            let (least, most) = steps().fold((0.0, 0.5), |(least, most): (f64, f64), (y, step)| {
                let half = f64::from(y - zero_point) - 0.5;
                let room = |acc: i32| half - f64::from(acc) * f64::from(scale);
                let (mut least, mut most) = (least, most);
                match step.from {
                    Some(acc) if acc >= 0 => least = least.max(room(acc)),
                    Some(acc) => most = most.min(-room(acc)),
                    None => {}
                }
                match step.below {
                    Some(acc) if acc >= 0 => most = most.min(room(acc)),
                    Some(acc) => least = least.max(-room(acc)),
                    None => {}
                }
                (least, most)
            });
            let tie = ((least + most) / 2.0) as f32;
            let odd = Self { scale, tie };
            (least <= most && odd.fits(zero_point, steps())).then_some(odd)
        })
    }
}

/// What a packing keeps for a block of sixteen lanes, `[scale, add]` of each: those of [`Affine`]
/// where all channels have one; else `[-scale, tie]` of [`Odd`] where all have one; else
/// `[scale * MARK, add]` of [`Centred`] where all have one; else not numbers
/// where a channel has no [`Affine`]. A lane that is no channel has whatever does not keep the others
/// from theirs; a channel without a known end (`Some(None)`) has no line.
pub fn lines(ends: [Option<Option<End>>; 16]) -> [[f32; 2]; 16] {
    let known = |lines: &[[f32; 2]; 16]| lines.iter().flatten().all(|value| !value.is_nan());
    let plain = ends.map(|end| match end {
        None => [0.5, 0.0],
        Some(end) => end
            .and_then(|end| Affine::find(&end))
            .map_or([f32::NAN; 2], |line| [line.scale, line.add]),
    });
    if known(&plain) {
        return plain;
    }
    let odd = ends.map(|end| match end {
        None => [-0.5, 0.0],
        Some(end) => end
            .and_then(|end| Odd::find(&end))
            .map_or([f32::NAN; 2], |line| [-line.scale, line.tie]),
    });
    if known(&odd) {
        return odd;
    }
    let centred = ends.map(|end| match end {
        None => [0.5 * Centred::MARK, 0.0],
        Some(end) => end
            .and_then(|end| Centred::find(&end))
            .map_or([f32::NAN; 2], |line| [line.scale * Centred::MARK, line.add]),
    });
    if known(&centred) { centred } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        /// Every accumulator in reach, not only those around the steps.
        #[test]
        fn what_is_found_is_the_reference(
            rounding in prop::sample::select(&[Rounding::Double, Rounding::Single, Rounding::High32]),
            multiplier in 1 << 24..=i32::MAX,
            shift in -9_i8..=-5,
            zero_point in any::<i8>(),
            relu in any::<bool>(),
            reach in (-60_000..0, 0..60_000),
            times in prop::sample::select(&[1_u16, 576]),
        ) {
            let end = End {
                rounding,
                multiplier,
                shift: if rounding == Rounding::High32 { 0 } else { shift },
                zero_point,
                min: if relu { zero_point } else { -128 },
                max: 127,
                reach: [reach.0, reach.1],
                times,
            };
            let sum = |acc: i32| acc * i32::from(times);
            if let Some(affine) = Affine::find(&end) {
                for acc in reach.0..=reach.1 {
                    let limited = |value: i32| value.max(end.min.into()).min(end.max.into());
                    let expected = limited(end.value(acc));
                    prop_assert_eq!(limited(value(affine, sum(acc)) as i32), expected, "{} {:?}", acc, affine);
                }
            }
            if let Some(centred) = Centred::find(&end) {
                for acc in reach.0..=reach.1 {
                    let limited = |value: i32| value.max(end.min.into()).min(end.max.into());
                    let expected = limited(end.value(acc));
                    let value = centred.value(sum(acc), zero_point, times) as i32;
                    prop_assert_eq!(limited(value), expected, "{} {:?}", acc, centred);
                }
            }
            if let Some(odd) = Odd::find(&end) {
                prop_assert!(odd.is_exact(&end));
                for acc in reach.0..=reach.1 {
                    let limited = |value: i32| value.max(end.min.into()).min(end.max.into());
                    let expected = limited(end.value(acc));
                    let value = odd.value(sum(acc)) as i32 + i32::from(zero_point);
                    prop_assert_eq!(limited(value), expected, "{} {:?}", acc, odd);
                }
            }
        }
    }

    #[test]
    fn usual_channels_are_found_and_a_wrong_line_is_not_exact() {
        let end = End {
            rounding: Rounding::Double,
            multiplier: 1_500_000_000,
            shift: -7,
            zero_point: -128,
            min: -128,
            max: 127,
            reach: [i32::MIN, i32::MAX],
            times: 1,
        };
        let affine = Affine::find(&end).unwrap();
        assert!(affine.is_exact(&end));
        let off = Affine {
            add: affine.add + 0.01,
            ..affine
        };
        assert!(!off.is_exact(&end));
        assert_eq!(Affine::find(&End { shift: 1, ..end }), None);
    }

    #[test]
    fn sums_that_could_wrap_have_no_line() {
        let end = |reach| End {
            rounding: Rounding::Double,
            multiplier: 1_500_000_000,
            shift: -9,
            zero_point: -128,
            min: -128,
            max: 127,
            reach: [0, reach],
            times: 576,
        };
        let most = i32::MAX / 576;
        assert!(Affine::find(&end(most)).is_some());
        assert_eq!(Affine::find(&end(most + 1)), None);
        assert_eq!(Odd::find(&end(most + 1)), None);
        assert_eq!(Centred::find(&end(most + 1)), None);
        // The zero point comes on top.
        assert_eq!(
            Centred::find(&End {
                zero_point: 127,
                ..end(most)
            }),
            None
        );
    }

    #[test]
    fn reach_holds_the_extreme_sums() {
        assert_eq!(
            reach(10, [1, -2].into_iter()),
            [10 - 128 - 254, 10 + 127 + 256]
        );
        assert_eq!(reach(i32::MAX, [1].into_iter()), [i32::MIN, i32::MAX]);
    }

    #[test]
    fn channels_around_their_zero_point_are_odd() {
        let end = End {
            rounding: Rounding::Double,
            multiplier: 1_500_000_000,
            shift: -7,
            zero_point: 4,
            min: -128,
            max: 127,
            reach: [i32::MIN, i32::MAX],
            times: 1,
        };
        assert_eq!(Affine::find(&end), None);
        let odd = Odd::find(&end).unwrap();
        assert!(
            !Odd {
                tie: odd.tie + 0.01,
                ..odd
            }
            .is_exact(&end)
        );
        let mut ends = [None; 16];
        ends[3] = Some(Some(end));
        assert_eq!(lines(ends)[3], [-odd.scale, odd.tie]);
        ends[5] = Some(None);
        assert!(lines(ends)[5][0].is_nan());
    }
}
