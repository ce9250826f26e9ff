//! CONV_2D and FULLY_CONNECTED over streams of [`super::super::packing::dsp_blocks`].
//!
//! The window of each output pixel is laid out in scratch as `i16` (a *panel*: all taps, for two
//! pixels word by word in turn), then all output channels are computed from it. A panel holds all
//! that its pixels need, and pixels come in raster order, so the rule of overlap holds.

use core::ptr;

use super::super::footprint::dsp_blocks::{PANEL_SLACK, Sizes};
pub use super::super::footprint::dsp_blocks::{fits, fully_connected_scratch_len, scratch_len};
use super::super::layer::Layer;
use super::super::packing::dsp_blocks::{CHANNELS, Form, HEADER, Width, block_len, words};
use super::matmul::{self, Job, Kernel};
use super::widen::{widen_1, widen_2};

/// CONV_2D with 16-bit weights (packing 1). Leaves the output as it is where lengths do not fit
/// together, alignment is missing or the window does not [`fits`].
pub fn conv_2d_i16_2x4(layer: &Layer<'_>) {
    let kernels = Kernels {
        width: Width::I16,
        pair: (matmul::pair_i16_2x4, matmul::entry_i16_2x4),
        single: (matmul::single_i16_1x4, matmul::entry_i16_1x4),
    };
    conv_2d(layer, &kernels);
}

/// CONV_2D with 8-bit weights (packing 2), else as [`conv_2d_i16_2x4`].
pub fn conv_2d_i8_2x4(layer: &Layer<'_>) {
    let kernels = Kernels {
        width: Width::I8,
        pair: (matmul::pair_i8_2x4, matmul::entry_i8_2x4),
        single: (matmul::single_i8_1x4, matmul::entry_i8_1x4),
    };
    conv_2d(layer, &kernels);
}

/// FULLY_CONNECTED with 16-bit weights (packing 1). Leaves the output as it is where lengths do
/// not fit together, alignment is missing or the window is not 1x1 on one pixel.
pub fn fully_connected_i16_1x4(layer: &Layer<'_>) {
    let kernel = (
        matmul::single_i16_1x4 as Kernel,
        matmul::entry_i16_1x4 as Entry,
    );
    fully_connected(layer, Width::I16, kernel);
}

/// FULLY_CONNECTED with 8-bit weights (packing 2), else as [`fully_connected_i16_1x4`].
pub fn fully_connected_i8_1x4(layer: &Layer<'_>) {
    let kernel = (
        matmul::single_i8_1x4 as Kernel,
        matmul::entry_i8_1x4 as Entry,
    );
    fully_connected(layer, Width::I8, kernel);
}

/// [`Job::entry`] for a number of words.
type Entry = fn(usize) -> usize;

/// The kernels for a width of weights.
struct Kernels {
    width: Width,
    pair: (Kernel, Entry),
    single: (Kernel, Entry),
}

/// A checked stream and output: what [`matmul`] needs beside activations.
struct Stream<'a> {
    layer: &'a Layer<'a>,
    form: Form,
    blocks: *const u8,
    block_len: usize,
    words: usize,
    channels: usize,
}

impl<'a> Stream<'a> {
    /// `None` where the weights are shorter than the window says, or not on a 4-byte boundary.
    fn new(layer: &'a Layer<'a>, width: Width, taps: usize) -> Option<Self> {
        let [_, _, channels] = layer.window.output;
        let form = Form::from_code(*layer.weights.first()?)?;
        if width == Width::I8 && form == Form::Fixed {
            return None;
        }
        let block_len = block_len(width, form, taps)?;
        let len = channels.div_ceil(CHANNELS).checked_mul(block_len)?;
        let blocks = layer.weights.get(HEADER..)?;
        if blocks.len() < len || !blocks.as_ptr().cast::<u32>().is_aligned() {
            return None;
        }
        Some(Self {
            layer,
            form,
            blocks: blocks.as_ptr(),
            block_len,
            words: words(taps),
            channels,
        })
    }

