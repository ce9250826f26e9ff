//! What scales and zero points become: multipliers and shifts, biases with the zero point folded in.

use crate::graph::{OperatorKind, RoundingMode, Tensor, Weights};

/// Multiplier and shift of one output channel, as `edge_runtime::format::rounding` reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// Below 2^31, never negative.
    pub value: i32,
    /// See the rounding mode.
    pub shift: i8,
}

/// The real number that turns an accumulator of `channel` into steps of the output:
/// `input scale * weight scale / output scale`, in f64.
///
/// A fully connected layer with one scale for all channels multiplies the first two in f32, as
/// TFLite does there and nowhere else.
pub fn real_multiplier(
    kind: &OperatorKind,
    weights: &Weights,
    channel: usize,
    input: &Tensor,
    output: &Tensor,
) -> f64 {
    let scale = weights.scale(channel);
    let whole_layer = weights.scales.len() == 1;
    let product = match kind {
        OperatorKind::FullyConnected { .. } if whole_layer => f64::from(input.scale * scale),
        _ => f64::from(input.scale) * f64::from(scale),
    };
    product / f64::from(output.scale)
}

/// `real` as multiplier and shift for a rounding mode.
///
/// - `Double`, `Single`: `real = value * 2^(shift - 31)` with `value` in 2^30..2^31, TFLite's
///   QuantizeMultiplier. Below about 2^-32 it becomes zero, as there; 2^30 and above is `None`.
/// - `High32`: `value = round(2^(32 - shift) * real)` with the smallest shift of 0..=7 that keeps
///   it below 2^31; `None` from 64 on.
///
/// `None` also for what is not a normal number above zero.
pub fn multiplier(real: f64, rounding: RoundingMode) -> Option<Multiplier> {
    if !real.is_normal() || real < 0.0 {
        return None;
    }
    match rounding {
        RoundingMode::Double | RoundingMode::Single => quantise_multiplier(real),
        RoundingMode::High32 => high_32(real),
    }
}

fn quantise_multiplier(real: f64) -> Option<Multiplier> {
    let (fraction, mut shift) = split(real);
    let mut value = (fraction * 2f64.powi(31)).round() as i64;
    if value == 1 << 31 {
        value /= 2;
        shift += 1;
    }
    if shift < -31 {
        return Some(Multiplier { value: 0, shift: 0 });
    }
    let shift = i8::try_from(shift).ok().filter(|&s| s <= 30)?;
    Some(Multiplier {
        value: i32::try_from(value).ok()?,
        shift,
    })
}

/// `real = fraction * 2^exponent` with the fraction in 0.5..1; C's `frexp`, for normal numbers.
fn split(real: f64) -> (f64, i32) {
    const EXPONENT: u64 = 0x7ff << 52;
    let bits = real.to_bits();
    let exponent = ((bits & EXPONENT) >> 52) as i32 - 1022;
    (f64::from_bits((bits & !EXPONENT) | (1022 << 52)), exponent)
}

fn high_32(real: f64) -> Option<Multiplier> {
    (0..=7i8).find_map(|shift| {
        let value = (real * 2f64.powi(32 - i32::from(shift))).round();
        (value < 2f64.powi(31)).then_some(Multiplier {
            value: value as i32,
            shift,
        })
    })
}

/// Parameters of softmax for an input scale and beta, as TFLite prepares them: multiplier, left
/// shift, smallest difference that still counts, 0, 0.
///
/// `None` for a scale so small that TFLite refuses it (at or below 2^-26).
pub fn softmax_parameters(input_scale: f32, beta: f32) -> Option<[i32; 5]> {
    /// Integer bits of the scaled differences.
    const INTEGER_BITS: i32 = 5;
    let real = f64::from(beta) * f64::from(input_scale) * 2f64.powi(31 - INTEGER_BITS);
    if !real.is_finite() || real <= 1.0 {
        return None;
    }
    if real >= 2f64.powi(30) {
        // One step is 16 or more, and exp(-16) rounds to zero: only the greatest input counts.
        // TFLite gets there by a shift of 31, which leaves int32.
        return Some([i32::MAX, 30, 0, 0, 0]);
    }
    let Multiplier { value, shift } = quantise_multiplier(real)?;
    let most = f64::from((1 << INTEGER_BITS) - 1) * 2f64.powi(31 - INTEGER_BITS - i32::from(shift));
    Some([value, i32::from(shift), -(most.floor() as i32), 0, 0])
}

/// `bias[o] - zero_point * sum(weights[o])` for each output channel, so that no device sums
/// weights. The products are exact in i64; [`crate::proofs`] shows that they fit i32.
pub fn folded_bias(weights: &Weights, zero_point: i32) -> Vec<i64> {
    rows(weights)
        .map(|(bias, row)| {
            let sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
            i64::from(bias) - i64::from(zero_point) * sum
        })
        .collect()
}

/// The bias and weights of each output channel.
pub(crate) fn rows(weights: &Weights) -> impl Iterator<Item = (i32, &[i8])> {
    let taps = weights.values.len() / weights.bias.len().max(1);
    // `chunks(0)` panics; a graph that passed its check has at least one tap.
    weights
        .bias
        .iter()
        .copied()
        .zip(weights.values.chunks(taps.max(1)))
}

#[cfg(test)]
mod tests;
