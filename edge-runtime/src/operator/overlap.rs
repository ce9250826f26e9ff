//! How far an operator's output may lie over its input.
//!
//! *The raster rule.* Take the output pixels in raster order. Everything that is written up to and
//! including a pixel must lie at or below the first byte of the input that this pixel or a later
//! one still needs. A kernel that works in that order and reads all of a pixel before it writes it
//! then never reads what it has overwritten.

use crate::kernels::reference::Window;

/// The least number of bytes from the start of the output up to the start of the input with which
/// the raster rule holds; negative where the output may even start behind the input. `None` for
/// a window without output pixels, or shapes that overflow.
pub fn raster_gap(window: &Window) -> Option<i64> {
    let [_, in_width, in_channels] = integers(window.input)?;
    let [height, width, channels] = integers(window.output)?;
    let [stride_y, stride_x, ..] = integers([
        window.stride.first().copied()?,
        window.stride.last().copied()?,
        0,
    ])?;
    let [padding_y, padding_x, ..] = integers([
        window.padding.first().copied()?,
        window.padding.last().copied()?,
        0,
    ])?;
    if height < 1 || width < 1 || stride_x < 1 {
        return None;
    }
    let row = |y: i64| Some(y.checked_mul(stride_y)?.checked_sub(padding_y)?.max(0));
    let column = |x: i64| Some(x.checked_mul(stride_x)?.checked_sub(padding_x)?.max(0));
    let mut gap = i64::MIN;
    for y in 0..height {
        let next_row = if y < height.saturating_sub(1) {
            row(y.saturating_add(1))?
        } else {
            i64::MAX
        };
        // Along a row the written bytes grow evenly; the needed ones rest while the window is on
        // the padding and then grow evenly: one of the ends, or the bend, is the worst.
        let bend = padding_x
            .checked_div(stride_x)?
            .min(width.saturating_sub(1));
        for x in [0, bend, width.saturating_sub(1)] {
            let own = row(y)?.checked_mul(in_width)?.checked_add(column(x)?)?;
            let later = next_row.saturating_mul(in_width);
            let needed = own.min(later).checked_mul(in_channels)?;
            let pixels = y.checked_mul(width)?.checked_add(x)?.checked_add(1)?;
            gap = gap.max(pixels.checked_mul(channels)?.checked_sub(needed)?);
        }
    }
    Some(gap)
}

fn integers(values: [usize; 3]) -> Option<[i64; 3]> {
    let [a, b, c] = values.map(|value| i64::try_from(value).ok());
    Some([a?, b?, c?])
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
