//! The definition of every operator: plain loops, simple on purpose.
//!
//! Layouts: activations NHWC with batch 1, row-major; convolution weights OHWI; fully connected
//! weights `[output][input]`. Accumulators are `i32` and wrap.

pub mod clamp;
pub mod conv_2d;
pub mod fully_connected;
pub mod max_pool_2d;
pub mod requantise;
pub mod reshape;
pub mod softmax;

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
    /// The input pixel under tap `(ky, kx)` of the window for output `(y, x)`: all channels of it,
    /// or `None` where the tap lies on padding.
    fn pixel<'a>(
        &self,
        input: &'a [i8],
        [y, x]: [usize; 2],
        [ky, kx]: [usize; 2],
    ) -> Option<&'a [i8]> {
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

/// `acc + x · w`; the shorter slice decides. Wraps.
fn dot(acc: i32, x: &[i8], weights: &[i8]) -> i32 {
    x.iter().zip(weights).fold(acc, |acc, (x, w)| {
        acc.wrapping_add(i32::from(*x) * i32::from(*w))
    })
}

#[cfg(test)]
mod tests;
