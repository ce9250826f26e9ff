//! AVERAGE_POOL_2D and MAX_POOL_2D, 16 channels at a time.

use crate::kernels::reference::runs;
use core::arch::naked_asm;
use core::cell::Cell;

use super::start;
use crate::kernels::reference::Window;

/// Settings of the pools.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Shapes, pool, stride, padding; dilation 1.
    pub window: Window,
    /// Lowest output after the fused activation.
    pub min: i8,
    /// Highest output after the fused activation.
    pub max: i8,
}

/// The part of a pool that lies on the input.
#[derive(Clone, Copy)]
#[repr(C)]
struct Area {
    /// First of 16 channels.
    start: *const i8,
    rows: usize,
    columns: usize,
    /// From a column to the next.
    column_step: usize,
    /// From a row to the next.
    row_step: usize,
}

/// Adds 16 channels over an area of at most 256 pixels.
///
/// # Safety
///
/// The area can be read, 32 bytes at `sums` can be written; neither rows nor columns are zero. The
/// core has Helium and it is enabled.
#[unsafe(naked)]
unsafe extern "C" fn sum_16(area: *const Area, sums: *mut i16) {
    naked_asm!(
        r"
        .cpu cortex-m55
        push {{r4-r7, lr}}
        ldm r0, {{r2-r6}}
        // r2 start, r3 rows, r4 columns, r5 column step, r6 row step
        vmov.i32 q0, #0
        vmov.i32 q1, #0
    1:
        mov r7, r2
        dls lr, r4
    2:
        vldrb.s16 q2, [r7]
        vadd.i16 q0, q0, q2
        vldrb.s16 q3, [r7, #8]
        vadd.i16 q1, q1, q3
        add r7, r7, r5
        le lr, 2b
        add r2, r2, r6
        subs r3, r3, #1
        bne 1b
        vstrh.16 q0, [r1]
        vstrh.16 q1, [r1, #16]
        pop {{r4-r7, pc}}
        "
    )
}

/// The greatest of 16 channels over an area, limited to `min..=max`.
///
/// # Safety
///
/// The area can be read, 16 bytes at `output` can be written; neither rows nor columns are zero.
/// The core has Helium and it is enabled.
#[unsafe(naked)]
unsafe extern "C" fn max_16(area: *const Area, output: *mut i8, min: i32, max: i32) {
    naked_asm!(
        r"
        .cpu cortex-m55
        push {{r4-r9, lr}}
        ldm r0, {{r4-r8}}
        // r4 start, r5 rows, r6 columns, r7 column step, r8 row step
        vdup.8 q0, r2
        vdup.8 q2, r3
    1:
        mov r9, r4
        dls lr, r6
    2:
        vldrb.u8 q1, [r9]
        vmax.s8 q0, q0, q1
        add r9, r9, r7
        le lr, 2b
        add r4, r4, r8
        subs r5, r5, #1
        bne 1b
        vmin.s8 q0, q0, q2
        vstrb.8 q0, [r1]
        pop {{r4-r9, pc}}
        "
    )
}

impl Pool {
    /// Whether the lengths are those of the shapes, and no window is dilated.
    fn fits(&self, input: &[Cell<i8>], output: &[Cell<i8>]) -> bool {
        let fits = |len: usize, [a, b, c]: [usize; 3]| {
            a.checked_mul(b).and_then(|ab| ab.checked_mul(c)) == Some(len) && len != 0
        };
        let window = &self.window;
        fits(input.len(), window.input)
            && fits(output.len(), window.output)
            && window.input[2] == window.output[2]
            && window.dilation == [1, 1]
    }

    /// The part of the pool of output `(y, x)` that lies on the input; `None` where nothing does.
    fn area(&self, input: &[Cell<i8>], y: usize, x: usize) -> Option<Area> {
        let window = &self.window;
        let [_, width, channels] = window.input;
        let axis = |at: usize, i: usize| {
            let first = at.checked_mul(*window.stride.get(i)?)?;
            let padding = *window.padding.get(i)?;
            let end = first
                .checked_add(*window.kernel.get(i)?)?
                .saturating_sub(padding)
                .min(*window.input.get(i)?);
            let first = first.saturating_sub(padding);
            Some((first, end.checked_sub(first).filter(|len| *len != 0)?))
        };
        let (top, rows) = axis(y, 0)?;
        let (left, columns) = axis(x, 1)?;
        Some(Area {
            start: start(input).wrapping_add((top * width + left) * channels),
            rows,
            columns,
            column_step: channels,
            row_step: width * channels,
        })
    }
}

/// The mean of each channel under the pool, halves away from zero, limited to `min..=max`; padding
/// does not count. `input` and `output` are `[height][width][channel]`.
///
/// An output without any input under it stays as it was.
pub fn average_pool_2d_i8_x16(pool: &Pool, input: &[Cell<i8>], output: &[Cell<i8>]) {
    if !pool.fits(input, output) {
        return;
    }
    let [_, width, channels] = pool.window.output;
    for (index, pixel) in runs(output, channels).enumerate() {
        let (y, x) = (index / width.max(1), index % width.max(1));
        let Some(area) = pool.area(input, y, x) else {
            continue;
        };
        let count = area.rows.saturating_mul(area.columns);
        let mut from = area.start;
        for group in pixel.chunks(16) {
            let mut sums = [0_i16; 16];
            let area = Area {
                start: from,
                ..area
            };
            if group.len() == 16 && count <= 256 {
                // SAFETY: the area lies on the input, 16 channels of it from `from` on.
                unsafe { sum_16(&raw const area, sums.as_mut_ptr()) };
                for (y, sum) in group.iter().zip(sums) {
                    y.set(mean(pool, sum.into(), count as i32));
                }
            } else {
                let offset = from.addr().wrapping_sub(start(input).addr());
                for (channel, y) in group.iter().enumerate() {
                    let sum = values(&area, input, offset + channel)
                        .fold(0_i32, |sum, x| sum.wrapping_add(x.into()));
                    y.set(mean(pool, sum, count as i32));
                }
            }
            from = from.wrapping_add(16);
        }
    }
}

/// `sum / count`, halves away from zero, limited.
fn mean(pool: &Pool, sum: i32, count: i32) -> i8 {
    let half = if sum > 0 { count / 2 } else { -(count / 2) };
    let mean = sum.wrapping_add(half).checked_div(count).unwrap_or(0);
    mean.max(pool.min.into()).min(pool.max.into()) as i8
}

/// One channel over an area, whose first value is `input[offset]`.
fn values<'a>(
    area: &Area,
    input: &'a [Cell<i8>],
    offset: usize,
) -> impl Iterator<Item = i8> + use<'a> {
    let Area {
        rows,
        columns,
        column_step,
        row_step,
        ..
    } = *area;
    (0..rows).flat_map(move |row| {
        (0..columns).filter_map(move |column| {
            let at = offset + row * row_step + column * column_step;
            input.get(at).map(Cell::get)
        })
    })
}

