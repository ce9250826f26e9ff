//! The frame of Winograd's F(4x4, 3x3) in 16-bit integers: 36 products where the definition has 144,
//! and the same bytes. See [`winograd_16x2`](crate::kernels::packing::winograd_16x2) for the
//! transformations and why they are exact.
//!
//! Tiles (6x6 inputs, 4x4 outputs) are taken row by row of tiles, as many rows together as make a
//! chunk or more. First all tiles of a turn are transformed into scratch, then blocks of sixteen
//! output channels are computed chunk by chunk. When the first output of a turn is written nothing
//! is left to read but rows of input that later tiles need, and these lie, by the raster rule of
//! [`Layer`], above the last output of the turn.
//!
//! An instruction set gives the vectors ([`Vector`]); everything here is compiled into its functions.

use super::constants::{Constants, prepared_len};
use super::rows::volume;
use crate::kernels::layer::Layer;
use crate::kernels::packing::winograd_16x2::{
    self, BLOCK, INVERSE_OF_9, OUTPUTS, SHIFT, SIDE, block_len, constants_len, fits,
};
use crate::kernels::reference::Window;

/// Positions of a transformed tile.
pub(crate) const POSITIONS: usize = SIDE * SIDE;
/// Tiles in a chunk at most, and the tiles that a turn has at least where there are as many.
pub(crate) const CHUNK: usize = 8;
/// Bytes of the sums of sixteen channels.
pub(crate) const SUM: usize = BLOCK * 4;
/// Bytes from one position of a tile's sums to the next, and of a chunk's.
const SUMS: usize = CHUNK * POSITIONS * SUM;
/// Bytes of a chunk's outputs before their end: `[row][tile][column]`.
const ENDS: usize = OUTPUTS * CHUNK * OUTPUTS * SUM;
/// Boundary of vectors in scratch.
const LINE: usize = 64;

/// The vectors of an instruction set.
///
/// # Safety
/// Every function may only be called where the machine has the instruction set, with pointers that
/// are good for as many bytes as it says.
pub(crate) trait Vector {
    /// 32 lanes of 16 bits: two halves.
    type Words: Copy;
    /// 16 lanes of 32 bits.
    type Sums: Copy;
    /// Blocks that are computed together: 1 or 2.
    const TOGETHER: usize;

    /// Sixteen activations from each source, widened.
    unsafe fn widen(from: [*const i8; 2]) -> Self::Words;
    unsafe fn add_words(a: Self::Words, b: Self::Words) -> Self::Words;
    unsafe fn sub_words(a: Self::Words, b: Self::Words) -> Self::Words;
    /// Times four.
    unsafe fn four_words(a: Self::Words) -> Self::Words;
    /// Each half to its place, 32 bytes each.
    unsafe fn store_words(a: Self::Words, to: [*mut i16; 2]);

    unsafe fn zero() -> Self::Sums;
    /// 64 bytes.
    unsafe fn load(from: *const u8) -> Self::Sums;
    /// 64 bytes.
    unsafe fn store(sums: Self::Sums, to: *mut u8);
    /// Two words in all lanes.
    unsafe fn broadcast(pair: *const i16) -> Self::Sums;
    /// Adds the products of pairs of words.
    unsafe fn dot(sums: Self::Sums, x: Self::Sums, weights: Self::Sums) -> Self::Sums;
    unsafe fn add(a: Self::Sums, b: Self::Sums) -> Self::Sums;
    unsafe fn sub(a: Self::Sums, b: Self::Sums) -> Self::Sums;
    /// Times `2^N`.
    unsafe fn left<const N: u32>(a: Self::Sums) -> Self::Sums;
    /// From [`SCALE`](winograd_16x2::SCALE) times a convolution to it.
    unsafe fn unscale(a: Self::Sums) -> Self::Sums;

    /// [`products`] of as many blocks and tiles: `blocks` is at most [`TOGETHER`](Self::TOGETHER),
    /// `tiles` at most [`CHUNK`]; more tiles up to as many may be computed.
    unsafe fn products(of: &Products, blocks: usize, tiles: usize);

