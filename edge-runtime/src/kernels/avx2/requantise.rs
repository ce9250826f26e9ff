//! From eight 32-bit accumulators to eight outputs: the formulas of
//! [`avx512/requantise.rs`](../avx512/requantise.rs), which says why they hold. They need no
//! arithmetic shift of 64 bits, which AVX2 lacks.

use core::arch::x86_64::*;

use crate::kernels::reference::requantise::Rounding;
use crate::kernels::x86::{Constants, Form};

/// Constants of eight channels.
#[derive(Clone, Copy)]
struct Parameters {
    /// Added to the sums first.
    start: __m256i,
    left: __m256i,
    multiplier: [__m256i; 2],
    nudge: [__m256i; 2],
    shift: [__m256i; 2],
    /// Whether these forms cover all channels.
    vector: bool,
}

impl Parameters {
    /// Of the channels `channel..channel + 8`, as many of them as there are.
    ///
    /// # Safety
    /// `constants` hold what their fields say, `channel` is one.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(constants: &Constants, channel: usize) -> Self {
        let left = (constants.channels - channel).min(8);
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let lanes = _mm256_cmpgt_epi32(_mm256_set1_epi32(left as i32), lanes);
        // SAFETY: masked lanes are not read, the others are channels.
        let (bias, multiplier, shift) = unsafe {
            let shifts = constants.shifts.add(channel);
            let shift = if left == 8 {
                shifts.cast::<i64>().read_unaligned()
            } else {
                let mut bytes = [0_u8; 8];
                shifts
                    .cast::<u8>()
                    .copy_to_nonoverlapping(bytes.as_mut_ptr(), left);
                i64::from_le_bytes(bytes)
            };
            (
                _mm256_maskload_epi32(constants.bias.add(channel), lanes),
                _mm256_maskload_epi32(constants.multipliers.add(channel), lanes),
                _mm256_cvtepi8_epi32(_mm_cvtsi64_si128(shift)),
            )
        };
        let zero = _mm256_setzero_si256();
        let up = _mm256_max_epi32(shift, zero);
        let down = _mm256_min_epi32(
            _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero),
            _mm256_set1_epi32(31),
        );
        let doubled = _mm256_add_epi32(multiplier, multiplier);
        let (multiplier, left, down) = match constants.rounding {
            Rounding::Double => (doubled, _mm256_min_epi32(up, _mm256_set1_epi32(30)), down),
            Rounding::Single => (doubled, zero, down),
            Rounding::High32 => (multiplier, _mm256_min_epi32(up, _mm256_set1_epi32(7)), zero),
        };
        let half = _mm256_set1_epi64x(1 << 31);
        let nudge = |down: __m256i| {
            let high = _mm256_sllv_epi64(half, down);
            if constants.rounding == Rounding::Double {
                let once = _mm256_cmpeq_epi64(down, zero);
                _mm256_add_epi64(half, _mm256_andnot_si256(once, high))
            } else {
                high
            }
        };
        let even = _mm256_and_si256(down, _mm256_set1_epi64x(0xffff_ffff));
        let odd = _mm256_srli_epi64::<32>(down);
        Self {
            start: bias,
            left,
            multiplier: [multiplier, _mm256_srli_epi64::<32>(multiplier)],
            nudge: [nudge(even), nudge(odd)],
            shift: [_mm256_add_epi64(even, _mm256_set1_epi64x(32)), odd],
            // Only this saturates to 32 bits.
            vector: constants.rounding != Rounding::Single || _mm256_testz_si256(up, up) == 1,
        }
    }

    /// Scales accumulators for [`Form::Relu`](crate::kernels::x86::Form): what should be negative
    /// is 0. Results are below 2^31.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn relu(&self, acc: __m256i) -> __m256i {
        let acc = _mm256_add_epi32(acc, self.start);
        let acc = _mm256_sllv_epi32(acc, self.left);
        self.positive(_mm256_max_epi32(acc, _mm256_setzero_si256()), None)
    }

    /// Scales accumulators of any sign.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn signed(&self, acc: __m256i) -> __m256i {
        let acc = _mm256_add_epi32(acc, self.start);
        let acc = _mm256_sllv_epi32(acc, self.left);
        let sign = _mm256_srai_epi32::<31>(acc);
        let y = self.positive(_mm256_abs_epi32(acc), Some(sign));
        _mm256_sub_epi32(_mm256_xor_si256(y, sign), sign)
    }

    /// `(acc * multiplier + nudge + sign) >> shift`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn positive(&self, acc: __m256i, sign: Option<__m256i>) -> __m256i {
        let mut even = _mm256_mul_epu32(acc, self.multiplier[0]);
        let mut odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(acc), self.multiplier[1]);
        even = _mm256_add_epi64(even, self.nudge[0]);
        odd = _mm256_add_epi64(odd, self.nudge[1]);
        if let Some(sign) = sign {
            even = _mm256_add_epi64(even, _mm256_shuffle_epi32::<0b1010_0000>(sign));
            odd = _mm256_add_epi64(odd, _mm256_shuffle_epi32::<0b1111_0101>(sign));
        }
        even = _mm256_srlv_epi64(even, self.shift[0]);
        odd = _mm256_srlv_epi64(odd, self.shift[1]);
        _mm256_blend_epi32::<0b1010_1010>(even, odd)
    }
}

