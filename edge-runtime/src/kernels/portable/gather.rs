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
        let ((pairs, few_pairs), (words, few_words)) =
            (pairs.as_chunks::<4>(), words.as_chunks::<4>());
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

    fn repeat(&mut self, x: i8, mut count: usize) {
        if count > 0 && self.first.is_some() {
            self.push(x);
            count = count.wrapping_sub(1);
        }
        if let Some((words, rest)) = self.words.split_at_checked(count / 2) {
            words.iter().for_each(|word| word.set(pair(x, x)));
            self.words = rest;
        }
        if !count.is_multiple_of(2) {
            self.first = Some(x);
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

/// The input under the positions of a window.
pub(super) struct Gather<'a> {
    window: Window,
    pad: i8,
    input: &'a [Cell<i8>],
    /// Elements of a row of the input.
    line: usize,
    /// Elements under a row of the window, if they are neighbours.
    span: usize,
    /// Elements from one row under the window to the next.
    step: usize,
    /// The greatest top and left of a window that lies wholly inside; `None` where none does or
    /// columns have gaps.
    inside: Option<[usize; 2]>,
}

impl<'a> Gather<'a> {
    pub fn new(window: &Window, pad: i8, input: &'a [Cell<i8>]) -> Self {
        let ([height, width, depth], [rows, columns]) = (window.input, window.kernel);
        let [dilation_y, dilation_x] = window.dilation;
        let line = width.wrapping_mul(depth);
        let extent = rows
            .saturating_sub(1)
            .saturating_mul(dilation_y)
            .saturating_add(1);
        let top = height.checked_sub(extent);
        let left = width.checked_sub(columns).filter(|_| dilation_x == 1);
        Self {
            window: *window,
            pad,
            input,
            line,
            span: columns.wrapping_mul(depth),
            step: dilation_y.wrapping_mul(line),
            inside: top.zip(left).map(|(top, left)| [top, left]),
        }
    }

    /// Top and left of the window for output `(y, x)`: beyond all sizes where they are negative. A
    /// loaded image has 16 bits for each factor.
    #[inline]
    fn corner(&self, [y, x]: [usize; 2]) -> [usize; 2] {
        let ([stride_y, stride_x], [padding_y, padding_x]) =
            (self.window.stride, self.window.padding);
        let top = y.wrapping_mul(stride_y).wrapping_sub(padding_y);
        [top, x.wrapping_mul(stride_x).wrapping_sub(padding_x)]
    }

    /// The first element under the window for output `at`, if all of it is inside and the
    /// columns have no gaps; a row on is [`Self::step`] elements on.
    #[inline]
    pub fn start(&self, at: [usize; 2]) -> Option<usize> {
        let ([top, left], [_, _, depth]) = (self.corner(at), self.window.input);
        let [most_top, most_left] = self.inside?;
        let start = top
            .wrapping_mul(self.line)
            .wrapping_add(left.wrapping_mul(depth));
        (top <= most_top && left <= most_left).then_some(start)
    }

    /// Elements from a row under the window to the next.
    #[inline]
    pub fn step(&self) -> usize {
        self.step
    }

    /// Fills `words` with the taps of the window for output `at` in canonical order, zeros behind
    /// the last.
    #[inline]
    pub fn pairs(&self, at: [usize; 2], words: &[Cell<i32>]) {
        let mut pairs = Pairs { words, first: None };
        let Some(mut start) = self.start(at) else {
            return self.at_edge(at, pairs);
        };
        let [rows, _] = self.window.kernel;
        for _ in 0..rows {
            let row = self.input.get(start..start.wrapping_add(self.span));
            pairs.extend(row.unwrap_or_default());
            start = start.wrapping_add(self.step);
        }
        pairs.finish();
    }

    #[inline(never)]
    fn at_edge(&self, at: [usize; 2], mut pairs: Pairs<'_>) {
        let ([height, width, depth], [rows, columns]) = (self.window.input, self.window.kernel);
        let [dilation_y, dilation_x] = self.window.dilation;
        let [mut row, left] = self.corner(at);
        // The taps of a row: before the input, within, behind.
        let (before, first) = if left.cast_signed() < 0 {
            (left.wrapping_neg().min(columns), 0)
        } else {
            (0, left)
        };
        let within = width
            .saturating_sub(first)
            .min(columns.wrapping_sub(before));
        let behind = columns.wrapping_sub(before).wrapping_sub(within);
        for _ in 0..rows {
            let start = row.wrapping_mul(self.line);
            let inside = if row < height {
                self.input.get(start..start.wrapping_add(self.line))
            } else {
                None
            };
            match inside {
                None => pairs.repeat(self.pad, self.span),
                Some(line) if dilation_x == 1 => {
                    pairs.repeat(self.pad, before.wrapping_mul(depth));
                    let start = first.wrapping_mul(depth);
                    let end = start.wrapping_add(within.wrapping_mul(depth));
                    pairs.extend(line.get(start..end).unwrap_or_default());
                    pairs.repeat(self.pad, behind.wrapping_mul(depth));
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
                            None => pairs.repeat(self.pad, depth),
                        }
                        column = column.wrapping_add(dilation_x);
                    }
                }
            }
            row = row.wrapping_add(dilation_y);
        }
        pairs.finish();
    }
}
