//! The frame of the depthwise kernels: interleaves input rows in scratch and hands one output row
//! after the other to the kernel of an instruction set.
//!
//! For each band of four kernel rows scratch holds one row of columns, padding included, in which
//! the four input rows lie side by side: `[column][channel][4]`. One dot product of four then takes
//! a whole column of the window.
//!
//! All that an output row needs is in scratch before its first byte is written, which is more than
//! the raster rule of [`Layer`] asks for; each row interleaves its input anew.

use super::constants::{Constants, prepared_len};
use super::rows::{Lanes, volume};
use crate::kernels::layer::Layer;
use crate::kernels::packing::depthwise_16x4::{BAND, BLOCK, Shape};
use crate::kernels::reference::Window;

/// Bytes that a kernel may read behind the last column, for each byte of an activation.
const SLACK: usize = BLOCK * BAND;

/// What an instruction set does to a row.
pub(crate) trait Columns: Lanes {
    /// Writes `count` times four activations to `to`: element `i` of all sources, widened, then
    /// element `i + 1`.
    ///
    /// # Safety
    /// Each source is readable as it says, `to` writable for `count * 4 * BYTES` bytes; they do
    /// not overlap; the machine has the instruction set.
    unsafe fn interleave(sources: &[Source; BAND], to: *mut u8, count: usize);

    /// Writes `count` times four times the same widened activation to `to`.
    ///
    /// # Safety
    /// As [`interleave`](Self::interleave).
    unsafe fn fill_columns(value: i8, to: *mut u8, count: usize);

    /// Computes one output row.
    ///
    /// # Safety
    /// All pointers and lengths of `row` are what its fields say; the machine has the instruction
    /// set.
    unsafe fn depthwise_row(row: &DepthwiseRow);
}

/// Where a row of activations lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// Element 0.
    start: *const i8,
    /// All bits for a row of the input; none for sixteen bytes of padding that stand for any.
    mask: usize,
}

impl Source {
    /// Sixteen elements, or as many as there are, from element `at`, a multiple of sixteen.
    pub(crate) fn at(self, at: usize) -> *const i8 {
        self.start.wrapping_add(at & self.mask)
    }
}

/// One output row, or several, all their input in scratch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DepthwiseRow {
    /// `[row][band][column][channel][4]`, readable for `SLACK` activations more.
    pub columns: *const u8,
    /// Pixels of an output row, and bytes from the columns of one to those of the next.
    pub width: usize,
    pub row_bytes: usize,
    pub bands: usize,
    pub band_bytes: usize,
    pub kernel_columns: usize,
    /// Bytes from one kernel column to the next.
    pub tap_bytes: usize,
    /// Bytes from the first column of an output pixel to that of the next.
    pub pixel_bytes: usize,
    /// `[block][band][kernel column][16][4]`, see [`Shape`].
    pub weights: *const i8,
    pub constants: Constants,
    /// `pixels * channels` bytes, writable.
    pub output: *mut i8,
    /// Of all rows together; more than one row has at most [`TOGETHER`].
    pub pixels: usize,
}

/// Pixels of narrow rows that a kernel gets at once.
pub(crate) const TOGETHER: usize = 24;

/// Output rows that a kernel gets at once.
const fn rows_together(window: &Window) -> usize {
    let [_, width, channels] = window.output;
    // Eight channels come as pairs of pixels, which must not cross rows.
    if channels == 8 || width == 0 || width > TOGETHER {
        1
    } else {
        TOGETHER / width
    }
}

/// Columns of a row in scratch; `None` where a size is 0 or leaves the address space.
const fn columns(window: &Window) -> Option<usize> {
    let [_, width, _] = window.output;
    let (Some(pixels), Some(taps)) = (width.checked_sub(1), window.kernel[1].checked_sub(1)) else {
        return None;
    };
    let (Some(last), Some(reach)) = (
        pixels.checked_mul(window.stride[1]),
        taps.checked_mul(window.dilation[1]),
    ) else {
        return None;
    };
    match last.checked_add(reach) {
        Some(columns) => columns.checked_add(1),
        None => None,
    }
}

/// Bytes of a band for activations of `bytes` bytes.
const fn band_bytes(window: &Window, bytes: usize) -> Option<usize> {
    let Some(columns) = columns(window) else {
        return None;
    };
    match columns.checked_mul(window.input[2]) {
        Some(elements) => elements.checked_mul(BAND * bytes),
        None => None,
    }
}

/// Scratch for activations of `bytes` bytes. Saturates; little for an empty layer.
pub(crate) const fn scratch_len(window: &Window, bytes: usize) -> usize {
    match band_bytes(window, bytes) {
        Some(band) => band
            .saturating_mul(window.kernel[0].div_ceil(BAND))
            .saturating_mul(rows_together(window))
            .saturating_add(SLACK * bytes)
            .saturating_add(prepared_len(window.output[2])),
        None => SLACK * bytes,
    }
}