    /// Runs a kernel over `pairs` pairs of pixels (or over one pixel, where `step` is 1) from
    /// `pixel` on.
    ///
    /// # Safety
    ///
    /// `panel` holds the pixels' words; the output holds the pixels; `pairs` is not zero, and one
    /// where the channels are not a multiple of four or the form is `Raw`.
    unsafe fn run(
        &self,
        kernel: (Kernel, Entry),
        panel: *const u32,
        pixel: usize,
        pairs: usize,
        step: usize,
    ) {
        let (kernel, entry) = kernel;
        // SAFETY: the caller says that the output holds the pixels.
        let output = unsafe {
            self.layer
                .output
                .as_ptr()
                .add(pixel.wrapping_mul(self.channels))
                .cast::<u8>()
                .cast_mut()
        };
        let second = output.wrapping_add(self.channels);
        let whole = self.channels / CHANNELS;
        let mut job = Job {
            panel,
            output,
            second,
            output_end: output.wrapping_add(whole * CHANNELS),
            panel_end: panel.wrapping_add(self.words * step),
            entry: entry(self.words),
            form: self.form.code().into(),
            weights: self.blocks,
            pairs,
            stride: self.channels,
            min: u32::from(self.layer.min.cast_unsigned()) * 0x0101_0101,
            max: u32::from(self.layer.max.cast_unsigned()) * 0x0101_0101,
        };
        if self.form == Form::Raw {
            // SAFETY: as the caller says.
            unsafe { self.run_raw(kernel, job, step) };
            return;
        }
        if whole > 0 {
            // SAFETY: the lengths of panel, output and stream were checked; there are `whole`
            // blocks of four channels in the output and in the stream.
            unsafe { kernel(&raw const job) };
        }
        let rest = self.channels % CHANNELS;
        if rest > 0 {
            let mut last = [[0u8; CHANNELS]; 2];
            let [a, b] = &mut last;
            job.output = a.as_mut_ptr();
            job.second = b.as_mut_ptr();
            job.output_end = job.output.wrapping_add(CHANNELS);
            job.weights = self.blocks.wrapping_add(whole * self.block_len);
            // SAFETY: one block, the last of the stream, into four bytes for each pixel.
            unsafe { kernel(&raw const job) };
            let [a, b] = last;
            for (bytes, pixel) in [(a, output), (b, second)].iter().take(step) {
                for (index, byte) in bytes.iter().enumerate().take(rest) {
                    // SAFETY: the last channels of a pixel that the output holds.
                    unsafe { pixel.add(whole * CHANNELS + index).write(*byte) };
                }
            }
        }
    }

    /// One block at a time, requantised by the reference's arithmetic.
    ///
    /// # Safety
    ///
    /// As [`Self::run`]; `pairs` is one.
    unsafe fn run_raw(&self, kernel: Kernel, mut job: Job, step: usize) {
        let pixels = [job.output, job.second];
        for block in 0..self.channels.div_ceil(CHANNELS) {
            let mut accumulators = [[0i32; CHANNELS]; 2];
            let stream = self.blocks.wrapping_add(block * self.block_len);
            job.output = accumulators.as_mut_ptr().cast();
            job.weights = stream;
            // SAFETY: one block of the stream; `Form::Raw` stores four words for each pixel.
            unsafe { kernel(&raw const job) };
            let constants = self.block_len - Form::Raw.constants_len();
            for (pixel, accumulators) in pixels.iter().zip(accumulators).take(step) {
                for (index, acc) in accumulators.iter().enumerate() {
                    let channel = block * CHANNELS + index;
                    if channel >= self.channels {
                        break;
                    }
                    // SAFETY: the block ends with two words for each of its four channels, and the
                    // output holds the pixel's channels.
                    unsafe {
                        let pair = stream.add(constants + 8 * index).cast::<[i32; 2]>();
                        let [multiplier, shift] = pair.read();
                        pixel.add(channel).write(self.requantise(*acc, multiplier, shift as i8));
                    }
                }
            }
        }
    }

    fn requantise(&self, acc: i32, multiplier: i32, shift: i8) -> u8 {
        let scaled = self.layer.rounding.scale(acc, multiplier, shift);
        let value = scaled.saturating_add(self.layer.zero_point);
        let (min, max) = (self.layer.min.into(), self.layer.max.into());
        value.max(min).min(max) as u8
    }
}

