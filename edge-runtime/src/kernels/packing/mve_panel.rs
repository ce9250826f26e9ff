//! Packing for `mve::conv_2d`: pairs of output channels, their parameters inline.
//!
//! ```text
//! header                                         16 bytes, see `mve`
//! for each pair of output channels (an odd last one is paired with zeros):
//!   for each chunk of 16 taps, in the order below:
//!     16 weights of the first channel, 16 of the second
//!   bias, multiplier, shift of the first channel; the same of the second     6 words
//! ```
//!
//! Taps are in the order `[ky][kx][c]`, filled up with zeros to a multiple of 16. The last chunk
//! comes first; then, from the end, blocks of 17 chunks in ascending order, and what is left.

use super::mve::{HEADER, Mode, byte, word};

/// Chunks of a block.
const BLOCK: usize = 17;

/// Bytes of a layer of `channels` outputs with `taps` weights each.
pub const fn packed_len(taps: usize, channels: usize) -> usize {
    let pair = taps.div_ceil(16).saturating_mul(32).saturating_add(24);
    channels
        .div_ceil(2)
        .saturating_mul(pair)
        .saturating_add(HEADER)
}

/// Where in its pair chunk `chunk` of `chunks` lies, counted in chunks.
pub const fn position(chunk: usize, chunks: usize) -> usize {
    let extra = chunks.saturating_sub(1);
    if chunk >= extra {
        return 0;
    }
    let rest = extra % BLOCK;
    let passes = extra / BLOCK;
    if chunk < rest {
        return 1 + passes * BLOCK + chunk;
    }
    let block = (chunk - rest) / BLOCK;
    1 + (passes - 1 - block) * BLOCK + (chunk - rest) % BLOCK
}

/// A packed layer.
#[derive(Clone, Copy, Debug)]
pub struct MvePanel<'a> {
    /// All of it.
    pub packed: &'a [u8],
    /// Weights of a channel.
    pub taps: usize,
}

impl MvePanel<'_> {
    fn chunks(&self) -> usize {
        self.taps.div_ceil(16)
    }

    fn pair(&self, channel: usize) -> usize {
        let pair = self.chunks().saturating_mul(32).saturating_add(24);
        (channel / 2).saturating_mul(pair).saturating_add(HEADER)
    }

    fn parameter(&self, channel: usize, index: usize) -> i32 {
        let at = self
            .pair(channel)
            .saturating_add(self.chunks().saturating_mul(32))
            .saturating_add((channel % 2 * 3 + index) * 4);
        word(self.packed, at)
    }

    /// Weight of `channel` for `tap`; zero where there is none.
    pub fn weight(&self, channel: usize, tap: usize) -> i32 {
        if tap >= self.taps {
            return 0;
        }
        let chunk = position(tap / 16, self.chunks());
        let at = chunk * 32 + channel % 2 * 16 + tap % 16;
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
