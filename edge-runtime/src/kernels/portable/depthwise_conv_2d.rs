//! DEPTHWISE_CONV_2D.

use core::cell::Cell;

use zerocopy::FromBytes;

use super::gather::Gather;
use super::requantise::Finish;
use crate::kernels::layer::Layer;
use crate::kernels::reference::Window;
use crate::kernels::reference::table::run_depthwise;
use crate::kernels::reference::weights::Canonical;

/// Taps of a 3x3 window.
const NINE: usize = 9;

/// Bytes of scratch of [`depthwise_conv_2d`]: the input under one position of the window.
pub const fn scratch_len(window: &Window) -> usize {
    let ([rows, columns], [_, _, depth]) = (window.kernel, window.input);
    rows.wrapping_mul(columns).wrapping_mul(depth)
}

/// The weights of packing [`crate::format::packing::DEPTHWISE_CHANNELS`], `[output channel][tap]`, as the
/// plain decoder reads them.
pub(crate) fn by_channel<'a>(layer: &Layer<'a>) -> Canonical<'a> {
    let [rows, columns] = layer.window.kernel;
    Canonical {
        weights: <[i8]>::ref_from_bytes(layer.weights).unwrap_or_default(),
        taps: rows.wrapping_mul(columns),
        bias: layer.bias,
        multipliers: layer.multipliers,
        shifts: layer.shifts,
    }
}

/// A depthwise convolution with weights `[output channel][tap]`: any window, stride, padding,
/// dilation, multiplier and rounding mode; 3x3 with one output for each input channel is fast.
///
/// Each output pixel is computed whole and reads only what lies under its window, or a copy of it
/// where that reaches over the edge, so the raster rule holds. With less scratch than
/// [`scratch_len`] the layer runs by the plain decoder.
pub fn depthwise_conv_2d(layer: &Layer<'_>) {
    let window = &layer.window;
    let ([_, _, depth], [height, width, channels]) = (window.input, window.output);
    let patch = layer.scratch.get(..scratch_len(window));
    let multiplier = channels.checked_div(depth).unwrap_or(0);
    let (Some(patch), true) = (patch, multiplier > 0) else {
        return run_depthwise(layer, by_channel);
    };
    let finish = Finish::new(layer);
    let nine = window.kernel == [3, 3] && multiplier == 1 && channels == depth;
    let weights = by_channel(layer);
    let gather = Gather::new(window, layer.pad, layer.input);
    let line = depth.wrapping_mul(3);
    #[cfg(all(target_arch = "arm", feature = "thumb2"))]
    let fast = super::thumb2_depthwise::Nine::new(&finish, &weights, depth).filter(|_| nine);
    let mut pixels = layer.output.chunks_exact(channels);
    for y in 0..height {
        for x in 0..width {
            let Some(pixel) = pixels.next() else { return };
            if nine {
                let rows = match gather.start([y, x]) {
                    Some(start) => rows_from(layer.input, start, gather.step(), line),
                    None => rows_at_edge(layer, [y, x], patch),
                };
                #[cfg(all(target_arch = "arm", feature = "thumb2"))]
                if fast.as_ref().is_some_and(|fast| fast.run(rows, pixel)) {
                    continue;
                }
                run_nine(&weights, &finish, rows, depth, pixel);
            } else {
                for row in 0..window.kernel.first().copied().unwrap_or(0) {
                    copy_row(layer, [y, x], row, patch);
                }
                run_taps(&weights, &finish, patch, [depth, multiplier], pixel);
            }
        }
    }
}

/// `at * stride + tap * dilation - padding` on one axis, if that is inside; a loaded image has 16
/// bits for each.
fn inside(layer: &Layer<'_>, axis: usize, at: usize, tap: usize) -> Option<usize> {
    let window = &layer.window;
    let of = |pair: &[usize]| pair.get(axis).copied().unwrap_or(0);
    let start = at.wrapping_mul(of(&window.stride));
    let place = start.wrapping_add(tap.wrapping_mul(of(&window.dilation)));
    let place = place.wrapping_sub(of(&window.padding));
    (place < of(&window.input)).then_some(place)
}

/// Copies the input under one row of the window, with the padding, to where the patch has it.
fn copy_row(layer: &Layer<'_>, [y, x]: [usize; 2], tap: usize, patch: &[Cell<i8>]) {
    let ([_, width, depth], [_, columns]) = (layer.window.input, layer.window.kernel);
    let line = columns.wrapping_mul(depth);
    let Some(to) = patch.get(tap.wrapping_mul(line)..) else {
        return;
    };
    let row = inside(layer, 0, y, tap);
    for (column, to) in (0..columns).zip(to.chunks_exact(depth.max(1))) {
        let place = row.zip(inside(layer, 1, x, column));
        let start = place.map(|(row, column)| {
            row.wrapping_mul(width)
                .wrapping_add(column)
                .wrapping_mul(depth)
        });
        let from = start.and_then(|start| layer.input.get(start..start.wrapping_add(depth)));
        match from {
            Some(from) => copy(from, to),
            None => to.iter().for_each(|to| to.set(layer.pad)),
        }
    }
}

