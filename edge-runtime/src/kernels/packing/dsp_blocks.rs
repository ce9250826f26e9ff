//! Blocks of four output channels for the Cortex-M DSP kernels, with 16-bit weights (for speed) or
//! 8-bit weights (for size).
//!
//! A stream is a header of [`HEADER`] bytes (byte 0: the [`Form`]; byte 1: the `addend` of
//! [`Form::Small`], else zero; the rest zero) and one block for
//! each four output channels, the last one filled up with channels of weight zero. All words are
//! little-endian; a block is:
//!
//! 1. four words of bias;
//! 2. for each of the [`Taps::words`] words of activations, the weights that meet it. An activation
//!    word holds two taps as `i16` lanes, in the order in which SXTB16 leaves them: taps 0 and 2 of
//!    each four of a kernel row, then taps 1 and 3 (see [`Taps::lane`]). 16 bits: four words, one a
//!    channel. 8 bits: two words, one for a pair of channels `(e, o)`; each half-word is
//!    `256 * o + e`, so SMLAD on the raw word sums `256 * O + E`, SMLAD on its SXTB16 sums `E`, and
//!    their difference is `256 * O`;
//! 3. the constants of requantisation, channel after channel, as the [`Form`] says.
//!
//! A channel whose output is the same for all inputs may be stored as any other that gives it:
//! per-channel quantisation makes dead channels with biases near `2^31`, which no fast form takes.
//!
//! 16-bit biases and weights are scaled by `2^left` (see [`super::dsp_forms::Constants::left`]); 8-bit ones are not, but
//! the bias of an odd channel is stored as `256 * odd + even`.

use super::dsp_forms::{FIXED_SHIFT, Form, LEFT};
use crate::kernels::reference::Window;
use crate::kernels::reference::requantise::Rounding;

/// Bytes before the first block.
pub const HEADER: usize = 16;
/// Output channels of a block.
pub const CHANNELS: usize = 4;

/// How wide the weights are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One channel a word, two taps.
    I16,
    /// Two channels a word, two taps.
    I8,
}

/// The taps of an output channel: rows of the kernel, each of kernel width times input channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taps {
    /// Kernel rows.
    pub rows: usize,
    /// Taps of a row.
    pub row: usize,
}

impl Taps {
    /// Those of a window.
    pub const fn of(window: &Window) -> Self {
        let [rows, columns] = window.kernel;
        let [_, _, channels] = window.input;
        Self {
            rows,
            row: columns.wrapping_mul(channels),
        }
    }

    /// All of them; wraps.
    pub const fn count(self) -> usize {
        self.rows.wrapping_mul(self.row)
    }

    /// Activation words of a row. A last group of one tap fills one word, of two or three taps
    /// two words; the lanes left over meet weights of zero.
    pub const fn row_words(self) -> usize {
        let rest = self.row % 4;
        2 * (self.row / 4) + if rest > 2 { 2 } else { rest }
    }

    /// Activation words of all rows; wraps.
    pub const fn words(self) -> usize {
        self.row_words().wrapping_mul(self.rows)
    }

    /// The activation word and the lane (0: low, 1: high) of a tap; `None` without taps.
    pub const fn lane(self, tap: usize) -> Option<(usize, usize)> {
        let (Some(row), Some(at)) = (tap.checked_div(self.row), tap.checked_rem(self.row)) else {
            return None;
        };
        let word = row.wrapping_mul(self.row_words());
        Some((word.wrapping_add(2 * (at / 4) + at % 2), at % 4 / 2))
    }
}

/// Bytes of weights of a block; `None` beyond the address space.
pub const fn weights_len(width: Width, taps: Taps) -> Option<usize> {
    let Some(words) = taps.row_words().checked_mul(taps.rows) else {
        return None;
    };
    words.checked_mul(match width {
        Width::I16 => 16,
        Width::I8 => 8,
    })
}

/// Bytes of a block; `None` beyond the address space.
pub const fn block_len(width: Width, form: Form, taps: Taps) -> Option<usize> {
    match weights_len(width, taps) {
        Some(weights) => weights.checked_add(16 + form.constants_len()),
        None => None,
    }
}

/// A stream, read back one value at a time. Slow: for tests and for the reference kernels.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    bytes: &'a [u8],
    width: Width,
    form: Form,
    taps: Taps,
    rounding: Rounding,
}

impl<'a> Blocks<'a> {
    /// `None` where the header names no form or the stream is shorter than `channels` of `taps`.
    pub fn new(
        bytes: &'a [u8],
        width: Width,
        taps: Taps,
        channels: usize,
        rounding: Rounding,
    ) -> Option<Self> {
        let form = Form::from_code(*bytes.first()?)?;
        let len = channels
            .div_ceil(CHANNELS)
            .checked_mul(block_len(width, form, taps)?)?
            .checked_add(HEADER)?;
        let fits = bytes.len() >= len && form.suits(width);
        fits.then_some(Self {
            bytes,
            width,
            form,
            taps,
            rounding,
        })
    }

