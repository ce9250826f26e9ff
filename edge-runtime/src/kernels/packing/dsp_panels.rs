//! How much scratch the Cortex-M DSP kernels take for activations widened to `i16`. The compiler
//! plans with it, so it is compiled for every target.

use super::dsp_blocks::{CHANNELS, Taps};
use crate::kernels::reference::Window;

/// Panels of several pairs are filled at once up to this length in bytes, which saves calls.
const PANEL_TARGET: usize = 512;
/// Kernel rows on padding are gathered as bytes first, as many at a time as fit this, or one.
const GATHER_TARGET: usize = 160;
/// An input that takes no more bytes than this with its padding around it is copied with it, once,
/// instead of gathering rows for each window.
const PADDED_TARGET: usize = 1024;
/// Dimensions of a window are below this, so that positions fit `i32`.
const LIMIT: usize = 1 << 15;

/// Whether CONV_2D takes a window: no dimension of 2^15 or more (output channels aside), no zeros
/// among strides, kernel and channels, and below 2^24 taps.
pub const fn fits(window: &Window) -> bool {
    let [height, width, channels] = window.input;
    let [out_height, out_width, out_channels] = window.output;
    let [kernel_height, kernel_width] = window.kernel;
    let [top, left] = window.padding;
    let [down, right] = window.stride;
    let [dilation_y, dilation_x] = window.dilation;
    // All below a power of two where none has a higher bit.
    let extents = height | width | channels | out_height | out_width | kernel_height | kernel_width;
    let steps = top | left | down | right | dilation_y | dilation_x;
    if extents | steps >= LIMIT || out_channels == 0 {
        return false;
    }
    // Below 2^15 * 2^15 each time, which does not wrap.
    let row = kernel_width * channels;
    let taps = row.saturating_mul(kernel_height);
    row < 1 << 24 && taps < 1 << 24 && taps > 0 && down * right > 0
}

/// Bytes of scratch of CONV_2D: panels of about four bytes a tap for one or more pairs of pixels, and
/// where there is padding a few rows of bytes, or the input in it. 0 where the window does not [`fits`].
pub const fn conv_2d_scratch_len(window: &Window) -> usize {
    if !fits(window) {
        return 0;
    }
    Panels::new(window).bytes()
}

/// Height, width and channels of a copy of the input that holds the padding, too. `None` where nothing
/// is padded, the copy would be long, there are gaps along a row, or the window does not [`fits`].
pub const fn padded(window: &Window) -> Option<[usize; 3]> {
    if !fits(window) || all_inside(window) || window.dilation[1] != 1 {
        return None;
    }
    let [_, _, channels] = window.input;
    let [height, width, _] = window.output;
    // Sums of two products of factors below 2^15: nothing wraps.
    let rows = height.saturating_sub(1) * window.stride[0]
        + window.kernel[0].saturating_sub(1) * window.dilation[0]
        + 1;
    let columns = width.saturating_sub(1) * window.stride[1] + window.kernel[1];
    let is_short = rows | columns | channels <= PADDED_TARGET
        && rows * columns * channels <= PADDED_TARGET
        && window.padding[0] <= rows
        && window.padding[1] <= columns;
    if is_short {
        Some([rows, columns, channels])
    } else {
        None
    }
}

/// Whether rows of windows are gathered one by one, unless the input is [`padded`].
pub const fn gathers(window: &Window) -> bool {
    !all_inside(window) || window.dilation[1] != 1
}

/// Lengths that follow from a window that [`fits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panels {
    /// Bytes of the panel of a pair.
    pub pair: usize,
    /// Pairs to a panel.
    pub batch: usize,
    /// Bytes of the [`padded`] input, a multiple of 16.
    pub padded: usize,
    /// Bytes of one pixel to gather at a time; 0 where no window reaches beyond the input.
    pub gather: usize,
    /// Kernel rows to gather at a time.
    pub gather_rows: usize,
}

impl Panels {
    /// Bytes of all of them, a multiple of 16.
    pub const fn bytes(&self) -> usize {
        self.padded + ((self.pair * self.batch + self.gather * 2 + 15) & !15)
    }

    /// Of a window that [`fits`]; of others the lengths overflow.
    pub const fn new(window: &Window) -> Self {
        let [out_height, out_width, out_channels] = window.output;
        let taps = Taps::of(window);
        let pair = taps.words() * 8;
        let fill = match PANEL_TARGET.checked_div(pair) {
            Some(0) | None => 1,
            Some(fill) => fill,
        };
        let pairs = match out_height * out_width / 2 {
            0 => 1,
            pairs => pairs,
        };
        // Outputs of neighbouring pixels join only where all blocks are full.
        let batch = if !out_channels.is_multiple_of(CHANNELS) {
            1
        } else if pairs < fill {
            pairs
        } else {
            fill
        };
        let fill = match GATHER_TARGET.checked_div(taps.row) {
            Some(0) | None => 1,
            Some(fill) => fill,
        };
        let gather_rows = if fill < taps.rows { fill } else { taps.rows };
        let (padded, gather) = match padded(window) {
            Some([rows, columns, channels]) => ((rows * columns * channels + 15) & !15, 0),
            None if gathers(window) => (0, taps.row * gather_rows),
            None => (0, 0),
        };
        Self {
            pair,
            batch,
            padded,
            gather,
            gather_rows,
        }
    }
}