    /// As [`Lanes::prepare`](super::rows::Lanes::prepare).
    unsafe fn prepare(constants: &Constants, to: *mut u8);
    /// What the convolution needs added before [`finish`](Self::finish).
    unsafe fn start(constants: &Constants, block: usize) -> Self::Sums;
    /// Writes the outputs of `pixels` pixels of one block, whose sums are `[pixel]`; `output` is the
    /// first pixel.
    unsafe fn finish(
        constants: &Constants,
        block: usize,
        sums: *mut u8,
        output: *mut i8,
        pixels: usize,
    );
}

/// How the tiles of a layer are taken.
#[derive(Clone, Copy)]
struct Turns {
    /// Tiles of a row of tiles, and rows.
    columns: usize,
    rows: usize,
    /// Rows of tiles in a turn.
    together: usize,
    /// Room for the tiles of a turn, a multiple of [`CHUNK`].
    room: usize,
}

impl Turns {
    const fn new(window: &Window) -> Self {
        let [height, width, _] = window.output;
        let (columns, rows) = (width.div_ceil(OUTPUTS), height.div_ceil(OUTPUTS));
        let wanted = match CHUNK.checked_div(columns) {
            Some(0) | None => 1,
            Some(wanted) => wanted,
        };
        let together = if wanted < rows { wanted } else { rows };
        Self {
            columns,
            rows,
            together,
            room: (columns * together).next_multiple_of(CHUNK),
        }
    }

    /// Bytes of an input row with the padding of its tiles.
    const fn row_len(&self, depth: usize) -> usize {
        (self.columns * OUTPUTS + 2) * depth
    }

    /// Bytes of the input rows of a turn.
    const fn padded_len(&self, depth: usize) -> usize {
        self.row_len(depth)
            .saturating_mul(self.together * OUTPUTS + 2)
    }
}

/// Scratch in bytes: constants, transformed tiles, sums, outputs before their end, the input rows of a
/// turn with their padding. Saturates; 0 where the window does not fit.
pub(crate) const fn scratch_len(window: &Window) -> usize {
    if !fits(window) {
        return 0;
    }
    let ([_, _, depth], [_, _, channels]) = (window.input, window.output);
    let turns = Turns::new(window);
    turns
        .room
        .saturating_mul(depth)
        .saturating_mul(POSITIONS * 2)
        .saturating_add(2 * SUMS + ENDS + LINE)
        .saturating_add(turns.padded_len(depth))
        .saturating_add(prepared_len(channels))
}

/// A layer under way.
struct Job {
    constants: Constants,
    weights: *const u8,
    /// `[position][tile][input channel]`
    tiles: *mut i16,
    /// Elements from one position to the next.
    step: usize,
    /// `[block of two][tile][position]`
    sums: *mut u8,
    ends: *mut u8,
}

/// Runs a layer. Leaves the output alone where the window does not fit or a slice is too short.
///
/// # Safety
/// The machine has the instruction set of `V`.
#[inline(always)]
pub(crate) unsafe fn run_winograd<V: Vector>(layer: &Layer<'_>) {
    // SAFETY: passed on. Nothing is written where it finds a slice too short.
    let _ = unsafe { try_run::<V>(layer) };
}

