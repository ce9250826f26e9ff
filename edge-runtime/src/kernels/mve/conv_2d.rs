//! CONV_2D of any window.
//!
//! A pointwise convolution hands its pixels to the inner kernel where they lie. Any other keeps
//! the rows under the window, padded, in a ring in the scratch, and gathers from it the columns of
//! four pixels at a time; the four may lie in two rows of the output, so narrow images waste
//! nothing.

use core::cell::Cell;

use super::copy::copy_pieces;
use super::panel::{Panel, UNROLLED, conv_i8_4x2};
use super::{Mode, mode, splat, start, word_aligned};
pub use crate::kernels::footprint::mve::scratch_len;
use crate::kernels::footprint::mve::*;
use crate::kernels::layer::Layer;
use crate::kernels::packing::mve_panel::packed_len;

/// A convolution with weights in `packing::mve_panel`.
///
/// Exact for all rounding modes, shifts and clamps, as long as no accumulator leaves 32 bits, also
/// after the left shift of its channel (`max(shift, 0)` bits, or `max(shift + 2, 0)` where it is
/// rounded once).
pub fn conv_2d_i8_4x2(layer: &Layer<'_>) {
    let window = &layer.window;
    let [height, width, channels] = window.input;
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
    let tiles = Tiles {
        layer,
        mode,
        chunks: taps.div_ceil(16),
        channels: out_channels,
    };
    if is_pointwise(window) {
        pointwise(&tiles, channels, out_height * out_width);
    } else {
        windowed(&tiles, [height, width, channels], [out_height, out_width]);
    }
}

/// What all tiles of a layer share.
pub(super) struct Tiles<'a> {
    pub(super) layer: &'a Layer<'a>,
    pub(super) mode: Mode,
    /// Of 16 taps, for each pixel.
    pub(super) chunks: usize,
    /// Of the output.
    pub(super) channels: usize,
}

impl Tiles<'_> {
    /// Computes `count` tiles of four pixels, the last of which may have less.
    ///
    /// # Safety
    ///
    /// For each tile `16 * chunks` bytes can be read at each of `columns` (multiples of 4), which
    /// move by `step` from tile to tile; and `pixel + pixels` pixels are in the output. `pixels` is
    /// at least 1, and a multiple of 4 unless it is below 4. No column may lie where the tiles
    /// before it, or its own, write.
    unsafe fn run(&self, columns: [*const i8; 4], step: usize, pixel: usize, pixels: usize) {
        let channels = self.channels;
        let extra = self.chunks.saturating_sub(1);
        let passes = if extra <= UNROLLED {
            0
        } else {
            extra / UNROLLED
        };
        let pairs = channels / 2;
        let pair_len = self.chunks * 32 + 24;
        let weights = self.layer.weights.as_ptr().wrapping_add(16);
        let mut offsets = [0_u16; 8];
        let valid = pixels.min(4);
        for (lane, offset) in offsets.iter_mut().enumerate() {
            // A pixel that is not there is the last one again.
            *offset = ((lane / 2).min(valid - 1) * channels + lane % 2) as u16;
        }
        let output = start(self.layer.output);
        let mut arguments = Panel {
            pixels: columns.map(|column| column.wrapping_add(extra * 16)),
            weights,
            weights_end: weights.wrapping_add(pairs * pair_len),
            output: output.wrapping_add(pixel * channels),
            tiles: pixels.div_ceil(4) as u32,
            input_step: step,
            output_step: (4 * channels).wrapping_sub(2 * pairs),
            zero_point: self.layer.zero_point,
            min: splat(self.layer.min),
            max: splat(self.layer.max),
            passes: passes as u32,
            rest: (extra - passes * UNROLLED) as u32,
            mode: self.mode as u32,
            offsets,
        };
        if pairs > 0 {
            // SAFETY: the caller's promise for columns and outputs; `packed_len` was checked.
            unsafe { conv_i8_4x2(&raw const arguments) };
        }
        if channels % 2 == 1 {
            // The last channel has no partner: its tiles go through eight bytes of their own.
            arguments.weights = arguments.weights_end;
            arguments.weights_end = arguments.weights.wrapping_add(pair_len);
            arguments.offsets = [0, 1, 2, 3, 4, 5, 6, 7];
            arguments.tiles = 1;
            let values = [const { Cell::new(0_i8) }; 8];
            arguments.output = start(&values);
            for tile in 0..pixels.div_ceil(4) {
                let first = pixel + tile * 4;
                // SAFETY: as above, with an output of eight bytes.
                unsafe { conv_i8_4x2(&raw const arguments) };
                for (i, value) in values.iter().step_by(2).take(valid).enumerate() {
                    if let Some(y) = self.layer.output.get((first + i) * channels + pairs * 2) {
                        y.set(value.get());
                    }
                }
                arguments.pixels = arguments.pixels.map(|column| column.wrapping_add(step));
            }
        }
    }
}

fn pointwise(tiles: &Tiles<'_>, channels: usize, pixels: usize) {
    let layer = tiles.layer;
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
        let write = start(layer.output).addr() + pixel * tiles.channels;
        let read_end = input.addr() + (pixel + count) * channels + over;
        let write_end = write + count * tiles.channels;
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
            let apart = |count: usize| tiles.channels % 2 == 0 || in_place(pixel, count);
            if !(in_place(pixel + run - 4, 4) && apart(run)) {
                run = 4;
            }
            let base = input.wrapping_add(pixel * channels);
            let columns = [0, 1, 2, 3].map(|i| base.wrapping_add(i * channels));
            // SAFETY: `in_place` says that the columns are in the input, aligned, and apart from
            // what the tile writes; the outputs are `run` of the pixels that are left.
            unsafe { tiles.run(columns, 4 * channels, pixel, run) };
            pixel += run;
        } else {
            let count = left.min(4);
            let mut columns = [scratch.cast_const(); 4];
            for (i, column) in columns.iter_mut().enumerate() {
                let to = scratch.wrapping_add(i.min(count - 1) * columns_len);
                *column = to;
                if i < count {
                    let from = input.wrapping_add((pixel + i) * channels);
                    // SAFETY: a pixel of the input; the scratch has room for four columns.
                    unsafe { copy_pieces(to, from, channels, 1, 0) };
                }
            }
            // SAFETY: the columns are in the scratch, which overlaps nothing.
            unsafe { tiles.run(columns, 0, pixel, count) };
            pixel += count;
        }
    }
}

