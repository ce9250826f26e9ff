//! What the depthwise convolution of the DSP extension can run and needs, see
//! [`crate::kernels::packing::depthwise_dsp`].

use crate::kernels::packing::depthwise_dsp::RECORD;
use crate::kernels::reference::Window;

/// Words of a widened column of four channels: of four rows, and of the five that two output rows
/// take with stride 2.
pub(crate) const FOUR_ROWS: usize = 8;
pub(crate) const FIVE_ROWS: usize = 10;

/// Whether `depthwise_i16_2x2` can run a window: 3x3, no dilation, stride 1 or 2 on both axes, as
/// many outputs as inputs, channels in fours, at most 2 rows and columns of padding on each side.
pub const fn fits(window: &Window) -> bool {
    let [height, width, channels] = window.input;
    let [out_height, out_width, out_channels] = window.output;
    let stride = window.stride[0];
    // Below 2^15 where none has a higher bit.
    (height | width | channels) < 1 << 15
        && height > 0
        && width > 0
        && out_height > 0
        && out_width > 0
        && channels > 0
        && channels.is_multiple_of(4)
        && out_channels == channels
        && window.kernel[0] == 3
        && window.kernel[1] == 3
        && window.dilation[0] == 1
        && window.dilation[1] == 1
        && (stride == 1 || stride == 2)
        && window.stride[1] == stride
        && window.padding[0] <= 2
        && window.padding[1] <= 2
        && (out_height - 1) * stride <= height + 1
        && (out_width - 1) * stride <= width + 1
}

/// Bytes of scratch: the widened columns of four rows of four channels, a row of padding where the
/// window has any above or below, and two output rows. 0 where the window does not fit.
pub const fn scratch_len(window: &Window) -> usize {
    if !fits(window) {
        return 0;
    }
    let [_, width, channels] = window.input;
    let out_width = window.output[1];
    columns(window) * column_words(window) * 4 + (width + 2 * out_width) * channels
}

pub(crate) const fn column_words(window: &Window) -> usize {
    if window.stride[0] == 1 {
        FOUR_ROWS
    } else {
        FIVE_ROWS
    }
}

pub(crate) const fn columns(window: &Window) -> usize {
    (window.output[1] - 1) * window.stride[1] + 3
}

/// Bytes of scratch of `depthwise_i16_2x2_canonical`: 40 a channel more.
pub const fn scratch_len_canonical(window: &Window) -> usize {
    if !fits(window) {
        return 0;
    }
    scratch_len(window) + window.input[2] * RECORD
}
