//! The definition of every operator: plain loops, simple on purpose.
//!
//! Layouts: activations NHWC with batch 1, row-major; convolution weights OHWI; fully connected
//! weights `[output][input]`; depthwise weights `[kernel row][kernel column][output channel]`.
//! Accumulators are `i32` and wrap.
//!
//! Activations are cells because the memory plan may let input and output share bytes. A kernel
//! computes its outputs in raster order, pixel by pixel, and never looks back; so it gives the
//! right bytes wherever the outputs up to and including a pixel lie at or below the first input
//! that this pixel or a later one needs. Element by element ([`clamp`], and others that say so) the
//! output may also be the input itself.

pub mod add;
pub mod average_pool_2d;
pub mod broadcast;
pub mod clamp;
pub mod conv_2d;
pub mod copy;
pub mod depthwise_conv_2d;
pub mod fixed_point_16;
pub mod fully_connected;
pub mod lookup;
pub mod max_pool_2d;
pub mod mean;
pub mod mul;
pub mod packed;
pub mod prelu;
pub mod requantise;
pub mod reshape;
pub mod resize_bilinear;
pub mod resize_nearest;
pub mod softmax;
pub mod state;
pub mod svdf;
pub mod table;
pub mod transpose_conv;
pub mod unidirectional_sequence_lstm;
pub mod weights;

use core::cell::Cell;

pub use table::{CANONICAL, KERNELS};

/// The geometry of a sliding window, in elements.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Height, width, channels of the input.
    pub input: [usize; 3],
    /// Height, width, channels of the output.
    pub output: [usize; 3],
    /// Height, width of the window.
    pub kernel: [usize; 2],
    /// Vertical, horizontal.
    pub stride: [usize; 2],
    /// Rows above, columns left of the input.
    pub padding: [usize; 2],
    /// Vertical, horizontal; 1 for windows without gaps.
    pub dilation: [usize; 2],
}

impl Window {
    /// The taps of a window in raster order, each as `[row, column]`.
    fn taps(&self) -> impl Iterator<Item = [usize; 2]> {
        let [height, width] = self.kernel;
        (0..height).flat_map(move |ky| (0..width).map(move |kx| [ky, kx]))
    }

    /// The output pixels in raster order: row, column and all channels of each.
    fn outputs<'a>(
        &self,
        output: &'a [Cell<i8>],
    ) -> impl Iterator<Item = ([usize; 2], &'a [Cell<i8>])> + use<'a> {
        let [height, width, channels] = self.output;
        let none = width == 0 || channels == 0;
        let rows = if none { 0 } else { height };
        let places = (0..rows).flat_map(move |y| (0..width).map(move |x| [y, x]));
        places.zip(runs(output, channels))
    }

    /// The input pixel under tap `(ky, kx)` of the window for output `(y, x)`: all channels of it,
    /// or `None` where the tap lies on padding.
    fn pixel<'a>(
        &self,
        input: &'a [Cell<i8>],
        [y, x]: [usize; 2],
        [ky, kx]: [usize; 2],
    ) -> Option<&'a [Cell<i8>]> {
        let [height, width, channels] = self.input;
        let [stride_y, stride_x] = self.stride;
        let [padding_y, padding_x] = self.padding;
        let [dilation_y, dilation_x] = self.dilation;
        let row = position(y, stride_y, ky, dilation_y, padding_y).filter(|row| *row < height)?;
        let column =
            position(x, stride_x, kx, dilation_x, padding_x).filter(|column| *column < width)?;
        let start = row
            .checked_mul(width)?
            .checked_add(column)?
            .checked_mul(channels)?;
        input.get(start..start.checked_add(channels)?)
    }
}

/// The runs of `len` elements in a slice, whole ones only; none of length 0. As `chunks_exact`, but
/// without a division, whose check for zero brings the machinery of a panic along.
pub(crate) fn runs<T>(slice: &[T], len: usize) -> impl Iterator<Item = &[T]> {
    let mut rest = if len == 0 { &[][..] } else { slice };
    core::iter::from_fn(move || {
        let (run, behind) = rest.split_at_checked(len)?;
        rest = behind;
        (!run.is_empty()).then_some(run)
    })
}

/// `at * stride + tap * dilation - padding`, where that is not negative.
fn position(
    at: usize,
    stride: usize,
    tap: usize,
    dilation: usize,
    padding: usize,
) -> Option<usize> {
    at.checked_mul(stride)?
        .checked_add(tap.checked_mul(dilation)?)?
        .checked_sub(padding)
}

#[cfg(test)]
mod more_tests;
#[cfg(test)]
mod overlap_tests;
#[cfg(test)]
mod tests;
