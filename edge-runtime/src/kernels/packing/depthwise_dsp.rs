//! Packing 5: 3x3 depthwise weights for Arm cores with the DSP extension.
//!
//! A header of 16 bytes, its first word the [`Form`] and the rest zero, then [`RECORD`] bytes a
//! channel, ten little-endian words:
//!
//! | word | |
//! | --- | --- |
//! | 0, 2, 4 | kernel columns 0, 1, 2: weight of row 0 in the low half, of row 1 in the high half |
//! | 1, 3, 5 | the same columns: row 1 low, row 2 high |
//! | 6 | bias |
//! | 7 | multiplier |
//! | 8 | what is added to the high word of the product |
//! | 9 | byte 0: how far the sum is shifted right; byte 1: `k`; byte 2: the channel's shift |
//!
//! Weights and bias are multiplied by `2^k`, so that the roundings of a mode become one constant
//! added to the high word of the product of accumulator and multiplier.

use crate::kernels::reference::requantise::Rounding;

/// Bytes of the header.
pub const HEADER: usize = 16;
/// Bytes of a channel.
pub const RECORD: usize = 40;

/// How a kernel gets from an accumulator to an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `saturate((high(acc · multiplier) + addend) >> 10)`: all channels shift alike.
    Fixed = 0,
    /// `saturate((high(acc · multiplier) + addend) >> shift)`.
    Merged = 1,
    /// `saturate((round(high(acc · multiplier)) + addend - (acc < 0)) >> shift)`.
    Ties = 2,
}

impl Form {
    /// The shift of [`Form::Fixed`].
    pub const FIXED_SHIFT: u32 = 10;

    /// The form of packed weights; `None` where the header is unknown.
    pub fn of(packed: &[u8]) -> Option<Self> {
        match word(packed, 0)? {
            0 => Some(Self::Fixed),
            1 => Some(Self::Merged),
            2 => Some(Self::Ties),
            _ => None,
        }
    }
}

/// A channel as it was before it was packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// `[row][column]`.
    pub weights: [[i8; 3]; 3],
    /// The input's zero point folded in.
    pub bias: i32,
    /// See [`crate::format::rounding`].
    pub multiplier: i32,
    /// See [`crate::format::rounding`].
    pub shift: i8,
}

/// Channel `index` of packed weights; `None` where they end before it.
pub fn channel(packed: &[u8], index: usize) -> Option<Channel> {
    let start = index.checked_mul(RECORD)?.checked_add(HEADER)?;
    let record = packed.get(start..)?.get(..RECORD)?;
    let [_, k, shift, _] = word(record, 36)?.to_le_bytes();
    let low = |at| Some((word(record, at)? as i16).wrapping_shr(k.into()) as i8);
    let high = |at| Some(((word(record, at)? >> 16) as i16).wrapping_shr(k.into()) as i8);
    Some(Channel {
        weights: [
            [low(0)?, low(8)?, low(16)?],
            [high(0)?, high(8)?, high(16)?],
            [high(4)?, high(12)?, high(20)?],
        ],
        bias: word(record, 24)?.cast_signed().wrapping_shr(k.into()),
        multiplier: word(record, 28)?.cast_signed(),
        shift: shift.cast_signed(),
    })
}

/// What all channels of a layer share.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    /// How products are rounded.
    pub rounding: Rounding,
    /// Of the output.
    pub zero_point: i32,
    /// Lowest output after the fused activation.
    pub min: i8,
}

impl Shared {
    /// The form that takes any shifts to the right.
    pub const fn form(&self) -> Form {
        match self.rounding {
            Rounding::Double if (self.min as i32) < self.zero_point => Form::Ties,
            _ => Form::Merged,
        }
    }
}

/// The constants of a channel's requantisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finish {
    /// `k`.
    pub scale: u8,
    /// Added to the high word of the product.
    pub addend: i32,
    /// How far the sum is shifted right.
    pub shift: u8,
}

