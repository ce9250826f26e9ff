//! Blocks of four output channels whose weights lie in pairs, two taps a word, for cores that
//! multiply 32 bits and no less.
//!
//! # One multiplication for two taps
//!
//! A word of weights is `w0 + 2^16 * w1`, a word of activations `x1 + 2^16 * x0`. Modulo `2^32` their
//! product is `w0 * x1 + 2^16 * (w0 * x0 + w1 * x1)`: the sum of both taps stands in the upper half,
//! above a lower half that nobody wants. With `2^15` added the lower half cannot borrow, so
//! `(product + 2^15) >> 16` is that sum exactly, as long as each half fits 16 bits with its sign.
//!
//! A *run* is the taps whose products are added before that shift. With activations of
//! `-128..=127` a run fits when its weights' magnitudes sum up to at most [`RUN_LIMIT`]: two taps fit
//! unless both weights are -128; four taps save one addition in two and fit where weights are small.
//!
//! # Layout
//!
//! Little-endian words of 32 bits. A block is one word with the taps of a run, 2 or 4, then for
//! each [`QUAD`] of taps and each of the four channels two words, the pair of taps 0 and 1 and the
//! pair of taps 2 and 3. Taps are counted as in the canonical layout; those beyond the last, and
//! channels beyond the last, have weight zero. Biases, multipliers and shifts are arrays of their
//! own.

use zerocopy::FromBytes;

use crate::kernels::layer::Layer;
use crate::kernels::reference::Window;
use crate::kernels::reference::weights::Weights;

/// Output channels of a block.
pub const CHANNELS: usize = 4;
/// Taps that are stored together.
pub const QUAD: usize = 4;
/// Words of a quad of all channels.
pub const QUAD_WORDS: usize = CHANNELS * QUAD / 2;
/// Sum of the magnitudes of a run's weights up to which its sums fit: `255 * 128 < 2^15`.
pub const RUN_LIMIT: u32 = 255;

/// Taps of an output channel; wraps.
pub const fn taps(window: &Window) -> usize {
    let ([rows, columns], [_, _, depth]) = (window.kernel, window.input);
    rows.wrapping_mul(columns).wrapping_mul(depth)
}

/// Words of a block of channels with this many taps; wraps.
pub const fn block_words(taps: usize) -> usize {
    taps.div_ceil(QUAD).wrapping_mul(QUAD_WORDS).wrapping_add(1)
}

/// Whether the taps of every run of two fit: where not, a layer cannot have this packing.
/// `weights` are canonical, `taps` for each channel.
pub fn fits(weights: &[i8], taps: usize) -> bool {
    runs_fit(weights, taps, 2)
}

/// Whether all runs of `run` taps fit; runs start over with each channel.
pub fn runs_fit(weights: &[i8], taps: usize, run: usize) -> bool {
    let sum = |run: &[i8]| run.iter().map(|w| u32::from(w.unsigned_abs())).sum::<u32>();
    let mut channels = weights.chunks(taps.max(1));
    channels.all(|channel| channel.chunks(run.max(1)).all(|run| sum(run) <= RUN_LIMIT))
}

/// Whether these bytes are blocks of `channels` channels of `taps` taps, of weights -128..=127 in
/// runs that fit: then kernel and decoder agree.
pub fn holds(bytes: &[u8], taps: usize, channels: usize) -> bool {
    let blocks = channels.div_ceil(CHANNELS);
    let words = taps.div_ceil(QUAD).checked_mul(QUAD_WORDS);
    let block = words.and_then(|words| words.checked_add(1)?.checked_mul(4));
    let Some(block) = block.filter(|block| block.checked_mul(blocks) == Some(bytes.len())) else {
        return false;
    };
    bytes.chunks_exact(block).all(|block| {
        let (words, _) = block.as_chunks::<4>();
        let mut words = words.iter().map(|word| i32::from_le_bytes(*word));
        let Some(run @ (2 | 4)) = words.next() else {
            return false;
        };
        let mut before = 0;
        words.enumerate().all(|(index, word)| {
            let (even, odd) = lanes(word);
            let range = -128..=127;
            let sum = even.unsigned_abs().wrapping_add(odd.unsigned_abs());
            // The pairs of four taps of a channel are neighbours.
            let whole = if run == 4 && !index.is_multiple_of(2) {
                sum.wrapping_add(before)
            } else {
                sum
            };
            before = sum;
            range.contains(&even) && range.contains(&odd) && whole <= RUN_LIMIT
        })
    })
}

/// Both weights of a word.
fn lanes(word: i32) -> (i32, i32) {
    let even = i32::from(word as i16);
    (even, word.wrapping_sub(even) >> 16)
}

/// The weights of a layer in this packing.
#[derive(Clone, Copy, Debug)]
pub struct PairBlocks<'a> {
    /// The packed words.
    pub words: &'a [i32],
    /// Taps of an output channel.
    pub taps: usize,
    /// One for each output channel, see [`Weights::bias`].
    pub bias: &'a [i32],
    /// One for each output channel.
    pub multipliers: &'a [i32],
    /// One for each output channel.
    pub shifts: &'a [i8],
}

impl<'a> PairBlocks<'a> {
    /// Those of a layer.
    pub fn of(layer: &Layer<'a>) -> Self {
        Self {
            words: <[i32]>::ref_from_bytes(layer.weights).unwrap_or_default(),
            taps: taps(&layer.window),
            bias: layer.bias,
            multipliers: layer.multipliers,
            shifts: layer.shifts,
        }
    }
}

impl Weights for PairBlocks<'_> {
    fn weight(&self, channel: usize, tap: usize) -> i32 {
        if tap >= self.taps {
            return 0;
        }
        let block = (channel / CHANNELS).saturating_mul(block_words(self.taps));
        let quad = (tap / QUAD).saturating_mul(QUAD_WORDS);
        let place = 1 + channel % CHANNELS * 2 + tap % QUAD / 2;
        let at = block.saturating_add(quad).saturating_add(place);
        let word = self.words.get(at).copied().unwrap_or(0);
        let (even, odd) = lanes(word);
        if tap.is_multiple_of(2) { even } else { odd }
    }

    fn bias(&self, channel: usize) -> i32 {
        self.bias.get(channel).copied().unwrap_or(0)
    }

    fn multiplier(&self, channel: usize) -> i32 {
        self.multipliers.get(channel).copied().unwrap_or(0)
    }

    fn shift(&self, channel: usize) -> i8 {
        self.shifts.get(channel).copied().unwrap_or(0)
    }
}
