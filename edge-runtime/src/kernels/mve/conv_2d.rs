//! CONV_2D of any window.
//!
//! A pointwise convolution hands its pixels to the inner kernel where they lie. Any other keeps
//! the rows under the window, padded, in a ring in the scratch, and gathers from it the columns of
//! four pixels at a time; the four may lie in two rows of the output, so narrow images waste
//! nothing.

use core::cell::Cell;

use super::copy::{PIECES, Pieces, copy_pieces, gather_columns};
use super::panel::{Panel, UNROLLED, conv_i8_4x2, conv_i8_4x2_of_16};
use super::ring::Ring;
use super::{Mode, mode, splat, start, word_aligned};
pub use crate::kernels::footprint::mve::scratch_len;
use crate::kernels::footprint::mve::{batch, is_pointwise, ring_len, taps};
use crate::kernels::layer::Layer;
use crate::kernels::packing::mve_panel::packed_len;

/// A convolution with weights in `packing::mve_panel`.
///
/// Exact for all rounding modes, shifts and clamps, as long as no accumulator leaves 32 bits, also
/// after the left shift of its channel (`max(shift, 0)` bits, or `max(shift + 2, 0)` where it is
/// rounded once).
#[inline(never)] // or the frames of all kernels are one, on the stack of each
pub fn conv_2d_i8_4x2(layer: &Layer<'_>) {
    let window = &layer.window;
    let channels = window.input[2];
    let [out_height, out_width, out_channels] = window.output;
    let taps = taps(window);
    let fits = |len: usize, [a, b, c]: [usize; 3]| {
        a.checked_mul(b).and_then(|ab| ab.checked_mul(c)) == Some(len) && len != 0
    };
    if !fits(layer.input.len(), window.input)
        || !fits(layer.output.len(), window.output)
        || taps == 0
        || out_channels > 16_000
        || layer.weights.len() != packed_len(taps, out_channels)
        || layer.scratch.len() < scratch_len(window)
        || !word_aligned(layer.scratch.as_ptr())
        || !word_aligned(layer.weights.as_ptr())
    {
        return;
    }
    let Some(mode) = mode(layer) else { return };
    let mut tiles = Tiles::new(layer, mode, taps.div_ceil(16), out_channels);
    if is_pointwise(window) {
        pointwise(&mut tiles, channels, out_height * out_width);
    } else {
        windowed(&mut tiles);
    }
}

/// A layer's tiles: the arguments that stay the same, and what it takes to place a tile.
struct Tiles<'a> {
    layer: &'a Layer<'a>,
    /// Of 16 taps, for each pixel.
    chunks: usize,
    /// Of the output.
    channels: usize,
    arguments: Panel,
    /// Pixels of a tile that `arguments` are for.
    valid: usize,
}

/// Where the eight outputs of a tile go: a pixel that is not there is the last one again.
fn offsets(valid: usize, channels: usize) -> [u16; 8] {
    [0, 1, 2, 3, 4, 5, 6, 7]
        .map(|lane: usize| ((lane / 2).min(valid.saturating_sub(1)) * channels + lane % 2) as u16)
}

impl<'a> Tiles<'a> {
    fn new(layer: &'a Layer<'a>, mode: Mode, chunks: usize, channels: usize) -> Self {
        let extra = chunks.saturating_sub(1);
        let passes = if extra <= UNROLLED {
            0
        } else {
            extra / UNROLLED
        };
        let pairs = channels / 2;
        let weights = layer.weights.as_ptr().wrapping_add(16);
        Self {
            layer,
            chunks,
            channels,
            arguments: Panel {
                pixels: [start(layer.scratch).cast_const(); 4],
                weights,
                weights_end: weights.wrapping_add(pairs * (chunks * 32 + 24)),
                output: start(layer.output),
                tiles: 0,
                input_step: 0,
                output_step: (4 * channels).wrapping_sub(2 * pairs),
                zero_point: layer.zero_point,
                min: splat(layer.min),
                max: splat(layer.max),
                passes: passes as u32,
                rest: (extra - passes * UNROLLED) as u32,
                mode: mode as u32,
                offsets: offsets(4, channels),
            },
            valid: 4,
        }
    }

    fn kernel(&self) -> unsafe extern "C" fn(*const Panel) {
        if self.chunks == 1 {
            conv_i8_4x2_of_16
        } else {
            conv_i8_4x2
        }
    }

