//! The frame of the convolution kernels: brings input rows into scratch, widened and padded, and
//! hands one output row after the other to the kernel of an instruction set.
//!
//! Scratch holds a ring of as many input rows as the window is high. A row holds the columns that
//! the window sees, padding included, so that the kernel never looks at borders. 1x1 windows of
//! stride 1 run over panels of [`PANEL`] pixels instead, whatever the width of the rows.
//!
//! All that an output row (or panel) needs is in scratch before its first byte is written, which
//! is more than the raster rule of [`Layer`] asks for.

use super::constants::{Constants, prepared_len};
use crate::kernels::layer::Layer;
use crate::kernels::packing::dot_16x4::Shape;
use crate::kernels::reference::Window;

/// Pixels of a panel: a multiple of every tile's width.
const PANEL: usize = 24;
/// Bytes that a kernel may read behind the last row, less one step.
const SLACK: usize = 64;

/// What an instruction set does to a row.
pub(crate) trait Lanes {
    /// Bytes of an activation in scratch.
    const BYTES: usize;
    /// Whether the only pixel of a layer does without prepared constants.
    const BARE_PIXEL: bool;

    /// Writes `count` widened activations to `to`.
    ///
    /// # Safety
    /// `from` is readable for `count`, `to` writable for `count * BYTES` bytes; they do not
    /// overlap; the machine has the instruction set.
    unsafe fn widen(from: *const i8, to: *mut u8, count: usize);

    /// Writes `count` times the same widened activation to `to`.
    ///
    /// # Safety
    /// As [`widen`](Self::widen).
    unsafe fn fill(value: i8, to: *mut u8, count: usize);

    /// Computes what outputs need from the constants of the layer.
    ///
    /// # Safety
    /// `constants` hold what their fields say; `to` is writable for `PREPARED` bytes for each
    /// block; the machine has the instruction set.
    unsafe fn prepare(constants: &Constants, to: *mut u8);

    /// Computes one output row.
    ///
    /// # Safety
    /// All pointers and lengths of `row` are what its fields say; the machine has the instruction
    /// set.
    unsafe fn row(row: &Row);
}

/// One output row, all its input in scratch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The ring: `ring_rows` rows of `row_bytes` bytes, readable for [`SLACK`] bytes more.
    pub ring: *const u8,
    pub ring_rows: usize,
    pub row_bytes: usize,
    /// Row of the ring under kernel row 0; below `ring_rows`.
    pub first: usize,
    /// Rows of the ring between kernel rows; at most `ring_rows`.
    pub row_step: usize,
    pub kernel_rows: usize,
    /// Segments of a kernel row, and the bytes from one to the next.
    pub segments: usize,
    pub segment_bytes: usize,
    /// Steps of four taps in a segment.
    pub steps: usize,
    /// Bytes from the input of a pixel to that of the next.
    pub pixel_bytes: usize,
    /// `[group][segment][step][block][16][4]`, see [`Shape`].
    pub weights: *const i8,
    pub constants: Constants,
    /// `pixels * channels` bytes, writable.
    pub output: *mut i8,
    pub pixels: usize,
}

/// How a window runs over the rows of the ring.
struct Geometry {
    /// Ring rows, columns of a row, input channels.
    ring: [usize; 3],
    /// Output rows; pixels of each but perhaps the last.
    rows: usize,
    width: usize,
    /// Whether rows are panels.
    panels: bool,
}