fn fully_connected(layer: &Layer<'_>, width: Width, kernel: (Kernel, Entry)) {
    let window = &layer.window;
    let [_, _, taps] = window.input;
    let [_, _, channels] = window.output;
    let scratch = layer.scratch.as_ptr().cast::<u32>().cast_mut();
    if window.input != [1, 1, taps]
        || window.output != [1, 1, channels]
        || taps == 0
        || layer.input.len() < taps
        || layer.output.len() < channels
        || layer.scratch.len() < fully_connected_scratch_len(window)
        || !scratch.is_aligned()
    {
        return;
    }
    let Some(stream) = Stream::new(layer, width, taps) else {
        return;
    };
    let input = layer.input.as_ptr().cast::<u8>();
    let groups = taps / 4;
    // SAFETY: `taps` bytes of input are read; the scratch holds 8 bytes for each group of four or
    // part of one. Scratch overlaps nothing, and the cells are of this thread.
    unsafe {
        if groups > 0 {
            widen_1(input, scratch, groups);
        }
        if !taps.is_multiple_of(4) {
            let mut rest = [0u8; 4];
            let start = input.add(4 * groups);
            ptr::copy_nonoverlapping(start, rest.as_mut_ptr(), taps % 4);
            widen_1(rest.as_ptr(), scratch.add(2 * groups), 1);
        }
        stream.run(kernel, scratch, 0, 1, 1);
    }
}

fn conv_2d(layer: &Layer<'_>, kernels: &Kernels) {
    let Some(conv) = Conv::new(layer) else {
        return;
    };
    let Some(stream) = Stream::new(layer, kernels.width, conv.sizes.taps) else {
        return;
    };
    let batch = if stream.form == Form::Raw {
        1
    } else {
        conv.sizes.batch
    };
    let panel = conv.panel;
    let mut at = Position { y: 0, x: 0 };
    let mut pixel = 0;
    while pixel < conv.pixels {
        let pairs = ((conv.pixels - pixel) / 2).min(batch);
        // SAFETY: `Conv::new` checked that input, output and scratch hold what the window says;
        // there are `2 * pairs` more pixels (or one), and no more than a batch.
        unsafe {
            if pairs == 0 {
                conv.fill_single(at);
                stream.run(kernels.single, panel, pixel, 1, 1);
                break;
            }
            at = conv.fill_pairs(at, pixel, pairs);
            stream.run(kernels.pair, panel, pixel, pairs, 2);
        }
        pixel += 2 * pairs;
    }
}

/// An output pixel.
#[derive(Clone, Copy)]
struct Position {
    y: i32,
    x: i32,
}

/// A checked layer, its dimensions as the inner loops take them.
struct Conv {
    sizes: Sizes,
    pixels: usize,
    input: *const u8,
    panel: *mut u32,
    gather: *mut u8,
    pad: u8,
    height: i32,
    width: i32,
    channels: usize,
    out_width: i32,
    kernel: [i32; 2],
    stride: [i32; 2],
    padding: [i32; 2],
    dilation: [i32; 2],
    /// Bytes of an input row.
    pitch: usize,
    /// Bytes of a kernel row.
    row: usize,
    /// Whether kernel rows off the padding can be widened where they lie.
    direct: bool,
    /// Whether the window is one pixel and windows follow one another in the input.
    pointwise: bool,
}

impl Conv {
    /// `None` where input, output or scratch are shorter than the window says.
    fn new(layer: &Layer<'_>) -> Option<Self> {
        let window = &layer.window;
        if !fits(window) {
            return None;
        }
        let [height, width, channels] = window.input;
        let [out_height, out_width, out_channels] = window.output;
        let [kernel_height, kernel_width] = window.kernel;
        let pitch = width.checked_mul(channels)?;
        let row = kernel_width.checked_mul(channels)?;
        // A panel takes four bytes a tap; this also keeps `scratch_len` from wrapping.
        row.checked_mul(kernel_height)
            .filter(|taps| *taps < 1 << 24)?;
        let pixels = out_height.checked_mul(out_width)?;
        if layer.input.len() < height.checked_mul(pitch)?
            || layer.output.len() < pixels.checked_mul(out_channels)?
            || layer.scratch.len() < scratch_len(window)
        {
            return None;
        }
        let panel = layer.scratch.as_ptr().cast::<u32>().cast_mut();
        if !panel.is_aligned() {
            return None;
        }
        let sizes = Sizes::new(window);
        let whole = row.is_multiple_of(4);
        let pointwise = whole
            && window.kernel == [1, 1]
            && window.stride == [1, 1]
            && window.padding == [0, 0]
            && [out_height, out_width] == [height, width];
        // Rows follow one another: one row of all pixels.
        let (height, width) = if pointwise {
            (1, pixels)
        } else {
            (height, width)
        };
        Some(Self {
            sizes,
            pixels,
            input: layer.input.as_ptr().cast(),
            panel,
            gather: panel
                .cast::<u8>()
                .wrapping_add(sizes.pair * sizes.batch + PANEL_SLACK),
            pad: layer.pad.cast_unsigned(),
            height: height as i32,
            width: width as i32,
            channels,
            out_width: out_width as i32,
            kernel: [kernel_height as i32, kernel_width as i32],
            stride: window.stride.map(|each| each as i32),
            padding: window.padding.map(|each| each as i32),
            dilation: window.dilation.map(|each| each as i32),
            pitch,
            row,
            direct: whole && (window.dilation[1] == 1 || kernel_width == 1),
            pointwise,
        })
    }

