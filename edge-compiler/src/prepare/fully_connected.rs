//! FULLY_CONNECTED as LiteRT's reference kernel computes it.
//!
//! That kernel has no fixed point: the output is `round(f64(sum) * real)`, halves away from zero,
//! with `real` the product of the scales in f64. A product with a 31-bit multiplier that is rounded
//! once, halves upwards, gives other outputs where a sum lies on a half or next to one. But the sums
//! of a channel have bounds, an output has at most 255 thresholds, and so there is an interval of
//! multipliers that give every output of the kernel: mostly a wide one, in which the nearest to
//! `real` lies.

use crate::graph::RoundingMode;
use crate::scales::{self, Multiplier};

/// The multiplier, for [`RoundingMode::Single`], with which every sum within `sums` (least,
/// greatest) gives the step that LiteRT's reference gives, as far as steps within `steps` (lowest,
/// highest; outputs less the zero point) can be told apart. Of several the nearest to `real`.
///
/// `None` where there is none, or for a `real` that [`scales::multiplier`] refuses.
pub fn single_multiplier(real: f64, sums: [i64; 2], steps: [i64; 2]) -> Option<Multiplier> {
    let nearest = scales::multiplier(real, RoundingMode::Single)?;
    let bits = (31 - i32::from(nearest.shift)).clamp(1, 62);
    let [least, greatest] = sums;
    let step = |sum: i64| (sum as f64 * real).round();
    // The bounds of `value` that follow so far.
    let (mut low, mut high) = (0_i128, i128::from(i32::MAX));
    for k in steps[0] + 1..=steps[1] {
        // The first sum that gives `k` or more; one behind the greatest if none does.
        let (mut below, mut from) = (least - 1, greatest + 1);
        while from - below > 1 {
            let middle = below.midpoint(from);
            if step(middle) >= k as f64 {
                from = middle;
            } else {
                below = middle;
            }
        }
        // `(sum * value + half) >> bits >= k` is `sum * value >= k * 2^bits - half`.
        let threshold = (i128::from(k) << bits) - (1_i128 << (bits - 1));
        if from <= greatest {
            at_least(from.into(), threshold, &mut low, &mut high);
        }
        if below >= least {
            // And not for the sum before: the negation, one less.
            at_least(-i128::from(below), 1 - threshold, &mut low, &mut high);
        }
    }
    if low > high {
        return None;
    }
    Some(Multiplier {
        value: i32::try_from(i128::from(nearest.value).clamp(low, high)).ok()?,
        ..nearest
    })
}

/// Narrows `low..=high` to the values for which `factor * value >= threshold`.
fn at_least(factor: i128, threshold: i128, low: &mut i128, high: &mut i128) {
    match factor {
        1.. => *low = (*low).max(-(-threshold).div_euclid(factor)),
        0 if threshold > 0 => *high = -1,
        0 => {}
        // A division by the magnitude, rounded down.
        _ => *high = (*high).min((-threshold).div_euclid(-factor)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_runtime::kernels::reference::requantise::Rounding;

    /// Every sum, against the kernel's own formula.
    fn agrees(real: f64, sums: [i64; 2]) {
        let steps = [-128 - 5, 127 - 5];
        let m = single_multiplier(real, sums, steps).unwrap();
        for sum in sums[0]..=sums[1] {
            let expected = ((sum as f64 * real).round() as i64).clamp(steps[0], steps[1]);
            let found = Rounding::Single.scale(sum as i32, m.value, m.shift);
            assert_eq!(
                i64::from(found).clamp(steps[0], steps[1]),
                expected,
                "{real} {sum}"
            );
        }
    }

    #[test]
    fn halves_go_away_from_zero() {
        for real in [0.5, 0.25, 1.0 / 64.0, 1.0 / 1024.0, 1.5, 3.0 / 4096.0] {
            agrees(real, [-100_000, 100_000]);
        }
    }

    #[test]
    fn sums_next_to_halves_are_told_apart() {
        let mut real = 0.9;
        for _ in 0..200 {
            agrees(real, [-30_000, 25_000]);
            real *= 0.957_1;
        }
        // Nothing but zero comes out of these.
        agrees(1e-12, [-30_000, 25_000]);
    }

    #[test]
    fn what_cannot_be_told_apart_does_not_matter() {
        let wide = [i64::from(i32::MIN) + 300, i64::from(i32::MAX) - 300];
        assert!(single_multiplier(1e-3, wide, [0, 0]).is_some());
        assert!(single_multiplier(f64::NAN, [0, 0], [0, 0]).is_none());
    }
}
