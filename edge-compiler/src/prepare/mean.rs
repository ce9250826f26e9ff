//! MEAN.

use super::{Quantisation, multiplier};
use crate::scales::Multiplier;

/// Multiplier and shift that turn a sum of `count` elements into the output: LiteRT divides the
/// multiplier of the scales by the count, with as many more bits as the count has, and truncates.
///
/// `None` also for a count of zero.
pub fn mean(input: Quantisation, output: Quantisation, count: usize) -> Option<Multiplier> {
    let scales = multiplier(f64::from(input.scale) / f64::from(output.scale))?;
    let count = i64::try_from(count).ok()?;
    let bits = i32::try_from(count.checked_ilog2()?).ok()?;
    let bits = bits.min(32).min(31 + i32::from(scales.shift));
    let value = (i64::from(scales.value) << bits) / count;
    Some(Multiplier {
        value: i32::try_from(value).ok()?,
        shift: i8::try_from(i32::from(scales.shift) - bits).ok()?,
    })
}