/// # Safety
/// As [`run_winograd`].
#[inline(always)]
unsafe fn try_run<V: Vector>(layer: &Layer<'_>) -> Option<()> {
    let window = &layer.window;
    if !fits(window) {
        return None;
    }
    let [height, width, depth] = window.input;
    let [out_height, out_width, channels] = window.output;
    let [padding_y, padding_x] = window.padding;
    let enough = layer.weights.len() >= winograd_16x2::len(window)
        && layer.scratch.len() >= scratch_len(window)
        && layer.scratch.as_ptr().cast::<i32>().is_aligned()
        && layer.input.len() >= volume(window.input)?
        && layer.output.len() >= volume(window.output)?;
    if !enough {
        return None;
    }
    let turns = Turns::new(window);
    let input = layer.input.as_ptr().cast::<i8>();
    // `Cell::as_ptr` of the first one would only be good for that one; this is good for all.
    let output = layer.output.as_ptr().cast::<i8>().cast_mut();
    let prepared = layer.scratch.as_ptr().cast::<u8>().cast_mut();
    let constants = Constants::new(layer, channels)?;
    // SAFETY: the parts of the scratch are as long as `scratch_len` adds them up, with a line for
    // the alignment of all but the first.
    let (job, padded) = unsafe {
        let free = prepared.add(prepared_len(channels));
        let tiles = free.add(free.align_offset(LINE).min(LINE));
        let sums = tiles.add(turns.room * depth * POSITIONS * 2);
        let ends = sums.add(2 * SUMS);
        let padded = ends.add(ENDS);
        V::prepare(&constants, prepared);
        let job = Job {
            constants,
            weights: layer.weights.as_ptr().add(constants_len(channels)),
            tiles: tiles.cast(),
            step: turns.room * depth,
            sums,
            ends,
        };
        (job, padded)
    };
    let pad = layer.pad.cast_unsigned();
    let row_bytes = turns.row_len(depth);
    // Columns of the input that tiles need.
    let copied = width.min(turns.columns * OUTPUTS + 2 - padding_x);
    let mut top = 0;
    while top < turns.rows {
        let rows = turns.together.min(turns.rows - top);
        let count = rows * turns.columns;
        // SAFETY: the rows have room for those of a turn and for the columns of its tiles; input
        // rows and columns are inside the input.
        unsafe {
            for row in 0..rows * OUTPUTS + 2 {
                let to = padded.add(row * row_bytes);
                let from = (top * OUTPUTS + row).wrapping_sub(padding_y);
                if from < height {
                    let from = input.add(from * width * depth);
                    let inside = to.add(padding_x * depth);
                    to.write_bytes(pad, padding_x * depth);
                    inside.copy_from_nonoverlapping(from.cast(), copied * depth);
                    let behind = padding_x + copied;
                    let right = inside.add(copied * depth);
                    right.write_bytes(pad, (turns.columns * OUTPUTS + 2 - behind) * depth);
                } else {
                    to.write_bytes(pad, row_bytes);
                }
            }
        }
        // Pairs of sixteen channels of tiles, side by side.
        let parts = depth / BLOCK;
        let mut next = Place::default();
        let mut item = 0;
        while item < count * parts {
            let first = next;
            next.advance(parts, turns.columns);
            // The last one may be its own partner.
            let second = if item + 1 < count * parts {
                next
            } else {
                first
            };
            next.advance(parts, turns.columns);
            // SAFETY: the tiles are in the rows and in the room.
            unsafe {
                let from = [first, second].map(|place| {
                    let at = place.row * OUTPUTS * row_bytes + place.column * OUTPUTS * depth;
                    padded
                        .cast_const()
                        .cast::<i8>()
                        .add(at + place.part * BLOCK)
                });
                let to = [first, second].map(|place| {
                    let tile = place.row * turns.columns + place.column;
                    job.tiles.add(tile * depth + place.part * BLOCK)
                });
                transform::<V>(from, [row_bytes, depth], to, job.step);
            }
            item += 2;
        }
        let blocks = channels / BLOCK;
        let mut block = 0;
        while block < blocks {
            let together = V::TOGETHER.min(blocks - block);
            let mut first = 0;
            while first < count {
                let tiles = (count - first).min(CHUNK);
                // SAFETY: blocks and tiles are in the layer; a chunk has room for more tiles than
                // there are.
                unsafe {
                    V::products(
                        &Products {
                            weights: job.weights.add(block * block_len(depth)),
                            block_len: block_len(depth),
                            tiles: job.tiles.cast_const().add(first * depth),
                            step: job.step,
                            depth,
                            sums: job.sums,
                        },
                        together,
                        tiles,
                    );
                }
                for which in 0..together {
                    // SAFETY: as above; the sums are there.
                    unsafe {
                        let start = V::start(&job.constants, block + which);
                        for tile in 0..tiles {
                            let sums = job.sums.add((which * CHUNK + tile) * POSITIONS * SUM);
                            outputs::<V>(sums, start, job.ends.add(tile * OUTPUTS * SUM));
                        }
                    }
                    // Tiles side by side.
                    let mut tile = 0;
                    while tile < tiles {
                        let (row, column) = (
                            top + (first + tile) / turns.columns,
                            (first + tile) % turns.columns,
                        );
                        let run = (turns.columns - column).min(tiles - tile);
                        let (y, x) = (row * OUTPUTS, column * OUTPUTS);
                        let pixels = (run * OUTPUTS).min(out_width - x);
                        for line in 0..OUTPUTS.min(out_height - y) {
                            // SAFETY: the pixels are in the output, and their sums in the ends.
                            unsafe {
                                let sums = (line * CHUNK + tile) * OUTPUTS * SUM;
                                let to = ((y + line) * out_width + x) * channels;
                                V::finish(
                                    &job.constants,
                                    block + which,
                                    job.ends.add(sums),
                                    output.add(to),
                                    pixels,
                                );
                            }
                        }
                        tile += run;
                    }
                }
                first += CHUNK;
            }
            block += together;
        }
        top += turns.together;
    }
    Some(())
}

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

