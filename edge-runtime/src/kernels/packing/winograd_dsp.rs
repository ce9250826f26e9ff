//! Packings 3 and 4: 3x3 weights transformed for Winograd's F(2x2, 3x3) and F(4x4, 3x3), for Arm
//! cores with the DSP extension.
//!
//! Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks* (2015), with the rows of `G`
//! scaled so that everything is an integer: `U = G g Gᵀ`, see [`Transform::g`]. Results are 4 and
//! 576 times the convolution.
//!
//! A header of 16 bytes, its first word the [`Form`] and the rest zero; then for each four output
//! channels a block of [`Transform::block_len`] bytes, with `n` 4 for packing 3, 6 for packing 4:
//! - `n · n` positions of the transformed tile, column by column (position `n · column + row`); of
//!   each, for every four input channels `c`, eight words: input channels `(c, c + 2)` as low and
//!   high half of each of the four output channels, then `(c + 1, c + 3)` of each.
//! - Four words for each of the four output channels: bias times 4 or 64; multiplier; what is added
//!   to the high word of the product; and byte 0: how far the sum is shifted right, byte 1: `k`,
//!   byte 2: the channel's shift.
//!
//! Weights and bias are multiplied by `2^k` besides.

/// Bytes of the header.
pub const HEADER: usize = 16;

/// The transformation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// F(2x2, 3x3), packing 3.
    F2,
    /// F(4x4, 3x3), packing 4.
    F4,
}

impl Transform {
    /// Rows and columns of a transformed tile.
    pub const fn side(self) -> usize {
        match self {
            Self::F2 => 4,
            Self::F4 => 6,
        }
    }

    /// The power of two that kernels have accumulators times: 4 = 2^2 or 64 = 2^6.
    pub const fn scale(self) -> u32 {
        match self {
            Self::F2 => 2,
            Self::F4 => 6,
        }
    }

    /// A row of `G`; zeros from [`Transform::side`] on.
    pub const fn g(self, row: usize) -> [i32; 3] {
        match (self, row) {
            (Self::F2, 0) => [2, 0, 0],
            (Self::F2, 3) => [0, 0, 2],
            (Self::F4, 0) => [1, 0, 0],
            (_, 1) => [1, 1, 1],
            (_, 2) => [1, -1, 1],
            (Self::F4, 3) => [1, 2, 4],
            (Self::F4, 4) => [1, -2, 4],
            (Self::F4, 5) => [0, 0, 1],
            _ => [0; 3],
        }
    }

    /// Bytes of four output channels.
    pub const fn block_len(self, in_channels: usize) -> usize {
        let positions = self.side() * self.side();
        in_channels.saturating_mul(positions * 8).saturating_add(64)
    }
}

/// How a kernel gets from an accumulator times a power of two to an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `saturate((high(4 or 64 acc · multiplier) + addend) >> shift)`.
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

/// The transformed weight of an output and an input channel at `[row, column]` of the tile, divided
/// by `2^k`; `None` where the packed weights end before it.
pub fn transformed(
    transform: Transform,
    packed: &[u8],
    in_channels: usize,
    [output, input]: [usize; 2],
    [row, column]: [usize; 2],
) -> Option<i16> {
    let block = transform
        .block_len(in_channels)
        .checked_mul(output / 4)?
        .checked_add(HEADER)?;
    let position = column.checked_mul(transform.side())?.checked_add(row)?;
    let start = position
        .checked_mul(in_channels.checked_mul(8)?)?
        .checked_add(input / 4 * 32 + input % 2 * 16 + output % 4 * 4 + input % 4 / 2 * 2)?;
    let bytes = packed.get(block..)?.get(start..)?.first_chunk::<2>()?;
    let [_, _, _, last] = parameters(transform, packed, in_channels, output)?;
    let [_, k, _, _] = last.to_le_bytes();
    Some(i16::from_le_bytes(*bytes).wrapping_shr(k.into()))
}

/// The 3x3 weights of an output and an input channel, `[row][column]`: the inverse of the
/// transformation.
pub fn weights(
    transform: Transform,
    packed: &[u8],
    in_channels: usize,
    channels: [usize; 2],
) -> Option<[[i8; 3]; 3]> {
    let u = |row, column| {
        transformed(transform, packed, in_channels, channels, [row, column]).map(i32::from)
    };
    // Of `G g` the first and the last row are those of `g`, doubled in F(2x2, 3x3); the second less
    // the third is twice the middle row.
    let (outer, last) = match transform {
        Transform::F2 => (2, 3),
        Transform::F4 => (1, 5),
    };
    let rows = |column| {
        let middle = (u(1, column)? - u(2, column)?) / 2;
        Some([u(0, column)? / outer, middle, u(last, column)? / outer])
    };
    let columns = rows(0)?
        .into_iter()
        .zip(rows(1)?)
        .zip(rows(2)?)
        .zip(rows(last)?);
    let mut result = [[0; 3]; 3];
    for (row, (((a, b), c), d)) in result.iter_mut().zip(columns) {
        *row = [(a / outer) as i8, ((b - c) / 2) as i8, (d / outer) as i8];
    }
    Some(result)
}

/// The four words of an output channel as they are packed.
pub fn parameters(
    transform: Transform,
    packed: &[u8],
    in_channels: usize,
    output: usize,
) -> Option<[u32; 4]> {
    let block = transform.block_len(in_channels);
    let start = block
        .checked_mul(output / 4)?
        .checked_add(HEADER + output % 4 * 16)?
        .checked_add(block.checked_sub(64)?)?;
    let bytes = packed.get(start..)?.get(..16)?;
    Some([
        word(bytes, 0)?,
        word(bytes, 4)?,
        word(bytes, 8)?,
        word(bytes, 12)?,
    ])
}

/// The bias (the input's zero point folded in), multiplier and shift of an output channel.
pub fn channel(
    transform: Transform,
    packed: &[u8],
    in_channels: usize,
    output: usize,
) -> Option<(i32, i32, i8)> {
    let [bias, multiplier, _, last] = parameters(transform, packed, in_channels, output)?;
    let [_, k, shift, _] = last.to_le_bytes();
    Some((
        bias.cast_signed()
            .wrapping_shr(u32::from(k) + transform.scale()),
        multiplier.cast_signed(),
        shift.cast_signed(),
    ))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}
