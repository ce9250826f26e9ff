//! What the Helium kernels can run and need, see [`crate::kernels::packing::mve`].

use crate::kernels::reference::Window;

/// Rows under the window, with gaps.
pub(crate) const fn ring_rows(window: &Window) -> usize {
    window.kernel[0]
        .saturating_sub(1)
        .saturating_mul(window.dilation[0])
        .saturating_add(1)
}

/// Columns of a padded row: all that the windows of a row of the output touch.
pub(crate) const fn ring_columns(window: &Window) -> usize {
    let first = window.output[1]
        .saturating_sub(1)
        .saturating_mul(window.stride[1]);
    let width = window.kernel[1]
        .saturating_sub(1)
        .saturating_mul(window.dilation[1]);
    first.saturating_add(width).saturating_add(1)
}

/// Bytes of the ring, a multiple of 16.
pub(crate) const fn ring_len(window: &Window) -> usize {
    let row = ring_columns(window).saturating_mul(window.input[2]);
    ring_rows(window).saturating_mul(row).saturating_add(15) / 16 * 16
}

/// Room for gathered columns, unless four of them need more.
pub(crate) const COLUMN_BYTES: usize = 512;

pub(crate) const fn taps(window: &Window) -> usize {
    window.kernel[0]
        .saturating_mul(window.kernel[1])
        .saturating_mul(window.input[2])
}

/// Pixels whose columns are gathered at a time, a multiple of 4: few calls where columns are short.
pub(crate) const fn batch(chunks: usize) -> usize {
    let pixels = COLUMN_BYTES / 16 / (if chunks == 0 { 1 } else { chunks });
    if pixels < 4 { 4 } else { pixels / 4 * 4 }
}

pub(crate) const fn is_pointwise(window: &Window) -> bool {
    window.kernel[0] == 1
        && window.kernel[1] == 1
        && window.stride[0] == 1
        && window.stride[1] == 1
        && window.padding[0] == 0
        && window.padding[1] == 0
        && window.input[0] == window.output[0]
        && window.input[1] == window.output[1]
}

/// Scratch in bytes: four columns or half a KiB of them, and the ring of rows where the convolution is not pointwise.
pub const fn scratch_len(window: &Window) -> usize {
    let chunks = taps(window).div_ceil(16);
    let columns = chunks.saturating_mul(16).saturating_mul(batch(chunks));
    if is_pointwise(window) {
        columns
    } else {
        // Gathering copies whole vectors, the last of which ends behind the columns.
        ring_len(window).saturating_add(columns).saturating_add(16)
    }
}

/// Whether `conv_2d_3x3_i8_4x2` has this window: 3x3 without gaps, a horizontal stride of 1, a
/// multiple of 16 channels, at least four columns of outputs (and at most 4000), an even number of
/// output channels.
pub const fn supports_3x3(window: &Window) -> bool {
    window.kernel[0] == 3
        && window.kernel[1] == 3
        && window.dilation[0] == 1
        && window.dilation[1] == 1
        && window.stride[1] == 1
        && window.input[2] != 0
        && window.input[2].is_multiple_of(16)
        && window.input[2] <= 4096
        && window.output[1] >= 4
        && window.output[1] <= 4000
        && window.output[2].is_multiple_of(2)
        && window.output[2] <= 16_000
}

/// Bytes of 16 channels of a padded row.
pub(crate) const fn plane_len(window: &Window) -> usize {
    window.output[1].saturating_add(2).saturating_mul(16)
}

/// Scratch in bytes: three padded rows.
pub const fn scratch_len_3x3(window: &Window) -> usize {
    plane_len(window)
        .saturating_mul(window.input[2] / 16)
        .saturating_mul(3)
}

/// Whether `depthwise_conv_2d_i8_8x1` has this window: 3x3 without gaps, a horizontal stride of
/// 1 or 2, as many outputs as inputs, at most 8192 channels.
pub const fn supports_depthwise(window: &Window) -> bool {
    window.kernel[0] == 3
        && window.kernel[1] == 3
        && window.dilation[0] == 1
        && window.dilation[1] == 1
        && (window.stride[1] == 1 || window.stride[1] == 2)
        && window.input[2] == window.output[2]
        && window.input[2] <= 8192
}

/// Scratch in bytes: the ring of rows and the turned columns of a strip.
pub const fn scratch_len_depthwise(window: &Window) -> usize {
    let columns = if window.stride[1] == 1 { 10 } else { 18 };
    // The ring is read up to 15 bytes beyond its end.
    ring_len(window).saturating_add(columns * 64)
}

/// Rows of taps of a depthwise convolution of any window.
pub(crate) const ROWS: usize = 16;

/// Whether `depthwise_conv_2d_i8_1x16` has this window: as many outputs as inputs, at most 16
/// rows of taps.
pub const fn supports_depthwise_any(window: &Window) -> bool {
    window.input[2] == window.output[2] && window.kernel[0] <= ROWS
}

/// Scratch in bytes: the ring of rows.
pub const fn scratch_len_depthwise_any(window: &Window) -> usize {
    // The ring is read up to 15 bytes beyond its end.
    ring_len(window).saturating_add(16)
}

/// Scratch in bytes: the input again where its length is no multiple of 16.
pub const fn fully_connected_scratch_len(window: &Window) -> usize {
    if window.input[2].is_multiple_of(16) {
        0
    } else {
        window.input[2].next_multiple_of(16)
    }
}
