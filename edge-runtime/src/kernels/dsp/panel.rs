//! Lays out the windows of output pixels as `i16`.

use super::super::layer::Layer;
use super::super::packing::dsp_blocks::{CHANNELS, Taps};
use super::super::reference::Window;
use super::widen::{Rows, widen_1, widen_2};

/// Panels of several pairs are filled at once up to this length in bytes, which saves calls.
const PANEL_TARGET: usize = 512;
/// Kernel rows on padding are gathered as bytes first, as many at a time as fit this, or one.
const GATHER_TARGET: usize = 128;
/// Dimensions of a window are below this (channels aside), so that positions fit `i32`.
const LIMIT: usize = 1 << 15;

/// Whether the kernels take a window: no dimension of 2^15 or more, channels aside, no zeros among
/// strides and sizes, and below 2^24 taps.
pub const fn fits(window: &Window) -> bool {
    let [height, width, channels] = window.input;
    let [out_height, out_width, out_channels] = window.output;
    let [kernel_height, kernel_width] = window.kernel;
    let [top, left] = window.padding;
    let [down, right] = window.stride;
    let [dilation_y, dilation_x] = window.dilation;
    let spatial = height < LIMIT && width < LIMIT && out_height < LIMIT && out_width < LIMIT;
    let steps = down > 0 && right > 0 && down < LIMIT && right < LIMIT;
    let rest = top < LIMIT && left < LIMIT && dilation_y < LIMIT && dilation_x < LIMIT;
    let kernel = kernel_height > 0 && kernel_width > 0;
    // Below 2^15 * 2^15 each time, which does not wrap.
    let small = kernel_height < LIMIT && kernel_width < LIMIT && channels < LIMIT;
    let taps = small
        && kernel_width * channels < 1 << 24
        && (kernel_width * channels).saturating_mul(kernel_height) < 1 << 24;
    spatial && steps && rest && kernel && taps && channels > 0 && out_channels > 0
}

/// Bytes of [`Layer::scratch`]: panels of about four bytes a tap for one or more pairs of pixels, and
/// a few rows of bytes where there is padding. 0 where the window does not [`fits`].
pub const fn scratch_len(window: &Window) -> usize {
    if !fits(window) {
        return 0;
    }
    let sizes = Sizes::new(window);
    (sizes.pair * sizes.batch + sizes.gather * 2 + 15) & !15
}

/// Lengths that follow from a window that [`fits`].
#[derive(Clone, Copy)]
struct Sizes {
    /// Bytes of the panel of a pair.
    pair: usize,
    /// Pairs to a panel.
    batch: usize,
    /// Bytes of one pixel to gather at a time; 0 where no window reaches beyond the input.
    gather: usize,
    /// Kernel rows to gather at a time.
    gather_rows: usize,
}

impl Sizes {
    const fn new(window: &Window) -> Self {
        let [out_height, out_width, out_channels] = window.output;
        let taps = Taps::of(window);
        let pair = taps.words() * 8;
        let fill = match PANEL_TARGET.checked_div(pair) {
            Some(0) | None => 1,
            Some(fill) => fill,
        };
        let pairs = match out_height * out_width / 2 {
            0 => 1,
            pairs => pairs,
        };
        // Outputs of neighbouring pixels join only where all blocks are full.
        let batch = if !out_channels.is_multiple_of(CHANNELS) {
            1
        } else if pairs < fill {
            pairs
        } else {
            fill
        };
        let fill = match GATHER_TARGET.checked_div(taps.row) {
            Some(0) | None => 1,
            Some(fill) => fill,
        };
        let gather_rows = if fill < taps.rows { fill } else { taps.rows };
        let gather = if all_inside(window) && window.dilation[1] == 1 {
            0
        } else {
            taps.row * gather_rows
        };
        Self {
            pair,
            batch,
            gather,
            gather_rows,
        }
    }
}

/// Whether no window reaches beyond the input.
const fn all_inside(window: &Window) -> bool {
    inside(window, 0).1 >= window.output[0] && inside(window, 1).1 >= window.output[1]
        && window.padding[0] == 0
        && window.padding[1] == 0
}