/// The greatest value of each channel under the pool, limited to `min..=max`; padding does not
/// count. `input` and `output` are `[height][width][channel]`.
pub fn max_pool_2d_i8_x16(pool: &Pool, input: &[Cell<i8>], output: &[Cell<i8>]) {
    if !pool.fits(input, output) {
        return;
    }
    let [_, width, channels] = pool.window.output;
    for (index, pixel) in runs(output, channels).enumerate() {
        let (y, x) = (index / width.max(1), index % width.max(1));
        let Some(area) = pool.area(input, y, x) else {
            pixel.iter().for_each(|y| y.set(pool.min));
            continue;
        };
        let mut from = area.start;
        for group in pixel.chunks(16) {
            let area = Area {
                start: from,
                ..area
            };
            if group.len() == 16 {
                let (min, max) = (pool.min.into(), pool.max.into());
                // SAFETY: the area lies on the input, 16 channels of it from `from` on.
                unsafe { max_16(&raw const area, start(group), min, max) };
            } else {
                let offset = from.addr().wrapping_sub(start(input).addr());
                for (channel, y) in group.iter().enumerate() {
                    let greatest = values(&area, input, offset + channel).max();
                    let greatest = greatest.unwrap_or(i8::MIN);
                    y.set(greatest.max(pool.min).min(pool.max));
                }
            }
            from = from.wrapping_add(16);
        }
    }
}