impl Geometry {
    /// `None` where a size leaves the address space or is 0.
    const fn new(window: &Window) -> Option<Self> {
        let [height, width, channels] = window.input;
        let [out_height, out_width, out_channels] = window.output;
        let [kernel_height, kernel_width] = window.kernel;
        let [dilation_y, dilation_x] = window.dilation;
        let [stride_y, stride_x] = window.stride;
        if channels == 0
            || out_height == 0
            || out_width == 0
            || out_channels == 0
            || kernel_height == 0
            || kernel_width == 0
            || dilation_y == 0
            || dilation_x == 0
        {
            return None;
        }
        let unpadded = window.padding[0] == 0 && window.padding[1] == 0;
        let point = kernel_height == 1 && kernel_width == 1 && stride_y == 1 && stride_x == 1;
        if point && unpadded && height == out_height && width == out_width {
            let Some(pixels) = height.checked_mul(width) else {
                return None;
            };
            let panel = if pixels < PANEL { pixels } else { PANEL };
            let Some(full) = pixels.checked_div(panel) else {
                return None;
            };
            return Some(Self {
                ring: [1, panel, channels],
                rows: full + (full * panel < pixels) as usize,
                width: panel,
                panels: true,
            });
        }
        let (Some(rows), Some(reach), Some(last)) = (
            (kernel_height - 1).checked_mul(dilation_y),
            (kernel_width - 1).checked_mul(dilation_x),
            (out_width - 1).checked_mul(stride_x),
        ) else {
            return None;
        };
        let (Some(rows), Some(columns)) = (rows.checked_add(1), last.checked_add(reach)) else {
            return None;
        };
        let Some(columns) = columns.checked_add(1) else {
            return None;
        };
        Some(Self {
            ring: [rows, columns, channels],
            rows: out_height,
            width: out_width,
            panels: false,
        })
    }

    /// Bytes of a row of the ring; `None` where that leaves the address space.
    const fn row_bytes(&self, bytes: usize) -> Option<usize> {
        let [_, columns, channels] = self.ring;
        match columns.checked_mul(channels) {
            Some(elements) => elements.checked_mul(bytes),
            None => None,
        }
    }

    const fn scratch_len(&self, bytes: usize) -> Option<usize> {
        let Some(row) = self.row_bytes(bytes) else {
            return None;
        };
        let Some(ring) = row.checked_mul(self.ring[0]) else {
            return None;
        };
        ring.checked_add(SLACK)
    }
}

/// Scratch for activations of `bytes` bytes. Saturates; `SLACK` for an empty layer.
pub(crate) const fn scratch_len(window: &Window, bytes: usize) -> usize {
    match Geometry::new(window) {
        Some(geometry) => match geometry.scratch_len(bytes) {
            Some(len) => len.saturating_add(prepared_len(window.output[2])),
            None => usize::MAX,
        },
        None => SLACK,
    }
}

/// `a * b * c`, if it fits.
pub(crate) fn volume([a, b, c]: [usize; 3]) -> Option<usize> {
    a.checked_mul(b)?.checked_mul(c)
}

/// Runs a layer with the kernels of `L`. Leaves the output alone where a slice is too short.
///
/// # Safety
/// The machine has the instruction set of `L`.
pub(crate) unsafe fn run<L: Lanes>(layer: &Layer<'_>) {
    // SAFETY: passed on. Nothing is written where it finds a slice too short.
    let _ = unsafe { try_run::<L>(layer) };
}