/// The constants for a form and a channel's shift; `None` where the form cannot be exact.
///
/// Every mode is `floor((acc · 2^left · m + nudge) / 2^bits) + zero point`: of the two roundings of
/// [`Rounding::Double`], `floor((floor((p + 2^30) / 2^31) + 2^(s - 1)) / 2^s)`, the inner floor may
/// be left out. That takes halves upwards where TFLite takes negative ones downwards, which only a
/// lower limit at or above the zero point hides. With `2^extra` as a further factor such that the
/// nudge is a multiple of 2^32 it becomes an addend of the high word.
pub fn finish(shared: &Shared, shift: i8, form: Form) -> Option<Finish> {
    let right = i32::from(shift).min(0).unsigned_abs();
    let left = i32::from(shift).max(0).unsigned_abs();
    if right > 21 || left > 15 {
        return None;
    }
    if form == Form::Ties {
        if shared.rounding != Rounding::Double || right == 0 {
            return None;
        }
        return Some(Finish {
            scale: 1,
            addend: (1_i32 << (right - 1)).wrapping_add(shared.zero_point << right),
            shift: right as u8,
        });
    }
    // The nudge is one power of two or the sum of two.
    let (low, high, bits) = match shared.rounding {
        Rounding::Double if i32::from(shared.min) < shared.zero_point => return None,
        Rounding::Double if right == 0 => (30, None, 31),
        Rounding::Double => (30, Some(30 + right), 31 + right),
        Rounding::Single => (30 + right, None, 31 + right),
        Rounding::High32 => (31, None, 32),
    };
    let extra = match form {
        Form::Fixed => (32 + Form::FIXED_SHIFT).checked_sub(bits)?,
        _ => 32_u32.saturating_sub(low).max(32_u32.saturating_sub(bits)),
    };
    let right = (bits + extra).checked_sub(32)?;
    if low + extra < 32 || right > 21 || left + extra > 15 {
        return None;
    }
    let above = |power: u32| 1_i32.wrapping_shl((power + extra).wrapping_sub(32));
    Some(Finish {
        scale: (left + extra) as u8,
        addend: above(low)
            .wrapping_add(high.map_or(0, above))
            .wrapping_add(shared.zero_point << right),
        shift: right as u8,
    })
}

/// As [`Finish::scale`], for the kernel that packs canonical weights: one for all channels.
pub const fn canonical_scale(shared: &Shared) -> u8 {
    match shared.form() {
        Form::Ties => 1,
        _ => 2,
    }
}

/// As [`finish`], with [`canonical_scale`]; `None` for a channel that shifts to the left.
///
/// Nudges and zero point are then `(2 · zero point + 1) · 2^right`, `right` less one for
/// [`Form::Ties`], and one for the first of two roundings.
pub fn finish_canonical(shared: &Shared, shift: i8) -> Option<Finish> {
    let scale = canonical_scale(shared);
    let right = u32::try_from(shift.checked_neg()?).ok()?;
    let (right, first) = match (shared.rounding, shared.form()) {
        (Rounding::High32, _) => (1, 0), // It has no shift to the right.
        (_, Form::Ties) => (right.checked_sub(1)?, 0),
        (Rounding::Double, _) => (right, i32::from(right > 0)),
        (Rounding::Single, _) => (right, 0),
    };
    if right > 21 {
        return None;
    }
    let ends = shared.zero_point.wrapping_mul(2).wrapping_add(1);
    Some(Finish {
        scale,
        addend: (ends << right).wrapping_add(first),
        shift: right as u8 + 1,
    })
}

/// A channel's record; `None` where the form cannot be exact or a weight leaves 16 bits. Whether
/// accumulators fit is for the compiler to prove.
pub fn record(shared: &Shared, channel: &Channel, form: Form) -> Option<[u32; RECORD / 4]> {
    let Finish {
        scale,
        addend,
        shift,
    } = finish(shared, channel.shift, form)?;
    let [[a0, a1, a2], [b0, b1, b2], [c0, c1, c2]] = channel.weights;
    let pair = |low: i8, high: i8| {
        let half = |weight: i8| i16::try_from(i32::from(weight) << scale).ok();
        Some(u32::from(half(low)? as u16) | u32::from(half(high)? as u16) << 16)
    };
    Some([
        pair(a0, b0)?,
        pair(b0, c0)?,
        pair(a1, b1)?,
        pair(b1, c1)?,
        pair(a2, b2)?,
        pair(b2, c2)?,
        channel.bias.wrapping_shl(scale.into()).cast_unsigned(),
        channel.multiplier.cast_unsigned(),
        addend.cast_unsigned(),
        u32::from_le_bytes([shift, scale, channel.shift.cast_unsigned(), 0]),
    ])
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}
