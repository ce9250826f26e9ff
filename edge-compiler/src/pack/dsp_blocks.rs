//! Packs weights into blocks of four channels for the Cortex-M DSP kernels. The layout is described
//! with its decoder, in [`edge_runtime::kernels::packing::dsp_blocks`].

use edge_runtime::kernels::packing::dsp_blocks::{CHANNELS, HEADER, Taps, Width, block_len};
use edge_runtime::kernels::packing::dsp_forms::{Channel, Constants, Form, Output, form};
use edge_runtime::kernels::reference::requantise::{Requantise, Rounding};

/// A layer before packing.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// `[output channel][kernel row][kernel column][input channel]`.
    pub weights: &'a [i8],
    /// Taps of one output channel.
    pub taps: Taps,
    /// One for each output channel, the input's zero point folded in.
    pub bias: &'a [i32],
    /// One for each output channel.
    pub multipliers: &'a [i32],
    /// One for each output channel.
    pub shifts: &'a [i8],
    /// Rounding, zero point and clamp.
    pub output: Output,
}

/// Whether 8-bit blocks can hold the weights: in each half-word the odd channel's weight takes a
/// borrow from a negative even one, so it must not be -128 there. No other weights are refused.
pub fn fits_i8(source: &Source<'_>) -> bool {
    (0..source.bias.len()).step_by(2).all(|even| {
        (0..source.taps.count()).all(|tap| i8::try_from(borrowed(source, even, Some(tap))).is_ok())
    })
}

/// The stream for the layer; `None` where lengths do not fit together or where the width cannot
/// hold it exactly: [`fits_i8`] and [`form`] say when.
///
/// Channels that are [`constant`] are stored with weights of zero.
pub fn pack(source: &Source<'_>, width: Width) -> Option<Vec<u8>> {
    let settled = Settled::new(source)?;
    let source = &settled.source(source);
    let channels = channels(source)?;
    let form = form(width, &source.output, channels.iter().copied())?;
    if width == Width::I8 && !fits_i8(source) {
        return None;
    }
    let blocks = channels.len().div_ceil(CHANNELS);
    let len = block_len(width, form, source.taps)?;
    let mut bytes = Vec::with_capacity(HEADER + blocks * len);
    bytes.push(form.code());
    if form == Form::Small {
        let first = channels.first()?.small(&source.output)?;
        bytes.push(u8::try_from(first.addend).ok()?);
    }
    bytes.resize(HEADER, 0);
    for block in 0..blocks {
        let first = block * CHANNELS;
        let constants: Vec<Constants> = (first..first + CHANNELS)
            .map(|channel| constants(channels.get(channel), form, &source.output))
            .collect::<Option<_>>()?;
        match width {
            Width::I16 => push_i16(&mut bytes, source, first, &constants)?,
            Width::I8 => push_i8(&mut bytes, source, first),
        }
        push_constants(&mut bytes, form, &constants);
    }
    Some(bytes)
}

/// The least and the greatest accumulator of a channel, over all inputs.
fn extremes(source: &Source<'_>, channel: usize) -> Option<[i64; 2]> {
    let taps = source.taps.count();
    let row = source
        .weights
        .get(channel.checked_mul(taps)?..)?
        .get(..taps)?;
    let bias = i64::from(*source.bias.get(channel)?);
    let products = row
        .iter()
        .map(|&w| [i64::from(w) * -128, i64::from(w) * 127]);
    let low: i64 = products.clone().map(|[a, b]| a.min(b)).sum();
    let high: i64 = products.map(|[a, b]| a.max(b)).sum();
    Some([bias + low, bias + high])
}

/// The only output of a channel, if it has but one: requantisation is monotonic, so the least and
/// the greatest accumulator decide. Dead channels of per-channel quantised models are so: their
/// weights move the output by less than a rounding step.
pub fn constant(source: &Source<'_>, channel: usize) -> Option<i8> {
    let (&multiplier, &shift) = (
        source.multipliers.get(channel)?,
        source.shifts.get(channel)?,
    );
    // A shift to the left could wrap between the two.
    let monotonic = multiplier >= 0 && shift <= 0;
    let [low, high] = extremes(source, channel)?;
    let (low, high) = (i32::try_from(low).ok()?, i32::try_from(high).ok()?);
    let output = &source.output;
    let value = |acc| {
        Requantise {
            rounding: output.rounding,
            zero_point: output.zero_point,
            min: output.min,
            max: output.max,
        }
        .apply(acc, multiplier, shift)
    };
    (monotonic && value(low) == value(high)).then(|| value(low))
}

/// A layer whose constant channels have weights of zero and a bias of their own.
struct Settled {
    weights: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<i32>,
    shifts: Vec<i8>,
}

impl Settled {
    /// `None` where lengths do not fit together.
    fn new(source: &Source<'_>) -> Option<Self> {
        let (count, taps) = (source.bias.len(), source.taps.count());
        let fits = source.weights.len() == count.checked_mul(taps)?
            && source.multipliers.len() == count
            && source.shifts.len() == count
            && taps > 0;
        if !fits {
            return None;
        }
        let mut settled = Self {
            weights: source.weights.to_vec(),
            bias: source.bias.to_vec(),
            multipliers: source.multipliers.to_vec(),
            shifts: source.shifts.to_vec(),
        };
        // A product with a power of two, `bits` in all: no step of any mode rounds.
        let (shift, bits) = match source.output.rounding {
            Rounding::Double | Rounding::Single => (-8, 9),
            Rounding::High32 => (0, 2),
        };
        for channel in 0..count {
            if let Some(value) = constant(source, channel) {
                settled.weights[channel * taps..][..taps].fill(0);
                settled.bias[channel] = (i32::from(value) - source.output.zero_point) << bits;
                settled.multipliers[channel] = 1 << 30;
                settled.shifts[channel] = shift;
            }
        }
        Some(settled)
    }