    /// Computes `pixels` pixels from `pixel` on, whose columns are `apart` bytes from each other.
    ///
    /// # Safety
    ///
    /// `16 * chunks` bytes can be read at each column; `columns` and `apart` are multiples of 4;
    /// `pixel + pixels` pixels are in the output. No column may lie where the tiles
    /// before it, or its own, write; with an odd number of channels none may lie where any writes.
    unsafe fn run(&mut self, columns: *const i8, apart: usize, pixel: usize, pixels: usize) {
        let whole = pixels / 4 * 4;
        if whole != 0 {
            // SAFETY: as promised.
            unsafe { self.run_tiles(columns, apart, pixel, whole) };
        }
        if whole != pixels {
            let columns = columns.wrapping_add(whole * apart);
            // SAFETY: as promised.
            unsafe { self.run_tiles(columns, apart, pixel + whole, pixels - whole) };
        }
    }

    /// As `run`, for a multiple of four pixels, or for one to three.
    ///
    /// # Safety
    ///
    /// As for `run`.
    unsafe fn run_tiles(&mut self, columns: *const i8, apart: usize, pixel: usize, pixels: usize) {
        let channels = self.channels;
        let last = self.chunks.saturating_sub(1) * 16;
        let valid = pixels.min(4);
        if valid != self.valid {
            self.arguments.offsets = offsets(valid, channels);
            self.valid = valid;
        }
        self.arguments.pixels = [0, 1, 2, 3]
            .map(|i: usize| columns.wrapping_add(i.min(valid.saturating_sub(1)) * apart + last));
        self.arguments.input_step = 4 * apart;
        self.arguments.output = start(self.layer.output).wrapping_add(pixel * channels);
        self.arguments.tiles = pixels.div_ceil(4) as u32;
        if channels >= 2 {
            // SAFETY: the caller's promise for columns and outputs; `packed_len` was checked.
            unsafe { self.kernel()(&raw const self.arguments) };
        }
        if channels % 2 == 1 {
            // SAFETY: as promised.
            unsafe { self.run_odd(pixel, pixels) };
        }
    }

    /// The last channel where it has no partner: its tiles go through eight bytes of their own.
    ///
    /// # Safety
    ///
    /// As for `run`, which has set the arguments.
    #[inline(never)] // Its second set of arguments would be on everyone's stack.
    unsafe fn run_odd(&mut self, pixel: usize, pixels: usize) {
        let values = [const { Cell::new(0_i8) }; 8];
        let mut arguments = Panel {
            weights: self.arguments.weights_end,
            weights_end: self.layer.weights.as_ptr_range().end,
            output: start(&values),
            tiles: 1,
            offsets: [0, 1, 2, 3, 4, 5, 6, 7],
            ..self.arguments
        };
        for first in (pixel..pixel + pixels).step_by(4) {
            // SAFETY: as in `run`, with the last pair and an output of eight bytes.
            unsafe { self.kernel()(&raw const arguments) };
            for (i, value) in values.iter().step_by(2).take(pixels.min(4)).enumerate() {
                let at = (first + i + 1) * self.channels - 1;
                if let Some(y) = self.layer.output.get(at) {
                    y.set(value.get());
                }
            }
            let step = arguments.input_step;
            arguments.pixels = arguments.pixels.map(|column| column.wrapping_add(step));
        }
    }
}

fn pointwise(tiles: &mut Tiles<'_>, channels: usize, pixels: usize) {
    let layer = tiles.layer;
    let out_channels = tiles.channels;
    let input = start(layer.input).cast_const();
    let scratch = start(layer.scratch);
    let columns_len = tiles.chunks * 16;
    let over = columns_len - channels; // read beyond a pixel, for weights of zero
    let aligned = channels.is_multiple_of(4) && word_aligned(input);
    // Whether the tiles from `first` to the one at `last` can read their pixels where they lie:
    // what a tile writes must not reach what it reads. Where both hold at the ends of a run, they
    // hold in between, as both places move at constant speed.
    let in_place = |pixel: usize, count: usize| {
        let read = input.addr() + pixel * channels;
        let write = start(layer.output).addr() + pixel * out_channels;
        let read_end = input.addr() + (pixel + count) * channels + over;
        let write_end = write + count * out_channels;
        let inside = (pixel + count) * channels + over <= layer.input.len();
        aligned && inside && (write_end <= read || write >= read_end)
    };
    let mut pixel = 0;
    while pixel < pixels {
        let left = pixels - pixel;
        // All whole tiles at once, without the last where it would read beyond the tensor.
        let mut run = left & !3;
        if run > 4 && over > 0 && !in_place(pixel + run - 4, 4) {
            run -= 4;
        }
        if run >= 4 && in_place(pixel, 4) {
            // With an odd number of channels a second sweep reads what the first has written to.
            let apart = |count: usize| out_channels.is_multiple_of(2) || in_place(pixel, count);
            if !(in_place(pixel + run - 4, 4) && apart(run)) {
                run = 4;
            }
            let columns = input.wrapping_add(pixel * channels);
            // SAFETY: `in_place` says that the columns are in the input, aligned, and apart from
            // what the tile writes; the outputs are `run` of the pixels that are left.
            unsafe { tiles.run(columns, channels, pixel, run) };
            pixel += run;
        } else {
            let count = left.min(batch(tiles.chunks));
            let from = input.wrapping_add(pixel * channels);
            // Neighbours in one copy, where that leaves them aligned.
            let apart = if channels.is_multiple_of(4) {
                // SAFETY: pixels of the input; the scratch has room for so many columns.
                unsafe { copy_pieces(scratch, from, count * channels, 1, 0) };
                channels
            } else {
                for i in 0..count {
                    let to = scratch.wrapping_add(i * columns_len);
                    // SAFETY: as above.
                    unsafe { copy_pieces(to, from.wrapping_add(i * channels), channels, 1, 0) };
                }
                columns_len
            };
            // SAFETY: the columns are in the scratch, which overlaps nothing.
            unsafe { tiles.run(scratch, apart, pixel, count) };
            pixel += count;
        }
    }
}