    /// Its form.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The weight of a tap, counted `[kernel row][kernel column][input channel]`; 0 outside.
    pub fn weight(&self, channel: usize, tap: usize) -> i8 {
        if tap >= self.taps.count() {
            return 0;
        }
        let Some((word, lane)) = self.taps.lane(tap) else {
            return 0;
        };
        let within = channel % CHANNELS;
        match self.width {
            Width::I16 => {
                let at = 16 + 16 * word + 4 * within + 2 * lane;
                let stored = i16::from_le_bytes(self.read(channel, at));
                (stored >> self.left(channel)) as i8
            }
            Width::I8 => {
                let at = 16 + 8 * word + 4 * (within / 2) + 2 * lane;
                let stored = i16::from_le_bytes(self.read(channel, at));
                let even = stored as i8;
                if within.is_multiple_of(2) {
                    even
                } else {
                    (stored.wrapping_sub(even.into()) >> 8) as i8
                }
            }
        }
    }

    /// The bias of a channel, the input's zero point folded in.
    pub fn bias(&self, channel: usize) -> i32 {
        let within = channel % CHANNELS;
        let stored = self.word(channel, 4 * within);
        match self.width {
            Width::I16 => stored >> self.left(channel),
            Width::I8 if within.is_multiple_of(2) => stored,
            Width::I8 => stored.wrapping_sub(self.word(channel, 4 * within - 4)) >> 8,
        }
    }

    /// The multiplier of a channel.
    pub fn multiplier(&self, channel: usize) -> i32 {
        let within = channel % CHANNELS;
        let at = match self.form {
            Form::Fixed | Form::Raw => 8 * within,
            Form::Plain | Form::Linear => 12 * within,
            Form::General => 16 * within,
            Form::Small | Form::SmallLinear => 4 * (within + within / 2),
        };
        self.constant(channel, at)
    }

    /// The shift of a channel, as [`Rounding::scale`] takes it.
    pub fn shift(&self, channel: usize) -> i8 {
        let within = channel % CHANNELS;
        let one = match self.rounding {
            Rounding::High32 => 8,
            Rounding::Double | Rounding::Single => 7,
        };
        let shift = match self.form {
            Form::Fixed => self.left(channel).cast_signed() - FIXED_SHIFT.cast_signed() - 1,
            Form::Linear => -self.constant(channel, 12 * within + 8).clamp(0, 31),
            Form::Plain => one - self.constant(channel, 12 * within + 8).clamp(0, 31),
            Form::Small => one - 1 - self.small_shift(channel).clamp(0, 30),
            Form::SmallLinear => -1 - self.small_shift(channel).clamp(0, 30),
            Form::General => one - self.constant(channel, 16 * within + 8).clamp(0, 31),
            Form::Raw => self.constant(channel, 8 * within + 4),
        };
        shift as i8
    }

    /// What a small form stores as the shift.
    fn small_shift(&self, channel: usize) -> i32 {
        let all = self.constant(channel, 8).cast_unsigned();
        ((all >> (8 * (channel % CHANNELS))) & 255).cast_signed()
    }

    fn left(&self, channel: usize) -> u32 {
        match (self.width, self.form) {
            (Width::I8, _) | (_, Form::Raw) => 0,
            (_, Form::Linear) => 1,
            (_, Form::Plain | Form::General | Form::Small | Form::SmallLinear) => LEFT,
            (_, Form::Fixed) => {
                let all = self.constant(channel, 32).cast_unsigned();
                (all >> (8 * (channel % CHANNELS))) & 15
            }
        }
    }

    fn constant(&self, channel: usize, at: usize) -> i32 {
        let weights = weights_len(self.width, self.taps).unwrap_or(0);
        self.word(channel, weights.saturating_add(16).saturating_add(at))
    }

    fn word(&self, channel: usize, at: usize) -> i32 {
        i32::from_le_bytes(self.read(channel, at))
    }

    /// `N` bytes of the block of a channel; zeros outside.
    fn read<const N: usize>(&self, channel: usize, at: usize) -> [u8; N] {
        block_len(self.width, self.form, self.taps)
            .and_then(|len| len.checked_mul(channel / CHANNELS)?.checked_add(HEADER))
            .and_then(|start| self.bytes.get(start.checked_add(at)?..))
            .and_then(|bytes| bytes.first_chunk())
            .copied()
            .unwrap_or([0; N])
    }
}