fn copy(from: &[Cell<i8>], to: &[Cell<i8>]) {
    let ((from, few_from), (to, few_to)) = (from.as_chunks::<4>(), to.as_chunks::<4>());
    for ([a, b, c, d], [e, f, g, h]) in from.iter().zip(to) {
        e.set(a.get());
        f.set(b.get());
        g.set(c.get());
        h.set(d.get());
    }
    for (from, to) in few_from.iter().zip(few_to) {
        to.set(from.get());
    }
}

/// The three rows of three pixels under a window that lies inside.
#[inline]
fn rows_from(input: &[Cell<i8>], start: usize, step: usize, line: usize) -> [&[Cell<i8>]; 3] {
    [0, step, step.wrapping_mul(2)].map(|on| {
        let start = start.wrapping_add(on);
        input
            .get(start..start.wrapping_add(line))
            .unwrap_or_default()
    })
}

/// The three rows of three pixels under any window: the input's own where it has all of one, else
/// copies with the padding.
#[inline(never)]
fn rows_at_edge<'a>(
    layer: &Layer<'a>,
    [y, x]: [usize; 2],
    patch: &'a [Cell<i8>],
) -> [&'a [Cell<i8>]; 3] {
    let [_, width, depth] = layer.window.input;
    let line = depth.wrapping_mul(3);
    let across = inside(layer, 1, x, 0).filter(|_| {
        let [_, dilation] = layer.window.dilation;
        dilation == 1 && inside(layer, 1, x, 2).is_some()
    });
    [0, 1, 2].map(|tap| {
        let direct = across.and_then(|column| {
            let row = inside(layer, 0, y, tap)?;
            let start = row
                .wrapping_mul(width)
                .wrapping_add(column)
                .wrapping_mul(depth);
            layer.input.get(start..start.wrapping_add(line))
        });
        direct.unwrap_or_else(|| {
            copy_row(layer, [y, x], tap, patch);
            let start = line.wrapping_mul(tap);
            patch
                .get(start..start.wrapping_add(line))
                .unwrap_or_default()
        })
    })
}

fn three_pixels(row: &[Cell<i8>], depth: usize) -> Option<[&[Cell<i8>]; 3]> {
    let (first, rest) = row.split_at_checked(depth)?;
    let (second, third) = rest.split_at_checked(depth)?;
    Some([first, second, third])
}

fn run_nine(
    weights: &Canonical<'_>,
    finish: &Finish<'_>,
    rows: [&[Cell<i8>]; 3],
    depth: usize,
    pixel: &[Cell<i8>],
) {
    let [top, middle, bottom] = rows.map(|row| three_pixels(row, depth));
    let (Some([a, b, c]), Some([d, e, f]), Some([g, h, i])) = (top, middle, bottom) else {
        return;
    };
    let (taps, _) = weights.weights.as_chunks::<NINE>();
    let x = a
        .iter()
        .zip(b)
        .zip(c)
        .zip(d)
        .zip(e)
        .zip(f)
        .zip(g)
        .zip(h)
        .zip(i);
    let channels = taps.iter().zip(weights.bias).zip(x).zip(pixel).enumerate();
    for (channel, (((taps, bias), x), y)) in channels {
        let ((((((((a, b), c), d), e), f), g), h), i) = x;
        let x = [a, b, c, d, e, f, g, h, i];
        let sum = taps.iter().zip(x).fold(*bias, |sum, (w, x)| {
            sum.wrapping_add(i32::from(*w).wrapping_mul(x.get().into()))
        });
        finish.write(channel, &[sum], core::slice::from_ref(y));
    }
}

fn run_taps(
    weights: &Canonical<'_>,
    finish: &Finish<'_>,
    patch: &[Cell<i8>],
    [depth, multiplier]: [usize; 2],
    pixel: &[Cell<i8>],
) {
    let channels = weights
        .weights
        .chunks_exact(weights.taps.max(1))
        .zip(weights.bias);
    for (channel, ((taps, bias), y)) in channels.zip(pixel).enumerate() {
        let from = channel.checked_div(multiplier).unwrap_or(0);
        let x = patch
            .get(from..)
            .unwrap_or_default()
            .iter()
            .step_by(depth.max(1));
        let sum = taps.iter().zip(x).fold(*bias, |sum, (w, x)| {
            sum.wrapping_add(i32::from(*w).wrapping_mul(x.get().into()))
        });
        finish.write(channel, &[sum], core::slice::from_ref(y));
    }
}
