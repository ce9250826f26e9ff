//! RESIZE_NEAREST_NEIGHBOR.

use crate::kernels::reference::runs;
use core::cell::Cell;

/// Settings of [`resize_nearest`].
#[derive(Clone, Copy, Debug)]
pub struct ResizeNearest<'a> {
    /// Height, width, channels of the input.
    pub input: [usize; 3],
    /// For each row of the output the row of the input that it repeats.
    pub rows: &'a [u16],
    /// For each column of the output the column of the input that it repeats.
    pub columns: &'a [u16],
}

/// `output[y][x] = input[rows[y]][columns[x]]`, all channels of a pixel.
///
/// `input` is `[height][width][channel]`, `output` `[rows.len()][columns.len()][channel]`. A source
/// beyond the input leaves the pixel as it was.
pub fn resize_nearest(settings: &ResizeNearest<'_>, input: &[Cell<i8>], output: &[Cell<i8>]) {
    let [height, width, channels] = settings.input;
    if channels == 0 {
        return;
    }
    let places = settings
        .rows
        .iter()
        .flat_map(|row| settings.columns.iter().map(move |column| (row, column)));
    for ((row, column), pixel) in places.zip(runs(output, channels)) {
        let (row, column) = (usize::from(*row), usize::from(*column));
        if row >= height || column >= width {
            continue;
        }
        let index = row.saturating_mul(width).saturating_add(column);
        let from = input.get(index.saturating_mul(channels)..);
        for (x, y) in from.unwrap_or_default().iter().zip(pixel) {
            y.set(x.get());
        }
    }
}
