//! Packing for Helium kernels; the layouts are those of `edge_runtime::kernels::packing`.

use edge_runtime::kernels::packing::mve::{HEADER, Mode};
use edge_runtime::kernels::packing::mve_dense::{self, GROUP, lane};
use edge_runtime::kernels::packing::mve_depthwise_any;
use edge_runtime::kernels::packing::mve_panel;
use edge_runtime::kernels::reference::requantise::Rounding;

/// A layer's constants, one of each for every output channel.
#[derive(Clone, Copy, Debug)]
pub struct Channels<'a> {
    /// With the input's zero point folded in.
    pub bias: &'a [i32],
    /// See `format::rounding`.
    pub multipliers: &'a [i32],
    /// See `format::rounding`.
    pub shifts: &'a [i8],
}

/// What a layer does with its accumulators.
#[derive(Clone, Copy, Debug)]
pub struct Outputs {
    /// The same for all channels.
    pub rounding: Rounding,
    /// Of the output.
    pub zero_point: i32,
    /// Lowest output.
    pub min: i8,
    /// Highest output.
    pub max: i8,
}

/// The cheapest mode that gives the exact bytes.
pub fn mode(outputs: &Outputs, shifts: &[i8]) -> Mode {
    let whole = outputs.min == i8::MIN && outputs.max == i8::MAX;
    let all = |limit: i8| shifts.iter().all(|shift| *shift <= limit);
    match outputs.rounding {
        Rounding::Double if whole && outputs.zero_point == -128 && all(0) => Mode::DoubleRelu,
        Rounding::Double if whole && all(-1) => Mode::Double,
        Rounding::Double => Mode::DoubleAny,
        Rounding::Single if all(-2) => Mode::Single,
        Rounding::Single => Mode::SingleAny,
        Rounding::High32 => Mode::High32,
    }
}

/// Whether the vectors hold every accumulator of a channel: `bound` is the greatest magnitude that
/// an accumulator can reach, bias included.
pub fn exact(rounding: Rounding, shift: i8, bound: u32) -> bool {
    let left = match rounding {
        Rounding::Double | Rounding::High32 => i32::from(shift).max(0),
        Rounding::Single => (i32::from(shift) + 2).max(0),
    };
    (-31..=30).contains(&shift) && u64::from(bound) << left <= i32::MAX as u64
}

pub(super) fn header(mode: Mode) -> Vec<u8> {
    let mut packed = vec![0; HEADER];
    packed[0] = mode as u8;
    packed
}

pub(super) fn extend(packed: &mut Vec<u8>, words: impl IntoIterator<Item = i32>) {
    packed.extend(words.into_iter().flat_map(i32::to_le_bytes));
}

/// Weight of a channel for a tap; zero beyond the end.
fn weight(weights: &[i8], taps: usize, channel: usize, tap: usize) -> u8 {
    let index = channel * taps + tap;
    let inside = tap < taps && index < weights.len();
    if inside {
        weights[index].cast_unsigned()
    } else {
        0
    }
}

pub(super) fn parameters(channels: &Channels<'_>, mode: Mode, channel: usize) -> [i32; 3] {
    let at = |values: &[i32]| values.get(channel).copied().unwrap_or(0);
    let shift = channels.shifts.get(channel).copied().unwrap_or(-2);
    [
        at(channels.bias),
        at(channels.multipliers),
        i32::from(shift) + mode.shift_bias(),
    ]
}

/// Packs convolution weights `[o][ky][kx][c]` of `taps` each: `packing::mve_panel`.
pub fn panel(weights: &[i8], taps: usize, channels: &Channels<'_>, mode: Mode) -> Vec<u8> {
    let chunks = taps.div_ceil(16);
    let mut order: Vec<usize> = (0..chunks).collect();
    order.sort_by_key(|chunk| mve_panel::position(*chunk, chunks));
    let mut packed = header(mode);
    for pair in 0..channels.bias.len().div_ceil(2) {
        for chunk in &order {
            for channel in [2 * pair, 2 * pair + 1] {
                packed.extend((0..16).map(|i| weight(weights, taps, channel, chunk * 16 + i)));
            }
        }
        for channel in [2 * pair, 2 * pair + 1] {
            extend(&mut packed, parameters(channels, mode, channel));
        }
    }
    packed
}

