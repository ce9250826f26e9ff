//! SVDF.

use super::multiplier;
use crate::scales::Multiplier;

/// Multipliers `[to the state, to the output]`. The feature biases are
/// [`super::lstm::folded_bias`] of the feature weights with the input's zero point.
pub fn svdf(
    input: f32,
    feature_weights: f32,
    state: f32,
    time_weights: f32,
    output: f32,
) -> Option<[Multiplier; 2]> {
    // All in f32.
    Some([
        multiplier(f64::from(input * feature_weights / state))?,
        multiplier(f64::from(state * time_weights / output))?,
    ])
}
