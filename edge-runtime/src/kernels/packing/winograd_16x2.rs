//! Packing [`CODE`]: 3x3 weights transformed for Winograd's F(4x4, 3x3), pairs of input channels for
//! sixteen output channels at once.
//!
//! For CONV_2D of stride 1 on x86-64. Lavin and Gray, *Fast Algorithms for Convolutional Neural
//! Networks* (2015), in integers: `U = G g Gᵀ` with the rows of `G` scaled, see [`g`]. `G g Gᵀ` is at
//! most 49 · 128 = 6272 in magnitude and `Bᵀ d B` of 8-bit inputs at most 100 · 128 = 12,800, so that
//! both fit 16 bits; with [`A`] the result is [`SCALE`] times the convolution. All sums may wrap at
//! 2^32: the inverse of 9 modulo 2^32 ([`INVERSE_OF_9`]) and a shift by 6 give the convolution back
//! wherever it is below 2^25 in magnitude, see [`is_exact`].
//!
//! Output channels come in *blocks* of sixteen.
//!
//! ```text
//! offsets      i32 [block][16]                           zero
//! scales       f32 [block][16]                           as in dot_16x4
//! adds         f32 [block][16]
//! tile scales  f32 [block][16]                           the same for sums of SCALE times
//! tile adds    f32 [block][16]
//! weights      i16 [block][row][column][input pair][16][2]
//! ```

use crate::kernels::reference::Window;

/// The packing code of images.
pub const CODE: u8 = 18;
/// Output channels in a block, and what input channels are a multiple of.
pub const BLOCK: usize = 16;
/// Rows and columns of a transformed tile.
pub const SIDE: usize = 6;
/// Rows and columns of outputs of a tile.
pub const OUTPUTS: usize = 4;
/// How many times the convolution the inverse transformation gives: 24 in each dimension.
pub const SCALE: u16 = 576;
/// `9 * INVERSE_OF_9 = 1` modulo 2^32.
pub const INVERSE_OF_9: u32 = 954_437_177;
/// `log2(SCALE / 9)`.
pub const SHIFT: u32 = 6;

/// A row of `G`. The interpolation points are 0, 1, -1, 2, -2 and infinity.
pub const fn g(row: usize) -> [i32; 3] {
    match row {
        0 => [6, 0, 0],
        1 => [1, 1, 1],
        2 => [1, -1, 1],
        3 => [1, 2, 4],
        4 => [1, -2, 4],
        5 => [0, 0, 6],
        _ => [0; 3],
    }
}

/// `Aᵀ` for this [`g`].
pub const A: [[i32; SIDE]; OUTPUTS] = [
    [1, -4, -4, 1, 1, 0],
    [0, -4, 4, 2, -2, 0],
    [0, -4, -4, 4, 4, 0],
    [0, -4, 4, 8, -8, 4],
];

/// Whether the kernels take a window: 3x3, stride 1, no dilation, input and output channels
/// multiples of 16, at most 2 rows and columns of padding before the input, at least a pixel of
/// output.
pub const fn fits(window: &Window) -> bool {
    let [height, width, depth] = window.input;
    let [out_height, out_width, channels] = window.output;
    let most = 1 << 15;
    height > 0
        && width > 0
        && out_height > 0
        && out_width > 0
        && height < most
        && width < most
        && out_height < most
        && out_width < most
        && depth > 0
        && depth < most
        && channels > 0
        && channels < most
        && depth.is_multiple_of(BLOCK)
        && channels.is_multiple_of(BLOCK)
        && window.kernel[0] == 3
        && window.kernel[1] == 3
        && window.stride[0] == 1
        && window.stride[1] == 1
        && window.dilation[0] == 1
        && window.dilation[1] == 1
        && window.padding[0] <= 2
        && window.padding[1] <= 2
}

/// Whether the result is exact for an output channel with these weights: no sum of products with
/// 8-bit inputs (bias apart) reaches 2^25.
pub fn is_exact(weights: impl Iterator<Item = i8>) -> bool {
    let sum = weights.fold(0_u64, |sum, w| sum.saturating_add(w.unsigned_abs().into()));
    sum < 1 << 18
}

/// Bytes before the weights: offsets and lines.
pub const fn constants_len(channels: usize) -> usize {
    channels.div_ceil(BLOCK).saturating_mul(BLOCK * 20)
}

/// Bytes of the weights of one block.
pub const fn block_len(depth: usize) -> usize {
    depth.saturating_mul(SIDE * SIDE * BLOCK * 2)
}

/// Bytes of everything. Saturates.
pub const fn len(window: &Window) -> usize {
    let ([_, _, depth], [_, _, channels]) = (window.input, window.output);
    channels
        .div_ceil(BLOCK)
        .saturating_mul(block_len(depth))
        .saturating_add(constants_len(channels))
}

/// Where the transformed weight of (output, input) channel at (row, column) of the tile lies. `None`
/// outside the layer.
pub fn position(
    window: &Window,
    [output, input]: [usize; 2],
    [row, column]: [usize; 2],
) -> Option<usize> {
    let ([_, _, depth], [_, _, channels]) = (window.input, window.output);
    if output >= channels || input >= depth || row >= SIDE || column >= SIDE {
        return None;
    }
    let pair = (row * SIDE + column)
        .checked_mul(depth / 2)?
        .checked_add(input / 2)?;
    let in_block = (pair.checked_mul(BLOCK)?)
        .checked_add(output % BLOCK)?
        .checked_mul(4)?
        .checked_add(input % 2 * 2)?;
    (output / BLOCK)
        .checked_mul(block_len(depth))?
        .checked_add(constants_len(channels))?
        .checked_add(in_block)
}

/// The weight of `tap` of an output channel, with `tap` counted as in canonical weights: the inverse
/// of the transformation. 0 where there is none.
pub fn weight(window: &Window, packed: &[u8], output: usize, tap: usize) -> i8 {
    let [_, _, depth] = window.input;
    let (Some(place), Some(input)) = (tap.checked_div(depth), tap.checked_rem(depth)) else {
        return 0;
    };
    let u = |row: usize, column: usize| {
        let at = position(window, [output, input], [row, column]);
        let bytes = at.and_then(|at| packed.get(at..)?.first_chunk::<2>());
        i32::from(bytes.map_or(0, |bytes| i16::from_le_bytes(*bytes)))
    };
    // The first and the last row of `G g` are six times those of `g`; the second less the third is
    // twice the middle one.
    let in_row = |column: usize| match place / 3 {
        0 => u(0, column) / 6,
        1 => (u(1, column) - u(2, column)) / 2,
        2 => u(5, column) / 6,
        _ => 0,
    };
    let weight = match place % 3 {
        0 => in_row(0) / 6,
        1 => (in_row(1) - in_row(2)) / 2,
        _ => in_row(5) / 6,
    };
    weight as i8
}