/// The first output row (axis 0) or column (axis 1) whose window does not begin before the input,
/// and the first after it whose window ends beyond the input. No bound is beyond `2^16`.
#[allow(clippy::indexing_slicing)] // By a constant axis, in a `const fn`.
const fn inside(window: &Window, axis: usize) -> (usize, usize) {
    let stride = window.stride[axis];
    let padding = window.padding[axis];
    let reach = (window.kernel[axis] - 1) * window.dilation[axis];
    let room = window.input[axis] + padding;
    let end = if room > reach {
        (room - reach - 1) / stride + 1
    } else {
        0
    };
    (padding.div_ceil(stride), end)
}

/// An output pixel.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub y: i32,
    pub x: i32,
}

/// A checked layer and its scratch, dimensions as the inner loops take them.
pub(super) struct Panel {
    /// The widened windows.
    pub words: *mut u32,
    /// Of the output.
    pub pixels: usize,
    /// Most pairs that [`Self::fill_pairs`] takes.
    pub batch: usize,
    pair: usize,
    /// Room for [`Self::gather_len`] bytes of each of two pixels.
    gather: *mut u8,
    gather_len: usize,
    gather_rows: i32,
    input: *const u8,
    pad: u8,
    size: [i32; 2],
    channels: i32,
    out_width: i32,
    kernel: [i32; 2],
    stride: [i32; 2],
    padding: [i32; 2],
    dilation: [i32; 2],
    /// Output rows and columns whose windows lie within the input, from and to.
    rows: [i32; 2],
    columns: [i32; 2],
    /// Bytes of an input row.
    pitch: i32,
    /// A window where it lies in the input.
    in_place: Rows,
    /// The rows of a window as gathered.
    gathered: Rows,
    /// Whether windows follow one another in the input without a gap.
    pointwise: bool,
}

impl Panel {
    /// `None` where input, output or scratch are shorter than the window says.
    pub fn new(layer: &Layer<'_>) -> Option<Self> {
        let window = &layer.window;
        if !fits(window) {
            return None;
        }
        let [height, width, channels] = window.input;
        let [out_height, out_width, out_channels] = window.output;
        let pitch = width.checked_mul(channels)?; // below 2^30
        let pixels = out_height.checked_mul(out_width)?;
        let input_len = height.checked_mul(pitch)?;
        // Byte offsets are computed in `i32`.
        if input_len >= 1 << 30
            || layer.input.len() < input_len
            || layer.output.len() < pixels.checked_mul(out_channels)?
            || layer.scratch.len() < scratch_len(window)
        {
            return None;
        }
        let words = layer.scratch.as_ptr().cast::<u32>().cast_mut();
        if !words.is_aligned() {
            return None;
        }
        let sizes = Sizes::new(window);
        let taps = Taps::of(window);
        let [dilation_y, dilation_x] = window.dilation;
        let in_place = Rows {
            rows: taps.rows,
            skip: dilation_y.wrapping_mul(pitch).wrapping_sub(taps.row),
            groups: taps.row / 4,
            rest: taps.row % 4,
        };
        let (first_row, end_row) = inside(window, 0);
        let (first_column, end_column) = if dilation_x == 1 {
            inside(window, 1)
        } else {
            (0, 0)
        };
        Some(Self {
            words,
            pixels,
            batch: sizes.batch,
            pair: sizes.pair,
            gather: words.cast::<u8>().wrapping_add(sizes.pair * sizes.batch),
            gather_len: sizes.gather,
            gather_rows: sizes.gather_rows as i32,
            input: layer.input.as_ptr().cast(),
            pad: layer.pad.cast_unsigned(),
            size: [height as i32, width as i32],
            channels: channels as i32,
            out_width: out_width as i32,
            kernel: window.kernel.map(|each| each as i32),
            stride: window.stride.map(|each| each as i32),
            padding: window.padding.map(|each| each as i32),
            dilation: window.dilation.map(|each| each as i32),
            rows: [first_row as i32, end_row as i32],
            columns: [first_column as i32, end_column as i32],
            pitch: pitch as i32,
            in_place,
            gathered: Rows {
                rows: sizes.gather_rows,
                skip: 0,
                ..in_place
            },
            pointwise: window.kernel == [1, 1]
                && window.stride == [1, 1]
                && window.padding == [0, 0]
                && [out_height, out_width] == [height, width],
        })
    }

