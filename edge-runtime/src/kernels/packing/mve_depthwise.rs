//! Packing for `mve::depthwise_conv_2d`: a window of 3x3, a channel after the other.
//!
//! ```text
//! header                                             16 bytes, see `mve`
//! for each channel, 32 bytes:
//!   4 zeros, 3 columns of 3 weights and a zero, 4 zeros
//!   bias, multiplier, shift                          3 words
//! ```
//!
//! The 16 bytes from the first zero and those from the first column are the weights of two
//! neighbouring outputs.

use super::mve::{HEADER, Mode, byte, word};

/// Bytes of a layer of `channels` channels.
pub const fn packed_len(channels: usize) -> usize {
    channels.saturating_mul(32).saturating_add(HEADER)
}

/// A packed layer.
#[derive(Clone, Copy, Debug)]
pub struct MveDepthwise<'a> {
    /// All of it.
    pub packed: &'a [u8],
}

impl MveDepthwise<'_> {
    fn at(channel: usize, byte: usize) -> usize {
        channel.saturating_mul(32).saturating_add(HEADER + byte)
    }

    /// Weight of `channel` for tap `3 * ky + kx`; zero where there is none.
    pub fn weight(&self, channel: usize, tap: usize) -> i32 {
        if tap >= 9 {
            return 0;
        }
        let at = Self::at(channel, 4 + tap % 3 * 4 + tap / 3);
        byte(self.packed, at)
    }

    /// Of `channel`, the input's zero point folded in.
    pub fn bias(&self, channel: usize) -> i32 {
        word(self.packed, Self::at(channel, 20))
    }

    /// Of `channel`.
    pub fn multiplier(&self, channel: usize) -> i32 {
        word(self.packed, Self::at(channel, 24))
    }

    /// Of `channel`.
    pub fn shift(&self, channel: usize) -> i8 {
        let bias = Mode::of(self.packed).map_or(0, Mode::shift_bias);
        word(self.packed, Self::at(channel, 28)).wrapping_sub(bias) as i8
    }
}