/// Whether no window reaches beyond the input.
const fn all_inside(window: &Window) -> bool {
    let [height, width, _] = window.output;
    let (first_row, end_row) = rows_inside(window);
    let (first_column, end_column) = columns_inside(window);
    first_row == 0 && first_column == 0 && height <= end_row && width <= end_column
}

/// Output rows whose windows lie within the input, from and to; for a window that [`fits`].
pub const fn rows_inside(window: &Window) -> (usize, usize) {
    let ([input, _, _], [kernel, _], [stride, _]) = (window.input, window.kernel, window.stride);
    let ([padding, _], [dilation, _]) = (window.padding, window.dilation);
    inside(input, kernel, stride, padding, dilation)
}

/// Output columns whose windows lie within the input, from and to; for a window that [`fits`].
pub const fn columns_inside(window: &Window) -> (usize, usize) {
    let ([_, input, _], [_, kernel], [_, stride]) = (window.input, window.kernel, window.stride);
    let ([_, padding], [_, dilation]) = (window.padding, window.dilation);
    inside(input, kernel, stride, padding, dilation)
}

/// Along one axis: the first output whose window does not begin before the input, and the first
/// one whose window ends beyond it. For dimensions that [`fits`] lets through, so nothing wraps.
const fn inside(
    input: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> (usize, usize) {
    let reach = kernel.wrapping_sub(1).wrapping_mul(dilation);
    let room = input.wrapping_add(padding);
    let first = padding.wrapping_add(stride).wrapping_sub(1);
    let (Some(first), Some(last)) = (
        first.checked_div(stride),
        room.wrapping_sub(reach).wrapping_sub(1).checked_div(stride),
    ) else {
        return (0, 0);
    };
    (
        first,
        if room > reach {
            last.wrapping_add(1)
        } else {
            0
        },
    )
}

/// Bytes of scratch of FULLY_CONNECTED: two for each input, rounded up; none where the outputs make one block
/// and the inputs whole groups of four, which are widened on the way.
pub const fn fully_connected_scratch_len(window: &Window) -> usize {
    let [_, _, inputs] = window.input;
    if is_direct(window) {
        0
    } else {
        inputs.div_ceil(4).wrapping_mul(8).wrapping_add(15) & !15
    }
}

/// Whether FULLY_CONNECTED reads its inputs in place.
pub const fn is_direct(window: &Window) -> bool {
    let [_, _, inputs] = window.input;
    let [_, _, outputs] = window.output;
    is_direct_len(inputs, outputs)
}

/// [`is_direct`] of numbers of inputs and outputs.
pub const fn is_direct_len(inputs: usize, outputs: usize) -> bool {
    outputs <= CHANNELS && inputs.is_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(kernel: [usize; 2], output: [usize; 3]) -> Window {
        Window {
            input: [32, 32, 16],
            output,
            kernel,
            stride: [1, 1],
            padding: [kernel[0] / 2, kernel[1] / 2],
            dilation: [1, 1],
        }
    }

    #[test]
    fn scratch_is_panels_and_gathered_rows() {
        // 144 taps, two pixels of two bytes; three rows of 48 bytes of two pixels.
        assert_eq!(
            conv_2d_scratch_len(&window([3, 3], [32, 32, 16])),
            576 + 288
        );
        // 16 taps: eight pairs in a panel of 512 bytes.
        assert_eq!(conv_2d_scratch_len(&window([1, 1], [32, 32, 32])), 512);
        // Outputs of pixels do not join in words: one pair.
        assert_eq!(conv_2d_scratch_len(&window([1, 1], [32, 32, 30])), 64);
        assert_eq!(conv_2d_scratch_len(&window([0, 1], [32, 32, 32])), 0);
        assert_eq!(conv_2d_scratch_len(&window([1 << 15, 1], [32, 32, 32])), 0);
    }

    #[test]
    fn a_short_input_is_padded() {
        let first = Window {
            input: [49, 10, 1],
            output: [25, 5, 64],
            kernel: [10, 4],
            stride: [2, 2],
            padding: [4, 1],
            dilation: [1, 1],
        };
        assert_eq!(padded(&first), Some([58, 12, 1]));
        // 696 bytes; 40 taps, two pixels of two bytes, three pairs.
        assert_eq!(conv_2d_scratch_len(&first), 704 + 480);
        let copied = Window {
            input: [58, 12, 1],
            padding: [0, 0],
            ..first
        };
        assert!(all_inside(&copied));
        assert_eq!(padded(&copied), None);
        let apart = Window {
            dilation: [1, 2],
            ..first
        };
        assert_eq!(padded(&apart), None);
        assert_eq!(padded(&window([3, 3], [32, 32, 16])), None);
    }

    proptest! {
        #[test]
        fn a_window_is_inside_where_all_its_taps_are(
            input in 1usize..12,
            kernel in 1usize..6,
            stride in 1usize..4,
            padding in 0usize..6,
            dilation in 1usize..4,
        ) {
            let (from, to) = inside(input, kernel, stride, padding, dilation);
            for output in 0..20 {
                let all = (0..kernel).all(|tap| {
                    let at = output * stride + tap * dilation;
                    (padding..padding + input).contains(&at)
                });
                prop_assert_eq!((from..to).contains(&output), all);
            }
        }
    }
}