/// The rows under the window, padded, in a ring: row `y` of the padded input in slot `y % rows`.
pub(super) struct Ring<'a> {
    layer: &'a Layer<'a>,
    pub(super) rows: usize,
    /// Bytes of a row.
    pub(super) row_len: usize,
    next: usize,
}

impl<'a> Ring<'a> {
    /// A ring at the start of the scratch, which has `ring_len` bytes.
    pub(super) fn new(layer: &'a Layer<'a>) -> Self {
        Self {
            layer,
            rows: ring_rows(&layer.window),
            row_len: ring_columns(&layer.window) * layer.window.input[2],
            next: 0,
        }
    }

    /// Where row `y` of the padded input lies, from the start of the scratch.
    pub(super) fn offset(&self, y: usize) -> usize {
        y % self.rows * self.row_len
    }

    /// Reads all rows before row `end` of the padded input.
    pub(super) fn fill(&mut self, end: usize) {
        let window = &self.layer.window;
        let [height, width, channels] = window.input;
        let [above, left] = window.padding;
        self.next = self.next.max(end.saturating_sub(self.rows));
        while self.next < end {
            let slot = self.offset(self.next);
            let row = self.layer.scratch.get(slot..).unwrap_or_default();
            let row = row.get(..self.row_len).unwrap_or_default();
            let left_len = (left * channels).min(row.len());
            let source = self
                .next
                .checked_sub(above)
                .filter(|y| *y < height)
                .and_then(|y| self.layer.input.get(y * width * channels..))
                .and_then(|rest| rest.get(..width * channels))
                .unwrap_or_default();
            let copied = source.len().min(row.len() - left_len);
            let (before, rest) = row.split_at_checked(left_len).unwrap_or_default();
            let (middle, after) = rest.split_at_checked(copied).unwrap_or_default();
            for x in before.iter().chain(after) {
                x.set(self.layer.pad);
            }
            if !middle.is_empty() {
                // SAFETY: `middle` and `source` are at least `copied` bytes, and the scratch
                // overlaps nothing.
                unsafe { copy_pieces(start(middle), start(source), middle.len(), 1, 0) };
            }
            self.next += 1;
        }
    }
}

fn windowed(tiles: &Tiles<'_>, [_, _, channels]: [usize; 3], [height, width]: [usize; 2]) {
    let layer = tiles.layer;
    let window = &layer.window;
    let [kernel_height, kernel_width] = window.kernel;
    let [stride_y, stride_x] = window.stride;
    let [dilation_y, dilation_x] = window.dilation;
    let mut ring = Ring::new(layer);
    let scratch = start(layer.scratch);
    let columns_start = scratch.wrapping_add(ring_len(window));
    let column_len = tiles.chunks * 16;
    let columns = [0, 1, 2, 3].map(|i| columns_start.wrapping_add(i * column_len).cast_const());
    // Neighbouring taps of a row are one piece where the window has no gaps.
    let (piece, pieces) = match dilation_x {
        1 => (kernel_width * channels, 1),
        _ => (channels, kernel_width),
    };
    let mut filled = 0;
    let mut pixel = 0;
    for y in 0..height {
        ring.fill((y * stride_y).saturating_add(ring.rows));
        for x in 0..width {
            let mut to = columns_start.wrapping_add(filled * column_len);
            let at = x * stride_x * channels;
            if pieces == 1 && dilation_y == 1 {
                // The slots from the row's first to the end of the ring, then those before it.
                let first = y * stride_y % ring.rows;
                let high = kernel_height - first;
                let from = scratch.wrapping_add(first * ring.row_len + at);
                // SAFETY: the ring has `kernel_height` rows of `row_len` bytes, and the window of
                // column `x` ends within a row; the column has room for all taps.
                unsafe { copy_pieces(to, from, piece, high, ring.row_len) };
                if first > 0 {
                    to = to.wrapping_add(high * piece);
                    // SAFETY: as above.
                    unsafe {
                        copy_pieces(to, scratch.wrapping_add(at), piece, first, ring.row_len);
                    }
                }
            } else {
                for ky in 0..kernel_height {
                    let from = ring.offset(y * stride_y + ky * dilation_y) + at;
                    let from = scratch.wrapping_add(from);
                    // SAFETY: as above, with gaps between the taps of a row.
                    unsafe { copy_pieces(to, from, piece, pieces, dilation_x * channels) };
                    to = to.wrapping_add(piece * pieces);
                }
            }
            filled += 1;
            if filled == 4 {
                // SAFETY: the columns are in the scratch; these are four pixels of the output.
                unsafe { tiles.run(columns, 0, pixel, 4) };
                pixel += 4;
                filled = 0;
            }
        }
    }
    if filled > 0 {
        // What the columns beyond hold is not looked at: they are the last one again.
        let last = filled - 1;
        let columns = [0, 1, 2, 3_usize].map(|i| {
            columns_start
                .wrapping_add(i.min(last) * column_len)
                .cast_const()
        });
        // SAFETY: as above, with the last `filled` pixels of the output.
        unsafe { tiles.run(columns, 0, pixel, filled) };
    }
}
