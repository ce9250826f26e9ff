//! The input under one position of a window, as words of two activations: `x1 + 2^16 * x0`.

use core::cell::Cell;

use crate::kernels::reference::Window;

/// Writes activations one after the other into words, two in each.
struct Pairs<'a> {
    words: &'a [Cell<i32>],
    /// The first of a word that waits for its second.
    first: Option<i8>,
}

fn pair(first: i8, second: i8) -> i32 {
    (i32::from(first) << 16).wrapping_add(second.into())
}

impl Pairs<'_> {
    fn push(&mut self, x: i8) {
        match self.first.take() {
            None => self.first = Some(x),
            Some(first) => {
                if let Some((word, rest)) = self.words.split_first() {
                    word.set(pair(first, x));
                    self.words = rest;
                }
            }
        }
    }

    #[inline]
    fn extend(&mut self, mut x: &[Cell<i8>]) {
        if self.first.is_some()
            && let Some((second, rest)) = x.split_first()
        {
            self.push(second.get());
            x = rest;
        }
        let (pairs, last) = x.as_chunks::<2>();
        let Some((words, rest)) = self.words.split_at_checked(pairs.len()) else {
            return;
        };
        self.words = rest;
        // Four at a time, so that the loop itself costs little.
        let ((pairs, few_pairs), (words, few_words)) = (pairs.as_chunks::<4>(), words.as_chunks::<4>());
        let set = |([first, second], word): (&[Cell<i8>; 2], &Cell<i32>)| {
            word.set(pair(first.get(), second.get()));
        };
        for ([p, q, r, s], [a, b, c, d]) in pairs.iter().zip(words) {
            set((p, a));
            set((q, b));
            set((r, c));
            set((s, d));
        }
        few_pairs.iter().zip(few_words).for_each(set);
        if let [last] = last {
            self.first = Some(last.get());
        }
    }

    fn repeat(&mut self, x: i8, count: usize) {
        for _ in 0..count {
            self.push(x);
        }
    }

    /// Ends with zeros.
    fn finish(mut self) {
        if self.first.is_some() {
            self.push(0);
        }
        for word in self.words {
            word.set(0);
        }
    }
}

/// Fills `words` with the taps of the window for output `(y, x)` in canonical order, padding as
/// `pad`, zeros behind the last.
#[inline]
pub(super) fn gather(
    window: &Window,
    pad: i8,
    input: &[Cell<i8>],
    [y, x]: [usize; 2],
    words: &[Cell<i32>],
) {
    let mut pairs = Pairs {
        words,
        first: None,
    };
    let [height, width, depth] = window.input;
    let [rows, columns] = window.kernel;
    let [stride_y, stride_x] = window.stride;
    let [padding_y, padding_x] = window.padding;
    let [dilation_y, dilation_x] = window.dilation;
    let line = width.wrapping_mul(depth);
    // Both are within a few kernels of the input: what a loaded image says has 16 bits each.
    let left = x.wrapping_mul(stride_x).wrapping_sub(padding_x);
    let mut row = y.wrapping_mul(stride_y).wrapping_sub(padding_y);
    // The taps of a row: before the input, within, behind.
    let (before, first) = if left.cast_signed() < 0 {
        (left.wrapping_neg().min(columns), 0)
    } else {
        (0, left)
    };
    let within = width.saturating_sub(first).min(columns.wrapping_sub(before));
    let behind = columns.wrapping_sub(before).wrapping_sub(within);
    for _ in 0..rows {
        let start = row.wrapping_mul(line);
        let inside = if row < height {
            input.get(start..start.wrapping_add(line))
        } else {
            None
        };
        match inside {
            None => pairs.repeat(pad, columns.wrapping_mul(depth)),
            Some(line) if dilation_x == 1 => {
                pairs.repeat(pad, before.wrapping_mul(depth));
                let start = first.wrapping_mul(depth);
                let end = start.wrapping_add(within.wrapping_mul(depth));
                pairs.extend(line.get(start..end).unwrap_or_default());
                pairs.repeat(pad, behind.wrapping_mul(depth));
            }
            Some(line) => {
                let mut column = left;
                for _ in 0..columns {
                    let start = column.wrapping_mul(depth);
                    let pixel = if column < width {
                        line.get(start..start.wrapping_add(depth))
                    } else {
                        None
                    };
                    match pixel {
                        Some(pixel) => pairs.extend(pixel),
                        None => pairs.repeat(pad, depth),
                    }
                    column = column.wrapping_add(dilation_x);
                }
            }
        }
        row = row.wrapping_add(dilation_y);
    }
    pairs.finish();
}