/// `Bᵀ d B` of two sources at once.
///
/// # Safety
/// From each source six rows of six pixels are readable, rows and pixels as far apart as `strides`
/// say, sixteen bytes each; `to` is writable for sixteen elements at each position, `step` elements
/// apart. The machine has the instruction set.
#[inline(always)]
unsafe fn transform<V: Vector>(
    from: [*const i8; 2],
    [row_bytes, pixel_bytes]: [usize; 2],
    to: [*mut i16; 2],
    step: usize,
) {
    // SAFETY: passed on.
    unsafe {
        let mut columns = [[V::widen(from); SIDE]; SIDE];
        for (column, results) in columns.iter_mut().enumerate() {
            let from = from.map(|from| from.add(column * pixel_bytes));
            let at = |row: usize| V::widen(from.map(|from| from.add(row * row_bytes)));
            *results = dimension::<V>([at(0), at(1), at(2), at(3), at(4), at(5)]);
        }
        let columns = columns.as_ptr().cast::<V::Words>();
        for row in 0..SIDE {
            let at = |column: usize| columns.add(column * SIDE + row).read();
            let results = dimension::<V>([at(0), at(1), at(2), at(3), at(4), at(5)]);
            for (column, words) in results.into_iter().enumerate() {
                let place = (row * SIDE + column) * step;
                V::store_words(words, to.map(|to| to.add(place)));
            }
        }
    }
}

/// Sixteen input channels of a tile in a turn.
#[derive(Clone, Copy, Default)]
struct Place {
    row: usize,
    column: usize,
    part: usize,
}

impl Place {
    fn advance(&mut self, parts: usize, columns: usize) {
        self.part += 1;
        if self.part == parts {
            self.part = 0;
            self.column += 1;
        }
        if self.column == columns {
            self.column = 0;
            self.row += 1;
        }
    }
}

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
    /// Elements from one tile to the next, a multiple of [`BLOCK`].
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

/// One dimension of `Aᵀ M A`, see [`winograd_16x2::A`].
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn back<V: Vector>([a, b, c, d, e, f]: [V::Sums; SIDE]) -> [V::Sums; OUTPUTS] {
    // SAFETY: passed on.
    unsafe {
        let (p, q) = (V::add(b, c), V::sub(b, c));
        let (r, s) = (V::add(d, e), V::sub(d, e));
        [
            V::add(V::sub(a, V::left::<2>(p)), r),
            V::left::<1>(V::sub(s, V::left::<1>(q))),
            V::left::<2>(V::sub(r, p)),
            V::left::<2>(V::add(V::sub(V::left::<1>(s), q), f)),
        ]
    }
}

/// The sixteen outputs of a tile before their end, to `[row][..][column]`.
///
/// # Safety
/// `sums` are those of all positions; `to` is writable as [`ENDS`] says. The machine has the
/// instruction set.
#[inline(always)]
unsafe fn outputs<V: Vector>(sums: *const u8, start: V::Sums, to: *mut u8) {
    // SAFETY: passed on.
    unsafe {
        let mut columns = [[V::zero(); OUTPUTS]; SIDE];
        for (column, results) in columns.iter_mut().enumerate() {
            let at = |row: usize| V::load(sums.add((row * SIDE + column) * SUM));
            *results = back::<V>([at(0), at(1), at(2), at(3), at(4), at(5)]);
        }
        let columns = columns.as_ptr().cast::<V::Sums>();
        for row in 0..OUTPUTS {
            let at = |column: usize| columns.add(column * OUTPUTS + row).read();
            let results = back::<V>([at(0), at(1), at(2), at(3), at(4), at(5)]);
            for (column, sums) in results.into_iter().enumerate() {
                let sums = V::add(V::unscale(sums), start);
                V::store(sums, to.add((row * CHUNK * OUTPUTS + column) * SUM));
            }
        }
    }
}

/// The factor that [`Vector::unscale`] begins with, and the shift that it ends with.
pub(crate) const UNSCALE: (i32, u32) = (INVERSE_OF_9.cast_signed(), SHIFT);