    fn next(&self, at: Position) -> Position {
        if at.x + 1 < self.out_width {
            Position { x: at.x + 1, ..at }
        } else {
            Position { y: at.y + 1, x: 0 }
        }
    }

    /// Row and column of the input under the first tap of a pixel's window.
    fn origin(&self, at: Position) -> [i32; 2] {
        [
            at.y * self.stride[0] - self.padding[0],
            at.x * self.stride[1] - self.padding[1],
        ]
    }

    /// The first byte of a pixel's window, where no part of it is padding.
    fn inside(&self, at: Position) -> Option<*const u8> {
        let [y, x] = self.origin(at);
        let inside = y >= 0
            && y + (self.kernel[0] - 1) * self.dilation[0] < self.height
            && x >= 0
            && x + (self.kernel[1] - 1) * self.dilation[1] < self.width;
        let byte = (y as usize)
            .wrapping_mul(self.pitch)
            .wrapping_add((x as usize).wrapping_mul(self.channels));
        inside.then(|| self.input.wrapping_add(byte))
    }

    /// Fills the panel with the windows of `2 * pairs` pixels from `pixel`, which is at `at`;
    /// returns the position after them.
    ///
    /// # Safety
    ///
    /// The pixels exist; `pairs` is 1 to a batch.
    unsafe fn fill_pairs(&self, mut at: Position, pixel: usize, pairs: usize) -> Position {
        let channels = self.channels;
        if self.pointwise {
            // SAFETY: output pixels are as many as input pixels, `channels` bytes each.
            unsafe {
                let first = self.input.add(pixel * channels);
                let second = first.wrapping_add(channels);
                widen_2(first, second, self.panel, channels / 4, pairs, channels);
            }
            // The only position that counts is that of a last single pixel.
            let end = pixel.wrapping_add(2 * pairs) as i32;
            return Position { y: 0, x: end };
        }
        for pair in 0..pairs {
            let panel = self.panel.wrapping_byte_add(pair * self.sizes.pair);
            let next = self.next(at);
            // SAFETY: the panel has room for the pairs of a batch, in raster order, so what
            // widening writes beyond a pair is overwritten by the next one or is slack.
            unsafe { self.fill_pair(panel, at, next) };
            at = self.next(next);
        }
        at
    }

    /// Fills `panel` with the windows of two pixels.
    ///
    /// # Safety
    ///
    /// The pixels exist; the panel has room for the pair and the slack.
    unsafe fn fill_pair(&self, panel: *mut u32, a: Position, b: Position) {
        if let (true, Some(first), Some(second)) = (self.direct, self.inside(a), self.inside(b)) {
            let skip = (self.dilation[0] as usize * self.pitch).wrapping_sub(self.row);
            let rows = self.kernel[0] as usize;
            // SAFETY: both windows lie within the input.
            unsafe { widen_2(first, second, panel, self.row / 4, rows, skip) };
            return;
        }
        let Sizes { gather, rows, .. } = self.sizes;
        if gather == 0 {
            return;
        }
        let (mut panel, mut row) = (panel, 0);
        while row < self.kernel[0] {
            let second = self.gather.wrapping_add(gather);
            // SAFETY: the scratch has room to gather two pixels, and the panel for the rows.
            unsafe {
                self.gather_rows(self.gather, self.origin(a), row, rows);
                self.gather_rows(second, self.origin(b), row, rows);
                widen_2(self.gather, second, panel, gather / 4, 1, 0);
            }
            panel = panel.wrapping_add(gather);
            row += rows;
        }
    }

