//! The rows of the input that lie under a window, padded, in the scratch.

use super::copy::{copy_pieces, fill};
use super::{splat, start};
use crate::kernels::footprint::mve::{ring_columns, ring_rows};
use crate::kernels::layer::Layer;

/// The rows under the window, padded, in a ring: row `y` of the padded input in slot `y % rows`.
pub(super) struct Ring<'a> {
    pub(super) layer: &'a Layer<'a>,
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
        y.checked_rem(self.rows).unwrap_or(0) * self.row_len
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
            for part in [before, after] {
                // SAFETY: a part of the scratch, which may be empty.
                unsafe { fill(start(part), splat(self.layer.pad), part.len()) };
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
