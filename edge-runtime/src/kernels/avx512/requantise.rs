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
use crate::kernels::x86::Row;

/// Constants of sixteen channels.
#[derive(Clone, Copy)]
pub(super) struct Parameters {
    /// What accumulators start at: bias and offset.
    pub(super) start: __m512i,
    left: __m512i,
    multiplier: [__m512i; 2],
    nudge: [__m512i; 2],
    shift: [__m512i; 2],
}

/// The lanes of a block that are channels.
pub(super) fn lanes(row: &Row, block: usize) -> __mmask16 {
    let left = row.channels.saturating_sub(block * 16);
    if left >= 16 { !0 } else { (1 << left) - 1 }
}

impl Parameters {
    /// # Safety
    /// `row` holds what its fields say, `block` is below its number of blocks.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) unsafe fn load(row: &Row, block: usize) -> Self {
        let lanes = lanes(row, block);
        let at = block * 16;
        // SAFETY: masked lanes are not read; the others are channels. Offsets are there for all.
        let (bias, offset, multiplier, shift) = unsafe {
            (
                _mm512_maskz_loadu_epi32(lanes, row.bias.add(at)),
                _mm512_loadu_si512(row.offsets.add(at).cast()),
                _mm512_maskz_loadu_epi32(lanes, row.multipliers.add(at)),
                _mm_maskz_loadu_epi8(lanes, row.shifts.add(at)),
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
        let (multiplier, left, down) = match row.end.rounding {
            Rounding::Double => (doubled, _mm512_min_epi32(up, _mm512_set1_epi32(30)), down),
            Rounding::Single => (doubled, zero, down),
            Rounding::High32 => (multiplier, _mm512_min_epi32(up, _mm512_set1_epi32(7)), zero),
        };
        let half = _mm512_set1_epi64(1 << 31);
        let nudge = |down: __m512i| {
            let high = _mm512_sllv_epi64(half, down);
            if row.end.rounding == Rounding::Double {
                let twice = _mm512_test_epi64_mask(down, down);
                _mm512_mask_add_epi64(half, twice, half, high)
            } else {
                high
            }
        };
        let even = _mm512_and_si512(down, _mm512_set1_epi64(0xffff_ffff));
        let odd = _mm512_srli_epi64::<32>(down);
        Self {
            start: _mm512_add_epi32(bias, offset),
            left,
            multiplier: [multiplier, _mm512_srli_epi64::<32>(multiplier)],
            nudge: [nudge(even), nudge(odd)],
            shift: [_mm512_add_epi64(even, _mm512_set1_epi64(32)), odd],
        }
    }

    /// Scales accumulators for [`Form::Relu`](crate::kernels::x86::Form): what should be negative
    /// is 0. Results are below 2^31.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn relu(&self, acc: __m512i) -> __m512i {
        let acc = _mm512_sllv_epi32(acc, self.left);
        self.positive(_mm512_max_epi32(acc, _mm512_setzero_si512()), None)
    }

    /// Scales accumulators of any sign.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn signed(&self, acc: __m512i) -> __m512i {
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
pub(super) struct Narrow {
    zero_point: __m512i,
    min: __m512i,
    max: __m512i,
    order: __m512i,
}

impl Narrow {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn new(row: &Row) -> Self {
        Self {
            zero_point: _mm512_set1_epi16(row.end.zero_point as i16),
            min: _mm512_set1_epi8(row.end.min),
            max: _mm512_set1_epi8(row.end.max),
            order: _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
        }
    }

    /// Saturation to 16 bits changes no output: the zero point has 8.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn apply(&self, [a, b, c, d]: [__m512i; 4]) -> __m512i {
        let low = _mm512_adds_epi16(_mm512_packs_epi32(a, b), self.zero_point);
        let high = _mm512_adds_epi16(_mm512_packs_epi32(c, d), self.zero_point);
        let bytes = _mm512_packs_epi16(low, high);
        let bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, self.min), self.max);
        _mm512_permutexvar_epi32(self.order, bytes)
    }
}
