//! The transformation of the sums, `Aᵀ M A`, to [`SCALE`](winograd_16x2::SCALE) times the convolution.

use super::{POSITIONS, SUM, Vector};
use crate::kernels::packing::winograd_16x2::{self, INVERSE_OF_9, OUTPUTS, SHIFT, SIDE};

/// One dimension of `Aᵀ M A`, see [`A`](winograd_16x2::A), each row without its factor: 1, 2, 4 and 4.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub(crate) unsafe fn back<V: Vector>(sums: [V::Sums; SIDE]) -> [V::Sums; OUTPUTS] {
    let [a, b, c, d, e, f] = sums;
    // SAFETY: passed on.
    unsafe {
        let (p, q) = (V::add(b, c), V::sub(b, c));
        let (r, s) = (V::add(d, e), V::sub(d, e));
        [
            V::add(V::sub(a, V::left::<2>(p)), r),
            V::sub(V::sub(s, q), q),
            V::sub(r, p),
            V::add(V::sub(V::add(s, s), q), f),
        ]
    }
}

/// The sums of a block of tiles, `[tile][position]`.
#[derive(Clone, Copy)]
pub(crate) struct TileSums {
    pub at: *const u8,
    /// Whether they are [`back`] of each column already: a column's four in place of its first four.
    pub is_half: bool,
}

impl TileSums {
    /// The same of another tile.
    pub(crate) fn skip(self, tiles: usize) -> Self {
        let at = self.at.wrapping_add(tiles * POSITIONS * SUM);
        Self { at, ..self }
    }

    /// A column [`back`].
    ///
    /// # Safety
    /// The tile's sums are there. The machine has the instruction set.
    #[inline(always)]
    pub(crate) unsafe fn column<V: Vector>(self, column: usize) -> [V::Sums; OUTPUTS] {
        let at = self.at.wrapping_add(column * SUM);
        // SAFETY: passed on.
        let at = |row: usize| unsafe { V::load(at.add(row * SIDE * SUM)) };
        if self.is_half {
            return [at(0), at(1), at(2), at(3)];
        }
        // SAFETY: passed on.
        unsafe { back::<V>([at(0), at(1), at(2), at(3), at(4), at(5)]) }
    }
}

/// The sixteen outputs of a tile before their end, to `[row][column]`.
///
/// # Safety
/// `to` is writable as [`OUTPUT`](super::OUTPUT) says; else as [`TileSums::column`].
#[inline(always)]
pub(super) unsafe fn outputs<V: Vector>(sums: TileSums, start: V::Sums, to: *mut u8) {
    // SAFETY: passed on.
    unsafe {
        let mut columns = [[V::zero(); OUTPUTS]; SIDE];
        for (column, results) in columns.iter_mut().enumerate() {
            *results = sums.column::<V>(column);
        }
        let columns = columns.as_ptr().cast::<V::Sums>();
        for row in 0..OUTPUTS {
            let at = |column: usize| columns.add(column * OUTPUTS + row).read();
            let [a, b, c, d] = back::<V>([at(0), at(1), at(2), at(3), at(4), at(5)]);
            let of_row = match row {
                0 => [a, V::left::<1>(b), V::left::<2>(c), V::left::<2>(d)],
                1 => [
                    V::left::<1>(a),
                    V::left::<2>(b),
                    V::left::<3>(c),
                    V::left::<3>(d),
                ],
                _ => [
                    V::left::<2>(a),
                    V::left::<3>(b),
                    V::left::<4>(c),
                    V::left::<4>(d),
                ],
            };
            for (column, sums) in of_row.into_iter().enumerate() {
                let sums = V::add(V::unscale(sums), start);
                V::store(sums, to.add((row * OUTPUTS + column) * SUM));
            }
        }
    }
}

/// The factor that [`Vector::unscale`] begins with, and the shift that it ends with.
pub(crate) const UNSCALE: (i32, u32) = (INVERSE_OF_9.cast_signed(), SHIFT);
