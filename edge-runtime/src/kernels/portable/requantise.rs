//! Requantisation of blocks of channels, in fewer steps than the definition where these are exact.
//!
//! For a right shift `s >= 1` the floor of a floor merges TFLite's two roundings into one shift of
//! 64 bits, and the output's zero point `z` goes along:
//! `z + (((acc * m + 2^30) >> 31) + 2^(s-1) >> s) = (acc * m + 2^30 + (2 z + 1) * 2^(30+s)) >> (31+s)`.
//! TFLite's second step rounds halves away from zero, which for a negative product is one unit of the
//! first step, `2^31`, less. That unit may go by the sign of `acc`: where `acc` is negative and the
//! product of the first step is zero, one unit less still rounds to zero, as `s >= 1`. And where the
//! activation clamps at the zero point or above, negative values never show.
//! A single rounding is the same without `2^30` and without the tie.

use core::cell::Cell;

use crate::kernels::layer::Layer;
use crate::kernels::reference::requantise::{Requantise, Rounding, limit};

/// Right shifts of the fast forms: from 2 on the sum above starts with a whole upper word, up to 22
/// that word cannot overflow.
const SHIFTS: core::ops::RangeInclusive<i8> = -22..=-2;

#[derive(Clone, Copy)]
pub(super) enum Form {
    /// No tie, and saturation is all the clamp there is.
    Saturate,
    /// No tie.
    Clamp,
    /// TFLite's tie.
    Tie,
    /// The upper word of the product: the zero point is where that of the sum starts.
    High,
    /// The definition.
    General,
}

/// How the accumulators of one layer become outputs.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a> {
    pub form: Form,
    /// Whether saturation is all the clamp there is.
    #[cfg_attr(not(all(target_arch = "arm", feature = "thumb2")), expect(dead_code))]
    pub saturates: bool,
    /// The lower word of the sum's start.
    pub low: u32,
    /// What stands for the zero point `z`: `2 z + 1`, and `z` itself in [`Form::High`].
    pub zero_point: i32,
    pub min: i8,
    pub max: i8,
    general: Requantise,
    pub multipliers: &'a [i32],
    pub shifts: &'a [i8],
}

impl<'a> Finish<'a> {
    pub fn new(layer: &Layer<'a>) -> Self {
        let (min, max) = (layer.min, layer.max);
        let narrow = (-128..=127).contains(&layer.zero_point);
        let fast = narrow && layer.shifts.iter().all(|shift| SHIFTS.contains(shift));
        let untied = i32::from(min) >= layer.zero_point || layer.rounding == Rounding::Single;
        let saturates = min == i8::MIN && max == i8::MAX;
        let form = match layer.rounding {
            Rounding::High32 if narrow && layer.shifts.iter().all(|s| (0..=7).contains(s)) => {
                Form::High
            }
            Rounding::High32 => Form::General,
            _ if !fast => Form::General,
            _ if untied && saturates => Form::Saturate,
            _ if untied => Form::Clamp,
            _ => Form::Tie,
        };
        Self {
            form,
            saturates,
            min,
            max,
            low: match layer.rounding {
                Rounding::Double => 1 << 30,
                Rounding::Single => 0,
                Rounding::High32 => 1 << 31,
            },
            zero_point: match layer.rounding {
                Rounding::Double | Rounding::Single => {
                    layer.zero_point.wrapping_mul(2).wrapping_add(1)
                }
                Rounding::High32 => layer.zero_point,
            },
            general: Requantise {
                rounding: layer.rounding,
                zero_point: layer.zero_point,
                min,
                max,
            },
            multipliers: layer.multipliers,
            shifts: layer.shifts,
        }
    }

    /// Writes the outputs of as many channels from `first` on as there are cells, accumulators and
    /// constants.
    #[inline]
    pub fn write(&self, first: usize, accumulators: &[i32], outputs: &[Cell<i8>]) {
        let multipliers = self.multipliers.get(first..).unwrap_or_default();
        let shifts = self.shifts.get(first..).unwrap_or_default();
        let constants = multipliers.iter().zip(shifts);
        let each = accumulators.iter().zip(constants).zip(outputs);
        let (min, max) = (self.min, self.max);
        match self.form {
            Form::Saturate => each.for_each(|((acc, (m, s)), y)| {
                y.set(self.scale::<false>(*acc, *m, *s).clamp(-128, 127) as i8);
            }),
            Form::Clamp => each.for_each(|((acc, (m, s)), y)| {
                y.set(limit(self.scale::<false>(*acc, *m, *s), min, max));
            }),
            Form::Tie => each.for_each(|((acc, (m, s)), y)| {
                y.set(limit(self.scale::<true>(*acc, *m, *s), min, max));
            }),
            Form::High => each.for_each(|((acc, (m, s)), y)| {
                let shifted = acc.wrapping_shl(i32::from(*s).unsigned_abs());
                let start = (i64::from(self.zero_point) << 32) | i64::from(self.low);
                let product = i64::from(shifted).wrapping_mul(i64::from(*m));
                y.set(limit((start.wrapping_add(product) >> 32) as i32, min, max));
            }),
            Form::General => each.for_each(|((acc, (m, s)), y)| {
                y.set(self.general.apply(*acc, *m, *s));
            }),
        }
    }

    /// Zero point and scaled accumulator, for shifts in [`SHIFTS`].
    #[inline]
    fn scale<const TIE: bool>(&self, acc: i32, multiplier: i32, shift: i8) -> i32 {
        let right = i32::from(shift).unsigned_abs();
        let high = self.zero_point.wrapping_shl(right.wrapping_sub(2));
        let mut start = (i64::from(high) << 32) | i64::from(self.low);
        if TIE {
            start = start.wrapping_sub(i64::from(acc.cast_unsigned() & (1 << 31)));
        }
        let sum = start.wrapping_add(i64::from(acc).wrapping_mul(i64::from(multiplier)));
        ((sum >> 32) as i32).wrapping_shr(right.wrapping_sub(1))
    }
}
