//! Where a reference kernel takes its weights from: the canonical layout here, a packed one
//! elsewhere.

use core::cell::Cell;

/// The constants of a layer, by output channel and tap.
///
/// For a convolution tap `(ky, kx, c)` has number `(ky * kernel width + kx) * input channels + c`;
/// a fully connected layer has one tap for each input; a depthwise convolution, whose output
/// channel sees one input channel, has `ky * kernel width + kx`.
///
/// What lies beyond the constants reads as zero.
pub trait Weights {
    /// One weight, -128..=127.
    fn weight(&self, channel: usize, tap: usize) -> i32;
    /// Bias with the input's zero point folded in: `bias - zero_point * sum(weights)`.
    fn bias(&self, channel: usize) -> i32;
    /// See [`crate::format::rounding`].
    fn multiplier(&self, channel: usize) -> i32;
    /// See [`crate::format::rounding`].
    fn shift(&self, channel: usize) -> i8;

    /// `acc + sum(weight(first + i) * x[i])`. Wraps.
    fn dot(&self, channel: usize, first: usize, x: &[Cell<i8>], acc: i32) -> i32 {
        (first..).zip(x).fold(acc, |acc, (tap, x)| {
            acc.wrapping_add(self.weight(channel, tap).wrapping_mul(x.get().into()))
        })
    }

    /// `acc + x * sum(weight(first..first + count))`. Wraps.
    fn dot_constant(&self, channel: usize, first: usize, count: usize, x: i8, acc: i32) -> i32 {
        (first..).take(count).fold(acc, |acc, tap| {
            acc.wrapping_add(self.weight(channel, tap).wrapping_mul(x.into()))
        })
    }
}

/// The canonical layout of convolutions and fully connected layers: `[output channel][tap]`.
#[derive(Clone, Copy, Debug)]
pub struct Canonical<'a> {
    /// `[output channel][tap]`.
    pub weights: &'a [i8],
    /// Taps of an output channel.
    pub taps: usize,
    /// One for each output channel, see [`Weights::bias`].
    pub bias: &'a [i32],
    /// One for each output channel.
    pub multipliers: &'a [i32],
    /// One for each output channel.
    pub shifts: &'a [i8],
}

impl<'a> Canonical<'a> {
    /// The weights of `channel` from tap `first` on; empty where there are none.
    fn from(&self, channel: usize, first: usize) -> &'a [i8] {
        let start = channel.saturating_mul(self.taps);
        let end = start.saturating_add(self.taps);
        let row = self.weights.get(start..end).unwrap_or_default();
        row.get(first..).unwrap_or_default()
    }
}

impl Weights for Canonical<'_> {
    fn weight(&self, channel: usize, tap: usize) -> i32 {
        self.from(channel, tap).first().map_or(0, |w| (*w).into())
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

    // Slices, so that the definition is not needlessly slow on a host.
    fn dot(&self, channel: usize, first: usize, x: &[Cell<i8>], acc: i32) -> i32 {
        let weights = self.from(channel, first);
        x.iter().zip(weights).fold(acc, |acc, (x, w)| {
            acc.wrapping_add(i32::from(x.get()) * i32::from(*w))
        })
    }

    fn dot_constant(&self, channel: usize, first: usize, count: usize, x: i8, acc: i32) -> i32 {
        let weights = self.from(channel, first).iter().take(count);
        weights.fold(acc, |acc, w| acc.wrapping_add(i32::from(x) * i32::from(*w)))
    }
}

/// The canonical layout of depthwise convolutions: `[tap][output channel]`.
#[derive(Clone, Copy, Debug)]
pub struct CanonicalDepthwise<'a> {
    /// `[tap][output channel]`.
    pub weights: &'a [i8],
    /// Output channels.
    pub channels: usize,
    /// One for each output channel, see [`Weights::bias`].
    pub bias: &'a [i32],
    /// One for each output channel.
    pub multipliers: &'a [i32],
    /// One for each output channel.
    pub shifts: &'a [i8],
}

impl Weights for CanonicalDepthwise<'_> {
    fn weight(&self, channel: usize, tap: usize) -> i32 {
        let at = tap.saturating_mul(self.channels).saturating_add(channel);
        self.weights.get(at).map_or(0, |w| (*w).into())
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
