//! Packing [`CODE`]: fully connected weights input by input, 128 output channels in a row.
//!
//! For FULLY_CONNECTED on x86-64. What activation functions cut off lies at the lowest output, and
//! kernels count activations from there (`x + 128`): those add nothing, and their row of weights is
//! never read. A layer behind a ReLU often skips half of its weights.
//!
//! Output channels come in *chunks* of 128. Within a half of a row the channels stand so that
//! interleaving four rows by bytes and then by pairs, as `vpunpcklbw` and its like do in each 16
//! bytes, gives sixteen channels in order: byte `16 l + 4 k + j` is channel `16 k + 4 l + j` of its 64.
//!
//! ```text
//! offsets  i32 [block of 16][16]                         as in dot_16x4
//! scales   f32 [block of 16][16]
//! adds     f32 [block of 16][16]
//! weights  i8  [chunk][input][128]
//! ```

use crate::kernels::reference::Window;

/// The packing code of images.
pub const CODE: u8 = 19;
/// Output channels in a chunk.
pub const CHUNK: usize = 128;

/// Whether the kernels take a window: 1x1 on one pixel (a fully connected layer), output channels a
/// multiple of [`CHUNK`], inputs a multiple of 16, which kernels list in 16 bits, both below 32,768.
pub const fn fits(window: &Window) -> bool {
    let [height, width, inputs] = window.input;
    let [out_height, out_width, channels] = window.output;
    let most = 1 << 15;
    height == 1
        && width == 1
        && out_height == 1
        && out_width == 1
        && window.kernel[0] == 1
        && window.kernel[1] == 1
        && inputs > 0
        && inputs < most
        && inputs.is_multiple_of(16)
        && channels > 0
        && channels < most
        && channels.is_multiple_of(CHUNK)
}

/// Bytes before the weights: offsets, scales and adds.
pub const fn constants_len(channels: usize) -> usize {
    channels.saturating_mul(12)
}

/// Bytes of everything. Saturates.
pub const fn len(window: &Window) -> usize {
    let ([_, _, inputs], [_, _, channels]) = (window.input, window.output);
    channels
        .saturating_mul(inputs)
        .saturating_add(constants_len(channels))
}

/// Where the weight of an input lies; `None` outside the layer.
pub fn position(window: &Window, channel: usize, input: usize) -> Option<usize> {
    let ([_, _, inputs], [_, _, channels]) = (window.input, window.output);
    if channel >= channels || input >= inputs {
        return None;
    }
    let in_half = channel % 64;
    let (k, l, j) = (in_half / 16, in_half / 4 % 4, in_half % 4);
    (channel / CHUNK)
        .checked_mul(inputs)?
        .checked_add(input)?
        .checked_mul(CHUNK)?
        .checked_add(channel % CHUNK / 64 * 64 + 16 * l + 4 * k + j)?
        .checked_add(constants_len(channels))
}

/// The weight of an input; 0 where there is none.
pub fn weight(window: &Window, packed: &[u8], channel: usize, input: usize) -> i8 {
    position(window, channel, input)
        .and_then(|at| packed.get(at))
        .map_or(0, |weight| weight.cast_signed())
}
