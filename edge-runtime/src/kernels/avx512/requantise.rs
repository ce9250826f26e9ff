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

use crate::kernels::generic::Constants;
use crate::kernels::packing::affine::Centred;
use crate::kernels::reference::requantise::Rounding;

/// Constants of sixteen channels.
#[derive(Clone, Copy)]
pub(super) struct Parameters {
    left: __m512i,
    multiplier: __m512i,
    nudge: [__m512i; 2],
    shift: [__m512i; 2],
    pub(super) affine: Lines,
    /// What is added to the accumulators where [`Lines::centred`]; else 0.
    centre: __m512i,
}

/// The affine forms of sixteen channels, see
/// [`packing::affine`](crate::kernels::packing::affine).
#[derive(Clone, Copy)]
pub(super) struct Lines {
    scale: __m512,
    add: __m512,
}

impl Lines {
    /// # Safety
    /// As [`Parameters::load`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) unsafe fn load(constants: &Constants, block: usize) -> Self {
        let (scale, add) = (constants.scales, constants.adds);
        // SAFETY: they are there for all lanes of the block.
        let (scale, add) = unsafe {
            (
                _mm512_loadu_si512(scale.add(block * 16).cast()),
                _mm512_loadu_si512(add.add(block * 16).cast()),
            )
        };
        Self {
            scale: _mm512_castsi512_ps(twice(constants, scale)),
            add: _mm512_castsi512_ps(twice(constants, add)),
        }
    }

    /// Those of sixteen channels, one vector each.
    ///
    /// # Safety
    /// Both are readable for 64 bytes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) unsafe fn load_from(scale: *const f32, add: *const f32) -> Self {
        // SAFETY: passed on.
        unsafe { Self::new(_mm512_loadu_ps(scale), _mm512_loadu_ps(add)) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn new(scale: __m512, add: __m512) -> Self {
        Self { scale, add }
    }

    /// What is added behind the scale.
    pub(super) fn add(&self) -> __m512 {
        self.add
    }

    /// The scales of sums that lack a factor of 1, 2, 4, 8 and 16.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn powers(&self) -> [__m512; 5] {
        let twice = |x| _mm512_add_ps(x, x);
        let four = twice(twice(self.scale));
        let sixteen = twice(twice(four));
        [self.scale, twice(self.scale), four, twice(four), sixteen]
    }

    /// Those of Winograd's tiles without the mark of [`Centred`], and the multiples of its
    /// [`GRANULE`](Centred::GRANULE) that are added to sums; `None` where a channel has none.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn tiles(&self, zero_point: i32) -> Option<(Self, __m512i)> {
        if self.exist() {
            return Some((*self, _mm512_setzero_si512()));
        }
        if !self.centred() {
            return None;
        }
        let mark = _mm512_set1_ps(1.0 / Centred::MARK);
        let scale = _mm512_mul_ps(self.scale, mark);
        let shift = _mm512_div_ps(_mm512_set1_ps(zero_point as f32), scale);
        let granule = _mm512_set1_ps(1.0 / f32::from(Centred::GRANULE));
        let shift = _mm512_cvtps_epi32(_mm512_mul_ps(shift, granule));
        Some((Self::new(scale, self.add), shift))
    }

    /// Whether all channels have one that is not [`Centred`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn exist(&self) -> bool {
        // Neither above 1 nor not a number.
        _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(self.scale, _mm512_set1_ps(1.0)) == 0
    }

    /// Whether all channels have one that is [`Centred`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn centred(&self) -> bool {
        _mm512_cmp_ps_mask::<_CMP_NGT_UQ>(self.scale, _mm512_set1_ps(1.0)) == 0
    }

    /// Whether all channels have one that is not [`Odd`](crate::kernels::packing::affine::Odd).
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn plain(&self) -> bool {
        // Neither negative nor not a number nor above 1: as unsigned bits in order.
        let one = _mm512_castps_si512(_mm512_set1_ps(1.0));
        _mm512_cmpge_epu32_mask(_mm512_castps_si512(self.scale), one) == 0
    }

    /// Whether they are [`Odd`](crate::kernels::packing::affine::Odd): scales are negative.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn odd(&self) -> bool {
        let zero = _mm512_setzero_si512();
        _mm512_cmplt_epi32_mask(_mm512_castps_si512(self.scale), zero) != 0
    }

    /// The outputs of accumulators where [`odd`](Self::odd), before zero point and limits.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn odd_outputs(&self, acc: __m512i) -> __m512i {
        let acc = _mm512_cvtepi32_ps(acc);
        // The sign of the sum, or the bits of the tie.
        let tie = _mm512_ternarylogic_epi32::<0b1110_1010>(
            _mm512_castps_si512(acc),
            _mm512_set1_epi32(i32::MIN),
            _mm512_castps_si512(self.add),
        );
        let tie = _mm512_castsi512_ps(tie);
        _mm512_cvtps_epi32(_mm512_fnmadd_ps(acc, self.scale, tie))
    }

    /// The outputs of accumulators, before the limits.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn outputs(&self, acc: __m512i) -> __m512i {
        let acc = _mm512_cvtepi32_ps(acc);
        _mm512_cvtps_epi32(_mm512_fmadd_ps(acc, self.scale, self.add))
    }
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
        let offset = _mm512_loadu_si512(constants.offsets.add(block * 16).cast());
        _mm512_add_epi32(bias, offset)
    }
}

