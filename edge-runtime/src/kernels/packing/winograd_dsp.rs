//! Packing 3: 3x3 weights transformed for Winograd's F(2x2, 3x3), for Arm cores with the DSP
//! extension.
//!
//! Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks* (2015), with `G` doubled so
//! that everything is an integer: `U = G g Gᵀ` with
//! `G = [[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]`, and the result is 4 times the convolution.
//!
//! A header of 16 bytes, its first word the [`Form`] and the rest zero; then for each four output
//! channels a block of `128 · input channels + 64` bytes:
//! - 16 positions of the transformed tile, column by column (position `4 · column + row`); of each,
//!   for every four input channels `c`, eight words: input channels `(c, c + 2)` as low and high
//!   half of each of the four output channels, then `(c + 1, c + 3)` of each.
//! - Four words for each of the four output channels: 4 · bias; multiplier; what is added to the
//!   high word of the product; and byte 0: how far the sum is shifted right, byte 1: `k`, byte 2:
//!   the channel's shift.
//!
//! Weights and bias are multiplied by `2^k` besides.

/// Bytes of the header.
pub const HEADER: usize = 16;

/// How a kernel gets from four times an accumulator to an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `saturate((high(4 acc · multiplier) + addend) >> shift)`.
    Merged = 0,
    /// `saturate((round(high(2 acc · multiplier)) + addend - (acc < 0)) >> shift)`.
    Ties = 1,
}

impl Form {
    /// The form of packed weights; `None` where the header is unknown.
    pub fn of(packed: &[u8]) -> Option<Self> {
        match word(packed, 0)? {
            0 => Some(Self::Merged),
            1 => Some(Self::Ties),
            _ => None,
        }
    }
}

/// Bytes of four output channels.
pub const fn block_len(in_channels: usize) -> usize {
    in_channels.saturating_mul(128).saturating_add(64)
}

/// The transformed weight of an output and an input channel at a position of the tile, divided by
/// `2^k`; `None` where the packed weights end before it.
pub fn transformed(
    packed: &[u8],
    in_channels: usize,
    output: usize,
    input: usize,
    [row, column]: [usize; 2],
) -> Option<i16> {
    let block = block_len(in_channels)
        .checked_mul(output / 4)?
        .checked_add(HEADER)?;
    let position = column.checked_mul(4)?.checked_add(row)?;
    let start = position
        .checked_mul(in_channels.checked_mul(8)?)?
        .checked_add(input / 4 * 32 + input % 2 * 16 + output % 4 * 4 + input % 4 / 2 * 2)?;
    let bytes = packed.get(block..)?.get(start..)?.first_chunk::<2>()?;
    let [_, k, _, _] = parameters(packed, in_channels, output)?[3].to_le_bytes();
    Some(i16::from_le_bytes(*bytes).wrapping_shr(k.into()))
}

/// The 3x3 weights of an output and an input channel, `[row][column]`: the inverse of the
/// transformation.
pub fn weights(
    packed: &[u8],
    in_channels: usize,
    output: usize,
    input: usize,
) -> Option<[[i8; 3]; 3]> {
    let u =
        |row, column| transformed(packed, in_channels, output, input, [row, column]).map(i32::from);
    // From a column of `G g` to the column of `g`: its first and last rows are doubled, the second
    // less the third is twice the middle row.
    let rows = |column| {
        Some([
            u(0, column)? / 2,
            (u(1, column)? - u(2, column)?) / 2,
            u(3, column)? / 2,
        ])
    };
    let [first, second, third, fourth] = [rows(0)?, rows(1)?, rows(2)?, rows(3)?];
    let mut result = [[0; 3]; 3];
    for (row, (((a, b), c), d)) in result
        .iter_mut()
        .zip(first.into_iter().zip(second).zip(third).zip(fourth))
    {
        *row = [(a / 2) as i8, ((b - c) / 2) as i8, (d / 2) as i8];
    }
    Some(result)
}

/// Four times the bias, and the rest of an output channel's words, as they are packed.
pub fn parameters(packed: &[u8], in_channels: usize, output: usize) -> Option<[u32; 4]> {
    let block = block_len(in_channels)
        .checked_mul(output / 4)?
        .checked_add(HEADER)?;
    let start = in_channels.checked_mul(128)?.checked_add(output % 4 * 16)?;
    let bytes = packed.get(block..)?.get(start..)?.get(..16)?;
    Some([
        word(bytes, 0)?,
        word(bytes, 4)?,
        word(bytes, 8)?,
        word(bytes, 12)?,
    ])
}

/// The bias (the input's zero point folded in), multiplier and shift of an output channel.
pub fn channel(packed: &[u8], in_channels: usize, output: usize) -> Option<(i32, i32, i8)> {
    let [bias, multiplier, _, last] = parameters(packed, in_channels, output)?;
    let [_, k, shift, _] = last.to_le_bytes();
    Some((
        bias.cast_signed().wrapping_shr(u32::from(k) + 2),
        multiplier.cast_signed(),
        shift.cast_signed(),
    ))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}
