//! Packing for `mve::conv_3x3`: pairs of output channels of a 3x3 window on a multiple of 16 input
//! channels, their parameters inline.
//!
//! ```text
//! header                                         16 bytes, see `mve`
//! for each pair of output channels:
//!   for each 16 input channels, for each row and each column of the window:
//!     16 weights of the first output channel, 16 of the second
//!   bias, multiplier, shift of the first channel; the same of the second     6 words
//! ```

use super::mve::{HEADER, Mode, byte, word};

/// Bytes of a layer of `channels` outputs (an even number) on `inputs` channels.
pub const fn packed_len(inputs: usize, channels: usize) -> usize {
    let pair = inputs.saturating_mul(18).saturating_add(24);
    (channels / 2).saturating_mul(pair).saturating_add(HEADER)
}

/// A packed layer.
#[derive(Clone, Copy, Debug)]
pub struct MveDirect<'a> {
    /// All of it.
    pub packed: &'a [u8],
    /// Channels of the input, a multiple of 16.
    pub inputs: usize,
}

impl MveDirect<'_> {
    fn pair(&self, channel: usize) -> usize {
        let pair = self.inputs.saturating_mul(18).saturating_add(24);
        (channel / 2).saturating_mul(pair).saturating_add(HEADER)
    }

    fn parameter(&self, channel: usize, index: usize) -> i32 {
        let at = self
            .pair(channel)
            .saturating_add(self.inputs.saturating_mul(18))
            .saturating_add((channel % 2 * 3 + index) * 4);
        word(self.packed, at)
    }

    /// Weight of `channel` for tap `(3 * ky + kx) * inputs + c`; zero where there is none.
    pub fn weight(&self, channel: usize, tap: usize) -> i32 {
        let inputs = self.inputs.max(1);
        let (Some(position), Some(input)) = (tap.checked_div(inputs), tap.checked_rem(inputs))
        else {
            return 0;
        };
        if position >= 9 {
            return 0;
        }
        let at = (input / 16 * 9 + position) * 32 + channel % 2 * 16 + input % 16;
        byte(self.packed, self.pair(channel).saturating_add(at))
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
