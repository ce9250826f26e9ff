//! AVERAGE_POOL_2D and MAX_POOL_2D: four channels at a time.

use core::cell::Cell;

use crate::kernels::reference::Window;
use crate::kernels::reference::average_pool_2d::{
    AveragePool2d, average_pool_2d as plain_average, rounded_mean,
};
use crate::kernels::reference::max_pool_2d::{MaxPool2d, max_pool_2d as plain_max};
use crate::kernels::reference::requantise::limit;

/// The channels of a step.
const CHANNELS: usize = 4;

/// As the reference kernel, of the same conditions and overlaps.
pub fn average_pool_2d(settings: &AveragePool2d, input: &[Cell<i8>], output: &[Cell<i8>]) {
    let window = &settings.window;
    if window.dilation != [1, 1] {
        return plain_average(settings, input, output);
    }
    each(
        window,
        input,
        output,
        0,
        i32::wrapping_add,
        |sum, count, y| {
            if let Some(mean) = rounded_mean(sum, count) {
                y.set(limit(mean, settings.min, settings.max));
            }
        },
    );
}

/// As the reference kernel, of the same conditions and overlaps.
pub fn max_pool_2d(settings: &MaxPool2d, input: &[Cell<i8>], output: &[Cell<i8>]) {
    let window = &settings.window;
    if window.dilation != [1, 1] {
        return plain_max(settings, input, output);
    }
    each(
        window,
        input,
        output,
        i8::MIN.into(),
        i32::max,
        |greatest, _, y| {
            y.set(limit(greatest, settings.min, settings.max));
        },
    );
}

/// Part of an axis: first input, number of inputs under the window for output `at`.
fn clip(at: usize, axis: [usize; 4]) -> [usize; 2] {
    let [input, kernel, stride, padding] = axis;
    let start = at.wrapping_mul(stride).wrapping_sub(padding);
    let end = start
        .wrapping_add(kernel)
        .cast_signed()
        .max(0)
        .cast_unsigned()
        .min(input);
    let start = start.cast_signed().max(0).cast_unsigned();
    [start, end.saturating_sub(start)]
}

/// Combines the inputs under each position of the window, channel by channel, from `start` on, and
/// gives the result and the number of inputs to `write`.
#[inline]
fn each(
    window: &Window,
    input: &[Cell<i8>],
    output: &[Cell<i8>],
    start: i32,
    combine: impl Fn(i32, i32) -> i32,
    write: impl Fn(i32, i32, &Cell<i8>),
) {
    let ([in_height, in_width, depth], [height, width, channels]) = (window.input, window.output);
    let ([rows, columns], [stride_y, stride_x]) = (window.kernel, window.stride);
    let [padding_y, padding_x] = window.padding;
    if channels == 0 {
        return;
    }
    let mut pixels = output.chunks_exact(channels);
    for y in 0..height {
        let [top, rows] = clip(y, [in_height, rows, stride_y, padding_y]);
        for x in 0..width {
            let [left, columns] = clip(x, [in_width, columns, stride_x, padding_x]);
            let Some(pixel) = pixels.next() else { return };
            let count = rows.wrapping_mul(columns) as i32;
            let first = top
                .wrapping_mul(in_width)
                .wrapping_add(left)
                .wrapping_mul(depth);
            let mut channel = first;
            for outputs in pixel.chunks(CHANNELS) {
                let mut values = [start; CHANNELS];
                let mut line = channel;
                for _ in 0..rows {
                    let mut at = line;
                    for _ in 0..columns {
                        let here = input.get(at..).unwrap_or_default();
                        match here.first_chunk::<CHANNELS>() {
                            Some(x) => {
                                for (value, x) in values.iter_mut().zip(x) {
                                    *value = combine(*value, x.get().into());
                                }
                            }
                            // The last channels of the last pixel.
                            None => {
                                for (value, x) in values.iter_mut().zip(here) {
                                    *value = combine(*value, x.get().into());
                                }
                            }
                        }
                        at = at.wrapping_add(depth);
                    }
                    line = line.wrapping_add(in_width.wrapping_mul(depth));
                }
                for (value, y) in values.iter().zip(outputs) {
                    write(*value, count, y);
                }
                channel = channel.wrapping_add(CHANNELS);
            }
        }
    }
}