fn windowed(tiles: &mut Tiles<'_>) {
    let layer = tiles.layer;
    let window = &layer.window;
    let channels = window.input[2];
    let [height, width, _] = window.output;
    let [kernel_height, kernel_width] = window.kernel;
    let [stride_y, stride_x] = window.stride;
    let [dilation_y, dilation_x] = window.dilation;
    let mut ring = Ring::new(layer);
    let scratch = start(layer.scratch);
    let columns_start = scratch.wrapping_add(ring_len(window));
    let column_len = tiles.chunks * 16;
    // Neighbouring taps of a row are one piece where the window has no gaps.
    let (len, across) = match dilation_x {
        1 => (kernel_width * channels, 1),
        _ => (channels, kernel_width),
    };
    let count = kernel_height * across;
    let mut pieces = Pieces {
        count: count.min(PIECES),
        len,
        step: stride_x * channels,
        column_len,
        starts: [scratch.cast_const(); PIECES],
    };
    let columns_at = |filled: usize| columns_start.wrapping_add(filled * column_len);
    let batch = batch(tiles.chunks);
    let mut filled = 0;
    let mut pixel = 0;
    for y in 0..height {
        ring.fill((y * stride_y).saturating_add(ring.rows));
        if count <= PIECES {
            let mut starts = pieces.starts.iter_mut();
            for row in 0..kernel_height {
                let row = ring.offset(y * stride_y + row * dilation_y);
                for (column, start) in starts.by_ref().take(across).enumerate() {
                    let at = row + column * dilation_x * channels;
                    *start = scratch.wrapping_add(at);
                }
            }
        }
        let mut x = 0;
        while x < width {
            let offset = x * stride_x * channels;
            let taken = if count <= PIECES {
                let taken = (batch - filled).min(width - x);
                // SAFETY: the ring has the rows and columns of all windows of this row of outputs,
                // and what lies behind it, room for the columns and 16 bytes more, is as long as
                // the vectors that overshoot.
                unsafe { gather_columns(&raw const pieces, columns_at(filled), taken, offset) };
                taken
            } else {
                // SAFETY: as above, one column.
                unsafe { gather_long(&mut pieces, &ring, columns_at(filled), y, offset) };
                1
            };
            x += taken;
            filled += taken;
            if filled == batch || (x == width && y + 1 == height) {
                // SAFETY: the columns are in the scratch; these are the next pixels of the output.
                unsafe { tiles.run(columns_start, column_len, pixel, filled) };
                pixel += filled;
                filled = 0;
            }
        }
    }
}

/// Gathers a column of more pieces than fit in a table, row by row of the window and in parts.
///
/// # Safety
///
/// As for `gather_columns`, with one column.
#[inline(never)]
unsafe fn gather_long(
    pieces: &mut Pieces,
    ring: &Ring<'_>,
    target: *mut i8,
    y: usize,
    offset: usize,
) {
    let window = &ring.layer.window;
    let scratch = start(ring.layer.scratch).cast_const();
    let (across, apart) = match window.dilation[1] {
        1 => (1, 0),
        dilation => (window.kernel[1], dilation * window.input[2]),
    };
    let mut target = target;
    for row in 0..window.kernel[0] {
        let row = ring.offset(y * window.stride[0] + row * window.dilation[0]);
        for first in (0..across).step_by(PIECES) {
            pieces.count = (across - first).min(PIECES);
            for (column, start) in pieces.starts.iter_mut().enumerate().take(pieces.count) {
                *start = scratch.wrapping_add(row + (first + column) * apart);
            }
            // SAFETY: as promised, a part of the column.
            unsafe { gather_columns(pieces, target, 1, offset) };
            target = target.wrapping_add(pieces.count * pieces.len);
        }
    }
}