    fn source<'a>(&'a self, source: &Source<'_>) -> Source<'a> {
        Source {
            weights: &self.weights,
            bias: &self.bias,
            multipliers: &self.multipliers,
            shifts: &self.shifts,
            taps: source.taps,
            output: source.output,
        }
    }
}

/// Each output channel with the bound of its accumulator.
fn channels(source: &Source<'_>) -> Option<Vec<Channel>> {
    let scales = source.multipliers.iter().zip(source.shifts);
    scales
        .enumerate()
        .map(|(channel, (&multiplier, &shift))| {
            let [low, high] = extremes(source, channel)?;
            let bound = low.unsigned_abs().max(high.unsigned_abs());
            Some(Channel {
                bound: u32::try_from(bound).ok().filter(|b| *b < 1 << 31)?,
                multiplier,
                shift,
            })
        })
        .collect()
}

/// What a form stores for a channel; a channel that only fills up a block gets zeros.
fn constants(channel: Option<&Channel>, form: Form, output: &Output) -> Option<Constants> {
    let Some(channel) = channel else {
        return Some(Constants {
            left: 1,
            multiplier: 0,
            addend: 0,
            shift: 1,
            tie: 0,
        });
    };
    match form {
        Form::Fixed => channel.fixed(output),
        Form::Linear => channel.linear(output),
        Form::Small => channel.small(output),
        Form::SmallLinear => channel.small_linear(output),
        Form::Plain | Form::General => channel.general(output),
        Form::Raw => Some(Constants {
            left: 0,
            multiplier: channel.multiplier,
            addend: i32::from(channel.shift),
            shift: 0,
            tie: 0,
        }),
    }
}

/// A weight; zero where there is no such channel or tap.
fn weight(source: &Source<'_>, channel: usize, tap: Option<usize>) -> i8 {
    let start = channel * source.taps.count();
    tap.and_then(|tap| source.weights.get(start + tap))
        .copied()
        .unwrap_or(0)
}

fn bias(source: &Source<'_>, channel: usize) -> i32 {
    source.bias.get(channel).copied().unwrap_or(0)
}

/// The taps of each word of activations, low lane first; `None` for a lane left over.
fn taps_of_words(taps: Taps) -> Vec<[Option<usize>; 2]> {
    let mut words = vec![[None; 2]; taps.words()];
    for tap in 0..taps.count() {
        if let Some((word, lane)) = taps.lane(tap) {
            words[word][lane] = Some(tap);
        }
    }
    words
}

fn push_i16(
    bytes: &mut Vec<u8>,
    source: &Source<'_>,
    first: usize,
    constants: &[Constants],
) -> Option<()> {
    for (channel, constants) in (first..).zip(constants) {
        let scaled = i64::from(bias(source, channel)) << constants.left;
        bytes.extend(i32::try_from(scaled).ok()?.to_le_bytes());
    }
    for taps in taps_of_words(source.taps) {
        for (channel, constants) in (first..).zip(constants) {
            for tap in taps {
                let scaled = i32::from(weight(source, channel, tap)) << constants.left;
                bytes.extend(i16::try_from(scaled).ok()?.to_le_bytes());
            }
        }
    }
    Some(())
}

/// The byte above an even channel's weight: the odd channel's, less what sign extension of the
/// even one adds to it.
fn borrowed(source: &Source<'_>, even: usize, tap: Option<usize>) -> i16 {
    let borrow = i16::from(weight(source, even, tap) < 0);
    i16::from(weight(source, even + 1, tap)) - borrow
}

/// Wraps, as the kernels' accumulators do; `fits_i8` was asked before.
fn push_i8(bytes: &mut Vec<u8>, source: &Source<'_>, first: usize) {
    for even in [first, first + 2] {
        let low = bias(source, even);
        let both = bias(source, even + 1).wrapping_mul(256).wrapping_add(low);
        bytes.extend(low.to_le_bytes());
        bytes.extend(both.to_le_bytes());
    }
    for taps in taps_of_words(source.taps) {
        for even in [first, first + 2] {
            for tap in taps {
                bytes.extend(weight(source, even, tap).to_le_bytes());
                bytes.push(borrowed(source, even, tap) as u8);
            }
        }
    }
}

fn push_constants(bytes: &mut Vec<u8>, form: Form, constants: &[Constants]) {
    if matches!(form, Form::Small | Form::SmallLinear) {
        let (first, second) = constants.split_at(2);
        bytes.extend(first.iter().flat_map(|each| each.multiplier.to_le_bytes()));
        bytes.extend(constants.iter().map(|each| (each.shift - 1) as u8));
        bytes.extend(second.iter().flat_map(|each| each.multiplier.to_le_bytes()));
        return;
    }
    for each in constants {
        let words = [
            each.multiplier,
            each.addend,
            each.shift.cast_signed(),
            each.tie,
        ];
        let used = match form {
            Form::Fixed | Form::Raw => 2,
            Form::Plain | Form::Linear => 3,
            _ => 4,
        };
        bytes.extend(words.iter().take(used).flat_map(|word| word.to_le_bytes()));
    }
    if form == Form::Fixed {
        bytes.extend(constants.iter().map(|each| each.left as u8));
    }
}

#[cfg(test)]
mod tests;