    fn next(&self, at: Position) -> Position {
        if at.x + 1 < self.out_width {
            Position { x: at.x + 1, ..at }
        } else {
            Position { y: at.y + 1, x: 0 }
        }
    }

    /// Fills the panel with the windows of `2 * pairs` pixels from `at` on; returns the position
    /// after them.
    ///
    /// # Safety
    ///
    /// The pixels exist; `pairs` is 1 to a batch.
    pub unsafe fn fill_pairs(&self, mut at: Position, pairs: usize) -> Position {
        if self.pointwise {
            let channels = self.channels as usize;
            let rows = Rows {
                rows: pairs,
                skip: channels,
                ..self.in_place
            };
            let pixel = at.y * self.out_width + at.x;
            let first = self.input.wrapping_add(pixel as usize * channels);
            // SAFETY: there are as many input pixels as output pixels; pair after pair, a pixel and
            // the next one are read.
            unsafe { widen_2(first, first.wrapping_add(channels), self.words, &raw const rows) };
            let x = at.x + 2 * pairs as i32;
            return Position { x, ..at };
        }
        let mut panel = self.words;
        for _ in 0..pairs {
            let next = self.next(at);
            // SAFETY: both pixels exist, and the panel has room for the pairs of a batch.
            unsafe { self.fill_pair(panel, at, next) };
            panel = panel.wrapping_byte_add(self.pair);
            at = self.next(next);
        }
        at
    }

    /// The first byte of a pixel's window, where all of it is input.
    fn inside(&self, at: Position) -> Option<*const u8> {
        let [first_row, end_row] = self.rows;
        let [first, end] = self.columns;
        if at.x < first || at.x >= end || at.y < first_row || at.y >= end_row {
            return None;
        }
        let [y, x] = self.origin(at);
        let byte = y * self.pitch + x * self.channels;
        Some(self.input.wrapping_add(byte as usize))
    }

    /// Row and column of the input under the first tap of a pixel's window.
    fn origin(&self, at: Position) -> [i32; 2] {
        let ([down, right], [top, left]) = (self.stride, self.padding);
        [at.y * down - top, at.x * right - left]
    }

    /// Fills `panel` with the windows of two pixels.
    ///
    /// # Safety
    ///
    /// The pixels exist; the panel has room for the pair.
    unsafe fn fill_pair(&self, mut panel: *mut u32, a: Position, b: Position) {
        if let (Some(first), Some(second)) = (self.inside(a), self.inside(b)) {
            // SAFETY: both windows lie within the input.
            unsafe { widen_2(first, second, panel, &raw const self.in_place) };
            return;
        }
        if self.gather_len == 0 {
            return; // All windows lie within the input.
        }
        let second = self.gather.wrapping_add(self.gather_len);
        let [kernel_height, _] = self.kernel;
        let mut row = 0;
        while row < kernel_height {
            let count = self.gather_rows.min(kernel_height - row);
            let rows = Rows {
                rows: count as usize,
                ..self.gathered
            };
            // SAFETY: the scratch has room to gather the rows of two pixels, and the panel for all.
            unsafe {
                self.gather_rows(self.gather, self.origin(a), row, count);
                self.gather_rows(second, self.origin(b), row, count);
                widen_2(self.gather, second, panel, &raw const rows);
            }
            let words = count as usize * self.row_words();
            panel = panel.wrapping_add(2 * words);
            row += count;
        }
    }

