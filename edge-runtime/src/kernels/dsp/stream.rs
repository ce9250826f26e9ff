//! A checked stream of weights, and running kernels over it pixel after pixel.

use super::super::layer::Layer;
use super::super::packing::dsp_blocks::{CHANNELS, HEADER, Taps, Width, block_len};
use super::super::packing::dsp_forms::Form;
use super::job::{Driven, Job};
use crate::kernels::cases;

/// A stream, an output and the next pixel of it.
pub(super) struct Stream<'a, const CASES: u64> {
    layer: &'a Layer<'a>,
    form: Form,
    block_len: usize,
    words: usize,
    channels: usize,
    /// Whether every block is full and needs no help after the kernel.
    plain: bool,
    driven: &'static Driven,
    job: Job,
}

impl<'a, const CASES: u64> Stream<'a, CASES> {
    /// Starts at the first pixel. `None` where there is none, or where the weights are shorter than
    /// the window says or not on a 4-byte boundary.
    #[inline(never)] // Its frame is gone before the kernels run.
    pub fn new(
        layer: &'a Layer<'a>,
        width: Width,
        driven: &'static Driven,
        panel: *const u32,
    ) -> Option<Self> {
        let [_, _, channels] = layer.window.output;
        let taps = Taps::of(&layer.window);
        let form = Form::from_code(*layer.weights.first()?)?;
        // The kernels know the end of a block or a panel only after one step.
        if channels == 0 || taps.words() == 0 || !form.suits(width) {
            return None;
        }
        let is_partial = !channels.is_multiple_of(CHANNELS);
        if CASES & cases::form(width, form) == 0 || (is_partial && CASES & cases::PARTIAL == 0) {
            return None;
        }
        let block_len = block_len(width, form, taps)?;
        let len = channels.div_ceil(CHANNELS).checked_mul(block_len)?;
        let blocks = layer.weights.get(HEADER..)?;
        if blocks.len() < len || !blocks.as_ptr().cast::<u32>().is_aligned() {
            return None;
        }
        let output = layer.output.as_ptr().cast::<u8>().cast_mut();
        let mut stream = Self {
            layer,
            form,
            block_len,
            words: taps.words(),
            channels,
            plain: !is_partial && form != Form::Raw,
            driven,
            job: Job {
                panel,
                output,
                second: output.wrapping_add(channels),
                output_end: output.wrapping_add(channels / CHANNELS * CHANNELS),
                panel_end: panel,
                entry: 0,
                form: form.code().into(),
                weights: blocks.as_ptr(),
                pairs: 1,
                stride: channels,
                min: 0,
                max: 0,
            },
        };
        [stream.job.min, stream.job.max] = ends(
            form,
            layer.weights,
            layer.zero_point,
            [layer.min, layer.max],
        );
        stream.drive(driven);
        Some(stream)
    }

    /// Goes on with another kernel.
    pub fn drive(&mut self, driven: &'static Driven) {
        let len = driven.word * driven.pixels * self.words;
        self.driven = driven;
        self.job.entry = (driven.entry)(self.words);
        self.job.panel_end = self.job.panel.wrapping_byte_add(len);
    }

    /// Writes the second pixel of the next pair over the first one: they are the same.
    pub fn repeat(&mut self) {
        self.job.second = self.job.output;
    }

    /// Whether [`Self::run`] takes more than one pair.
    pub fn takes_batches(&self) -> bool {
        self.plain || CASES & (cases::PARTIAL | cases::RAW) == 0
    }

    /// Computes the next pixels: as many pairs, or with a kernel for one pixel that one.
    ///
    /// # Safety
    ///
    /// The panel holds the pixels' words and the output the pixels; `pairs` is not zero, and one
    /// unless the stream [takes batches](Self::takes_batches).
    pub unsafe fn run(&mut self, pairs: usize) {
        self.job.pairs = pairs;
        if self.plain || CASES & (cases::PARTIAL | cases::RAW) == 0 {
            // SAFETY: the lengths of panel, output and stream were checked.
            unsafe { (self.driven.kernel)(&raw const self.job) };
        } else if self.form == Form::Raw && CASES & cases::RAW != 0 {
            // SAFETY: as the caller says.
            unsafe { self.run_raw() };
        } else if CASES & cases::PARTIAL != 0 {
            // SAFETY: as the caller says.
            unsafe { self.run_partial() };
        }
        let len = pairs * self.driven.pixels * self.channels;
        let job = &mut self.job;
        job.output = job.output.wrapping_add(len);
        job.second = job.second.wrapping_add(len);
        job.output_end = job.output_end.wrapping_add(len);
    }

    /// The full blocks, then the last one, whose channels are not all in the output.
    ///
    /// # Safety
    ///
    /// As [`Self::run`]; `pairs` is one.
    #[inline(never)]
    unsafe fn run_partial(&self) {
        let full = self.channels / CHANNELS;
        if full > 0 {
            // SAFETY: there are `full` blocks of four channels in the output and in the stream.
            unsafe { (self.driven.kernel)(&raw const self.job) };
        }
        let mut last = [[0u8; CHANNELS]; 2];
        let [a, b] = &mut last;
        let output = a.as_mut_ptr();
        let job = Job {
            output,
            second: b.as_mut_ptr(),
            output_end: output.wrapping_add(CHANNELS),
            weights: self.job.weights.wrapping_add(full * self.block_len),
            ..self.job
        };
        // SAFETY: one block, the last of the stream, into four bytes for each pixel.
        unsafe { (self.driven.kernel)(&raw const job) };
        let pixels = [self.job.output, self.job.second];
        for (pixel, bytes) in pixels.iter().zip(last).take(self.driven.pixels) {
            for (index, byte) in bytes.iter().enumerate().take(self.channels % CHANNELS) {
                // SAFETY: the last channels of a pixel that the output holds.
                unsafe { pixel.add(full * CHANNELS + index).write(*byte) };
            }
        }
    }

    /// One block at a time, requantised by the reference's arithmetic.
    ///
    /// # Safety
    ///
    /// As [`Self::run`]; `pairs` is one.
    #[inline(never)]
    unsafe fn run_raw(&self) {
        let constants = self.block_len - Form::Raw.constants_len();
        let pixels = [self.job.output, self.job.second];
        for block in 0..self.channels.div_ceil(CHANNELS) {
            let mut accumulators = [[0i32; CHANNELS]; 2];
            let stream = self.job.weights.wrapping_add(block * self.block_len);
            let job = Job {
                output: accumulators.as_mut_ptr().cast(),
                weights: stream,
                ..self.job
            };
            // SAFETY: one block of the stream; `Form::Raw` stores four words for each pixel.
            unsafe { (self.driven.kernel)(&raw const job) };
            for (pixel, accumulators) in pixels.iter().zip(accumulators).take(self.driven.pixels) {
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
                        let value = self.requantise(*acc, multiplier, shift as i8);
                        pixel.add(channel).write(value);
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

/// What the epilogue of a form needs besides the stream, as [`Job::min`] and [`Job::max`]. `weights`
/// begin with the header.
pub(super) fn ends(form: Form, weights: &[u8], zero_point: i32, clamp: [i8; 2]) -> [u32; 2] {
    match form {
        Form::Small | Form::SmallLinear => {
            let halves = zero_point.wrapping_mul(2).wrapping_add(257) as u16;
            let first = weights.get(1).copied().unwrap_or(0);
            [u32::from(halves) * 0x1_0001, first.into()]
        }
        _ => clamp.map(|end| u32::from(end.cast_unsigned()) * 0x0101_0101),
    }
}