/// # Safety
/// As [`run`].
unsafe fn try_run<L: Lanes>(layer: &Layer<'_>) -> Option<()> {
    let window = &layer.window;
    let shape = Shape::new(window);
    let geometry = Geometry::new(window)?;
    let [_, _, channels] = window.output;
    let [ring_rows, columns, in_channels] = geometry.ring;
    let row_bytes = geometry.row_bytes(L::BYTES)?;
    let fits = layer.weights.len() >= shape.len()
        && layer.scratch.len() >= scratch_len(window, L::BYTES)
        && layer.scratch.as_ptr().cast::<i16>().is_aligned()
        && layer.input.len() >= volume(window.input)?
        && layer.output.len() >= volume(window.output)?;
    if !fits {
        return None;
    }
    let [height, width, _] = window.input;
    let [stride_y, stride_x] = window.stride;
    let [dilation_y, dilation_x] = window.dilation;
    let [padding_y, padding_x] = window.padding;
    let kernel_rows = window.kernel[0];
    let input = layer.input.as_ptr().cast::<i8>();
    // `Cell::as_ptr` of the first one would only be good for that one; this is good for all.
    let output = layer.output.as_ptr().cast::<i8>().cast_mut();
    let scratch = layer.scratch.as_ptr().cast::<u8>().cast_mut();
    // SAFETY: the prepared constants are the first part of the scratch.
    let ring = unsafe { scratch.add(prepared_len(channels)) };
    let pixel_bytes = in_channels * L::BYTES; // row_bytes is not less
    let mut row = Row {
        ring,
        ring_rows,
        row_bytes,
        first: 0,
        row_step: dilation_y.min(ring_rows),
        kernel_rows,
        segments: shape.segments / kernel_rows.max(1),
        segment_bytes: dilation_x.saturating_mul(pixel_bytes),
        steps: shape.steps(),
        pixel_bytes: stride_x.saturating_mul(pixel_bytes),
        // SAFETY: `weights` is as long as `shape` says.
        weights: unsafe { layer.weights.as_ptr().add(shape.constants_len()).cast() },
        constants: Constants::new(layer, channels)?,
        output,
        pixels: geometry.width,
    };
    if !L::BARE_PIXEL || geometry.rows > 1 || geometry.width > 1 {
        // SAFETY: the first part of the scratch is as long.
        unsafe { L::prepare(&row.constants, scratch) };
    }
    if geometry.panels {
        let all = height * width; // `input` has more
        for panel in 0..geometry.rows {
            let start = panel * geometry.width;
            row.pixels = geometry.width.min(all - start);
            // SAFETY: pixels `start..start + row.pixels` lie in input and output, which are as
            // long as the window says, and the ring has `geometry.width` pixels. Input and output
            // may overlap, but nothing of the panel is read after its first write.
            unsafe {
                row.output = output.add(start * channels);
                L::widen(
                    input.add(start * in_channels),
                    ring,
                    row.pixels * in_channels,
                );
                L::row(&row);
            }
        }
        return Some(());
    }
    // Columns that hold input: the rest is padding.
    let left = padding_x.min(columns);
    let inside = width.min(columns - left);
    let right = columns - left - inside;
    // The padding beside the input stays: rows of the input leave it alone, those of padding hold the
    // same. That behind a row and that before the next one lie side by side.
    if left + right > 0 {
        // SAFETY: the ring has as many rows of `left + inside + right` columns.
        unsafe {
            L::fill(layer.pad, ring, left * in_channels);
            for slot in 0..ring_rows {
                let to = ring.add(slot * row_bytes + (left + inside) * pixel_bytes);
                let next = if slot + 1 < ring_rows { left } else { 0 };
                L::fill(layer.pad, to, (right + next) * in_channels);
            }
        }
    }
    let mut next = 0; // the first row, counted with padding, that is not in the ring
    let mut slot = 0; // its place
    row.first = 0;
    for y in 0..geometry.rows {
        let top = y.checked_mul(stride_y)?;
        if next < top {
            next = top;
            slot = next.checked_rem(ring_rows)?;
        }
        while next < top.checked_add(ring_rows)? {
            let at = next.checked_sub(padding_y).filter(|row| *row < height);
            // SAFETY: row `at` lies in the input; the ring has `columns` pixels in each row, and
            // `left + inside + right` are as many.
            unsafe {
                let to = ring.add(slot * row_bytes);
                if let Some(at) = at {
                    let from = input.add(at * width * in_channels);
                    L::widen(from, to.add(left * pixel_bytes), inside * in_channels);
                } else {
                    L::fill(layer.pad, to, columns * in_channels);
                }
            }
            next += 1;
            slot += 1;
            if slot == ring_rows {
                slot = 0;
            }
        }
        // All rows are those of this output now: the first one is the oldest.
        row.first = slot;
        // SAFETY: output row `y` lies in the output. All the fields hold what they say.
        unsafe {
            row.output = output.add(y * geometry.width * channels);
            L::row(&row);
        }
    }
    Some(())
}
