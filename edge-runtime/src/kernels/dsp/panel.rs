//! Lays out the windows of output pixels as `i16`.

use super::super::layer::Layer;
use super::super::packing::dsp_blocks::Taps;
use super::super::packing::dsp_panels::{Panels, columns_inside, fits, gathers, rows_inside};
use super::super::reference::Window;
use super::gather::Gather;
use super::widen::{Rows, widen_1, widen_2};
use crate::kernels::cases;

/// An output pixel and its window.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    y: i16,
    x: i16,
    /// The first byte under the window; not in the input where that is padding.
    window: *const u8,
    /// Whether no row of the window is padding.
    row_inside: bool,
}

/// A checked layer and its scratch.
pub(super) struct Panel<'a, const CASES: u64> {
    source: Gather<'a>,
    /// The widened windows.
    pub words: *mut u32,
    /// Of the output.
    pub pixels: usize,
    /// Most pairs that [`Self::fill_pairs`] takes.
    pub batch: usize,
    /// Bytes of the panel of a pair.
    pair: usize,
    /// Bytes of one pixel to gather at a time; there is room for two after the batch.
    gather: usize,
    /// Kernel rows to gather at a time.
    gather_rows: usize,
    /// Output rows and columns whose windows lie within the input, from and to.
    rows: [i16; 2],
    columns: [i16; 2],
    out_width: i16,
    /// Bytes of input between the windows of neighbouring pixels.
    step: usize,
    /// Whether windows follow one another in the input without a gap.
    pointwise: bool,
    /// A window where it lies in the input.
    in_place: Rows,
}

impl<'a, const CASES: u64> Panel<'a, CASES> {
    /// `None` where input, output or scratch are shorter than the window says.
    #[inline(never)] // Its frame is gone before the kernels run.
    pub fn new(layer: &Layer<'a>, window: &'a Window) -> Option<Self> {
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
        {
            return None;
        }
        let sizes = Panels::new(window);
        if layer.scratch.len() < sizes.bytes() {
            return None;
        }
        let words = layer.scratch.as_ptr().cast::<u32>().cast_mut();
        if !words.is_aligned() {
            return None;
        }
        let taps = Taps::of(window);
        let [_, right] = window.stride;
        let [dilation_y, dilation_x] = window.dilation;
        if CASES & cases::GATHERED == 0 && gathers(window) {
            return None;
        }
        let (first_row, end_row) = rows_inside(window);
        let (first_column, end_column) = if dilation_x == 1 {
            columns_inside(window)
        } else {
            (0, 0)
        };
        Some(Self {
            source: Gather {
                window,
                input: layer.input.as_ptr().cast(),
                pitch: pitch as i32,
                row: taps.row,
                pad: layer.pad.cast_unsigned(),
            },
            words,
            pixels,
            batch: sizes.batch,
            pair: sizes.pair,
            gather: sizes.gather,
            gather_rows: sizes.gather_rows,
            // Dimensions are below 2^15, and beyond the last row or column there is nothing.
            rows: [
                first_row.min(out_height) as i16,
                end_row.min(out_height) as i16,
            ],
            columns: [
                first_column.min(out_width) as i16,
                end_column.min(out_width) as i16,
            ],
            out_width: out_width as i16,
            step: right.wrapping_mul(channels),
            pointwise: matches!(window.kernel, [1, 1])
                && matches!(window.stride, [1, 1])
                && matches!(window.padding, [0, 0])
                && out_height == height
                && out_width == width,
            in_place: Rows {
                rows: taps.rows,
                skip: dilation_y.wrapping_mul(pitch).wrapping_sub(taps.row),
                groups: taps.row / 4,
                rest: taps.row % 4,
            },
        })
    }

    fn channels(&self) -> i32 {
        let [_, _, channels] = self.source.window.input;
        channels as i32
    }

    /// The first pixel.
    pub fn start(&self) -> Cursor {
        self.row(0)
    }

