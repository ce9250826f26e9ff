//! From sixteen 32-bit accumulators to sixteen outputs.
//!
//! All three rounding modes are one formula for accumulators that are not negative,
//! `y = (a * m + n) >> s` in unsigned 64 bits. With `t = 31 - shift`, and `m` doubled (32 bits)
//! so that `s >= 32` always:
//!
//! | mode   | m   | n                    | s      | before                    |
//! |--------|-----|----------------------|--------|---------------------------|
//! | Double | 2 m | 2^31 + (r > 0) 2^(31+r) | 32 + r | `a << shift` if `shift > 0`; `r = max(-shift, 0)` |
//! | Single | 2 m | 2^(31+r)             | 32 + r | only `shift <= 0`         |
//! | High32 | m   | 2^31                 | 32     | `a << shift`              |
//!
//! Double rounds twice, but both steps round halves up there: `((p + 2^30) >> 31) + 2^(r-1)`
//! shifted by `r` is `(p + 2^30 + 2^(30+r)) >> (31 + r)`.
//!
//! For a negative accumulator it is `-((|a| * m + n - 1) >> s)` in all three: the first step of
//! Double, Single and High32 round halves upwards, `floor((-q + h) / 2^s) = -floor((q + h - 1) /
//! 2^s)` for `h = 2^(s-1)`, and the second step of Double rounds halves away from zero, which is up
//! on absolute values. Where `min >= zero point` that need not be computed: `y` is not above 0.
//!
//! An instruction multiplies the even lanes; odd ones are shifted down first, and their results are
//! left in the upper half by shifting 32 less.

use core::arch::x86_64::*;

use crate::kernels::reference::requantise::Rounding;
use crate::kernels::x86::{Constants, Form};

/// Constants of sixteen channels.
#[derive(Clone, Copy)]
struct Parameters {
    left: __m512i,
    multiplier: [__m512i; 2],
    nudge: [__m512i; 2],
    shift: [__m512i; 2],
    /// Whether these forms cover all channels.
    vector: bool,
}

/// The lanes of a block that are channels.
fn lanes(constants: &Constants, block: usize) -> __mmask16 {
    let left = constants.channels.saturating_sub(block * 16);
    if left >= 16 { !0 } else { (1 << left) - 1 }
}

/// What the accumulators of a block start at: bias and offset.
///
/// # Safety
/// `constants` hold what their fields say, `block` is below its number of blocks.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn starts(constants: &Constants, block: usize) -> __m512i {
    // SAFETY: masked lanes are not read; the others are channels. Offsets are there for all.
    unsafe {
        let bias =
            _mm512_maskz_loadu_epi32(lanes(constants, block), constants.bias.add(block * 16));
        _mm512_add_epi32(
            bias,
            _mm512_loadu_si512(constants.offsets.add(block * 16).cast()),
        )
    }
}

