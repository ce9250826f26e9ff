//! How far an operator's output may lie over its input.
//!
//! *The raster rule.* Take the output pixels in raster order. Everything that is written up to and
//! including a pixel must lie at or below the first byte of the input that this pixel or a later
//! one still needs. A kernel that works in that order and reads all of a pixel before it writes it
//! then never reads what it has overwritten.

use crate::kernels::reference::Window;

/// The least number of bytes from the start of the output up to the start of the input with which
/// the raster rule holds; negative where the output may even start behind the input. `None` for
/// a window without output pixels, with an extent beyond the 16 bits that a record has for it, or of
/// a tensor of 2^31 bytes or more.
pub fn raster_gap(window: &Window) -> Option<i64> {
    let extents = window.input.iter().chain(&window.output);
    let steps = window.stride.iter().chain(&window.padding);
    if extents.chain(steps).fold(0, |any, extent| any | extent) > 0xFFFF {
        return None;
    }
    let [in_height, in_width, in_channels] = window.input.map(|extent| extent as u32);
    let [height, width, channels] = window.output.map(|extent| extent as u32);
    let [stride_y, stride_x] = window.stride.map(|extent| extent as u32);
    let [padding_y, padding_x] = window.padding.map(|extent| extent as u32);
    let last = width.checked_sub(1)?;
    let bytes = |a: u32, b: u32, c: u32| a.checked_mul(b)?.checked_mul(c).filter(|n| *n >> 31 == 0);
    let pitch = in_width.wrapping_mul(in_channels);
    // Behind the last row nothing is needed.
    let (end, _) = (
        bytes(in_height, in_width, in_channels)?,
        bytes(height, width, channels)?,
    );
    if height == 0 {
        return None;
    }
    // Along a row the written bytes grow evenly; the needed ones rest while the window is on the
    // padding and then grow evenly: one of the ends, or a column beside the bend, is the worst.
    let bend = padding_x.checked_div(stride_x)?.min(last);
    let behind = bend.wrapping_add(1).min(last);
    // Below 2^16 * 2^16, and limited to the input: nothing wraps.
    let start = |at: u32, stride: u32, padding, extent: u32| {
        at.wrapping_mul(stride).saturating_sub(padding).min(extent)
    };
    let row = |y| start(y, stride_y, padding_y, in_height).wrapping_mul(pitch);
    let (mut gap, mut written) = (i32::MIN, 0_u32);
    for y in 0..height {
        let next = y.wrapping_add(1);
        let later = if next < height { row(next) } else { u32::MAX };
        for x in [0, bend, behind, last] {
            let column = start(x, stride_x, padding_x, in_width).wrapping_mul(in_channels);
            let needed = row(y).wrapping_add(column).min(later).min(end);
            let pixels = x.wrapping_add(1).wrapping_mul(channels);
            let distance = written.wrapping_add(pixels).wrapping_sub(needed);
            gap = gap.max(distance.cast_signed());
        }
        written = written.wrapping_add(width.wrapping_mul(channels));
    }
    Some(gap.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(input: [usize; 3], output: [usize; 3], kernel: usize, stride: usize) -> Window {
        let padding = |i: usize, o: usize| (((o - 1) * stride + kernel).saturating_sub(i)) / 2;
        Window {
            input,
            output,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [padding(input[0], output[0]), padding(input[1], output[1])],
            dilation: [1; 2],
        }
    }

    /// The definition, pixel by pixel.
    fn slow(w: &Window) -> i64 {
        let [height, width, channels] = w.output;
        let first = |y: usize, x: usize| {
            let row = (y * w.stride[0]).saturating_sub(w.padding[0]);
            let column = (x * w.stride[1]).saturating_sub(w.padding[1]);
            ((row * w.input[1] + column) * w.input[2]) as i64
        };
        let mut gap = i64::MIN;
        for p in 0..height * width {
            let needed = (p..height * width).map(|q| first(q / width, q % width));
            gap = gap.max(((p + 1) * channels) as i64 - needed.min().unwrap());
        }
        gap
    }

    #[test]
    fn the_gap_is_that_of_the_definition() {
        for (input, output, kernel, stride) in [
            ([32, 32, 16], [32, 32, 16], 3, 1),
            ([48, 48, 8], [48, 48, 16], 1, 1),
            ([32, 32, 3], [32, 32, 16], 3, 1),
            ([96, 96, 3], [48, 48, 8], 3, 2),
            ([49, 10, 1], [25, 5, 64], 10, 2),
            ([7, 5, 3], [7, 5, 2], 5, 1),
            ([9, 9, 4], [3, 3, 4], 3, 3),
            ([5, 1, 4], [5, 1, 9], 3, 1),
            ([8, 8, 64], [1, 1, 64], 8, 8),
            ([3, 7, 6], [2, 4, 10], 3, 2),
        ] {
            let w = window(input, output, kernel, stride);
            assert_eq!(raster_gap(&w), Some(slow(&w)), "{w:?}");
        }
    }

    #[test]
    fn a_three_by_three_needs_a_row_and_two_pixels() {
        let w = window([32, 32, 16], [32, 32, 16], 3, 1);
        assert_eq!(raster_gap(&w), Some(34 * 16));
    }
}
