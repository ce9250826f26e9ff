//! The packings of the vector kernels on a machine without the instructions: plain loops over the
//! decoders.

use crate::kernels::layer::Layer;
use crate::kernels::packing::{depthwise_16x4, dot_16x4, rows_128, winograd_16x2};
use crate::kernels::reference::Window;

/// CONV_2D and FULLY_CONNECTED on packing [`dot_16x4`](crate::kernels::packing::dot_16x4), any
/// window, any rounding.
///
/// Reads a pixel for each channel of an output: the output must not overlap the input.
pub fn conv_2d(layer: &Layer<'_>) {
    let shape = dot_16x4::Shape::new(&layer.window);
    let [_, _, in_channels] = layer.window.input;
    each_output(layer, |channel, tap, [y, x]| {
        (0..in_channels).fold(0_i32, |sum, c| {
            let at = tap.wrapping_mul(in_channels).wrapping_add(c);
            let weight = shape.weight(layer.weights, channel, at);
            sum.wrapping_add(i32::from(weight) * read(layer, [y, x], c))
        })
    });
}

/// FULLY_CONNECTED on packing [`rows_128`], windows that it [`fits`](rows_128::fits), any rounding.
///
/// As [`conv_2d`], output and input must not overlap.
pub fn fully_connected_sparse(layer: &Layer<'_>) {
    let [_, _, inputs] = layer.window.input;
    each_output(layer, |channel, _, at| {
        (0..inputs).fold(0_i32, |sum, input| {
            let weight = rows_128::weight(&layer.window, layer.weights, channel, input);
            sum.wrapping_add(i32::from(weight) * read(layer, at, input))
        })
    });
}

/// CONV_2D on packing [`winograd_16x2`], windows that it [`fits`](winograd_16x2::fits), any rounding.
///
/// As [`conv_2d`], output and input must not overlap.
pub fn conv_2d_winograd(layer: &Layer<'_>) {
    let [_, _, in_channels] = layer.window.input;
    each_output(layer, |channel, tap, [y, x]| {
        (0..in_channels).fold(0_i32, |sum, c| {
            let at = tap.wrapping_mul(in_channels).wrapping_add(c);
            let weight = winograd_16x2::weight(&layer.window, layer.weights, channel, at);
            sum.wrapping_add(i32::from(weight) * read(layer, [y, x], c))
        })
    });
}

/// DEPTHWISE_CONV_2D on packing [`depthwise_16x4`](crate::kernels::packing::depthwise_16x4), else as
/// [`conv_2d`].
pub fn depthwise_conv_2d(layer: &Layer<'_>) {
    let shape = depthwise_16x4::Shape::new(&layer.window);
    each_output(layer, |channel, tap, at| {
        let weight = shape.weight(layer.weights, channel, tap);
        i32::from(weight) * read(layer, at, channel)
    });
}

/// The input of `channel` at a pixel, or the padding.
fn read(layer: &Layer<'_>, at: [Option<usize>; 2], channel: usize) -> i32 {
    let [height, width, channels] = layer.window.input;
    let index = match at {
        [Some(y), Some(x)] if y < height && x < width => y.checked_mul(width).and_then(|at| {
            at.checked_add(x)?
                .checked_mul(channels)?
                .checked_add(channel)
        }),
        _ => return layer.pad.into(),
    };
    let value = index.and_then(|index| layer.input.get(index));
    value.map_or(0, |value| value.get().into())
}

/// Computes every output from the sums that `sum` gives for (channel, tap, input pixel under it).
fn each_output(layer: &Layer<'_>, sum: impl Fn(usize, usize, [Option<usize>; 2]) -> i32) {
    let Window {
        output: [_, width, channels],
        kernel: [kernel_height, kernel_width],
        stride,
        padding,
        dilation,
        ..
    } = layer.window;
    if width == 0 || channels == 0 {
        return;
    }
    for (pixel, outputs) in layer.output.chunks_exact(channels).enumerate() {
        let at = [pixel / width, pixel % width];
        let under = |axis: usize, tap: usize| -> Option<usize> {
            at.get(axis)?
                .checked_mul(*stride.get(axis)?)?
                .checked_add(tap.checked_mul(*dilation.get(axis)?)?)?
                .checked_sub(*padding.get(axis)?)
        };
        for (channel, output) in outputs.iter().enumerate() {
            let parameters = (
                layer.bias.get(channel),
                layer.multipliers.get(channel),
                layer.shifts.get(channel),
            );
            let (Some(bias), Some(multiplier), Some(shift)) = parameters else {
                return;
            };
            let mut acc = *bias;
            for ky in 0..kernel_height {
                for kx in 0..kernel_width {
                    let tap = ky.wrapping_mul(kernel_width).wrapping_add(kx);
                    acc = acc.wrapping_add(sum(channel, tap, [under(0, ky), under(1, kx)]));
                }
            }
            let scaled = layer.rounding.scale(acc, *multiplier, *shift);
            let value = scaled.saturating_add(layer.zero_point);
            output.set(value.max(layer.min.into()).min(layer.max.into()) as i8);
        }
    }
}