/// Packs convolution weights `[o][ky][kx][c]` of a 3x3 window on `inputs` channels, a multiple of
/// 16, for an even number of outputs: `packing::mve_direct`.
pub fn direct(weights: &[i8], inputs: usize, channels: &Channels<'_>, mode: Mode) -> Vec<u8> {
    let taps = inputs * 9;
    let mut packed = header(mode);
    for pair in 0..channels.bias.len() / 2 {
        for block in 0..inputs / 16 {
            for position in 0..9 {
                for channel in [2 * pair, 2 * pair + 1] {
                    let first = position * inputs + block * 16;
                    packed.extend((0..16).map(|i| weight(weights, taps, channel, first + i)));
                }
            }
        }
        for channel in [2 * pair, 2 * pair + 1] {
            extend(&mut packed, parameters(channels, mode, channel));
        }
    }
    packed
}

/// Packs fully connected weights `[o][i]` of `taps` each: `packing::mve_dense`.
pub fn dense(weights: &[i8], taps: usize, channels: &Channels<'_>, mode: Mode) -> Vec<u8> {
    let mut packed = header(mode);
    for group in 0..channels.bias.len().div_ceil(GROUP) {
        for chunk in 0..taps.div_ceil(16) {
            for channel in group * GROUP..(group + 1) * GROUP {
                packed.extend((0..16).map(|i| weight(weights, taps, channel, chunk * 16 + i)));
            }
        }
        for index in 0..3 {
            let mut words = [0; mve_dense::GROUP];
            for channel in group * GROUP..(group + 1) * GROUP {
                words[lane(channel)] = parameters(channels, mode, channel)[index];
            }
            extend(&mut packed, words);
        }
    }
    packed
}

/// Packs depthwise weights `[ky][kx][o]` of any window: `packing::mve_depthwise_any`. The mode is
/// that of the rounding alone.
pub fn depthwise_any(
    weights: &[i8],
    taps: usize,
    channels: &Channels<'_>,
    rounding: Rounding,
) -> Vec<u8> {
    let count = channels.bias.len();
    let mode = match rounding {
        Rounding::Double => Mode::DoubleAny,
        Rounding::Single => Mode::SingleAny,
        Rounding::High32 => Mode::High32,
    };
    let mut packed = header(mode);
    for group in 0..count.div_ceil(mve_depthwise_any::GROUP) {
        let first = group * mve_depthwise_any::GROUP;
        let all = first..first + mve_depthwise_any::GROUP;
        for tap in 0..taps {
            packed.extend(all.clone().map(|channel| {
                match channel < count {
                    true => weights
                        .get(tap * count + channel)
                        .map_or(0, |w| w.cast_unsigned()),
                    false => 0,
                }
            }));
        }
        for index in 0..3 {
            let mut words = [0; mve_depthwise_any::GROUP];
            for channel in all.clone() {
                words[mve_depthwise_any::lane(channel)] =
                    parameters(channels, mode, channel)[index];
            }
            extend(&mut packed, words);
        }
    }
    packed
}

/// Packs depthwise weights `[ky][kx][o]` of a 3x3 window: `packing::mve_depthwise`.
pub fn depthwise(weights: &[i8], channels: &Channels<'_>, mode: Mode) -> Vec<u8> {
    let count = channels.bias.len();
    let mut packed = header(mode);
    for channel in 0..count {
        packed.extend([0; 4]);
        for kx in 0..3 {
            for ky in 0..3 {
                let index = (ky * 3 + kx) * count + channel;
                packed.push(weights.get(index).copied().unwrap_or(0).cast_unsigned());
            }
            packed.push(0);
        }
        packed.extend([0; 4]);
        extend(&mut packed, parameters(channels, mode, channel));
    }
    packed
}

#[cfg(test)]
mod tests;