/// Constants of a block for a vector of outputs: of eight channels a vector holds two pixels.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn twice(constants: &Constants, values: __m512i) -> __m512i {
    if constants.channels == 8 {
        _mm512_shuffle_i64x2::<0b0100_0100>(values, values)
    } else {
        values
    }
}

impl Parameters {
    /// # Safety
    /// `constants` hold what their fields say, `block` is below its number of blocks.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) unsafe fn load(constants: &Constants, block: usize) -> Self {
        let lanes = lanes(constants, block);
        let at = block * 16;
        // SAFETY: masked lanes are not read; the others are channels.
        let (multiplier, shift) = unsafe {
            (
                _mm512_maskz_loadu_epi32(lanes, constants.multipliers.add(at)),
                _mm_maskz_loadu_epi8(lanes, constants.shifts.add(at)),
            )
        };
        let (multiplier, shift) = (twice(constants, multiplier), _mm512_cvtepi8_epi32(shift));
        let shift = twice(constants, shift);
        let zero = _mm512_setzero_si512();
        let up = _mm512_max_epi32(shift, zero);
        let down = _mm512_min_epi32(
            _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero),
            _mm512_set1_epi32(31),
        );
        let doubled = _mm512_add_epi32(multiplier, multiplier);
        let (multiplier, left, down) = match constants.rounding {
            Rounding::Double => (doubled, _mm512_min_epi32(up, _mm512_set1_epi32(30)), down),
            Rounding::Single => (doubled, up, down),
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
        // SAFETY: passed on.
        let mut affine = unsafe { Lines::load(constants, block) };
        let mut centre = zero;
        if affine.centred() {
            let mark = _mm512_set1_ps(1.0 / Centred::MARK);
            affine.scale = _mm512_mul_ps(affine.scale, mark);
            let zero_point = _mm512_set1_ps(constants.zero_point as f32);
            centre = _mm512_cvtps_epi32(_mm512_div_ps(zero_point, affine.scale));
        }
        let even = _mm512_and_si512(down, _mm512_set1_epi64(0xffff_ffff));
        let odd = _mm512_srli_epi64::<32>(down);
        Self {
            left,
            multiplier,
            nudge: [nudge(even), nudge(odd)],
            shift: [_mm512_add_epi64(even, _mm512_set1_epi64(32)), odd],
            affine,
            centre,
        }
    }

    /// Whether the lines are [`Centred`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn centred(&self) -> bool {
        _mm512_test_epi32_mask(self.centre, self.centre) != 0
    }

    /// The outputs of accumulators where [`centred`](Self::centred), before the limits.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn centred_outputs(&self, acc: __m512i) -> __m512i {
        self.affine.outputs(_mm512_add_epi32(acc, self.centre))
    }

    /// Whether `relu` and `signed` cover all channels: only Single saturates to 32 bits.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn covers(&self, rounding: Rounding) -> bool {
        rounding != Rounding::Single || _mm512_test_epi32_mask(self.left, self.left) == 0
    }

    /// Scales accumulators for [`Form::Relu`](crate::kernels::generic::Form): what should be negative
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
        let mut even = _mm512_mul_epu32(acc, self.multiplier);
        let mut odd = _mm512_mul_epu32(
            _mm512_srli_epi64::<32>(acc),
            _mm512_srli_epi64::<32>(self.multiplier),
        );
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
