//! What the convolutions and fully connected layers of the DSP extension can run and need, see
//! [`crate::kernels::packing::dsp_blocks`].

use crate::kernels::packing::dsp_blocks::{CHANNELS, Taps};
use crate::kernels::reference::Window;

/// Panels of several pairs are filled at once up to this length in bytes, which saves calls.
const PANEL_TARGET: usize = 512;
/// Kernel rows on padding are gathered as bytes first, as many at a time as fit this, or one.
const GATHER_TARGET: usize = 160;
/// Dimensions of a window are below this (channels aside), so that positions fit `i32`.
const LIMIT: usize = 1 << 15;

/// Whether the kernels take a window: no dimension of 2^15 or more, channels aside, no zeros among
/// strides and sizes, and below 2^24 taps.
pub const fn fits(window: &Window) -> bool {
    let [height, width, channels] = window.input;
    let [out_height, out_width, out_channels] = window.output;
    let [kernel_height, kernel_width] = window.kernel;
    let [top, left] = window.padding;
    let [down, right] = window.stride;
    let [dilation_y, dilation_x] = window.dilation;
    let spatial = height < LIMIT && width < LIMIT && out_height < LIMIT && out_width < LIMIT;
    let steps = down > 0 && right > 0 && down < LIMIT && right < LIMIT;
    let rest = top < LIMIT && left < LIMIT && dilation_y < LIMIT && dilation_x < LIMIT;
    let kernel = kernel_height > 0 && kernel_width > 0;
    // Below 2^15 * 2^15 each time, which does not wrap.
    let small = kernel_height < LIMIT && kernel_width < LIMIT && channels < LIMIT;
    let taps = small
        && kernel_width * channels < 1 << 24
        && (kernel_width * channels).saturating_mul(kernel_height) < 1 << 24;
    spatial && steps && rest && kernel && taps && channels > 0 && out_channels > 0
}

/// Bytes of [`Layer::scratch`]: panels of about four bytes a tap for one or more pairs of pixels, and
/// a few rows of bytes where there is padding. 0 where the window does not [`fits`].
pub const fn scratch_len(window: &Window) -> usize {
    if !fits(window) {
        return 0;
    }
    let sizes = Sizes::new(window);
    (sizes.pair * sizes.batch + sizes.gather * 2 + 15) & !15
}

/// Lengths that follow from a window that [`fits`].
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Bytes of the panel of a pair.
    pub pair: usize,
    /// Pairs to a panel.
    pub batch: usize,
    /// Bytes of one pixel to gather at a time; 0 where no window reaches beyond the input.
    pub gather: usize,
    /// Kernel rows to gather at a time.
    #[cfg_attr(
        not(all(target_arch = "arm", feature = "dsp")),
        allow(dead_code, reason = "only the kernels gather")
    )]
    pub gather_rows: usize,
}

impl Sizes {
    /// Those of a window.
    pub(crate) const fn new(window: &Window) -> Self {
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
        let gather = if all_inside(window) && window.dilation[1] == 1 {
            0
        } else {
            taps.row * gather_rows
        };
        Self {
            pair,
            batch,
            gather,
            gather_rows,
        }
    }
}

/// Whether no window reaches beyond the input.
pub(crate) const fn all_inside(window: &Window) -> bool {
    inside(window, 0).1 >= window.output[0]
        && inside(window, 1).1 >= window.output[1]
        && window.padding[0] == 0
        && window.padding[1] == 0
}

/// The first output row (axis 0) or column (axis 1) whose window does not begin before the input,
/// and the first after it whose window ends beyond the input. No bound is beyond `2^16`.
#[allow(clippy::indexing_slicing)] // By a constant axis, in a `const fn`.
pub(crate) const fn inside(window: &Window, axis: usize) -> (usize, usize) {
    // Not 0, see `fits`.
    let stride = if window.stride[axis] == 0 {
        1
    } else {
        window.stride[axis]
    };
    let padding = window.padding[axis];
    let reach = (window.kernel[axis] - 1) * window.dilation[axis];
    let room = window.input[axis] + padding;
    let end = if room > reach {
        (room - reach - 1) / stride + 1
    } else {
        0
    };
    (padding.div_ceil(stride), end)
}

/// Bytes of [`Layer::scratch`]: two for each input, rounded up; none where the outputs make one block
/// and the inputs whole groups of four, which are widened on the way.
pub const fn fully_connected_scratch_len(window: &Window) -> usize {
    let [_, _, inputs] = window.input;
    if is_direct(window) {
        0
    } else {
        inputs.div_ceil(4).wrapping_mul(8).wrapping_add(15) & !15
    }
}

/// Whether the inputs are widened on the way.
pub(crate) const fn is_direct(window: &Window) -> bool {
    let [_, _, inputs] = window.input;
    let [_, _, outputs] = window.output;
    outputs <= CHANNELS && inputs.is_multiple_of(4)
}