/// Runs a layer with the kernels of `C`. Leaves the output alone where a slice is too short.
///
/// # Safety
/// The machine has the instruction set of `C`.
pub(crate) unsafe fn run_depthwise<C: Columns>(layer: &Layer<'_>) {
    // SAFETY: passed on. Nothing is written where it finds a slice too short.
    let _ = unsafe { try_run::<C>(layer) };
}

/// # Safety
/// As [`run_depthwise`].
unsafe fn try_run<C: Columns>(layer: &Layer<'_>) -> Option<()> {
    let window = &layer.window;
    let shape = Shape::new(window);
    let columns = columns(window)?;
    let band_bytes = band_bytes(window, C::BYTES)?;
    let [height, width, channels] = window.input;
    let [out_height, out_width, out_channels] = window.output;
    let fits = channels == out_channels
        && layer.weights.len() >= shape.len()
        && layer.weights.as_ptr().cast::<i32>().is_aligned()
        && layer.scratch.len() >= scratch_len(window, C::BYTES)
        && layer.scratch.as_ptr().cast::<i16>().is_aligned()
        && layer.input.len() >= volume(window.input)?
        && layer.output.len() >= volume(window.output)?;
    if !fits {
        return None;
    }
    let [stride_y, stride_x] = window.stride;
    let [dilation_y, dilation_x] = window.dilation;
    let [padding_y, padding_x] = window.padding;
    let [kernel_rows, kernel_columns] = window.kernel;
    let input = layer.input.as_ptr().cast::<i8>();
    // `Cell::as_ptr` of the first one would only be good for that one; this is good for all.
    let output = layer.output.as_ptr().cast::<i8>().cast_mut();
    let prepared = layer.scratch.as_ptr().cast::<u8>().cast_mut();
    // SAFETY: the prepared constants are the first part of the scratch.
    let scratch = unsafe { prepared.add(prepared_len(channels)) };
    let column_bytes = channels * BAND * C::BYTES; // band_bytes is not less
    let mut row = DepthwiseRow {
        columns: scratch,
        width: out_width,
        row_bytes: shape.bands().checked_mul(band_bytes)?,
        bands: shape.bands(),
        band_bytes,
        kernel_columns,
        tap_bytes: dilation_x.saturating_mul(column_bytes),
        pixel_bytes: stride_x.saturating_mul(column_bytes),
        // SAFETY: `weights` is as long as `shape` says.
        weights: unsafe { layer.weights.as_ptr().add(shape.constants_len()).cast() },
        constants: Constants::new(layer, channels)?,
        output,
        pixels: out_width,
    };
    // SAFETY: the first part of the scratch is as long.
    unsafe { C::prepare(&row.constants, prepared) };
    let padding = [layer.pad; 16];
    let outside = Source {
        start: padding.as_ptr(),
        mask: 0,
    };
    // Columns that hold input: the rest is padding, the same for all rows.
    let left = padding_x.min(columns);
    let inside = width.min(columns - left);
    let right = columns - left - inside;
    let together = rows_together(window);
    for band in 0..row.bands * together {
        // SAFETY: a band has `columns = left + inside + right` columns.
        unsafe {
            let to = scratch.add(band * band_bytes);
            C::fill_columns(layer.pad, to, left * channels);
            let to = to.add((left + inside) * column_bytes);
            C::fill_columns(layer.pad, to, right * channels);
        }
    }
    let mut top = 0;
    while top < out_height {
        let rows = together.min(out_height - top);
        for (y, band) in (0..rows).flat_map(|y| (0..row.bands).map(move |band| (y, band))) {
            let place = (y * row.bands + band) * band_bytes;
            let y = top + y;
            let mut sources = [outside; BAND];
            for (in_band, source) in sources.iter_mut().enumerate() {
                let tap = band * BAND + in_band;
                let at = y
                    .checked_mul(stride_y)?
                    .checked_add(tap.checked_mul(dilation_y)?)?
                    .checked_sub(padding_y);
                if let Some(at) = at.filter(|at| *at < height && tap < kernel_rows) {
                    *source = Source {
                        // SAFETY: the row lies in the input.
                        start: unsafe { input.add(at * width * channels) },
                        mask: !0,
                    };
                }
            }
            // SAFETY: rows have `inside` pixels and more, and so has the band behind `left`.
            unsafe {
                let to = scratch.add(place + left * column_bytes);
                C::interleave(&sources, to, inside * channels);
            }
        }
        row.pixels = rows * out_width;
        // SAFETY: these rows lie in the output. All the fields hold what they say.
        unsafe {
            row.output = output.add(top * out_width * channels);
            C::depthwise_row(&row);
        }
        top += rows;
    }
    Some(())
}
