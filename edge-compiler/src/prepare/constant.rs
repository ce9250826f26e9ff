//! Channels that give the same output for every input.
//!
//! Training with batch normalisation leaves channels with weights so small that only the bias
//! shows. Their scale is tiny, their bias huge and their shift beyond what fast kernels have room
//! for; one of them costs a whole layer its fast requantisation. The same output comes from a
//! smaller bias and a common shift.

use edge_runtime::kernels::reference::requantise::Rounding;

use crate::pack::Multiplier;
use crate::proofs::AccumulatorBound;

/// Right shifts that every fast kernel takes.
const COMMON: core::ops::RangeInclusive<i8> = 2..=22;

/// Another multiplier, folded bias and bounds for a channel, with the same outputs, if these do not
/// depend on the input and its shift is not a common one. `range` is that of the outputs, less
/// their zero point.
///
/// The bound's ends are those of all sums, and scaling is monotonic: what it gives for both ends,
/// it gives for all between.
pub fn constant(
    multiplier: Multiplier,
    bias: i64,
    bound: &AccumulatorBound,
    rounding: Rounding,
    range: [i32; 2],
) -> Option<(Multiplier, i64, AccumulatorBound)> {
    if rounding == Rounding::High32 || COMMON.contains(&multiplier.shift.checked_neg()?) {
        return None;
    }
    let [min, max] = range;
    // As the output shows it.
    let scaled = |sum: i64, multiplier: Multiplier| {
        let sum = i32::try_from(sum).ok()?;
        let scaled = rounding.scale(sum, multiplier.value, multiplier.shift);
        Some(scaled.max(min).min(max))
    };
    let value = scaled(bound.least, multiplier)?;
    if scaled(bound.greatest, multiplier)? != value {
        return None;
    }
    // First those that layers have most often.
    let (ordinary, others) = (8..=*COMMON.end(), *COMMON.start()..8);
    ordinary.chain(others).find_map(|right| {
        // A multiplier of one half: a step of the output is 2^(right + 1) steps of the sum.
        let plain = Multiplier {
            value: 1 << 30,
            shift: -right,
        };
        let middle = bound.least.midpoint(bound.greatest);
        let moved = (i64::from(value) << (right + 1)) - middle;
        let bound = AccumulatorBound {
            partial: bound.partial - bias.abs() + (bias + moved).abs(),
            least: bound.least + moved,
            greatest: bound.greatest + moved,
        };
        let same = [bound.least, bound.greatest].map(|sum| scaled(sum, plain)) == [Some(value); 2];
        // Half of what an accumulator holds: room for a kernel that doubles it.
        let fits = bound.partial < 1 << 30;
        (same && fits).then_some((plain, bias + moved, bound))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::testing::cases(2000))]

        #[test]
        fn the_outputs_stay(
            value in prop_oneof![Just(0), (1 << 30)..=i32::MAX],
            shift in prop_oneof![-31_i8..=-20, 0..=2_i8],
            bias in prop_oneof![-2_000_000_000_i64..2_000_000_000, -1000..1000_i64],
            [low, high] in [0_i64..100_000, 0_i64..100_000],
            single in any::<bool>(),
            zero_point in -128..=127,
            at in 0.0..=1.0_f64,
        ) {
            let rounding = if single { Rounding::Single } else { Rounding::Double };
            let range = [-128 - zero_point, 127 - zero_point];
            let before = Multiplier { value, shift };
            let bound = AccumulatorBound {
                partial: bias.abs() + low.max(high),
                least: bias - low,
                greatest: bias + high,
            };
            prop_assume!(bound.partial << shift.max(0) < i64::from(i32::MAX));
            let output = |sum: i64, m: Multiplier| {
                let scaled = rounding.scale(sum as i32, m.value, m.shift);
                scaled.max(range[0]).min(range[1])
            };
            if let Some((after, moved, bounds)) = constant(before, bias, &bound, rounding, range) {
                let product = -low + ((low + high) as f64 * at) as i64;
                prop_assert_eq!(output(bias + product, before), output(moved + product, after));
                prop_assert_eq!(bounds.least - moved, -low);
                prop_assert_eq!(bounds.greatest - moved, high);
            } else {
                let varies = output(bound.least, before) != output(bound.greatest, before);
                prop_assert!(varies || COMMON.contains(&-shift), "a constant is left");
            }
        }
    }
}
