//! FULLY_CONNECTED.

use super::dot;
use super::requantise::Requantise;

/// Settings of [`fully_connected`].
#[derive(Clone, Copy, Debug)]
pub struct FullyConnected<'a> {
    /// `[output][input]`.
    pub weights: &'a [i8],
    /// One per output, with the input's zero point folded in:
    /// `bias[o] - zero_point * sum(weights[o])`.
    pub bias: &'a [i32],
    /// Channel `o` is output `o`.
    pub requantise: Requantise<'a>,
}

/// `output[o] = requantise(bias[o] + weights[o] · input)`, on the raw quantised input.
pub fn fully_connected(settings: &FullyConnected<'_>, input: &[i8], output: &mut [i8]) {
    if input.is_empty() {
        return;
    }
    let rows = settings.weights.chunks_exact(input.len());
    for (channel, ((y, row), bias)) in output.iter_mut().zip(rows).zip(settings.bias).enumerate() {
        *y = settings.requantise.apply(channel, dot(*bias, input, row));
    }
}
