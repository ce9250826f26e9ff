//! The end of the kernels with weights: from sums in memory to outputs, sixteen channels at a time.

use core::arch::x86_64::*;

use super::how::{AFFINE, Bytes, CENTRED, DONE, How, ODD, RELU, SIGNED, parameters};
use super::requantise::{Lines, Parameters};
use crate::kernels::generic::{Constants, Form, PREPARED};

/// Writes the outputs of a strip: `pixels` pixels of `blocks` blocks, the first of them `block`.
///
/// # Safety
/// `constants` hold what their fields say and have these blocks; `sums` are `[pixel][block]` and
/// are lost; `output` is the first of as many pixels, all channels of which are writable.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn finish(
    constants: &Constants,
    block: usize,
    blocks: usize,
    sums: *mut __m512i,
    output: *mut i8,
    pixels: usize,
) {
    if constants.channels == 8 {
        for pair in 0..pixels.div_ceil(2) {
            // SAFETY: there are as many sums, and those of a pair are read before its place.
            unsafe {
                let first = *sums.add(pair * 2);
                let second = *sums.add((pair * 2 + 1).min(pixels - 1));
                let second = _mm512_castsi512_si256(second);
                *sums.add(pair) = _mm512_inserti64x4::<1>(first, second);
            }
        }
    }
    for b in 0..blocks {
        // SAFETY: the block has a channel; else passed on.
        unsafe {
            let output = output.add((block + b) * 16);
            finish_block(constants, block + b, sums.add(b), blocks, output, pixels);
        }
    }
}

/// Writes the outputs of one block. Of eight channels a vector has two pixels.
///
/// # Safety
/// As [`finish`], with `stride` vectors from one of the sums to the next; `output` is the first
/// channel of the block. The constants are prepared.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn finish_block(
    constants: &Constants,
    block: usize,
    sums: *mut __m512i,
    stride: usize,
    output: *mut i8,
    pixels: usize,
) {
    // SAFETY: passed on.
    unsafe {
        let prepared = constants.prepared.add(block * PREPARED);
        let parameters = prepared.cast::<Parameters>().read_unaligned();
        let strip = Strip {
            constants,
            block,
            sums,
            stride,
            output,
            pixels,
        };
        if parameters.affine.exist() && parameters.affine.odd() {
            strip.write::<ODD>(&parameters);
        } else if parameters.centred() {
            strip.write::<CENTRED>(&parameters);
        } else if parameters.affine.exist() {
            strip.write::<AFFINE>(&parameters);
        } else if !parameters.covers(constants.rounding) {
            strip.one_by_one();
            strip.write::<DONE>(&parameters);
        } else if constants.form == Form::Relu {
            strip.write::<RELU>(&parameters);
        } else {
            strip.write::<SIGNED>(&parameters);
        }
    }
}

/// Scales one vector without prepared constants.
///
/// # Safety
/// As [`finish_pixel`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn scale(constants: &Constants, block: usize, sum: __m512i) -> __m512i {
    // SAFETY: passed on.
    unsafe {
        let parameters = Parameters::load(constants, block);
        match constants.form {
            _ if !parameters.covers(constants.rounding) => one_by_one(constants, block, sum),
            Form::Relu => parameters.relu(sum),
            Form::Signed => parameters.signed(sum),
        }
    }
}

/// One block of a strip.
struct Strip<'a> {
    constants: &'a Constants,
    block: usize,
    sums: *mut __m512i,
    stride: usize,
    output: *mut i8,
    pixels: usize,
}

impl Strip<'_> {
    /// Vectors of sums.
    fn vectors(&self) -> usize {
        if self.constants.channels == 8 {
            self.pixels.div_ceil(2)
        } else {
            self.pixels
        }
    }

    /// # Safety
    /// As [`finish_block`].
    #[cold]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn one_by_one(&self) {
        for at in 0..self.vectors() {
            // SAFETY: the sum is there.
            unsafe {
                let sum = self.sums.add(at * self.stride);
                *sum = one_by_one(self.constants, self.block, *sum);
            }
        }
    }

    /// # Safety
    /// As [`finish_block`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn scaled<const HOW: u8>(&self, parameters: &Parameters, at: usize) -> __m512i {
        // SAFETY: the sum is there.
        let sum = unsafe { *self.sums.add(at * self.stride) };
        parameters.ends::<HOW>(sum)
    }

    /// # Safety
    /// As [`finish_block`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn write<const HOW: u8>(&self, parameters: &Parameters) {
        let bytes = Bytes::new::<HOW>(self.constants);
        let channels = self.constants.channels;
        // Outputs of a vector, and bytes from its first to that of the next vector.
        let (most, stride) = if channels == 8 {
            (16, 16)
        } else {
            ((channels - self.block * 16).min(16), channels)
        };
        let vectors = self.vectors();
        let whole = match channels {
            8 => self.pixels / 2,
            _ if most == 16 => vectors,
            _ => 0,
        };
        for at in 0..whole {
            // SAFETY: the sum is there, and so are all its channels.
            unsafe {
                let outputs = self.scaled::<HOW>(parameters, at);
                bytes.write::<HOW>(outputs, self.output.add(at * stride));
            }
        }
        for at in whole..vectors {
            let left = (self.pixels * channels - at * stride).min(most);
            let lanes = ((1_u32 << left) - 1) as u16;
            // SAFETY: the sum is there; the mask takes what are channels.
            unsafe {
                let outputs = bytes.narrow::<HOW>(self.scaled::<HOW>(parameters, at));
                _mm_mask_storeu_epi8(self.output.add(at * stride), lanes, outputs);
            }
        }
    }
}

