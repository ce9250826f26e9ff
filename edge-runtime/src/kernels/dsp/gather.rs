//! Copies of the rows under a window that reaches beyond the input, with the padding filled in.

use super::super::reference::Window;
use super::bytes::{copy, fill};

/// What there is to copy from.
#[derive(Clone, Copy)]
pub(super) struct Gather<'a> {
    pub window: &'a Window,
    pub input: *const u8,
    /// Bytes of an input row.
    pub pitch: i32,
    /// Bytes of a kernel row.
    pub row: usize,
    pub pad: u8,
}

// Not generic, so that it is compiled with this crate and not with the program: the hottest plain code.
impl Gather<'_> {
    /// Copies kernel rows `row..row + rows` of the window of a pixel, whose first tap lies at row `y`
    /// and column `x` of the input.
    ///
    /// # Safety
    ///
    /// `to` has room for them; the input has as many pixels as the window says.
    #[inline(never)]
    pub unsafe fn rows(&self, to: *mut u8, [y, x]: [i32; 2], row: usize, rows: usize) {
        let [_, taps] = self.window.kernel;
        let [_, _, channels] = self.window.input;
        let [down, right] = self.window.dilation;
        let y = y + (row * down) as i32;
        // With gaps between them, taps are copied column by column.
        let (runs, taps) = if right == 1 { (1, taps) } else { (taps, 1) };
        for run in 0..runs {
            let x = x + (run * right) as i32;
            let to = to.wrapping_add(run * channels);
            // SAFETY: as the caller says.
            unsafe { self.runs(to, [y, x], taps, rows) };
        }
    }

    /// Copies `taps` neighbouring pixels from `[y, x]` on of the input, padding filled in; the same
    /// for `rows` rows of the kernel, which are [`Self::row`] bytes apart in the copy.
    ///
    /// # Safety
    ///
    /// `to` has room for them.
    #[inline(always)] // One frame for both.
    unsafe fn runs(&self, mut to: *mut u8, [mut y, x]: [i32; 2], taps: usize, rows: usize) {
        let [height, width, channels] = self.window.input;
        let [down, _] = self.window.dilation;
        let taps = taps as i32;
        let left = (-x).max(0).min(taps);
        let end = (width as i32 - x).min(taps).max(left);
        let before = left as usize * channels;
        let covered = (end - left) as usize * channels;
        let after = (taps - end) as usize * channels;
        let mut from = y
            .wrapping_mul(self.pitch)
            .wrapping_add((x + left).wrapping_mul(channels as i32));
        for _ in 0..rows {
            // SAFETY: the run has `left <= end <= taps` pixels, those of `left..end` exist in rows of
            // the input, and there is room for the row.
            unsafe {
                if y < 0 || y >= height as i32 || covered == 0 {
                    fill(to, self.pad, before + covered + after);
                } else {
                    let copied = fill(to, self.pad, before);
                    let copied = copy(copied, self.input.wrapping_add(from as usize), covered);
                    fill(copied, self.pad, after);
                }
            }
            to = to.wrapping_add(self.row);
            y += down as i32;
            from = from.wrapping_add(self.pitch.wrapping_mul(down as i32));
        }
    }
}
