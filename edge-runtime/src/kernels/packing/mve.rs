//! What all layouts for Helium share: a header of 16 bytes, the first of which is the [`Mode`],
//! the others zero.

/// Length of the header in bytes.
pub const HEADER: usize = 16;

/// Packing codes of an image; each belongs to one operator, but for the first.
pub mod code {
    /// CONV_2D: [`super::super::mve_panel`]; FULLY_CONNECTED: [`super::super::mve_dense`].
    pub const BLOCKS: u8 = 8;
    /// CONV_2D: [`super::super::mve_direct`].
    pub const DIRECT: u8 = 9;
    /// DEPTHWISE_CONV_2D: [`super::super::mve_depthwise`].
    pub const DEPTHWISE_3X3: u8 = 10;
    /// DEPTHWISE_CONV_2D: [`super::super::mve_depthwise_any`].
    pub const DEPTHWISE_ANY: u8 = 11;
}

/// How accumulators become outputs. `s` is a channel's shift, see `format::rounding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Rounded twice, all `s <= 0`, and clamped to -128..=127 with a zero point of -128, where
    /// halves below zero cannot show.
    DoubleRelu = 0,
    /// Rounded twice, all `s < 0`, clamped to -128..=127.
    Double = 1,
    /// Rounded twice.
    DoubleAny = 2,
    /// Rounded once, all `s <= -2`; the packed shift is `s + 1`.
    Single = 3,
    /// Rounded once.
    SingleAny = 4,
    /// The high word, rounded.
    High32 = 5,
}

impl Mode {
    /// The mode of a packed layer; `None` where there is no such mode.
    pub fn of(packed: &[u8]) -> Option<Self> {
        Some(match packed.first()? {
            0 => Self::DoubleRelu,
            1 => Self::Double,
            2 => Self::DoubleAny,
            3 => Self::Single,
            4 => Self::SingleAny,
            5 => Self::High32,
            _ => return None,
        })
    }

    /// What is added to a channel's shift before it is packed.
    pub const fn shift_bias(self) -> i32 {
        match self {
            Self::Single => 1,
            _ => 0,
        }
    }
}

/// A little-endian word; zero beyond the end.
pub(super) fn word(packed: &[u8], at: usize) -> i32 {
    packed
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |bytes| i32::from_le_bytes(*bytes))
}

/// A weight; zero beyond the end.
pub(super) fn byte(packed: &[u8], at: usize) -> i32 {
    packed
        .get(at)
        .map_or(0, |byte| i32::from(byte.cast_signed()))
}
