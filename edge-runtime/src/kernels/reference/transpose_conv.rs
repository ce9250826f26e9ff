//! TRANSPOSE_CONV.

use core::cell::Cell;

use super::Window;
use super::requantise::Requantise;
use super::weights::Weights;

/// Settings of [`transpose_conv`].
#[derive(Clone, Copy, Debug)]
pub struct TransposeConv<W> {
    /// Shapes, kernel, stride, padding; dilation 1. Input pixel `i` adds to the outputs from
    /// `i * stride - padding` on.
    pub window: Window,
    /// What an input beside the real ones reads as: the zero point of the input.
    pub pad: i8,
    /// Tap `(ky * kernel width + kx) * input channels + c`, weights OHWI.
    pub weights: W,
    /// From a sum to an output.
    pub requantise: Requantise,
}

/// Each output is `requantise(bias[o] + sum(weights[o] * raw input))`, where tap `(ky, kx)` of output
/// `(y, x)` sees input `((y + padding - ky) / stride, (x + padding - kx) / stride)` if those divide
/// evenly and lie within the input, and the zero point otherwise.
///
/// `input` is `[height][width][input channel]`, `output` `[height][width][output channel]`.
pub fn transpose_conv<W: Weights>(
    settings: &TransposeConv<W>,
    input: &[Cell<i8>],
    output: &[Cell<i8>],
) {
    let TransposeConv {
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
                acc = match source(window, input, at, tap) {
                    Some(x) => weights.dot(channel, first, x, acc),
                    None => weights.dot_constant(channel, first, depth, *pad, acc),
                };
            }
            y.set(requantise.apply(acc, weights.multiplier(channel), weights.shift(channel)));
        }
    }
}

/// The input pixel that reaches output `(y, x)` through tap `(ky, kx)`.
fn source<'a>(
    window: &Window,
    input: &'a [Cell<i8>],
    [y, x]: [usize; 2],
    [ky, kx]: [usize; 2],
) -> Option<&'a [Cell<i8>]> {
    let [height, width, channels] = window.input;
    let [stride_y, stride_x] = window.stride;
    let [padding_y, padding_x] = window.padding;
    let row = origin(y, stride_y, ky, padding_y).filter(|row| *row < height)?;
    let column = origin(x, stride_x, kx, padding_x).filter(|column| *column < width)?;
    let start = row
        .checked_mul(width)?
        .checked_add(column)?
        .checked_mul(channels)?;
    input.get(start..start.checked_add(channels)?)
}

/// `(at + padding - tap) / stride`, where that is a number of an input.
fn origin(at: usize, stride: usize, tap: usize, padding: usize) -> Option<usize> {
    let reach = at.checked_add(padding)?.checked_sub(tap)?;
    let input = reach.checked_div(stride)?;
    (input.checked_mul(stride)? == reach).then_some(input)
}
