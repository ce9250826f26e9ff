//! Packing for `mve::depthwise_any`: groups of 16 channels, their parameters inline.
//!
//! ```text
//! header                                         16 bytes, see `mve`; never `Mode::Single`
//! for each group of 16 channels (the last one filled up with zeros):
//!   for each tap `[ky][kx]`: 16 weights
//!   16 biases, 16 multipliers, 16 shifts: words, channels in the order
//!   0 4 8 12  2 6 10 14  1 5 9 13  3 7 11 15
//! ```

use super::mve::{HEADER, byte, word};

/// Channels of a group.
pub const GROUP: usize = 16;

/// Where in its group the parameters of a channel lie, counted in words.
pub const fn lane(channel: usize) -> usize {
    let vector = match channel % 4 {
        1 => 2,
        2 => 1,
        other => other,
    };
    vector * 4 + channel % GROUP / 4
}

/// Bytes of a layer of `channels` channels with `taps` weights each.
pub const fn packed_len(taps: usize, channels: usize) -> usize {
    let group = taps.saturating_mul(16).saturating_add(192);
    channels
        .div_ceil(GROUP)
        .saturating_mul(group)
        .saturating_add(HEADER)
}

/// A packed layer.
#[derive(Clone, Copy, Debug)]
pub struct MveDepthwiseAny<'a> {
    /// All of it.
    pub packed: &'a [u8],
    /// Weights of a channel.
    pub taps: usize,
}

impl MveDepthwiseAny<'_> {
    fn group(&self, channel: usize) -> usize {
        let group = self.taps.saturating_mul(16).saturating_add(192);
        (channel / GROUP)
            .saturating_mul(group)
            .saturating_add(HEADER)
    }

    fn parameter(&self, channel: usize, index: usize) -> i32 {
        let at = self
            .group(channel)
            .saturating_add(self.taps.saturating_mul(16))
            .saturating_add(index * 64 + lane(channel) * 4);
        word(self.packed, at)
    }

    /// Weight of `channel` for tap `ky * width + kx`; zero where there is none.
    pub fn weight(&self, channel: usize, tap: usize) -> i32 {
        if tap >= self.taps {
            return 0;
        }
        let at = tap * 16 + channel % GROUP;
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
        self.parameter(channel, 2) as i8
    }
}
