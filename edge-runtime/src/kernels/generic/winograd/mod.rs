//! The frame of Winograd's F(4x4, 3x3) in 16-bit integers: 36 products where the definition has 144,
//! and the same bytes. See [`winograd_16x2`](crate::kernels::packing::winograd_16x2) for the
//! transformations and why they are exact.
//!
//! Tiles (6x6 inputs, 4x4 outputs) are taken row by row of tiles, as many rows together as make a
//! chunk or more. First all tiles of such a turn are transformed into scratch ([`Forward`]), then blocks
//! of sixteen output channels are computed chunk by chunk: the [`Products`] with the weights and the way
//! [back](fn@back) to outputs, which an instruction set may end itself ([`Vector::tiles`]). When the
//! first output of a turn is written nothing is left to read but rows of input that later tiles need,
//! and these lie, by the raster rule of [`Layer`], above the last output of the turn.
//!
//! An instruction set gives the vectors ([`Vector`]); everything here is compiled into its functions.

mod back;
mod forward;
mod products;

pub(crate) use back::{TileSums, UNSCALE, back};
pub(crate) use forward::Forward;
pub(crate) use products::Products;

use super::constants::{Constants, prepared_len};
use super::rows::volume;
use crate::kernels::layer::Layer;
use crate::kernels::packing::winograd_16x2::{
    self, BLOCK, OUTPUTS, SIDE, block_len, constants_len, fits,
};
use crate::kernels::reference::Window;
use back::outputs;

/// Positions of a transformed tile.
pub(crate) const POSITIONS: usize = SIDE * SIDE;
/// Tiles in a chunk at most, and the tiles that a turn has at least where there are as many.
pub(crate) const CHUNK: usize = 8;
/// Bytes of the sums of sixteen channels.
pub(crate) const SUM: usize = BLOCK * 4;
/// Bytes from one position of a tile's sums to the next, and of a chunk's.
const SUMS: usize = CHUNK * POSITIONS * SUM;
/// Bytes of a tile's outputs before their end: `[row][column]`.
const OUTPUT: usize = OUTPUTS * OUTPUTS * SUM;
/// Room for what [`Vector::ends`] gives.
const ENDS: usize = 13 * LINE;
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
    /// How the tiles of a block end.
    type Ends;
    /// Blocks that are computed together: 1 or 2.
    const TOGETHER: usize;

    /// 32 activations, widened.
    unsafe fn widen(from: *const i8) -> Self::Words;
    /// Each half from its place, 32 bytes each.
    unsafe fn load_words(from: [*const i16; 2]) -> Self::Words;
    unsafe fn add_words(a: Self::Words, b: Self::Words) -> Self::Words;
    unsafe fn sub_words(a: Self::Words, b: Self::Words) -> Self::Words;
    /// Times four.
    unsafe fn four_words(a: Self::Words) -> Self::Words;
    /// 64 bytes.
    unsafe fn store_words(a: Self::Words, to: *mut i16);

    unsafe fn zero() -> Self::Sums;
    /// 64 bytes.
    unsafe fn load(from: *const u8) -> Self::Sums;
    /// 64 bytes.
    unsafe fn store(sums: Self::Sums, to: *mut u8);
    unsafe fn add(a: Self::Sums, b: Self::Sums) -> Self::Sums;
    unsafe fn sub(a: Self::Sums, b: Self::Sums) -> Self::Sums;
    /// Times `2^N`.
    unsafe fn left<const N: u32>(a: Self::Sums) -> Self::Sums;
    /// From [`SCALE`](winograd_16x2::SCALE) times a convolution to it.
    unsafe fn unscale(a: Self::Sums) -> Self::Sums;

    /// [`Forward::row`].
    unsafe fn transform(of: &Forward<'_>, top: usize, tiles: *mut i16);
    /// The [`Products`] of as many blocks and tiles: `blocks` is at most [`TOGETHER`](Self::TOGETHER),
    /// `tiles` at most [`CHUNK`]; more tiles up to as many may be computed. `first` is what position
    /// (1, 1) begins at in each block. Returns whether the sums are half transformed back.
    unsafe fn products(of: &Products, blocks: usize, tiles: usize, first: [Self::Sums; 2]) -> bool;

    /// As [`Lanes::prepare`](super::rows::Lanes::prepare).
    unsafe fn prepare(constants: &Constants, to: *mut u8);
    /// How the tiles of a block end without a detour; `None` where they cannot. Asked for once: what it
    /// gives has at most [`ENDS`] bytes and an alignment of at most [`LINE`].
    unsafe fn ends(constants: &Constants, block: usize) -> Option<Self::Ends>;
    /// What position (1, 1) of a tile begins at.
    unsafe fn first(ends: &Self::Ends) -> Self::Sums;
    /// Writes the 4x4 outputs of each of some tiles side by side, sixteen bytes each: `strides` are the
    /// bytes to the next pixel and to that below.
    unsafe fn tiles(
        ends: &Self::Ends,
        sums: TileSums,
        count: usize,
        output: *mut i8,
        strides: [usize; 2],
    );
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
        let [_, _, depth] = window.input;
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
            // Tiles are transformed in pairs: the last one of an odd row writes as much behind it.
            room: (columns * together + columns * depth / BLOCK % 2).next_multiple_of(CHUNK),
        }
    }

    /// Elements of an input row with the padding of its tiles.
    const fn row_len(&self, depth: usize) -> usize {
        (self.columns * OUTPUTS + 2) * depth
    }

    /// Elements from one row of a row of tiles half transformed to the next: a line before it, and one
    /// behind it where vectors may end.
    const fn half_step(&self, depth: usize) -> usize {
        (self.row_len(depth) + BLOCK * 4).next_multiple_of(BLOCK * 2)
    }

    /// Bytes of a row of tiles half transformed.
    const fn half_len(&self, depth: usize) -> usize {
        self.half_step(depth).saturating_mul(SIDE * 2)
    }
}

