//! Which products of transformed tiles and weights are computed at once.

use super::{POSITIONS, SUM};

/// Some tiles and one block, or two.
#[derive(Clone, Copy)]
pub(crate) struct Products {
    /// Of the first block: `[position][pair]` vectors.
    pub weights: *const u8,
    /// Bytes to the next block.
    pub block_len: usize,
    /// The first tile at the first position.
    pub tiles: *const i16,
    /// Elements from one position to the next.
    pub step: usize,
    /// Elements from one tile to the next, a multiple of sixteen.
    pub depth: usize,
    /// Vectors, `[block][tile of the chunk][position]`.
    pub sums: *mut u8,
}

impl Products {
    /// The same from another tile of the chunk on.
    pub(crate) fn skip(&self, tiles: usize) -> Self {
        Self {
            tiles: self.tiles.wrapping_add(tiles * self.depth),
            sums: self.sums.wrapping_add(tiles * POSITIONS * SUM),
            ..*self
        }
    }
}
