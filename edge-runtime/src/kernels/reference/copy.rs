//! Moves elements about: TRANSPOSE, STRIDED_SLICE, SPLIT, CONCATENATION, PACK, UNPACK, PAD and their
//! kin are one strided copy for each input or output, after a [`fill`] where some places get none.

use core::cell::Cell;

use super::broadcast::Operand;

/// Dimensions of a [`struct@Copy`].
pub const DIMENSIONS: usize = 6;

/// Settings of [`copy`]. Strides and starts count elements.
#[derive(Clone, core::marker::Copy, Debug)]
pub struct Copy {
    /// Outermost first; 1 for the dimensions that are not there.
    pub sizes: [usize; DIMENSIONS],
    /// From one element to the next along each dimension of the input; may be negative.
    pub input_strides: [isize; DIMENSIONS],
    /// From one element to the next along each dimension of the output; may be negative.
    pub output_strides: [isize; DIMENSIONS],
    /// The first element read.
    pub input_start: usize,
    /// The first element written.
    pub output_start: usize,
}

/// `output[output_start + i · output_strides] = input[input_start + i · input_strides]` for all
/// indices `i` below `sizes`, the last one fastest. What lies outside a tensor is skipped.
pub fn copy(settings: &Copy, input: Operand<'_>, output: &[Cell<i8>]) {
    let mut index = [0_usize; DIMENSIONS];
    if settings.sizes.contains(&0) {
        return;
    }
    loop {
        let from = place(settings.input_start, index, settings.input_strides);
        let to = place(settings.output_start, index, settings.output_strides);
        if let (Some(x), Some(y)) = (input.get(from), output.get(to)) {
            y.set(x);
        }
        if !advance(&mut index, &settings.sizes) {
            return;
        }
    }
}

/// Sets every element to `value`.
pub fn fill(value: i8, output: &[Cell<i8>]) {
    for y in output {
        y.set(value);
    }
}

/// `start + index · strides`. Wraps, so that a place below zero lies beyond every tensor.
fn place(start: usize, index: [usize; DIMENSIONS], strides: [isize; DIMENSIONS]) -> usize {
    index.iter().zip(strides).fold(start, |sum, (i, stride)| {
        sum.wrapping_add(i.wrapping_mul(stride.cast_unsigned()))
    })
}

/// The next index, the last dimension fastest; false after the last one.
fn advance(index: &mut [usize; DIMENSIONS], sizes: &[usize; DIMENSIONS]) -> bool {
    for (i, size) in index.iter_mut().zip(sizes).rev() {
        *i = i.saturating_add(1);
        if *i < *size {
            return true;
        }
        *i = 0;
    }
    false
}
