//! What Winograd's convolutions of the DSP extension can run and need, see
//! [`crate::kernels::packing::winograd_dsp`].

use crate::kernels::reference::Window;

/// Bytes of the sums of two tiles and four output channels.
pub(crate) const SUMS: usize = 512;

/// Whether `winograd_f2_i16_2x4` can run a window: 3x3, stride 1, no dilation, input channels a
/// multiple of 16, output channels of 4, at most 2 rows and columns of padding on each side.
pub const fn fits(window: &Window) -> bool {
    let [height, width, channels] = window.input;
    let [out_height, out_width, out_channels] = window.output;
    height > 0
        && width > 0
        && height < 1 << 15
        && width < 1 << 15
        && channels > 0
        && channels <= 1 << 12
        && channels.is_multiple_of(16)
        && out_channels > 0
        && out_channels <= 1 << 12
        && out_channels.is_multiple_of(4)
        && out_height > 0
        && out_width > 0
        && window.kernel[0] == 3
        && window.kernel[1] == 3
        && window.stride[0] == 1
        && window.stride[1] == 1
        && window.dilation[0] == 1
        && window.dilation[1] == 1
        && window.padding[0] <= 2
        && window.padding[1] <= 2
        && out_height <= height + 2
        && out_width <= width + 2
}

/// Bytes of scratch: the transformed inputs of two tiles (64 a channel), their sums, the input of
/// two tiles where a part of it is padding (24 a channel), an output row and a pixel of outputs
/// that are not wanted. 0 where the window does not fit.
pub const fn scratch_len(window: &Window) -> usize {
    if !fits(window) {
        return 0;
    }
    let [_, out_width, out_channels] = window.output;
    SUMS + window.input[2] * 88 + (out_width + 1) * out_channels
}

/// Words of the sums of two tiles and four output channels.
pub(crate) const SUMS_4X4: usize = 36 * 8;
/// Words of half-transformed inputs of four channels.
pub(crate) const COLUMNS: usize = 120;
/// Output pixels of two tiles.
pub(crate) const PIXELS: usize = 32;

/// Bytes of scratch: the transformed inputs of two tiles (144 a channel), half-transformed inputs,
/// sums, pointers to outputs, the input of two tiles where a part of it is padding (60 a channel),
/// three output rows and a pixel of outputs that are not wanted. 0 where the window does not fit.
pub const fn scratch_len_4x4(window: &Window) -> usize {
    if !fits(window) {
        return 0;
    }
    let [_, out_width, out_channels] = window.output;
    (SUMS_4X4 + COLUMNS + PIXELS) * 4 + window.input[2] * 204 + (3 * out_width + 1) * out_channels
}
