//! Operators of two inputs, one of which may be smaller: where each output finds its operands.

use core::cell::Cell;

/// One input of an operator of two.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// A tensor of the arena; the output may be the same bytes.
    Activation(&'a [Cell<i8>]),
    /// A constant of the image.
    Constant(&'a [i8]),
}

impl Operand<'_> {
    /// One element; `None` beyond the end.
    pub fn get(&self, index: usize) -> Option<i8> {
        match self {
            Self::Activation(values) => values.get(index).map(Cell::get),
            Self::Constant(values) => values.get(index).copied(),
        }
    }
}

/// The output's shape, and how far apart its neighbours lie in each input.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast {
    /// Height, width, channels of the output.
    pub shape: [usize; 3],
    /// For each input: elements from one row, column, channel to the next; 0 along a dimension
    /// that the input has only one of.
    pub strides: [[usize; 3]; 2],
}

impl Broadcast {
    /// Two inputs of `len` elements each, none repeated.
    pub const fn none(len: usize) -> Self {
        Self {
            shape: [1, 1, len],
            strides: [[0, 0, 1]; 2],
        }
    }

    /// Calls `write` for each output in row-major order, with the cell and its two operands. Where
    /// an operand lies beyond its tensor, the output stays as it was.
    pub(crate) fn each(
        &self,
        inputs: [Operand<'_>; 2],
        output: &[Cell<i8>],
        operation: impl Fn(i8, i8) -> i8,
    ) {
        let [height, width, channels] = self.shape;
        if width == 0 || channels == 0 {
            return; // not `height` times nothing
        }
        let rows = (0..height).flat_map(|y| (0..width).map(move |x| [y, x]));
        let places = rows.flat_map(|[y, x]| (0..channels).map(move |c| [y, x, c]));
        let [first, second] = inputs;
        let [first_strides, second_strides] = self.strides;
        for (place, y) in places.zip(output) {
            let x1 = first.get(offset(place, first_strides));
            let x2 = second.get(offset(place, second_strides));
            if let (Some(x1), Some(x2)) = (x1, x2) {
                y.set(operation(x1, x2));
            }
        }
    }
}

fn offset(place: [usize; 3], strides: [usize; 3]) -> usize {
    place
        .iter()
        .zip(strides)
        .fold(0_usize, |sum, (index, stride)| {
            sum.saturating_add(index.saturating_mul(stride))
        })
}
