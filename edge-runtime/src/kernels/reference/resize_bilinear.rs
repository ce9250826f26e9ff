//! RESIZE_BILINEAR.

use crate::kernels::reference::runs;
use core::cell::Cell;

/// One axis of [`resize_bilinear`], in units of 2^-10 input elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BilinearAxis {
    /// From one output to the next.
    pub scale: i32,
    /// Of the first output: 0, or `scale / 2 - 512` with half-pixel centres.
    pub offset: i32,
}

/// Settings of [`resize_bilinear`].
#[derive(Clone, Copy, Debug)]
pub struct ResizeBilinear {
    /// Height, width, channels of the input.
    pub input: [usize; 3],
    /// Height, width of the output.
    pub output: [usize; 2],
    /// Rows.
    pub vertical: BilinearAxis,
    /// Columns.
    pub horizontal: BilinearAxis,
}

/// Where an output lies between two inputs.
#[derive(Clone, Copy, Debug)]
struct Between {
    lower: usize,
    upper: usize,
    /// Weight of `lower`; 1024 less that of `upper`. Beyond the edges not within 0..=1024, but
    /// there both are the same element or TFLite extrapolates as this does.
    lower_weight: i64,
    upper_weight: i64,
}

impl BilinearAxis {
    const ONE: i32 = 1 << 10;

    fn at(&self, index: usize, size: usize) -> Between {
        let position = (index as i32)
            .wrapping_mul(self.scale)
            .wrapping_add(self.offset);
        // Both divisions round towards zero.
        let lower = (position / Self::ONE).max(0);
        let last = (size as i32).wrapping_sub(1);
        let upper = (position.wrapping_add(Self::ONE - 1) / Self::ONE).min(last);
        let upper_weight = i64::from(position) - i64::from(Self::ONE) * i64::from(lower);
        Between {
            lower: lower as usize,
            upper: upper.max(0) as usize,
            lower_weight: i64::from(Self::ONE) - upper_weight,
            upper_weight,
        }
    }
}

/// Bilinear interpolation with weights of 10 bits in each direction, as TFLite's integer reference
/// kernel has it; halves away from zero. Input and output have the same scale and zero point.
///
/// `input` is `[height][width][channel]`, `output` likewise. An output that needs an element beyond
/// the input stays as it was.
pub fn resize_bilinear(settings: &ResizeBilinear, input: &[Cell<i8>], output: &[Cell<i8>]) {
    let [height, width, channels] = settings.input;
    let [out_height, out_width] = settings.output;
    if channels == 0 || out_width == 0 {
        return;
    }
    let places = (0..out_height).flat_map(|y| (0..out_width).map(move |x| (y, x)));
    for ((y, x), pixel) in places.zip(runs(output, channels)) {
        let row = settings.vertical.at(y, height);
        let column = settings.horizontal.at(x, width);
        for (channel, cell) in pixel.iter().enumerate() {
            let element = |row: usize, column: usize| {
                let index = row.saturating_mul(width).saturating_add(column);
                let index = index.saturating_mul(channels).saturating_add(channel);
                input.get(index).map(|x| i64::from(x.get()))
            };
            let corners = [
                (
                    row.lower,
                    column.lower,
                    row.lower_weight,
                    column.lower_weight,
                ),
                (
                    row.upper,
                    column.lower,
                    row.upper_weight,
                    column.lower_weight,
                ),
                (
                    row.lower,
                    column.upper,
                    row.lower_weight,
                    column.upper_weight,
                ),
                (
                    row.upper,
                    column.upper,
                    row.upper_weight,
                    column.upper_weight,
                ),
            ];
            let sum = corners.iter().try_fold(0_i64, |sum, (row, column, a, b)| {
                let product = element(*row, *column)?.wrapping_mul(*a).wrapping_mul(*b);
                Some(sum.wrapping_add(product))
            });
            if let Some(sum) = sum {
                let half = if sum > 0 { 1 << 19 } else { -(1 << 19) };
                // TFLite keeps the low byte of a value that always fits.
                cell.set((sum.wrapping_add(half) / (1 << 20)) as i8);
            }
        }
    }
}
