//! The products of transformed tiles and weights.

use super::{CHUNK, POSITIONS, SUM, Vector};

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

/// The products of `T` tiles and `B` blocks at all positions.
///
/// # Safety
/// All lies where `of` says. The machine has the instruction set.
#[inline(always)]
pub(crate) unsafe fn products<V: Vector, const T: usize, const B: usize>(of: &Products) {
    let Products {
        mut weights,
        mut tiles,
        mut sums,
        ..
    } = *of;
    // SAFETY: passed on.
    unsafe {
        for _ in 0..POSITIONS {
            let mut acc = [[V::zero(); B]; T];
            let mut x = tiles;
            for _ in 0..of.depth / 2 {
                let w: [V::Sums; B] =
                    core::array::from_fn(|b| V::load(weights.add(b * of.block_len)));
                for (t, acc) in acc.iter_mut().enumerate() {
                    let x = V::broadcast(x.add(t * of.depth));
                    for (acc, w) in acc.iter_mut().zip(w) {
                        *acc = V::dot(*acc, x, w);
                    }
                }
                x = x.add(2);
                weights = weights.add(SUM);
            }
            for (t, acc) in acc.iter().enumerate() {
                for (b, acc) in acc.iter().enumerate() {
                    V::store(*acc, sums.add((b * CHUNK + t) * POSITIONS * SUM));
                }
            }
            tiles = tiles.add(of.step);
            sums = sums.add(SUM);
        }
    }
}
