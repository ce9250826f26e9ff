//! What the Helium kernels need, see [`crate::kernels::packing::mve`].

use crate::kernels::reference::Window;

pub(crate) const fn taps(window: &Window) -> usize {
    window.kernel[0]
        .saturating_mul(window.kernel[1])
        .saturating_mul(window.input[2])
}

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

pub(crate) const fn ring_len(window: &Window) -> usize {
    let row = ring_columns(window).saturating_mul(window.input[2]);
    ring_rows(window).saturating_mul(row).saturating_add(15) / 16 * 16
}

/// Scratch in bytes: four columns, and the ring of rows where the convolution is not pointwise.
pub const fn scratch_len(window: &Window) -> usize {
    let columns = taps(window).div_ceil(16).saturating_mul(64);
    if is_pointwise(window) {
        columns
    } else {
        ring_len(window).saturating_add(columns)
    }
}

/// Scratch in bytes: the input again where its length is no multiple of 16.
pub const fn fully_connected_scratch_len(window: &Window) -> usize {
    if window.input[2].is_multiple_of(16) {
        0
    } else {
        window.input[2].next_multiple_of(16)
    }
}