    /// The first pixel of a row.
    fn row(&self, y: i16) -> Cursor {
        let at = Cursor {
            y,
            x: 0,
            window: self.source.input,
            row_inside: y >= self.rows[0] && y < self.rows[1],
        };
        let [y, x] = self.origin(&at);
        let byte = y * self.source.pitch + x * self.channels();
        Cursor {
            window: self.source.input.wrapping_offset(byte as isize),
            ..at
        }
    }

    /// Moves on by one or two pixels of a row.
    fn advance(&self, at: &mut Cursor, pixels: i16) {
        at.x = at.x.wrapping_add(pixels);
        at.window = at.window.wrapping_add(self.step * pixels as usize);
        // Two pixels beyond the greatest column may wrap.
        if at.x >= self.out_width || at.x < 0 {
            *at = self.row(at.y.wrapping_add(1));
        }
    }

    /// Fills the panel with the windows of `2 * pairs` pixels from `at` on, and moves on.
    ///
    /// # Safety
    ///
    /// The pixels exist; `pairs` is 1 to a batch.
    pub unsafe fn fill_pairs(&self, at: &mut Cursor, pairs: usize) {
        if self.pointwise {
            // SAFETY: as the caller says.
            unsafe { self.fill_pointwise(at, pairs) };
            return;
        }
        let mut panel = self.words;
        for _ in 0..pairs {
            if CASES & cases::GATHERED == 0 {
                let first = at.window;
                self.advance(at, 1);
                let second = at.window;
                // SAFETY: all windows lie within the input, and the panel has room.
                unsafe { widen_2(first, second, panel, &raw const self.in_place) };
                self.advance(at, 1);
            } else if at.row_inside && at.x >= self.columns[0] && at.x < self.columns[1] - 1 {
                let second = at.window.wrapping_add(self.step);
                // SAFETY: both windows lie within the input, and the panel has room.
                unsafe { widen_2(at.window, second, panel, &raw const self.in_place) };
                self.advance(at, 2);
            } else {
                // SAFETY: both pixels exist, and the panel has room.
                unsafe { self.fill_pair(panel, at, 1) };
            }
            panel = panel.wrapping_byte_add(self.pair);
        }
    }

    /// Fills the panel with the window of one pixel, as if it were two.
    ///
    /// # Safety
    ///
    /// The pixel exists.
    pub unsafe fn fill_twice(&self, at: &mut Cursor) {
        if CASES & cases::GATHERED == 0 {
            // SAFETY: all windows lie within the input; the panel has room for a pair.
            unsafe { widen_2(at.window, at.window, self.words, &raw const self.in_place) };
        } else {
            // SAFETY: as the caller says; the panel has room for a pair.
            unsafe { self.fill_pair(self.words, at, 0) };
        }
    }

    /// As [`Self::fill_pairs`], for windows of one pixel that follow one another.
    ///
    /// # Safety
    ///
    /// As [`Self::fill_pairs`].
    #[inline(never)] // Its frame is gone before the kernels run.
    unsafe fn fill_pointwise(&self, at: &mut Cursor, pairs: usize) {
        let rows = Rows {
            rows: pairs,
            skip: self.step,
            ..self.in_place
        };
        let second = at.window.wrapping_add(self.step);
        // SAFETY: there are as many input pixels as output pixels; pair after pair, a pixel and
        // the next one are read.
        unsafe { widen_2(at.window, second, self.words, &raw const rows) };
        at.window = at.window.wrapping_add(2 * pairs * self.step);
    }

    /// The window of a pixel, where all of it is input.
    fn inside(&self, at: &Cursor) -> Option<*const u8> {
        let inside = at.row_inside && at.x >= self.columns[0] && at.x < self.columns[1];
        (CASES & cases::GATHERED == 0 || inside || self.pointwise).then_some(at.window)
    }

    /// Row and column of the input under the first tap of a pixel's window.
    fn origin(&self, at: &Cursor) -> [i32; 2] {
        let [down, right] = self.source.window.stride;
        let [top, left] = self.source.window.padding;
        [
            i32::from(at.y) * down as i32 - top as i32,
            i32::from(at.x) * right as i32 - left as i32,
        ]
    }

