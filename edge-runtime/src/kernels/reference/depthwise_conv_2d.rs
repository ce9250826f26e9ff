//! DEPTHWISE_CONV_2D.

use core::cell::Cell;

use super::Window;
use super::requantise::Requantise;
use super::weights::Weights;

/// Settings of [`depthwise_conv_2d`].
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseConv2d<W> {
    /// Shapes, kernel, stride, padding, dilation. The output channels are a multiple of the input
    /// channels; the quotient is TFLite's depth multiplier.
    pub window: Window,
    /// What padding reads as: the zero point of the input.
    pub pad: i8,
    /// Tap `ky * kernel width + kx`.
    pub weights: W,
    /// From a sum to an output.
    pub requantise: Requantise,
}

/// Each output is `requantise(bias[o] + sum(weights[o] * raw input under the kernel))`, where
/// output channel `o` sees input channel `o / depth multiplier` alone.
///
/// `input` is `[height][width][input channel]`, `output` `[height][width][output channel]`.
pub fn depthwise_conv_2d<W: Weights>(
    settings: &DepthwiseConv2d<W>,
    input: &[Cell<i8>],
    output: &[Cell<i8>],
) {
    let DepthwiseConv2d {
        window,
        pad,
        weights,
        requantise,
    } = settings;
    let [_, _, depth] = window.input;
    let [_, _, channels] = window.output;
    let multiplier = channels.checked_div(depth).unwrap_or(0);
    if multiplier == 0 {
        return;
    }
    for (at, pixel) in window.outputs(output) {
        for (channel, y) in pixel.iter().enumerate() {
            let source = channel.checked_div(multiplier).unwrap_or(0);
            let mut acc = weights.bias(channel);
            for (index, tap) in window.taps().enumerate() {
                let under = window.pixel(input, at, tap);
                let x = under.and_then(|x| x.get(source));
                let x = x.map_or(*pad, Cell::get);
                acc = acc.wrapping_add(weights.weight(channel, index).wrapping_mul(x.into()));
            }
            y.set(requantise.apply(acc, weights.multiplier(channel), weights.shift(channel)));
        }
    }
}
