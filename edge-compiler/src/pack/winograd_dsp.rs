//! Packings 3 and 4, see [`edge_runtime::kernels::packing::winograd_dsp`].

use edge_runtime::kernels::packing::winograd_dsp::{Form, HEADER, Transform};
use edge_runtime::kernels::reference::requantise::Rounding;

/// A 3x3 convolution with stride 1.
#[derive(Clone, Copy, Debug)]
pub struct Convolution<'a> {
    /// `[output channel][row][column][input channel]`.
    pub weights: &'a [i8],
    /// One for each output channel, the input's zero point folded in.
    pub bias: &'a [i32],
    /// One for each output channel.
    pub multipliers: &'a [i32],
    /// One for each output channel.
    pub shifts: &'a [i8],
    /// The same for all channels.
    pub rounding: Rounding,
    /// Of the output.
    pub zero_point: i32,
    /// Lowest output after the fused activation.
    pub min: i8,
}

/// The layer transformed, or `None` where the kernel is not exact for it or does not take it.
///
/// `None` where 4 or 64 times an accumulator may not fit `i32`; where input channels are not a multiple
/// of 16 or output channels not of 4; for [`Rounding::Double`] without a lower limit at or above
/// the zero point, where a channel has no shift to the right; and where a shift to the left would
/// take the weights out of 16 bits.
pub fn pack(layer: &Convolution<'_>, transform: Transform) -> Option<Vec<u8>> {
    [Form::Merged, Form::Ties]
        .into_iter()
        .find_map(|form| pack_as(layer, transform, form))
}

/// As [`pack`], in this form.
pub fn pack_as(layer: &Convolution<'_>, transform: Transform, form: Form) -> Option<Vec<u8>> {
    let outputs = layer.bias.len();
    if outputs == 0
        || !outputs.is_multiple_of(4)
        || layer.multipliers.len() != outputs
        || layer.shifts.len() != outputs
    {
        return None;
    }
    let inputs = layer.weights.len() / outputs / 9;
    if inputs == 0 || !inputs.is_multiple_of(16) || layer.weights.len() != outputs * inputs * 9 {
        return None;
    }
    let mut packed = vec![0; HEADER];
    packed[0] = form as u8;
    for first in (0..outputs).step_by(4) {
        let records = [0, 1, 2, 3].map(|next| record(layer, transform, first + next, form));
        let side = transform.side();
        for position in 0..side * side {
            for group in (0..inputs).step_by(4) {
                for input in [group, group + 1] {
                    for (next, record) in records.iter().enumerate() {
                        let scale = 1 << record.as_ref()?.1;
                        for input in [input, input + 2] {
                            let g = |row: usize, column: usize| {
                                let tap = (first + next) * 9 + row * 3 + column;
                                i32::from(layer.weights[tap * inputs + input])
                            };
                            let u = at(transform, g, [position % side, position / side]) * scale;
                            packed.extend(i16::try_from(u).ok()?.to_le_bytes());
                        }
                    }
                }
            }
        }
        for record in records {
            packed.extend(record?.0);
        }
    }
    Some(packed)
}

/// `(G g Gᵀ)[row][column]`.
fn at(transform: Transform, g: impl Fn(usize, usize) -> i32, [row, column]: [usize; 2]) -> i32 {
    let mut sum = 0;
    for (y, vertical) in transform.g(row).into_iter().enumerate() {
        for (x, horizontal) in transform.g(column).into_iter().enumerate() {
            sum += vertical * g(y, x) * horizontal;
        }
    }
    sum
}

/// The four words of an output channel, and the power of two that its weights are multiplied by.
fn record(
    layer: &Convolution<'_>,
    transform: Transform,
    output: usize,
    form: Form,
) -> Option<([u8; 16], u8)> {
    let zero_point = i64::from(layer.zero_point);
    let (multiplier, shift) = (layer.multipliers[output], layer.shifts[output]);
    let right = i32::from(shift).min(0).unsigned_abs();
    let left = i32::from(shift).max(0).unsigned_abs();
    // See `finish` of packing 5; the factor is 4 or 64 here.
    let (addend, right) = match form {
        Form::Ties => {
            if layer.rounding != Rounding::Double || !(1..=21).contains(&right) {
                return None;
            }
            ((1 << (right - 1)) + (zero_point << right), right)
        }
        Form::Merged => {
            let (nudge, bits) = match layer.rounding {
                Rounding::Double if i64::from(layer.min) < zero_point => return None,
                Rounding::Double if right == 0 => (1_i128 << 30, 31),
                Rounding::Double => ((1 << 30) + (1_i128 << (30 + right)), 31 + right),
                Rounding::Single => (1 << (30 + right), 31 + right),
                Rounding::High32 => (1 << 31, 32),
            };
            let right = bits + transform.scale() - 32;
            if right > 21 || left > 4 {
                return None;
            }
            (
                (nudge >> (32 - transform.scale())) as i64 + (zero_point << right),
                right,
            )
        }
    };
    let taps = layer.weights.len() / layer.bias.len();
    let weights = &layer.weights[output * taps..(output + 1) * taps];
    let bias = i64::from(layer.bias[output]);
    let (mut least, mut most) = (bias, bias);
    for w in weights.iter().map(|&w| i64::from(w)) {
        most += (w * -128).max(w * 127);
        least += (w * -128).min(w * 127);
    }
    let factor = 1_i64 << (transform.scale() + left);
    if multiplier < 0
        || i32::try_from(most * factor).is_err()
        || i32::try_from(least * factor).is_err()
    {
        return None;
    }
    let mut record = [0; 16];
    record[..4].copy_from_slice(&i32::try_from(bias * factor).ok()?.to_le_bytes());
    record[4..8].copy_from_slice(&multiplier.to_le_bytes());
    record[8..12].copy_from_slice(&i32::try_from(addend).ok()?.to_le_bytes());
    record[12] = right as u8;
    record[13] = left as u8;
    record[14] = shift.cast_unsigned();
    Some((record, left as u8))
}

#[cfg(test)]
mod tests;
