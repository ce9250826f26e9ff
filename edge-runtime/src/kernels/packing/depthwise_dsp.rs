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

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}