/// The last step of four vectors: zero point, limits, 8 bits. The eight bytes of each vector follow
/// each other in the result, in order.
#[derive(Clone, Copy)]
struct Narrow {
    zero_point: __m256i,
    min: __m256i,
    max: __m256i,
}

impl Narrow {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(constants: &Constants) -> Self {
        Self {
            zero_point: _mm256_set1_epi16(constants.zero_point as i16),
            min: _mm256_set1_epi8(constants.min),
            max: _mm256_set1_epi8(constants.max),
        }
    }

    /// Saturation to 16 bits changes no output: the zero point has 8.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn apply(&self, [a, b, c, d]: [__m256i; 4]) -> __m256i {
        let low = _mm256_adds_epi16(_mm256_packs_epi32(a, b), self.zero_point);
        let high = _mm256_adds_epi16(_mm256_packs_epi32(c, d), self.zero_point);
        let bytes = _mm256_packs_epi16(low, high);
        let bytes = _mm256_min_epi8(_mm256_max_epi8(bytes, self.min), self.max);
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        _mm256_permutevar8x32_epi32(bytes, order)
    }
}

/// Writes the outputs of a tile: `pixels` pixels of `halves` times eight channels from `channel`.
///
/// # Safety
/// `constants` hold what their fields say and have a channel in each half; `sums` are `[pixel][half]`,
/// without the bias; `output` is the first of as many pixels, all channels of which are writable.
#[inline(never)]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn finish(
    constants: &Constants,
    channel: usize,
    halves: usize,
    sums: *const __m256i,
    output: *mut i8,
    pixels: usize,
) {
    for h in 0..halves {
        let channel = channel + h * 8;
        let at = Half {
            constants,
            channel,
            // SAFETY: the half has a channel.
            output: unsafe { output.add(channel) },
            pixels,
        };
        // SAFETY: there are as many sums; else passed on.
        unsafe { at.finish(|pixel| *sums.add(pixel * halves + h)) }
    }
}

/// Eight channels of a tile.
pub(super) struct Half<'a> {
    pub(super) constants: &'a Constants,
    /// The first of the eight.
    pub(super) channel: usize,
    /// Of the first channel.
    pub(super) output: *mut i8,
    pub(super) pixels: usize,
}

impl Half<'_> {
    /// Writes all pixels, each from its sums without bias.
    ///
    /// # Safety
    /// As [`finish`], for one half.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn finish(&self, sum: impl Fn(usize) -> __m256i) {
        let channel = self.channel;
        // SAFETY: passed on.
        unsafe {
            let parameters = Parameters::load(self.constants, channel);
            match self.constants.form {
                _ if !parameters.vector => self.write(|pixel| {
                    let acc = _mm256_add_epi32(sum(pixel), parameters.start);
                    one_by_one(self.constants, channel, acc)
                }),
                Form::Relu => self.write(|pixel| parameters.relu(sum(pixel))),
                Form::Signed => self.write(|pixel| parameters.signed(sum(pixel))),
            }
        }
    }

    /// # Safety
    /// As [`finish`], for one half.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn write(&self, scaled: impl Fn(usize) -> __m256i) {
        let narrow = Narrow::new(self.constants);
        let channels = self.constants.channels;
        let mut pixel = 0;
        while pixel < self.pixels {
            let last = self.pixels - pixel - 1;
            // SAFETY: no pixel beyond the last is read, and none is written.
            unsafe {
                let bytes = narrow.apply([
                    scaled(pixel),
                    scaled(pixel + last.min(1)),
                    scaled(pixel + last.min(2)),
                    scaled(pixel + last.min(3)),
                ]);
                let to = self.output.add(pixel * channels);
                self.put(to, _mm256_extract_epi64::<0>(bytes));
                if last >= 1 {
                    self.put(to.add(channels), _mm256_extract_epi64::<1>(bytes));
                }
                if last >= 2 {
                    self.put(to.add(channels * 2), _mm256_extract_epi64::<2>(bytes));
                }
                if last >= 3 {
                    self.put(to.add(channels * 3), _mm256_extract_epi64::<3>(bytes));
                }
            }
            pixel += 4;
        }
    }

    /// Writes those of eight bytes that are channels.
    ///
    /// # Safety
    /// `to` is writable for as many.
    #[inline]
    unsafe fn put(&self, to: *mut i8, bytes: i64) {
        // SAFETY: eight bytes, or as many as are left.
        unsafe {
            let left = self.constants.channels - self.channel;
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
#[target_feature(enable = "avx2")]
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
