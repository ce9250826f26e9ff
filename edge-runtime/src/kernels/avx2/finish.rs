//! The end of the kernels with weights: from sums in memory to outputs, eight channels at a time.

use core::arch::x86_64::*;

use super::requantise::{HALF, Narrow, Parameters};
use crate::kernels::generic::{Constants, Form};

/// Writes the outputs of a strip: `pixels` pixels of `halves` times eight channels from `channel`.
///
/// # Safety
/// `constants` hold what their fields say and have a channel in each half; `sums` are
/// `[pixel][half]`, without the bias, and are lost; `output` is the first of as many pixels, all
/// channels of which are writable. The constants are prepared.
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn finish(
    constants: &Constants,
    channel: usize,
    halves: usize,
    sums: *mut __m256i,
    output: *mut i8,
    pixels: usize,
) {
    for h in 0..halves {
        let channel = channel + h * 8;
        // SAFETY: the half has a channel; else passed on.
        unsafe {
            let prepared = constants.prepared.add(channel / 8 * HALF);
            let parameters = prepared.cast::<Parameters>().read_unaligned();
            let strip = Strip {
                constants,
                channel,
                sums: sums.add(h),
                stride: halves,
                output: output.add(channel),
                pixels,
            };
            if parameters.affine.exist() && parameters.affine.odd() {
                strip.write::<ODD>(&parameters);
            } else if parameters.affine.exist() {
                strip.write::<AFFINE>(&parameters);
            } else if !parameters.covers(constants.rounding) {
                strip.one_by_one(&parameters);
                strip.write::<DONE>(&parameters);
            } else if constants.form == Form::Relu {
                strip.write::<RELU>(&parameters);
            } else {
                strip.write::<SIGNED>(&parameters);
            }
        }
    }
}

/// What [`Strip::write`] has to do to the sums: nothing,
const DONE: u8 = 0;
/// [`Parameters::relu`],
const RELU: u8 = 1;
/// [`Parameters::signed`],
const SIGNED: u8 = 2;
/// [`Lines::outputs`](super::requantise::Lines::outputs),
const AFFINE: u8 = 3;
/// or [`Lines::odd_outputs`](super::requantise::Lines::odd_outputs).
const ODD: u8 = 4;

/// Eight channels of a strip.
struct Strip<'a> {
    constants: &'a Constants,
    channel: usize,
    sums: *mut __m256i,
    stride: usize,
    output: *mut i8,
    pixels: usize,
}

impl Strip<'_> {
    /// # Safety
    /// As [`finish`].
    #[cold]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn one_by_one(&self, parameters: &Parameters) {
        for pixel in 0..self.pixels {
            // SAFETY: the sum is there.
            unsafe {
                let sum = self.sums.add(pixel * self.stride);
                let acc = _mm256_add_epi32(*sum, parameters.start);
                *sum = one_by_one(self.constants, self.channel, acc);
            }
        }
    }

    /// # Safety
    /// As [`finish`].
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn scaled<const HOW: u8>(&self, parameters: &Parameters, pixel: usize) -> __m256i {
        // SAFETY: the sum is there.
        let sum = unsafe { *self.sums.add(pixel * self.stride) };
        match HOW {
            RELU => parameters.relu(sum),
            SIGNED => parameters.signed(sum),
            AFFINE => parameters
                .affine
                .outputs(_mm256_add_epi32(sum, parameters.start)),
            ODD => parameters
                .affine
                .odd_outputs(_mm256_add_epi32(sum, parameters.start)),
            _ => sum,
        }
    }

    /// # Safety
    /// As [`finish`].
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn write<const HOW: u8>(&self, parameters: &Parameters) {
        // The affine form has it.
        let zero_point = if HOW == AFFINE {
            0
        } else {
            self.constants.zero_point
        };
        let narrow = Narrow::new(self.constants, zero_point);
        let channels = self.constants.channels;
        let mut pixel = 0;
        while pixel + 4 <= self.pixels {
            // SAFETY: four pixels are left.
            unsafe {
                let bytes = narrow.apply([
                    self.scaled::<HOW>(parameters, pixel),
                    self.scaled::<HOW>(parameters, pixel + 1),
                    self.scaled::<HOW>(parameters, pixel + 2),
                    self.scaled::<HOW>(parameters, pixel + 3),
                ]);
                let to = self.output.add(pixel * channels);
                if channels == 8 {
                    _mm256_storeu_si256(to.cast(), bytes);
                } else {
                    self.put(to, _mm256_extract_epi64::<0>(bytes));
                    self.put(to.add(channels), _mm256_extract_epi64::<1>(bytes));
                    self.put(to.add(channels * 2), _mm256_extract_epi64::<2>(bytes));
                    self.put(to.add(channels * 3), _mm256_extract_epi64::<3>(bytes));
                }
            }
            pixel += 4;
        }
        while pixel < self.pixels {
            let zero = _mm256_setzero_si256();
            // SAFETY: the pixel is left.
            unsafe {
                let one = self.scaled::<HOW>(parameters, pixel);
                let bytes = narrow.apply([one, zero, zero, zero]);
                let to = self.output.add(pixel * channels);
                self.put(to, _mm256_extract_epi64::<0>(bytes));
            }
            pixel += 1;
        }
    }

    /// Writes those of eight bytes that are channels.
    ///
    /// # Safety
    /// `to` is writable for as many.
    #[inline]
    unsafe fn put(&self, to: *mut i8, bytes: i64) {
        let left = self.constants.channels - self.channel;
        // SAFETY: eight bytes, or as many as are left.
        unsafe {
            if left >= 8 {
                to.cast::<i64>().write_unaligned(bytes);
            } else {
                let bytes = bytes.to_le_bytes();
                bytes.as_ptr().cast::<i8>().copy_to_nonoverlapping(to, left);
            }
        }
    }
}

/// Scales accumulators as the reference does, for what the vector forms do not cover.
///
/// # Safety
/// `constants` hold what their fields say, `channel` is one.
#[cold]
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn one_by_one(constants: &Constants, channel: usize, acc: __m256i) -> __m256i {
    let mut values = [0_i32; 8];
    // SAFETY: the array has 32 bytes.
    unsafe { _mm256_storeu_si256(values.as_mut_ptr().cast(), acc) };
    for (lane, value) in values.iter_mut().enumerate() {
        let channel = channel + lane;
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
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}