impl Parameters {
    /// # Safety
    /// `constants` hold what their fields say, `block` is below its number of blocks.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load(constants: &Constants, block: usize) -> Self {
        let lanes = lanes(constants, block);
        let at = block * 16;
        // SAFETY: masked lanes are not read; the others are channels.
        let (multiplier, shift) = unsafe {
            (
                _mm512_maskz_loadu_epi32(lanes, constants.multipliers.add(at)),
                _mm_maskz_loadu_epi8(lanes, constants.shifts.add(at)),
            )
        };
        let shift = _mm512_cvtepi8_epi32(shift);
        let zero = _mm512_setzero_si512();
        let up = _mm512_max_epi32(shift, zero);
        let down = _mm512_min_epi32(
            _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero),
            _mm512_set1_epi32(31),
        );
        let doubled = _mm512_add_epi32(multiplier, multiplier);
        let (multiplier, left, down) = match constants.rounding {
            Rounding::Double => (doubled, _mm512_min_epi32(up, _mm512_set1_epi32(30)), down),
            Rounding::Single => (doubled, zero, down),
            Rounding::High32 => (multiplier, _mm512_min_epi32(up, _mm512_set1_epi32(7)), zero),
        };
        let half = _mm512_set1_epi64(1 << 31);
        let nudge = |down: __m512i| {
            let high = _mm512_sllv_epi64(half, down);
            if constants.rounding == Rounding::Double {
                let twice = _mm512_test_epi64_mask(down, down);
                _mm512_mask_add_epi64(half, twice, half, high)
            } else {
                high
            }
        };
        let even = _mm512_and_si512(down, _mm512_set1_epi64(0xffff_ffff));
        let odd = _mm512_srli_epi64::<32>(down);
        Self {
            left,
            multiplier: [multiplier, _mm512_srli_epi64::<32>(multiplier)],
            nudge: [nudge(even), nudge(odd)],
            shift: [_mm512_add_epi64(even, _mm512_set1_epi64(32)), odd],
            // Only this saturates to 32 bits.
            vector: constants.rounding != Rounding::Single || _mm512_test_epi32_mask(up, up) == 0,
        }
    }

    /// Scales accumulators for [`Form::Relu`](crate::kernels::x86::Form): what should be negative
    /// is 0. Results are below 2^31.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn relu(&self, acc: __m512i) -> __m512i {
        let acc = _mm512_sllv_epi32(acc, self.left);
        self.positive(_mm512_max_epi32(acc, _mm512_setzero_si512()), None)
    }

    /// Scales accumulators of any sign.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn signed(&self, acc: __m512i) -> __m512i {
        let acc = _mm512_sllv_epi32(acc, self.left);
        let sign = _mm512_srai_epi32::<31>(acc);
        let y = self.positive(_mm512_abs_epi32(acc), Some(sign));
        _mm512_sub_epi32(_mm512_xor_si512(y, sign), sign)
    }

    /// `(acc * multiplier + nudge + sign) >> shift`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn positive(&self, acc: __m512i, sign: Option<__m512i>) -> __m512i {
        let mut even = _mm512_mul_epu32(acc, self.multiplier[0]);
        let mut odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(acc), self.multiplier[1]);
        even = _mm512_add_epi64(even, self.nudge[0]);
        odd = _mm512_add_epi64(odd, self.nudge[1]);
        if let Some(sign) = sign {
            even = _mm512_add_epi64(even, _mm512_shuffle_epi32::<0b1010_0000>(sign));
            odd = _mm512_add_epi64(odd, _mm512_shuffle_epi32::<0b1111_0101>(sign));
        }
        even = _mm512_srlv_epi64(even, self.shift[0]);
        odd = _mm512_srlv_epi64(odd, self.shift[1]);
        _mm512_mask_blend_epi32(0xaaaa, even, odd)
    }
}

/// The last step of four vectors: zero point, limits, 8 bits. Each 128-bit lane of the result holds
/// one of the vectors, in order.
#[derive(Clone, Copy)]
struct Narrow {
    zero_point: __m512i,
    min: __m512i,
    max: __m512i,
    order: __m512i,
}

impl Narrow {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn new(constants: &Constants) -> Self {
        Self {
            zero_point: _mm512_set1_epi16(constants.zero_point as i16),
            min: _mm512_set1_epi8(constants.min),
            max: _mm512_set1_epi8(constants.max),
            order: _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
        }
    }

    /// Saturation to 16 bits changes no output: the zero point has 8.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn apply(&self, [a, b, c, d]: [__m512i; 4]) -> __m512i {
        let low = _mm512_adds_epi16(_mm512_packs_epi32(a, b), self.zero_point);
        let high = _mm512_adds_epi16(_mm512_packs_epi32(c, d), self.zero_point);
        let bytes = _mm512_packs_epi16(low, high);
        let bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, self.min), self.max);
        _mm512_permutexvar_epi32(self.order, bytes)
    }
}