    /// Fills `panel` with the windows of two pixels from `at` on, and moves on; of one pixel, twice,
    /// where `step` is not 1 but 0.
    ///
    /// # Safety
    ///
    /// The pixels exist; the panel has room for the pair.
    #[inline(never)] // The rarer path; the other one needs its registers.
    unsafe fn fill_pair(&self, mut panel: *mut u32, at: &mut Cursor, step: i16) {
        let (whole_a, a) = (self.inside(at), self.origin(at));
        self.advance(at, step);
        let (whole_b, b) = (self.inside(at), self.origin(at));
        self.advance(at, step);
        if let (Some(first), Some(second)) = (whole_a, whole_b) {
            // SAFETY: both windows lie within the input.
            unsafe { widen_2(first, second, panel, &raw const self.in_place) };
            return;
        }
        if self.gather == 0 {
            return; // All windows lie within the input.
        }
        let [first, second] = self.gathers();
        let mut rows = self.gathered();
        let mut row = 0;
        while row < self.in_place.rows {
            rows.rows = self.gather_rows.min(self.in_place.rows - row);
            // SAFETY: the scratch has room to gather the rows of two pixels, and the panel for all.
            unsafe {
                let first = self.rows(first, whole_a, a, row, rows.rows);
                let second = self.rows(second, whole_b, b, row, rows.rows);
                widen_2(first, second, panel, &raw const rows);
            }
            panel = panel.wrapping_add(2 * rows.rows * self.row_words());
            row += rows.rows;
        }
    }

    /// Kernel rows `row..row + rows` of the window of a pixel without gaps between them: where they
    /// lie, if `whole` is the window and there is but one row, else copied.
    ///
    /// # Safety
    ///
    /// `to` has room for them.
    #[inline(always)]
    unsafe fn rows(
        &self,
        to: *mut u8,
        whole: Option<*const u8>,
        origin: [i32; 2],
        row: usize,
        rows: usize,
    ) -> *const u8 {
        if let (Some(window), 1) = (whole, rows) {
            let pitch = self.in_place.skip.wrapping_add(self.source.row);
            return window.wrapping_add(pitch.wrapping_mul(row));
        }
        // SAFETY: as the caller says.
        unsafe { self.source.rows(to, origin, row, rows) };
        to
    }

    /// Fills the panel with the window of one pixel.
    ///
    /// # Safety
    ///
    /// The pixel exists.
    #[inline(never)]
    pub unsafe fn fill_single(&self, at: &Cursor) {
        if let Some(window) = self.inside(at) {
            // SAFETY: the window lies within the input.
            unsafe { widen_1(window, self.words, &raw const self.in_place) };
            return;
        }
        if CASES & cases::GATHERED == 0 || self.gather == 0 {
            return; // All windows lie within the input.
        }
        let [first, _] = self.gathers();
        let mut rows = self.gathered();
        let (mut panel, mut row) = (self.words, 0);
        while row < self.in_place.rows {
            rows.rows = self.gather_rows.min(self.in_place.rows - row);
            // SAFETY: the scratch has room to gather the rows, and the panel for all of them.
            unsafe {
                self.source.rows(first, self.origin(at), row, rows.rows);
                widen_1(first, panel, &raw const rows);
            }
            panel = panel.wrapping_add(rows.rows * self.row_words());
            row += rows.rows;
        }
    }

    /// Where the rows of two pixels are gathered.
    fn gathers(&self) -> [*mut u8; 2] {
        let first = self.words.wrapping_byte_add(self.pair * self.batch).cast();
        [first, first.wrapping_add(self.gather)]
    }

    /// Rows without gaps.
    fn gathered(&self) -> Rows {
        Rows {
            skip: 0,
            ..self.in_place
        }
    }

    fn row_words(&self) -> usize {
        2 * self.in_place.groups + self.in_place.rest.min(2)
    }
}
