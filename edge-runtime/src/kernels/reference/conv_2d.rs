//! CONV_2D.

use super::requantise::Requantise;
use super::{Window, dot};

/// Settings of [`conv_2d`].
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<'a> {
    /// Shapes, kernel, stride, padding, dilation.
    pub window: Window,
    /// What padding reads as: the zero point of the input.
    pub pad: i8,
    /// `[output channel][kernel row][kernel column][input channel]`.
    pub weights: &'a [i8],
    /// One per output channel, with the input's zero point folded in:
    /// `bias[o] - zero_point * sum(weights[o])`.
    pub bias: &'a [i32],
    /// Channel `o` is output channel `o`.
    pub requantise: Requantise<'a>,
}

/// Each output is `requantise(bias[o] + sum(weights[o] * raw input under the kernel))`.
///
/// `input` is `[height][width][input channel]`, `output` `[height][width][output channel]`.
pub fn conv_2d(settings: &Conv2d<'_>, input: &[i8], output: &mut [i8]) {
    let window = &settings.window;
    let [_, _, in_channels] = window.input;
    let [_, width, out_channels] = window.output;
    let [kernel_height, kernel_width] = window.kernel;
    let filter_len = kernel_height
        .saturating_mul(kernel_width)
        .saturating_mul(in_channels);
    if in_channels == 0 || out_channels == 0 || width == 0 || kernel_width == 0 || filter_len == 0 {
        return;
    }
    for (index, pixel) in output.chunks_exact_mut(out_channels).enumerate() {
        let at = [index / width, index % width];
        let filters = settings.weights.chunks_exact(filter_len);
        for (channel, ((y, filter), bias)) in
            pixel.iter_mut().zip(filters).zip(settings.bias).enumerate()
        {
            let mut acc = *bias;
            for (tap, weights) in filter.chunks_exact(in_channels).enumerate() {
                let tap = [tap / kernel_width, tap % kernel_width];
                acc = match window.pixel(input, at, tap) {
                    Some(x) => dot(acc, x, weights),
                    None => weights.iter().fold(acc, |acc, w| {
                        acc.wrapping_add(i32::from(settings.pad) * i32::from(*w))
                    }),
                };
            }
            *y = settings.requantise.apply(channel, acc);
        }
    }
}
