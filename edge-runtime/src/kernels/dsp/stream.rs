//! A checked stream of weights, and running the kernels over it.

use super::super::layer::Layer;
use super::super::packing::dsp_blocks::{CHANNELS, Form, HEADER, Taps, Width, block_len};
use super::matmul::{Job, Kernel};

/// [`Job::entry`] for a number of words.
pub(super) type Entry = fn(usize) -> usize;

/// A checked stream and output: what [`matmul`] needs beside activations.
pub(super) struct Stream<'a> {
    layer: &'a Layer<'a>,
    pub form: Form,
    blocks: *const u8,
    block_len: usize,
    pub words: usize,
    channels: usize,
}

impl<'a> Stream<'a> {
    /// `None` where the weights are shorter than the window says, or not on a 4-byte boundary.
    pub fn new(layer: &'a Layer<'a>, width: Width, taps: Taps) -> Option<Self> {
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
            words: taps.words(),
            channels,
        })
    }

    /// Runs a kernel over `pairs` pairs of pixels (or over one pixel, where `step` is 1) from
    /// `pixel` on.
    ///
    /// # Safety
    ///
    /// `panel` holds the pixels' words, the given number of bytes for each pair; the output holds the pixels; `pairs` is not zero, and one
    /// where the channels are not a multiple of four or the form is `Raw`.
    pub unsafe fn run(
        &self,
        kernel: (Kernel, Entry),
        panel: (*const u32, usize),
        pixel: usize,
        pairs: usize,
        step: usize,
    ) {
        let (kernel, entry) = kernel;
        let (panel, panel_len) = panel;
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
            panel_end: panel.wrapping_byte_add(panel_len),
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
            job.weights = self.blocks.wrapping_add(whole * self.block_len);
            // SAFETY: there is a last block, for `rest` more channels.
            unsafe { Self::run_last(kernel, &mut job, whole * CHANNELS, rest, step) };
        }
    }

    /// Runs a kernel over a last block whose channels are not all in the output: `rest` from
    /// `channel` on.
    ///
    /// # Safety
    ///
    /// As [`Self::run`], `job.weights` is the block.
    #[inline(never)]
    unsafe fn run_last(kernel: Kernel, job: &mut Job, channel: usize, rest: usize, step: usize) {
        let pixels = [job.output, job.second];
        let mut last = [[0u8; CHANNELS]; 2];
        let [a, b] = &mut last;
        job.output = a.as_mut_ptr();
        job.second = b.as_mut_ptr();
        job.output_end = job.output.wrapping_add(CHANNELS);
        // SAFETY: one block, into four bytes for each pixel.
        unsafe { kernel(&raw const *job) };
        for (pixel, bytes) in pixels.iter().zip(last).take(step) {
            for (index, byte) in bytes.iter().enumerate().take(rest) {
                // SAFETY: the last channels of a pixel that the output holds.
                unsafe { pixel.add(channel + index).write(*byte) };
            }
        }
    }

    /// One block at a time, requantised by the reference's arithmetic.
    ///
    /// # Safety
    ///
    /// As [`Self::run`]; `pairs` is one.
    #[inline(never)]
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
                        pixel
                            .add(channel)
                            .write(self.requantise(*acc, multiplier, shift as i8));
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
