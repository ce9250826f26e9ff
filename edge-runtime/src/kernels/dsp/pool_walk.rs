//! Walks over the inputs of a pool, four channels at a time.
#![allow(unsafe_code)] // Assembly: the compiler has no other way to SXTAB and SEL.

use crate::kernels::reference::runs;
use core::arch::naked_asm;
use core::cell::Cell;

use super::len;
use crate::kernels::reference::Window;

/// Rows and columns of inputs; the assembly knows the offsets.
#[repr(C)]
struct Walk {
    /// Bytes from a pixel to the next.
    step: usize,
    columns: usize,
    /// Bytes from the end of a row to the next.
    row_step: usize,
    rows: usize,
}

/// The part of a pool that lies on the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    top: usize,
    left: usize,
    rows: usize,
    columns: usize,
    width: usize,
    channels: usize,
}

/// Hands the pools of a window and their output pixels to a function, in raster order; none where
/// the input's length does not fit the window. Dilation is not looked at: pools have none.
#[inline(always)] // The function is most of it.
pub(super) fn pools(
    window: &Window,
    input: &[Cell<i8>],
    output: &[Cell<i8>],
    mut each: impl FnMut(Pool, &[Cell<i8>]),
) {
    let [height, width, channels] = window.input;
    let [out_height, out_width, _] = window.output;
    // Bounds every place in the input; outputs are runs of a checked slice.
    if Some(input.len()) != len(window.input) {
        return;
    }
    let ([rows, columns], [down, right], [top, left]) =
        (window.kernel, window.stride, window.padding);
    let mut pixels = runs(output, channels);
    for y in 0..out_height {
        let (top, rows) = range(y.wrapping_mul(down), rows, top, height);
        for x in 0..out_width {
            let (left, columns) = range(x.wrapping_mul(right), columns, left, width);
            let pool = Pool {
                top,
                left,
                rows,
                columns,
                width,
                channels,
            };
            if let Some(pixel) = pixels.next() {
                each(pool, pixel);
            }
        }
    }
}

/// The first input under a pool along an axis, and how many there are.
fn range(at: usize, kernel: usize, padding: usize, extent: usize) -> (usize, usize) {
    let end = at.wrapping_add(kernel).saturating_sub(padding).min(extent);
    let start = at.saturating_sub(padding).min(extent);
    (start, end.saturating_sub(start))
}

impl Pool {
    /// Inputs under the pool, for each channel.
    pub fn count(self) -> usize {
        self.rows * self.columns
    }

    /// The inputs of a channel.
    pub fn inputs(self, input: &[Cell<i8>], channel: usize) -> impl Iterator<Item = i8> {
        (0..self.rows).flat_map(move |row| {
            (0..self.columns).map(move |column| {
                let pixel = (self.top + row) * self.width + self.left + column;
                let at = pixel * self.channels + channel;
                input.get(at).map_or(0, |x| x.get())
            })
        })
    }

    /// The greatest of four channels from `channel` on; `None` for an empty pool or where there are
    /// not four.
    pub fn greatest(self, input: &[Cell<i8>], channel: usize) -> Option<[i8; 4]> {
        if channel + 4 > self.channels {
            return None;
        }
        let (first, walk) = self.walk(input)?;
        // SAFETY: see `walk`; the pixels have four channels from this one on.
        let greatest = unsafe { greatest(first.add(channel), &walk) };
        Some(greatest.to_le_bytes().map(u8::cast_signed))
    }

    /// Sets the whole fours of the channels of an output pixel to their means, halves away from zero;
    /// none for an empty pool.
    pub fn set_means(self, input: &[Cell<i8>], pixel: &[Cell<i8>]) {
        if let Some((first, walk)) = self.walk(input)
            && pixel.len() == self.channels
            && self.channels >= 4
        {
            // SAFETY: see `walk`; input and output pixels have so many fours of channels, and cells
            // may be written through a shared reference.
            unsafe { means(first, &walk, pixel.as_ptr(), self.channels / 4) };
        }
    }

    /// A walk over rows of pixels that all lie in the input.
    fn walk(self, input: &[Cell<i8>]) -> Option<(*const i8, Walk)> {
        let Self {
            top,
            left,
            rows,
            columns,
            width,
            channels,
        } = self;
        if rows == 0 || columns == 0 || left + columns > width {
            return None;
        }
        let start = (top * width + left) * channels;
        let end = ((top + rows - 1) * width + left + columns) * channels;
        let first = input.get(start..end)?.as_ptr().cast();
        let walk = Walk {
            step: channels,
            columns,
            row_step: (width - columns) * channels,
            rows,
        };
        Some((first, walk))
    }
}

/// A sum to its mean, halves away from zero: `r2` is the number of inputs, `r3` half of it.
macro_rules! mean {
    ($sum:literal) => {
        concat!(
            "cmp ", $sum, ", #0\n", "ite gt\n", "addgt ", $sum, ", ", $sum, ", r3\n", "suble ",
            $sum, ", ", $sum, ", r3\n", "sdiv ", $sum, ", ", $sum, ", r2\n",
        )
    };
}

/// The means of four channels after four, so many times.
///
/// # Safety
/// The words of the walk may be read, those of the following channels too; at least one row, column
/// and four. The output has as many bytes.
#[unsafe(naked)]
unsafe extern "C" fn means(first: *const i8, walk: &Walk, output: *const Cell<i8>, fours: usize) {
    naked_asm!(
        dsp_cpu!(),
        "
        push {{r4-r10, lr}}
        push {{r0-r3}}
    0:  ldrd r0, r1, [sp]
        ldm r1, {{r3, r4, r5, r6}}
        mul r2, r4, r6
        movs r7, #0
        mov r8, r7
        mov r9, r7
        mov r10, r7
    1:  mov r1, r4
    2:  ldr r12, [r0]
        add r0, r0, r3
        sxtab r7, r7, r12
        sxtab r8, r8, r12, ror #8
        sxtab r9, r9, r12, ror #16
        sxtab r10, r10, r12, ror #24
        subs r1, #1
        bne 2b
        add r0, r0, r5
        subs r6, #1
        bne 1b
        lsrs r3, r2, #1
        ",
        mean!("r7"),
        mean!("r8"),
        mean!("r9"),
        mean!("r10"),
        "
        bfi r7, r8, #8, #8
        bfi r7, r9, #16, #8
        bfi r7, r10, #24, #8
        pop {{r0-r3}}
        str r7, [r2], #4
        adds r0, #4
        subs r3, #1
        push {{r0-r3}}
        bne 0b
        add sp, #16
        pop {{r4-r10, pc}}
        "
    )
}

/// # Safety
/// The words of the walk may be read; at least one row and column.
#[unsafe(naked)]
unsafe extern "C" fn greatest(first: *const i8, walk: &Walk) -> u32 {
    naked_asm!(
        dsp_cpu!(),
        "
        push {{r4-r7, lr}}
        mov r2, r0
        ldm r1, {{r3, r4, r5, r6}}
        mov r0, #0x80808080
    1:  mov r7, r4
    2:  ldr r12, [r2]
        add r2, r2, r3
        ssub8 lr, r12, r0
        sel r0, r12, r0
        subs r7, #1
        bne 2b
        add r2, r2, r5
        subs r6, #1
        bne 1b
        pop {{r4-r7, pc}}
        "
    )
}