    /// Fills the panel with the window of one pixel.
    ///
    /// # Safety
    ///
    /// The pixel exists.
    pub unsafe fn fill_single(&self, at: Position) {
        if self.pointwise || self.gather_len == 0 {
            let pixel = at.y * self.out_width + at.x;
            let window = if self.pointwise {
                Some(self.input.wrapping_add((pixel * self.channels) as usize))
            } else {
                self.inside(at)
            };
            if let Some(window) = window {
                // SAFETY: the window lies within the input.
                unsafe { widen_1(window, self.words, &raw const self.in_place) };
            }
            return;
        }
        let (mut panel, mut row) = (self.words, 0);
        let [kernel_height, _] = self.kernel;
        while row < kernel_height {
            let count = self.gather_rows.min(kernel_height - row);
            let rows = Rows {
                rows: count as usize,
                ..self.gathered
            };
            // SAFETY: the scratch has room to gather the rows, and the panel for all of them.
            unsafe {
                self.gather_rows(self.gather, self.origin(at), row, count);
                widen_1(self.gather, panel, &raw const rows);
            }
            let words = count as usize * self.row_words();
            panel = panel.wrapping_add(words);
            row += count;
        }
    }

    fn row_words(&self) -> usize {
        2 * self.in_place.groups + self.in_place.rest.min(2)
    }

    /// Copies kernel rows `row..row + rows` of the window at `[y, x]`, padding filled in.
    ///
    /// # Safety
    ///
    /// `to` has room for them.
    unsafe fn gather_rows(&self, mut to: *mut u8, [y, x]: [i32; 2], row: i32, rows: i32) {
        let [height, width] = self.size;
        let [_, taps] = self.kernel;
        let [dilation_y, dilation_x] = self.dilation;
        // With gaps between them, taps are copied one by one.
        let (runs, taps) = if dilation_x == 1 { (1, taps) } else { (taps, 1) };
        for row in row..row + rows {
            let y = y + row * dilation_y;
            let covered = y >= 0 && y < height;
            for run in 0..runs {
                let x = x + run * dilation_x;
                let left = if covered { (-x).max(0).min(taps) } else { taps };
                let end = if covered {
                    (width - x).min(taps).max(left)
                } else {
                    taps
                };
                let start = if end > left {
                    y * self.pitch + (x + left) * self.channels
                } else {
                    0
                };
                // SAFETY: the run has `left <= end <= taps` pixels, and those of `left..end` exist.
                unsafe {
                    to = fill(to, self.pad, (left * self.channels) as usize);
                    let from = self.input.wrapping_add(start as usize);
                    to = copy(to, from, ((end - left) * self.channels) as usize);
                    to = fill(to, self.pad, ((taps - end) * self.channels) as usize);
                }
            }
        }
    }
}

/// Writes `len` bytes of `value`; returns their end. Runs are short: a call to `memset` costs more.
///
/// # Safety
///
/// `to` has room for them.
#[inline(always)]
unsafe fn fill(mut to: *mut u8, value: u8, mut len: usize) -> *mut u8 {
    let word = u32::from(value) * 0x0101_0101;
    // SAFETY: as the caller says.
    unsafe {
        while len >= 4 {
            to.cast::<u32>().write_unaligned(word);
            to = to.add(4);
            len -= 4;
        }
        while len > 0 {
            to.write(value);
            to = to.add(1);
            len -= 1;
        }
    }
    to
}

/// Copies `len` bytes, which do not overlap; returns the end of the copy.
///
/// # Safety
///
/// `from` can be read, `to` has room.
#[inline(always)]
unsafe fn copy(mut to: *mut u8, mut from: *const u8, mut len: usize) -> *mut u8 {
    // SAFETY: as the caller says.
    unsafe {
        while len >= 16 {
            let words = from.cast::<[u32; 4]>().read_unaligned();
            to.cast::<[u32; 4]>().write_unaligned(words);
            to = to.add(16);
            from = from.add(16);
            len -= 16;
        }
        while len >= 4 {
            let word = from.cast::<u32>().read_unaligned();
            to.cast::<u32>().write_unaligned(word);
            to = to.add(4);
            from = from.add(4);
            len -= 4;
        }
        while len > 0 {
            to.write(from.read());
            to = to.add(1);
            from = from.add(1);
            len -= 1;
        }
    }
    to
}
