//! From eight 32-bit accumulators to eight outputs: the formulas of
//! [`avx512/requantise.rs`](../avx512/requantise.rs), which says why they hold. They need no
//! arithmetic shift of 64 bits, which AVX2 lacks.

use core::arch::x86_64::*;

use crate::kernels::generic::{Constants, PREPARED};
use crate::kernels::reference::requantise::Rounding;

/// Constants of eight channels.
#[derive(Clone, Copy)]
pub(super) struct Parameters {
    /// Added to the sums first.
    pub(super) start: __m256i,
    left: __m256i,
    multiplier: [__m256i; 2],
    nudge: [__m256i; 2],
    shift: [__m256i; 2],
    pub(super) affine: Lines,
}

/// The affine forms of eight channels, see
/// [`packing::affine`](crate::kernels::packing::affine).
#[derive(Clone, Copy)]
pub(super) struct Lines {
    scale: __m256,
    add: __m256,
}

impl Lines {
    /// # Safety
    /// As [`Parameters::load`].
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn load(constants: &Constants, channel: usize) -> Self {
        // SAFETY: they are there for all lanes of the block.
        let [scale, add] = [constants.scales, constants.adds]
            .map(|from| unsafe { _mm256_loadu_ps(from.add(channel)) });
        Self { scale, add }
    }

    /// Whether all channels have one that is not [`Centred`](crate::kernels::packing::affine::Centred).
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn exist(&self) -> bool {
        // Neither above 1 nor not a number.
        let one = _mm256_set1_ps(1.0);
        _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(self.scale, one)) == 0
    }

    /// Whether they are [`Odd`](crate::kernels::packing::affine::Odd): scales are negative.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn odd(&self) -> bool {
        _mm256_movemask_ps(self.scale) != 0
    }

    /// The outputs of accumulators where [`odd`](Self::odd), before zero point and limits.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn odd_outputs(&self, acc: __m256i) -> __m256i {
        let acc = _mm256_cvtepi32_ps(acc);
        let tie = _mm256_or_ps(_mm256_and_ps(acc, _mm256_set1_ps(-0.0)), self.add);
        _mm256_cvtps_epi32(_mm256_fnmadd_ps(acc, self.scale, tie))
    }

    /// The outputs of accumulators, before the limits.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn outputs(&self, acc: __m256i) -> __m256i {
        let acc = _mm256_cvtepi32_ps(acc);
        _mm256_cvtps_epi32(_mm256_fmadd_ps(acc, self.scale, self.add))
    }
}

/// Bytes of the constants of eight channels.
pub(super) const HALF: usize = PREPARED / 2;

/// Computes the constants of all channels once for a layer.
///
/// # Safety
/// `constants` hold what their fields say; `to` is writable for [`PREPARED`] bytes a block.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn prepare(constants: &Constants, to: *mut u8) {
    for half in 0..constants.channels.div_ceil(8) {
        // SAFETY: the half has a channel and its place in the table.
        unsafe {
            let to = to.add(half * HALF).cast::<Parameters>();
            to.write_unaligned(Parameters::load(constants, half * 8));
        }
    }
}

const _: () = assert!(size_of::<Parameters>() <= HALF);

impl Parameters {
    /// Of the channels `channel..channel + 8`, as many of them as there are.
    ///
    /// # Safety
    /// `constants` hold what their fields say, `channel` is one.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn load(constants: &Constants, channel: usize) -> Self {
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
            Rounding::Single => (doubled, up, down),
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
            // SAFETY: passed on.
            affine: unsafe { Lines::load(constants, channel) },
        }
    }

    /// Whether `relu` and `signed` cover all channels: only Single saturates to 32 bits.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn covers(&self, rounding: Rounding) -> bool {
        rounding != Rounding::Single || _mm256_testz_si256(self.left, self.left) == 1
    }

    /// Scales accumulators for [`Form::Relu`](crate::kernels::generic::Form): what should be negative
    /// is 0. Results are below 2^31.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn relu(&self, acc: __m256i) -> __m256i {
        let acc = _mm256_add_epi32(acc, self.start);
        let acc = _mm256_sllv_epi32(acc, self.left);
        self.positive(_mm256_max_epi32(acc, _mm256_setzero_si256()), None)
    }

    /// Scales accumulators of any sign.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn signed(&self, acc: __m256i) -> __m256i {
        let acc = _mm256_add_epi32(acc, self.start);
        let acc = _mm256_sllv_epi32(acc, self.left);
        let sign = _mm256_srai_epi32::<31>(acc);
        let y = self.positive(_mm256_abs_epi32(acc), Some(sign));
        _mm256_sub_epi32(_mm256_xor_si256(y, sign), sign)
    }

    /// `(acc * multiplier + nudge + sign) >> shift`.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
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
pub(super) struct Narrow {
    zero_point: __m256i,
    min: __m256i,
    max: __m256i,
}

impl Narrow {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn new(constants: &Constants, zero_point: i32) -> Self {
        Self {
            zero_point: _mm256_set1_epi16(zero_point as i16),
            ..Self::limits(constants.min, constants.max)
        }
    }

    /// Without a zero point.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn limits(min: i8, max: i8) -> Self {
        Self {
            zero_point: _mm256_setzero_si256(),
            min: _mm256_set1_epi8(min),
            max: _mm256_set1_epi8(max),
        }
    }

    /// Saturation to 16 bits changes no output: the zero point has 8.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn apply(&self, [a, b, c, d]: [__m256i; 4]) -> __m256i {
        let low = _mm256_adds_epi16(_mm256_packs_epi32(a, b), self.zero_point);
        let high = _mm256_adds_epi16(_mm256_packs_epi32(c, d), self.zero_point);
        let bytes = _mm256_packs_epi16(low, high);
        let bytes = _mm256_min_epi8(_mm256_max_epi8(bytes, self.min), self.max);
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        _mm256_permutevar8x32_epi32(bytes, order)
    }
}
