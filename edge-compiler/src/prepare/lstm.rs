//! UNIDIRECTIONAL_SEQUENCE_LSTM.

use super::multiplier;
use crate::scales::Multiplier;

/// Scales of the two weight tensors of a gate, one each for all channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateScales {
    /// Of the input-to-gate weights.
    pub input_weights: f32,
    /// Of the recurrent-to-gate weights.
    pub recurrent_weights: f32,
}

/// Multipliers of a gate: `[from the input, from the hidden state]`. `output_state` is the scale of
/// the hidden state's tensor. Without layer normalisation the sums are Q3.12.
pub fn gate(scales: GateScales, input: f32, output_state: f32) -> Option<[Multiplier; 2]> {
    // All in f32.
    let q3_12 = 2f32.powi(-12);
    let real = |weights: f32, activation: f32| f64::from(weights * activation / q3_12);
    Some([
        multiplier(real(scales.input_weights, input))?,
        multiplier(real(scales.recurrent_weights, output_state))?,
    ])
}

/// From output gate times tanh, Q0.30, to the output. `hidden` is the scale of the fifth
/// intermediate tensor, whose zero point the kernel uses as well.
pub fn hidden(hidden: f32) -> Option<Multiplier> {
    // In f64, then rounded to f32.
    let unit = 2f64.powi(-15);
    multiplier(f64::from((unit / f64::from(hidden) * unit) as f32))
}

/// The power of two that the cell state's scale is. `None` where it is none (LiteRT refuses it) or
/// outside -15..=-9 (LiteRT's tanh has no form for it).
pub fn cell_power(cell_state: f32) -> Option<i32> {
    let exact = f64::from(cell_state).log2();
    let power = exact.round();
    let near = (exact - power).abs() < 1e-3 && (-15.0..=-9.0).contains(&power);
    near.then_some(power as i32)
}

/// The quantised limit of the cell state; 0 for none.
pub fn cell_clip(clip: f32, cell_state: f32) -> i16 {
    if clip > 0.0 {
        // Truncates and saturates.
        (clip / cell_state) as i16
    } else {
        0
    }
}

/// `bias[o] - zero_point * sum(weights[o])` for each row of a gate's weights; an empty `bias` counts
/// as zero. Wraps, as LiteRT does.
pub fn folded_bias(weights: &[i8], columns: usize, bias: &[i32], zero_point: i32) -> Vec<i32> {
    let rows = weights.chunks_exact(columns.max(1));
    let biases = bias.iter().copied().chain(std::iter::repeat(0));
    rows.zip(biases)
        .map(|(row, bias)| {
            let sum = row.iter().map(|&w| i32::from(w)).fold(0, i32::wrapping_add);
            bias.wrapping_sub(zero_point.wrapping_mul(sum))
        })
        .collect()
}
