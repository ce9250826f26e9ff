//! Packing 5, see [`edge_runtime::kernels::packing::depthwise_dsp`].

use edge_runtime::kernels::packing::depthwise_dsp::{
    Channel, Form, HEADER, Shared, canonical_scale, finish, finish_canonical, record,
};
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

impl Depthwise<'_> {
    fn shared(&self) -> Shared {
        Shared {
            rounding: self.rounding,
            zero_point: self.zero_point,
            min: self.min,
        }
    }

    fn channel(&self, index: usize) -> Channel {
        let weight = |tap: usize| self.weights[tap * self.bias.len() + index];
        Channel {
            weights: [0, 3, 6].map(|row| [0, 1, 2].map(|column| weight(row + column))),
            bias: self.bias[index],
            multiplier: self.multipliers[index],
            shift: self.shifts[index],
        }
    }
}

/// The layer in the fastest form that is exact for it, or `None`: then the general kernel runs it
/// on canonical weights.
///
/// `None` where an accumulator, or one multiplied by the power of two that the form needs, may not
/// fit `i32`; where channels are not a multiple of 4; and for [`Rounding::Double`] without a lower
/// limit at or above the zero point, where a channel has no shift to the right.
pub fn pack(layer: &Depthwise<'_>) -> Option<Vec<u8>> {
    [Form::Fixed, Form::Merged, Form::Ties]
        .into_iter()
        .find_map(|form| pack_as(layer, form))
}

/// The layer on canonical weights, which the kernel packs for itself into scratch: whether that is
/// exact: as for [`pack`], which then succeeds, too, and no channel shifts to the left.
pub fn fits_canonical(layer: &Depthwise<'_>) -> bool {
    let scale = canonical_scale(&layer.shared());
    pack_as(layer, layer.shared().form()).is_some()
        && (0..layer.bias.len()).all(|index| {
            finish_canonical(&layer.shared(), layer.shifts[index]).is_some()
                && accumulator_fits(&layer.channel(index), scale)
        })
}

/// As [`pack`], in this form.
pub fn pack_as(layer: &Depthwise<'_>, form: Form) -> Option<Vec<u8>> {
    let channels = layer.bias.len();
    if channels == 0
        || !channels.is_multiple_of(4)
        || layer.weights.len() != channels * 9
        || layer.multipliers.len() != channels
        || layer.shifts.len() != channels
    {
        return None;
    }
    let mut packed = vec![0; HEADER];
    packed[0] = form as u8;
    for index in 0..channels {
        let channel = layer.channel(index);
        let scale = finish(&layer.shared(), channel.shift, form)?.scale;
        if channel.multiplier < 0 || !accumulator_fits(&channel, scale) {
            return None;
        }
        let record = record(&layer.shared(), &channel, form)?;
        packed.extend(record.iter().flat_map(|word| word.to_le_bytes()));
    }
    Some(packed)
}

/// Whether the accumulator times `2^scale` fits `i32` for all inputs.
fn accumulator_fits(channel: &Channel, scale: u8) -> bool {
    let bias = i64::from(channel.bias);
    let taps = channel.weights.iter().flatten().map(|&w| i64::from(w));
    let most = taps
        .clone()
        .fold(bias, |acc, w| acc + (w * -128).max(w * 127));
    let least = taps.fold(bias, |acc, w| acc + (w * -128).min(w * 127));
    [most, least, bias]
        .into_iter()
        .all(|acc| i32::try_from(acc << scale).is_ok())
}

#[cfg(test)]
mod tests;
