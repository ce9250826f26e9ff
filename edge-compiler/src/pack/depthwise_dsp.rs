//! Packing 5, see [`edge_runtime::kernels::packing::depthwise_dsp`].

use edge_runtime::kernels::packing::depthwise_dsp::{Form, HEADER};
use edge_runtime::kernels::reference::requantise::Rounding;

/// A 3x3 depthwise layer with one output for each input channel.
#[derive(Clone, Copy, Debug)]
pub struct Depthwise<'a> {
    /// `[row][column][channel]`.
    pub weights: &'a [i8],
    /// One for each channel, the input's zero point folded in.
    pub bias: &'a [i32],
    /// One for each channel.
    pub multipliers: &'a [i32],
    /// One for each channel.
    pub shifts: &'a [i8],
    /// The same for all channels.
    pub rounding: Rounding,
    /// Of the output.
    pub zero_point: i32,
    /// Lowest output after the fused activation.
    pub min: i8,
}

/// The layer in the fastest form that is exact for it, or `None`: then the general kernel runs it
/// on canonical weights.
///
/// `None` where an accumulator, or one multiplied by the power of two that the form needs, may not
/// fit `i32`; where channels are not a multiple of 4; and for [`Rounding::Double`] without a lower
/// limit at or above the zero point, where a channel has no shift to the right.
pub fn pack(layer: &Depthwise<'_>) -> Option<Vec<u8>> {
    let channels = layer.bias.len();
    if channels == 0
        || !channels.is_multiple_of(4)
        || layer.weights.len() != channels * 9
        || layer.multipliers.len() != channels
        || layer.shifts.len() != channels
    {
        return None;
    }
    [Form::Fixed, Form::Merged, Form::Ties]
        .into_iter()
        .find_map(|form| {
            let mut packed = vec![0; HEADER];
            packed[0] = form as u8;
            for channel in 0..channels {
                packed.extend_from_slice(&record(layer, channel, form)?);
            }
            Some(packed)
        })
}

fn record(layer: &Depthwise<'_>, channel: usize, form: Form) -> Option<[u8; 40]> {
    let channels = layer.bias.len();
    let taps: [i64; 9] = std::array::from_fn(|tap| layer.weights[tap * channels + channel].into());
    let (bias, multiplier) = (i64::from(layer.bias[channel]), layer.multipliers[channel]);
    let shift = layer.shifts[channel];
    let finish = finish(layer, shift, form)?;
    let scale = 1_i64 << finish.scale;
    // The greatest and least accumulator over all inputs.
    let most = taps
        .iter()
        .fold(bias, |acc, w| acc + (w * -128).max(w * 127));
    let least = taps
        .iter()
        .fold(bias, |acc, w| acc + (w * -128).min(w * 127));
    if multiplier < 0
        || i32::try_from(most * scale).is_err()
        || i32::try_from(least * scale).is_err()
    {
        return None;
    }
    let bias = i32::try_from(bias * scale).ok()?;
    let tap = |row: usize, column: usize| i16::try_from(taps[row * 3 + column] * scale).ok();
    let mut record = [0; 40];
    for column in 0..3 {
        for (half, row) in [0, 1, 1, 2].into_iter().enumerate() {
            let at = column * 8 + half * 2;
            record[at..at + 2].copy_from_slice(&tap(row, column)?.to_le_bytes());
        }
    }
    record[24..28].copy_from_slice(&bias.to_le_bytes());
    record[28..32].copy_from_slice(&multiplier.to_le_bytes());
    record[32..36].copy_from_slice(&finish.addend.to_le_bytes());
    record[36] = finish.shift;
    record[37] = finish.scale;
    record[38] = shift.cast_unsigned();
    Some(record)
}

/// The constants of a channel's requantisation.
struct Finish {
    /// Weights and bias are multiplied by 2 to this power.
    scale: u8,
    addend: i32,
    shift: u8,
}

/// Every mode is `floor((acc · 2^left · m + nudge) / 2^bits) + zero point`: of the two roundings of
/// [`Rounding::Double`], `floor((floor((p + 2^30) / 2^31) + 2^(s - 1)) / 2^s)`, the inner floor may
/// be left out. That takes halves upwards where TFLite takes negative ones downwards, which only a
/// lower limit at or above the zero point hides. With `2^extra` as a further factor such that the
/// nudge is a multiple of 2^32 it becomes an addend of the high word.
fn finish(layer: &Depthwise<'_>, shift: i8, form: Form) -> Option<Finish> {
    let zero_point = i64::from(layer.zero_point);
    let right = i32::from(shift).min(0).unsigned_abs();
    let left = i32::from(shift).max(0).unsigned_abs();
    if form == Form::Ties {
        if layer.rounding != Rounding::Double || !(1..=21).contains(&right) {
            return None;
        }
        return Some(Finish {
            scale: 1,
            addend: i32::try_from((1 << (right - 1)) + (zero_point << right)).ok()?,
            shift: right as u8,
        });
    }
    let (nudge, bits) = match layer.rounding {
        Rounding::Double if i32::from(layer.min) < layer.zero_point => return None,
        Rounding::Double if right == 0 => (1_i128 << 30, 31),
        Rounding::Double => ((1 << 30) + (1_i128 << (30 + right)), 31 + right),
        Rounding::Single => (1 << (30 + right), 31 + right),
        Rounding::High32 => (1 << 31, 32),
    };
    let extra = match form {
        Form::Fixed => (32 + Form::FIXED_SHIFT).checked_sub(bits)?,
        _ => (32_u32.saturating_sub(nudge.trailing_zeros())).max(32_u32.saturating_sub(bits)),
    };
    let right = (bits + extra).checked_sub(32)?;
    let nudge = nudge << extra;
    if nudge % (1 << 32) != 0 || right > 21 || left + extra > 15 {
        return None;
    }
    Some(Finish {
        scale: (left + extra) as u8,
        addend: i32::try_from((nudge >> 32) as i64 + (zero_point << right)).ok()?,
        shift: right as u8,
    })
}

#[cfg(test)]
mod tests;
