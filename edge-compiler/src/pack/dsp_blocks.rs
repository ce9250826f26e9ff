//! Packs weights into blocks of four channels for the Cortex-M DSP kernels. The layout is described
//! with its decoder, in [`edge_runtime::kernels::packing::dsp_blocks`].

use edge_runtime::kernels::packing::dsp_blocks::{CHANNELS, HEADER, Taps, Width, block_len};
use edge_runtime::kernels::packing::dsp_forms::{Channel, Constants, Form, Output, form};

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
pub fn pack(source: &Source<'_>, width: Width) -> Option<Vec<u8>> {
    let channels = channels(source)?;
    let form = form(width, &source.output, channels.iter().copied())?;
    if width == Width::I8 && !fits_i8(source) {
        return None;
    }
    let blocks = channels.len().div_ceil(CHANNELS);
    let len = block_len(width, form, source.taps)?;
    let mut bytes = Vec::with_capacity(HEADER + blocks * len);
    bytes.push(form.code());
    bytes.resize(HEADER, 0);
    for block in 0..blocks {
        let first = block * CHANNELS;
        let constants: Vec<Constants> = (first..first + CHANNELS)
            .map(|channel| constants(channels.get(channel), width, form, &source.output))
            .collect::<Option<_>>()?;
        match width {
            Width::I16 => push_i16(&mut bytes, source, first, &constants)?,
            Width::I8 => push_i8(&mut bytes, source, first),
        }
        push_constants(&mut bytes, form, &constants);
    }
    Some(bytes)
}

/// Each output channel with the bound of its accumulator, silenced where it never shows.
fn channels(source: &Source<'_>) -> Option<Vec<Channel>> {
    let count = source.bias.len();
    let fits = source.weights.len() == count.checked_mul(source.taps.count())?
        && source.multipliers.len() == count
        && source.shifts.len() == count
        && source.taps.count() > 0;
    if !fits {
        return None;
    }
    let rows = source.weights.chunks_exact(source.taps.count());
    let scales = source.multipliers.iter().zip(source.shifts);
    rows.zip(source.bias)
        .zip(scales)
        .map(|((row, bias), (&multiplier, &shift))| {
            let sum: u64 = row.iter().map(|w| u64::from(w.unsigned_abs())).sum();
            let bound = 128 * sum + u64::from(bias.unsigned_abs());
            let channel = Channel {
                bound: u32::try_from(bound).ok().filter(|b| *b < 1 << 31)?,
                multiplier,
                shift,
            };
            Some(channel.silenced(source.output.rounding))
        })
        .collect()
}

/// What a form stores for a channel; a channel that only fills up a block gets zeros.
fn constants(
    channel: Option<&Channel>,
    width: Width,
    form: Form,
    output: &Output,
) -> Option<Constants> {
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
        Form::Linear => channel.linear(width, output),
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
            Form::General => 4,
        };
        bytes.extend(words.iter().take(used).flat_map(|word| word.to_le_bytes()));
    }
    if form == Form::Fixed {
        bytes.extend(constants.iter().map(|each| each.left as u8));
    }
}

#[cfg(test)]
mod tests;
