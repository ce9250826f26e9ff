//! AVERAGE_POOL_2D and MAX_POOL_2D: plain loops over a few channels at a time, which the compiler
//! turns into vectors of whatever the machine has.

use core::cell::Cell;
use core::ops::Range;

use super::rows::volume;
use crate::kernels::reference::Window;

/// Channels at a time.
const LANES: usize = 32;

/// Which pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    /// The mean, halves rounded away from zero; padding does not count. At most 65,536 elements.
    Average,
    /// The greatest value.
    Max,
}

/// Whether the slices are as long as the window says.
pub(crate) fn pool_fits(window: &Window, input: &[Cell<i8>], output: &[Cell<i8>]) -> bool {
    window.input[2] == window.output[2]
        && volume(window.input).is_some_and(|len| input.len() >= len)
        && volume(window.output).is_some_and(|len| output.len() >= len)
}

/// The positions of the input that pool `at` covers on an axis.
pub(crate) fn covered(window: &Window, axis: usize, at: usize) -> Range<usize> {
    let get = |of: [usize; 2]| of.get(axis).copied().unwrap_or(0);
    let len = window.input.get(axis).copied().unwrap_or(0);
    let start = at.saturating_mul(get(window.stride));
    let end = start.saturating_add(get(window.kernel));
    let padding = get(window.padding);
    start.saturating_sub(padding).min(len)..end.saturating_sub(padding).min(len)
}

/// Runs a pool of dilation 1, each output limited. The slices fit, see [`pool_fits`].
#[inline(always)]
pub(crate) fn pool(
    (pool, window, limits): (Pool, &Window, [i8; 2]),
    input: &[Cell<i8>],
    output: &[Cell<i8>],
) {
    let [_, width, channels] = window.output;
    if width == 0 || channels == 0 {
        return;
    }
    for (index, pixel) in output.chunks_exact(channels).enumerate() {
        let rows = covered(window, 0, index / width);
        let columns = covered(window, 1, index % width);
        for (chunk, outputs) in pixel.chunks(LANES).enumerate() {
            let at = (rows.clone(), columns.clone());
            let start = chunk * LANES;
            match (pool, outputs.first_chunk::<LANES>()) {
                (Pool::Average, Some(outputs)) => {
                    average(window, at, start, limits, input, outputs);
                }
                (Pool::Max, Some(outputs)) => max(window, at, start, limits, input, outputs),
                (Pool::Average, None) => {
                    for (channel, output) in (start..).zip(outputs) {
                        let output = core::array::from_ref(output);
                        average(window, at.clone(), channel, limits, input, output);
                    }
                }
                (Pool::Max, None) => {
                    for (channel, output) in (start..).zip(outputs) {
                        let output = core::array::from_ref(output);
                        max(window, at.clone(), channel, limits, input, output);
                    }
                }
            }
        }
    }
}

/// `N` channels of all pixels under a pool.
#[inline(always)]
fn under<const N: usize>(
    window: &Window,
    (rows, columns): (Range<usize>, Range<usize>),
    channel: usize,
    input: &[Cell<i8>],
    mut each: impl FnMut(&[Cell<i8>; N]),
) {
    let [_, width, channels] = window.input;
    for row in rows {
        for column in columns.clone() {
            // Inside the input, whose size fits.
            let at = row.wrapping_mul(width).wrapping_add(column);
            let at = at.wrapping_mul(channels).wrapping_add(channel);
            if let Some(values) = input.get(at..).and_then(<[_]>::first_chunk) {
                each(values);
            }
        }
    }
}

#[inline(always)]
fn average<const N: usize>(
    window: &Window,
    at: (Range<usize>, Range<usize>),
    channel: usize,
    [low, high]: [i8; 2],
    input: &[Cell<i8>],
    outputs: &[Cell<i8>; N],
) {
    let count = at.0.len().wrapping_mul(at.1.len()).min(1 << 16) as i32;
    let mut sums = [0_i32; N];
    under(window, at, channel, input, |values: &[Cell<i8>; N]| {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = sum.wrapping_add(value.get().into());
        }
    });
    for (output, sum) in outputs.iter().zip(sums) {
        let half = if sum > 0 { count / 2 } else { -(count / 2) };
        // In `f32`, which has vectors: a quotient of integers below 2^24 that is not whole is
        // farther from the next whole number than its rounding error. No pixel: no mean.
        let mean = if count == 0 {
            0
        } else {
            (sum.wrapping_add(half) as f32 / count as f32) as i32
        };
        output.set(mean.max(low.into()).min(high.into()) as i8);
    }
}

#[inline(always)]
fn max<const N: usize>(
    window: &Window,
    at: (Range<usize>, Range<usize>),
    channel: usize,
    [low, high]: [i8; 2],
    input: &[Cell<i8>],
    outputs: &[Cell<i8>; N],
) {
    let mut greatest = [i8::MIN; N];
    under(window, at, channel, input, |values: &[Cell<i8>; N]| {
        for (greatest, value) in greatest.iter_mut().zip(values) {
            *greatest = (*greatest).max(value.get());
        }
    });
    for (output, greatest) in outputs.iter().zip(greatest) {
        output.set(greatest.max(low).min(high));
    }
}
