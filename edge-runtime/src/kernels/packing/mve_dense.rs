//! Packing for `mve::fully_connected`: groups of eight output channels, their parameters inline.
//!
//! ```text
//! header                                         16 bytes, see `mve`
//! for each group of eight channels (the last one filled up with zeros):
//!   for each chunk of 16 inputs: 16 weights of each of the eight channels
//!   8 biases, 8 multipliers, 8 shifts: words, channels in the order 0 2 4 6 1 3 5 7
//! ```

use super::mve::{HEADER, Mode, byte, word};

/// Channels of a group.
pub const GROUP: usize = 8;

/// Where in its group the parameters of a channel lie, counted in words.
pub const fn lane(channel: usize) -> usize {
    channel % GROUP / 2 + channel % 2 * 4
}

/// Bytes of a layer of `channels` outputs with `taps` weights each.
pub const fn packed_len(taps: usize, channels: usize) -> usize {
    let group = taps.div_ceil(16).saturating_mul(128).saturating_add(96);
    channels
        .div_ceil(GROUP)
        .saturating_mul(group)
        .saturating_add(HEADER)
}

/// A packed layer.
#[derive(Clone, Copy, Debug)]
pub struct MveDense<'a> {
    /// All of it.
    pub packed: &'a [u8],
    /// Weights of a channel.
    pub taps: usize,
}

impl MveDense<'_> {
    fn chunks(&self) -> usize {
        self.taps.div_ceil(16)
    }

    fn group(&self, channel: usize) -> usize {
        let group = self.chunks().saturating_mul(128).saturating_add(96);
        (channel / GROUP)
            .saturating_mul(group)
            .saturating_add(HEADER)
    }

    fn parameter(&self, channel: usize, index: usize) -> i32 {
        let at = self
            .group(channel)
            .saturating_add(self.chunks().saturating_mul(128))
            .saturating_add(index * 32 + lane(channel) * 4);
        word(self.packed, at)
    }

    /// Weight of `channel` for `tap`; zero where there is none.
    pub fn weight(&self, channel: usize, tap: usize) -> i32 {
        if tap >= self.taps {
            return 0;
        }
        let at = tap / 16 * 128 + channel % GROUP * 16 + tap % 16;
        byte(self.packed, self.group(channel).saturating_add(at))
    }

    /// Of `channel`, the input's zero point folded in.
    pub fn bias(&self, channel: usize) -> i32 {
        self.parameter(channel, 0)
    }

    /// Of `channel`.
    pub fn multiplier(&self, channel: usize) -> i32 {
        self.parameter(channel, 1)
    }

    /// Of `channel`.
    pub fn shift(&self, channel: usize) -> i8 {
        let bias = Mode::of(self.packed).map_or(0, Mode::shift_bias);
        self.parameter(channel, 2).wrapping_sub(bias) as i8
    }
}
