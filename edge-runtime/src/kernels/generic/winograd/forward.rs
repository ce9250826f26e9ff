//! The transformation of the input, `Bᵀ d B`: a row of tiles in its first dimension, where tiles side by
//! side share columns, then tile by tile in the second.

use super::Vector;
use crate::kernels::packing::winograd_16x2::{BLOCK, OUTPUTS, SIDE};
use crate::kernels::reference::Window;

/// One dimension of `Bᵀ d B`, with `Bᵀ` = `[4, 0, -5, 0, 1, 0]`, `[0, -4, -4, 1, 1, 0]`,
/// `[0, 4, -4, -1, 1, 0]`, `[0, -2, -1, 2, 1, 0]`, `[0, 2, -1, -2, 1, 0]`, `[0, 4, 0, -5, 0, 1]`.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn dimension<V: Vector>([a, b, c, d, e, f]: [V::Words; SIDE]) -> [V::Words; SIDE] {
    // SAFETY: passed on.
    unsafe {
        let ec = V::sub_words(e, c);
        let first = V::add_words(V::four_words(V::sub_words(a, c)), ec);
        let even = V::sub_words(e, V::four_words(c));
        let odd = V::sub_words(d, V::four_words(b));
        let db = V::sub_words(d, b);
        let twice = V::add_words(db, db);
        let last = V::sub_words(V::sub_words(f, d), V::add_words(twice, twice));
        [
            first,
            V::add_words(even, odd),
            V::sub_words(even, odd),
            V::add_words(ec, twice),
            V::sub_words(ec, twice),
            last,
        ]
    }
}

/// Where sixteen input channels of a tile begin in a row half transformed.
#[derive(Clone, Copy, Default)]
struct Place {
    at: usize,
    channel: usize,
}

impl Place {
    /// The next channels, or those of the next tile.
    fn advance(&mut self, depth: usize) {
        self.at += BLOCK;
        self.channel += BLOCK;
        if self.channel == depth {
            self.channel = 0;
            self.at += (OUTPUTS - 1) * depth;
        }
    }
}

/// The transformation of the input of a layer.
pub(crate) struct Forward<'a> {
    pub window: &'a Window,
    pub input: *const i8,
    pub pad: i8,
    /// What rows outside of the input are.
    pub pad_row: *const i8,
    /// Tiles in a row of tiles.
    pub columns: usize,
    /// A row of tiles half transformed: six rows.
    pub half: *mut i16,
    /// Elements from one of the six to the next.
    pub half_step: usize,
    /// Elements from one position of a transformed tile to the next.
    pub step: usize,
}

impl Forward<'_> {
    /// Transforms a row of tiles, which begins at the row `top` of the padded input, to
    /// `[position][tile][input channel]`.
    ///
    /// # Safety
    /// `tiles` is writable for the row of tiles, and half a vector behind it where that is not even. The
    /// machine has the instruction set.
    #[inline(always)]
    pub(crate) unsafe fn row<V: Vector>(&self, top: usize, tiles: *mut i16) {
        let [_, _, depth] = self.window.input;
        let items = self.columns * depth / BLOCK;
        // SAFETY: passed on; the tiles are in the row half transformed.
        unsafe {
            self.first_dimension::<V>(top);
            // Sixteen channels of a tile and what comes behind them, the next channels or the next tile;
            // the last one may be its own partner, and its second place is nobody's.
            let mut place = Place::default();
            for item in (0..items).step_by(2) {
                let first = self.half.cast_const().add(place.at);
                place.advance(depth);
                let second = if item + 1 < items {
                    self.half.cast_const().add(place.at)
                } else {
                    first
                };
                place.advance(depth);
                let to = tiles.add(item * BLOCK);
                self.second_dimension::<V>([first, second], to);
            }
        }
    }

    /// The first dimension of all tiles of a row: `Bᵀ` by six rows of the padded input. Tiles side by
    /// side share columns, which are transformed once.
    ///
    /// # Safety
    /// The row is in the layer. The machine has the instruction set.
    #[inline(always)]
    unsafe fn first_dimension<V: Vector>(&self, top: usize) {
        let [height, width, depth] = self.window.input;
        let [padding_y, padding_x] = self.window.padding;
        let (to, step) = (self.half, self.half_step);
        let len = (self.columns * OUTPUTS + 2) * depth;
        let left = padding_x * depth;
        let inside = (width * depth).min(len - left);
        let vector = BLOCK * 2;
        let row = |row: usize| {
            let from = (top + row).wrapping_sub(padding_y);
            if from < height {
                // SAFETY: inside the input.
                unsafe { self.input.add(from * width * depth) }
            } else {
                self.pad_row
            }
        };
        let [a, b, c, d, e, f] = [row(0), row(1), row(2), row(3), row(4), row(5)];
        // SAFETY: columns are read inside the rows, and written in order: what is too much on the left
        // is overwritten, on the right it has its room.
        unsafe {
            let padding = V::widen([self.pad; BLOCK * 2].as_ptr());
            let padding = dimension::<V>([padding; SIDE]);
            for at in (0..left).step_by(vector) {
                store_column::<V>(padding, to.add(at), step);
            }
            let mut at = 0;
            while at + vector <= inside {
                let words = |from: *const i8| V::widen(from.add(at));
                let words = [words(a), words(b), words(c), words(d), words(e), words(f)];
                store_column::<V>(dimension::<V>(words), to.add(left + at), step);
                at += vector;
            }
            if at < inside {
                let words = [a, b, c, d, e, f].map(|from| {
                    let half = from.add(at).cast::<[i8; BLOCK]>().read();
                    V::widen([half; 2].as_ptr().cast())
                });
                store_column::<V>(dimension::<V>(words), to.add(left + at), step);
            }
            for at in (left + inside..len).step_by(vector) {
                store_column::<V>(padding, to.add(at), step);
            }
        }
    }

    /// The second dimension, of sixteen channels of two tiles.
    ///
    /// # Safety
    /// From each source six rows of six pixels are readable; `to` is writable for 32 elements at each
    /// position. The machine has the instruction set.
    #[inline(always)]
    unsafe fn second_dimension<V: Vector>(&self, from: [*const i16; 2], to: *mut i16) {
        let [_, _, pixel] = self.window.input;
        let (half_step, step) = (self.half_step, self.step);
        for row in 0..SIDE {
            // SAFETY: passed on.
            unsafe {
                let from = from.map(|from| from.add(row * half_step));
                let at = |column: usize| V::load_words(from.map(|from| from.add(column * pixel)));
                let words = dimension::<V>([at(0), at(1), at(2), at(3), at(4), at(5)]);
                store_column::<V>(words, to.add(row * SIDE * step), step);
            }
        }
    }
}

/// Stores six vectors, `step` elements apart.
///
/// # Safety
/// All are writable. The machine has the instruction set.
#[inline(always)]
unsafe fn store_column<V: Vector>([a, b, c, d, e, f]: [V::Words; SIDE], to: *mut i16, step: usize) {
    // SAFETY: passed on.
    unsafe {
        V::store_words(a, to);
        V::store_words(b, to.add(step));
        V::store_words(c, to.add(step * 2));
        V::store_words(d, to.add(step * 3));
        V::store_words(e, to.add(step * 4));
        V::store_words(f, to.add(step * 5));
    }
}