/// Writes the outputs of the `P` pixels of a tile, at most sixteen, of one block or two from registers;
/// `output` is the first pixel.
///
/// # Safety
/// `how` is that of the blocks; else as [`finish`].
#[inline(always)] // into the tiles, where the sums are in registers
pub(super) unsafe fn finish_tile<const P: usize, const B: usize>(
    constants: &Constants,
    block: usize,
    how: How,
    sums: [[__m512i; B]; P],
    output: *mut i8,
) {
    // SAFETY: passed on.
    unsafe {
        let output = output.add(block * 16);
        match how {
            How::Affine => write_tile::<P, B, AFFINE>(constants, block, sums, output),
            How::Relu => write_tile::<P, B, RELU>(constants, block, sums, output),
            How::Odd => write_tile::<P, B, ODD>(constants, block, sums, output),
            How::Centred => write_tile::<P, B, CENTRED>(constants, block, sums, output),
        }
    }
}

/// [`finish_tile`] where `output` is the first channel of the blocks.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn write_tile<const P: usize, const B: usize, const HOW: u8>(
    constants: &Constants,
    block: usize,
    sums: [[__m512i; B]; P],
    output: *mut i8,
) {
    // SAFETY: the blocks and the pixels are in the layer and the output; the machine has the
    // instructions.
    unsafe {
        let bytes = Bytes::new::<HOW>(constants);
        let first = parameters(constants, block);
        let last = parameters(constants, block + B - 1);
        let channels = constants.channels;
        const { assert!(P <= 16) }
        // Written out, or the sums would live in memory for a loop to index them.
        macro_rules! pixels {
            ($($pixel:literal)*) => {$(
                if let Some(sums) = sums.get($pixel) {
                    let to = output.add($pixel * channels);
                    if let [sum, ..] = sums.as_slice() {
                        bytes.write::<HOW>(first.ends::<HOW>(*sum), to);
                    }
                    if let [_, sum] = sums.as_slice() {
                        bytes.write::<HOW>(last.ends::<HOW>(*sum), to.add(16));
                    }
                }
            )*};
        }
        pixels!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    }
}

/// As [`finish_pixel`] for 64 channels, without a copy of the sums in memory where all of them have
/// plain affine forms.
///
/// # Safety
/// As [`finish`]; the layer has these 64 channels.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn finish_64(
    constants: &Constants,
    block: usize,
    [a, b, c, d]: [__m512i; 4],
    output: *mut i8,
) {
    // SAFETY: passed on.
    unsafe {
        // Closures would not have the instructions, and be calls.
        let p = Lines::load(constants, block);
        let q = Lines::load(constants, block + 1);
        let r = Lines::load(constants, block + 2);
        let s = Lines::load(constants, block + 3);
        if p.plain() & q.plain() & r.plain() & s.plain() {
            // One store: the next layer loads as much at once.
            let low = _mm512_packs_epi32(p.outputs(a), q.outputs(b));
            let high = _mm512_packs_epi32(r.outputs(c), s.outputs(d));
            let bytes = _mm512_packs_epi16(low, high);
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let bytes = _mm512_permutexvar_epi32(order, bytes);
            let bytes = _mm512_max_epi8(bytes, _mm512_set1_epi8(constants.min));
            let bytes = _mm512_min_epi8(bytes, _mm512_set1_epi8(constants.max));
            _mm512_storeu_si512(output.add(block * 16).cast(), bytes);
        } else {
            finish_pixel(constants, block, [a, b, c, d], output);
        }
    }
}

/// Writes the outputs of one pixel: `B` blocks, the first of them `block`.
///
/// # Safety
/// As [`finish`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn finish_pixel<const B: usize>(
    constants: &Constants,
    block: usize,
    sums: [__m512i; B],
    output: *mut i8,
) {
    for (b, sum) in sums.into_iter().enumerate() {
        let left = (constants.channels - (block + b) * 16).min(16);
        let lanes = ((1_u32 << left) - 1) as u16;
        // SAFETY: passed on; the other lanes are no channels of this block.
        unsafe {
            let affine = Lines::load(constants, block + b);
            let bytes = if affine.exist() && affine.odd() {
                Bytes::new::<ODD>(constants).narrow::<ODD>(affine.odd_outputs(sum))
            } else if affine.exist() {
                Bytes::new::<AFFINE>(constants).narrow::<AFFINE>(affine.outputs(sum))
            } else {
                Bytes::new::<DONE>(constants).narrow::<DONE>(scale(constants, block + b, sum))
            };
            _mm_mask_storeu_epi8(output.add((block + b) * 16), lanes, bytes);
        }
    }
}

/// Scales accumulators as the reference does, for what the vector forms do not cover.
///
/// # Safety
/// `constants` hold what their fields say and have this block.
#[cold]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn one_by_one(constants: &Constants, block: usize, acc: __m512i) -> __m512i {
    let mut values = [0_i32; 16];
    // SAFETY: the array has 64 bytes.
    unsafe { _mm512_storeu_si512(values.as_mut_ptr().cast(), acc) };
    for (lane, value) in values.iter_mut().enumerate() {
        let channel = block * 16
            + if constants.channels == 8 {
                lane % 8
            } else {
                lane
            };
        if channel < constants.channels {
            // SAFETY: it is a channel.
            let (multiplier, shift) = unsafe {
                (
                    *constants.multipliers.add(channel),
                    *constants.shifts.add(channel),
                )
            };
            *value = constants.rounding.scale(*value, multiplier, shift);
        }
    }
    // SAFETY: as above.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}