/// Writes the outputs of a tile: `pixels` pixels of `blocks` blocks, the first of them `block`.
///
/// # Safety
/// `constants` hold what their fields say and have these blocks; `sums` are `[pixel][block]`, `output` is
/// the first of as many pixels, all channels of which are writable.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn finish(
    constants: &Constants,
    block: usize,
    blocks: usize,
    sums: *const __m512i,
    output: *mut i8,
    pixels: usize,
) {
    for b in 0..blocks {
        let at = Block {
            constants,
            block: block + b,
            // SAFETY: the block has a channel.
            output: unsafe { output.add((block + b) * 16) },
            pixels,
        };
        // SAFETY: there are as many sums; else passed on.
        unsafe { at.finish(|pixel| *sums.add(pixel * blocks + b)) }
    }
}

/// Writes the outputs of one pixel: `blocks` blocks, the first of them `block`, up to four.
///
/// # Safety
/// As [`finish`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn finish_pixel(
    constants: &Constants,
    block: usize,
    sums: &[__m512i],
    output: *mut i8,
) {
    let mut scaled = [_mm512_setzero_si512(); 4];
    for (b, (scaled, sum)) in scaled.iter_mut().zip(sums).enumerate() {
        // SAFETY: passed on.
        unsafe {
            let parameters = Parameters::load(constants, block + b);
            *scaled = match constants.form {
                _ if !parameters.vector => one_by_one(constants, block + b, *sum),
                Form::Relu => parameters.relu(*sum),
                Form::Signed => parameters.signed(*sum),
            };
        }
    }
    let bytes = Narrow::new(constants).apply(scaled);
    let left = (constants.channels - block * 16).min(sums.len() * 16);
    let lanes = if left >= 64 { !0 } else { (1 << left) - 1 };
    // SAFETY: the other lanes are no channels of these blocks.
    unsafe { _mm512_mask_storeu_epi8(output.add(block * 16), lanes, bytes) }
}

/// One block of a tile.
pub(super) struct Block<'a> {
    pub(super) constants: &'a Constants,
    pub(super) block: usize,
    /// Of the first channel of the block.
    pub(super) output: *mut i8,
    pub(super) pixels: usize,
}

impl Block<'_> {
    /// Writes all pixels, each from its sums with bias and offset.
    ///
    /// # Safety
    /// As [`finish`], for one block.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) unsafe fn finish(&self, sum: impl Fn(usize) -> __m512i) {
        let block = self.block;
        // SAFETY: passed on.
        unsafe {
            let parameters = Parameters::load(self.constants, block);
            match self.constants.form {
                _ if !parameters.vector => {
                    self.write(|pixel| one_by_one(self.constants, block, sum(pixel)))
                }
                Form::Relu => self.write(|pixel| parameters.relu(sum(pixel))),
                Form::Signed => self.write(|pixel| parameters.signed(sum(pixel))),
            }
        }
    }

    /// # Safety
    /// As [`finish`], for one block.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn write(&self, scaled: impl Fn(usize) -> __m512i) {
        let narrow = Narrow::new(self.constants);
        let channels = self.constants.channels;
        let lanes = lanes(self.constants, self.block);
        let mut pixel = 0;
        while pixel < self.pixels {
            let last = self.pixels - pixel - 1;
            // SAFETY: no pixel beyond the last is read, and none is written; masked lanes are no
            // channels.
            unsafe {
                let bytes = narrow.apply([
                    scaled(pixel),
                    scaled(pixel + last.min(1)),
                    scaled(pixel + last.min(2)),
                    scaled(pixel + last.min(3)),
                ]);
                let to = self.output.add(pixel * channels);
                if channels == 16 && last >= 3 {
                    _mm512_storeu_si512(to.cast(), bytes);
                } else {
                    let put = |to: *mut i8, x| _mm_mask_storeu_epi8(to, lanes, x);
                    put(to, _mm512_castsi512_si128(bytes));
                    if last >= 1 {
                        put(to.add(channels), _mm512_extracti32x4_epi32::<1>(bytes));
                    }
                    if last >= 2 {
                        put(to.add(channels * 2), _mm512_extracti32x4_epi32::<2>(bytes));
                    }
                    if last >= 3 {
                        put(to.add(channels * 3), _mm512_extracti32x4_epi32::<3>(bytes));
                    }
                }
            }
            pixel += 4;
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
        let channel = block * 16 + lane;
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