    /// Fills the panel with the window of one pixel.
    ///
    /// # Safety
    ///
    /// The pixel exists.
    unsafe fn fill_single(&self, at: Position) {
        let Sizes { gather, rows, .. } = self.sizes;
        if gather == 0 {
            if let Some(window) = self.inside(at) {
                // SAFETY: the window is one pixel and lies within the input.
                unsafe { widen_1(window, self.panel, self.channels / 4) };
            }
            return;
        }
        let (mut panel, mut row) = (self.panel, 0);
        while row < self.kernel[0] {
            // SAFETY: the scratch has room to gather a pixel, and the panel for the rows.
            unsafe {
                self.gather_rows(self.gather, self.origin(at), row, rows);
                widen_1(self.gather, panel, gather / 4);
            }
            panel = panel.wrapping_add(gather / 2);
            row += rows;
        }
    }

    /// Copies kernel rows from `row` on of the window at `[y, x]`, padding filled in.
    ///
    /// # Safety
    ///
    /// `to` has room for `rows` rows.
    unsafe fn gather_rows(&self, mut to: *mut u8, [y, x]: [i32; 2], row: i32, rows: i32) {
        let [_, kernel_width] = self.kernel;
        for row in row..row + rows {
            let y = y + row * self.dilation[0];
            if self.dilation[1] == 1 {
                // SAFETY: there is room for a row of the kernel.
                to = unsafe { self.gather_run(to, y, x, kernel_width) };
                continue;
            }
            for tap in 0..kernel_width {
                let x = x + tap * self.dilation[1];
                // SAFETY: `to` moves through one row of the kernel.
                to = unsafe { self.gather_run(to, y, x, 1) };
            }
        }
    }

    /// Copies `taps` neighbouring pixels of the input, padding filled in; returns the end of the
    /// copy.
    ///
    /// # Safety
    ///
    /// `to` has room for them.
    #[inline]
    unsafe fn gather_run(&self, to: *mut u8, y: i32, x: i32, taps: i32) -> *mut u8 {
        let inside = y >= 0 && y < self.height;
        let left = if inside { (-x).max(0).min(taps) } else { taps };
        let end = if inside {
            (self.width - x).min(taps).max(left)
        } else {
            taps
        };
        // SAFETY: `left <= end <= taps`, and pixels `x + left..x + end` of row `y` exist.
        unsafe {
            let to = fill(to, self.pad, left as usize * self.channels);
            let from = if end > left {
                self.input
                    .add(y as usize * self.pitch + (x + left) as usize * self.channels)
            } else {
                self.input
            };
            let to = copy(to, from, (end - left) as usize * self.channels);
            fill(to, self.pad, (taps - end) as usize * self.channels)
        }
    }
}

/// Writes `len` bytes of `value`; returns their end. Runs are short: a call to `memset` costs more.
///
/// # Safety
///
/// `to` has room for them.
#[inline]
unsafe fn fill(mut to: *mut u8, value: u8, len: usize) -> *mut u8 {
    let word = u32::from(value) * 0x0101_0101;
    // SAFETY: as the caller says.
    unsafe {
        for _ in 0..len / 4 {
            to.cast::<u32>().write_unaligned(word);
            to = to.add(4);
        }
        for _ in 0..len % 4 {
            to.write(value);
            to = to.add(1);
        }
    }
    to
}

/// Copies `len` bytes, which do not overlap; returns the end of the copy.
///
/// # Safety
///
/// `from` can be read, `to` has room.
#[inline]
unsafe fn copy(mut to: *mut u8, mut from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: as the caller says.
    unsafe {
        for _ in 0..len / 4 {
            to.cast::<u32>()
                .write_unaligned(from.cast::<u32>().read_unaligned());
            to = to.add(4);
            from = from.add(4);
        }
        for _ in 0..len % 4 {
            to.write(from.read());
            to = to.add(1);
            from = from.add(1);
        }
    }
    to
}
