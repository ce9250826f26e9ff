//! CONV_2D.

use core::cell::Cell;

use super::Window;
use super::requantise::Requantise;
use super::weights::Weights;

/// Settings of [`conv_2d`].
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<W> {
    /// Shapes, kernel, stride, padding, dilation.
    pub window: Window,
    /// What padding reads as: the zero point of the input.
    pub pad: i8,
    /// Tap `(ky * kernel width + kx) * input channels + c`.
    pub weights: W,
    /// From a sum to an output.
    pub requantise: Requantise,
}

/// Each output is `requantise(bias[o] + sum(weights[o] * raw input under the kernel))`.
///
/// `input` is `[height][width][input channel]`, `output` `[height][width][output channel]`.
pub fn conv_2d<W: Weights>(settings: &Conv2d<W>, input: &[Cell<i8>], output: &[Cell<i8>]) {
    let Conv2d {
        window,
        pad,
        weights,
        requantise,
    } = settings;
    let [_, _, depth] = window.input;
    for (at, pixel) in window.outputs(output) {
        for (channel, y) in pixel.iter().enumerate() {
            let mut acc = weights.bias(channel);
            for (index, tap) in window.taps().enumerate() {
                let first = index.saturating_mul(depth);
                acc = match window.pixel(input, at, tap) {
                    Some(x) => weights.dot(channel, first, x, acc),
                    None => weights.dot_constant(channel, first, depth, *pad, acc),
                };
            }
            y.set(requantise.apply(acc, weights.multiplier(channel), weights.shift(channel)));
        }
    }
}