/// Scratch in bytes: constants, transformed tiles, sums, outputs before their end, ends, a row of tiles half
/// transformed, a row of padding. Saturates; 0 where the window does not fit.
pub(crate) const fn scratch_len(window: &Window) -> usize {
    if !fits(window) {
        return 0;
    }
    let ([_, width, depth], [_, _, channels]) = (window.input, window.output);
    let turns = Turns::new(window);
    turns
        .room
        .saturating_mul(depth)
        .saturating_mul(POSITIONS * 2)
        .saturating_add(channels.saturating_mul(ENDS / BLOCK))
        .saturating_add(2 * SUMS + OUTPUT + LINE)
        .saturating_add(turns.half_len(depth))
        .saturating_add(width.saturating_mul(depth))
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
    /// Of one tile, before their end.
    outputs: *mut u8,
    /// [`Vector::ends`] of each block, [`ENDS`] apart.
    ends: *const u8,
    output: *mut i8,
}

impl Job {
    /// # Safety
    /// The block is in the layer.
    #[inline(always)]
    unsafe fn ends<V: Vector>(&self, block: usize) -> Option<&V::Ends> {
        // SAFETY: they were written there, on a line.
        unsafe {
            let ends = self.ends.add(block * ENDS);
            (*ends.cast::<Option<V::Ends>>()).as_ref()
        }
    }

    /// Writes the outputs of tiles, the first of which has this row and column of tiles.
    ///
    /// # Safety
    /// The tiles and the block are in the layer, `sums` are theirs. The machine has the instruction set.
    #[inline(always)]
    unsafe fn finish<V: Vector>(
        &self,
        window: &Window,
        ends: Option<&V::Ends>,
        block: usize,
        sums: TileSums,
        [mut row, mut column]: [usize; 2],
        tiles: usize,
    ) {
        let [height, width, channels] = window.output;
        let line = width * channels;
        let mut done = 0;
        while done < tiles {
            let (y, x) = (row * OUTPUTS, column * OUTPUTS);
            let (lines, pixels) = ((height - y).min(OUTPUTS), (width - x).min(OUTPUTS));
            // All that are whole, or one that is not.
            let whole = if lines == OUTPUTS {
                ((width - x) / OUTPUTS).min(tiles - done)
            } else {
                0
            };
            // SAFETY: the pixels are in the output, and those of a whole tile in their room.
            unsafe {
                let sums = sums.skip(done);
                let output = self.output.add((y * width + x) * channels);
                match ends {
                    Some(ends) if whole > 0 => {
                        let to = output.add(block * BLOCK);
                        V::tiles(ends, sums, whole, to, [channels, line]);
                    }
                    Some(ends) => {
                        let from = self.outputs.cast::<i8>();
                        V::tiles(ends, sums, 1, from, [BLOCK, BLOCK * OUTPUTS]);
                        for place in 0..lines * pixels {
                            let (below, right) = (place / pixels, place % pixels);
                            let from = from.add((below * OUTPUTS + right) * BLOCK);
                            let to = output.add(below * line + right * channels);
                            to.add(block * BLOCK).copy_from_nonoverlapping(from, BLOCK);
                        }
                    }
                    None => {
                        outputs::<V>(sums, V::start(&self.constants, block), self.outputs);
                        for below in 0..lines {
                            let sums = self.outputs.add(below * OUTPUTS * SUM);
                            let output = output.add(below * line);
                            V::finish(&self.constants, block, sums, output, pixels);
                        }
                    }
                }
            }
            let run = if ends.is_some() { whole.max(1) } else { 1 };
            done += run;
            column += run;
            if column * OUTPUTS >= width {
                (row, column) = (row + 1, 0);
            }
        }
    }
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
    let ([_, _, depth], [_, _, channels]) = (window.input, window.output);
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
    const { assert!(size_of::<Option<V::Ends>>() <= ENDS && align_of::<V::Ends>() <= LINE) };
    // SAFETY: the parts of the scratch are as long as `scratch_len` adds them up, with a line for
    // the alignment of all but the first.
    let (job, half, pad_row) = unsafe {
        let free = prepared.add(prepared_len(channels));
        let tiles = free.add(free.align_offset(LINE).min(LINE));
        let sums = tiles.add(turns.room * depth * POSITIONS * 2);
        let outputs = sums.add(2 * SUMS);
        let tile_ends = outputs.add(OUTPUT);
        for block in 0..channels / BLOCK {
            let to = tile_ends.add(block * ENDS).cast::<Option<V::Ends>>();
            to.write(V::ends(&constants, block));
        }
        let half = tile_ends.add(channels / BLOCK * ENDS);
        let pad_row = half.add(turns.half_len(depth));
        pad_row.write_bytes(layer.pad.cast_unsigned(), window.input[1] * depth);
        V::prepare(&constants, prepared);
        let job = Job {
            constants,
            weights: layer.weights.as_ptr().add(constants_len(channels)),
            tiles: tiles.cast(),
            step: turns.room * depth,
            sums,
            outputs,
            ends: tile_ends,
            output,
        };
        // The first column of the input on a line.
        let left = window.padding[1] * depth;
        let half = half
            .cast::<i16>()
            .add(left.next_multiple_of(BLOCK * 2) - left);
        (job, half, pad_row.cast::<i8>())
    };
    let forward = Forward {
        window,
        input,
        pad: layer.pad,
        pad_row,
        columns: turns.columns,
        half,
        half_step: turns.half_step(depth),
        step: job.step,
    };
    // Few channels are sooner done with: sums are finished while they are near.
    let chunk = if depth == BLOCK { CHUNK / 2 } else { CHUNK };
    let mut top = 0;
    while top < turns.rows {
        let rows = turns.together.min(turns.rows - top);
        let count = rows * turns.columns;
        for row in 0..rows {
            // SAFETY: there is room for each tile of the row.
            unsafe {
                let tiles = job.tiles.add(row * turns.columns * depth);
                V::transform(&forward, (top + row) * OUTPUTS, tiles);
            }
        }
        let blocks = channels / BLOCK;
        let mut block = 0;
        while block < blocks {
            let together = V::TOGETHER.min(blocks - block);
            // SAFETY: the blocks are in the layer.
            let ends = [block, block + together - 1].map(|block| unsafe { job.ends::<V>(block) });
            let starts = ends.map(|ends| match ends {
                // SAFETY: the machine has the instruction set.
                Some(ends) => unsafe { V::first(ends) },
                // SAFETY: likewise.
                None => unsafe { V::zero() },
            });
            let mut first = 0;
            while first < count {
                let tiles = (count - first).min(chunk);
                let place = [top + first / turns.columns, first % turns.columns];
                // SAFETY: blocks and tiles are in the layer; a chunk has room for more tiles than
                // there are.
                unsafe {
                    let is_half = V::products(
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
                        starts,
                    );
                    for (which, ends) in ends.into_iter().enumerate().take(together) {
                        let sums = TileSums {
                            at: job.sums.add(which * CHUNK * POSITIONS * SUM),
                            is_half,
                        };
                        let block = block + which;
                        job.finish::<V>(window, ends, block, sums, place, tiles);
                    }
                }
                first += chunk;
            }
            block += together;
        }
        top += turns.together;
    }
    Some(())
}
