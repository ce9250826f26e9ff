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
use crate::kernels::x86::{Constants, Form, PREPARED};

/// Constants of sixteen channels.
#[derive(Clone, Copy)]
struct Parameters {
    left: __m512i,
    multiplier: [__m512i; 2],
    nudge: [__m512i; 2],
    shift: [__m512i; 2],
    affine: Lines,
}

/// The affine forms of sixteen channels, see
/// [`packing::affine`](crate::kernels::packing::affine).
#[derive(Clone, Copy)]
struct Lines {
    scale: __m512,
    add: __m512,
}

impl Lines {
    /// # Safety
    /// As [`Parameters::load`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load(constants: &Constants, block: usize) -> Self {
        // SAFETY: they are there for all lanes of the block.
        let [scale, add] = [constants.scales, constants.adds]
            .map(|from| unsafe { _mm512_loadu_si512(from.add(block * 16).cast()) })
            .map(|values| _mm512_castsi512_ps(twice(constants, values)));
        Self { scale, add }
    }

    /// Whether all channels have one.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn exist(&self) -> bool {
        _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.scale, self.add) == 0
    }

    /// The outputs of accumulators, before the limits.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn outputs(&self, acc: __m512i) -> __m512i {
        let acc = _mm512_cvtepi32_ps(acc);
        _mm512_cvtps_epi32(_mm512_fmadd_ps(acc, self.scale, self.add))
    }
}

/// Computes the constants of all blocks once for a layer.
///
/// # Safety
/// `constants` hold what their fields say; `to` is writable for [`PREPARED`] bytes a block.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn prepare(constants: &Constants, to: *mut u8) {
    for block in 0..constants.channels.div_ceil(16) {
        // SAFETY: the block has a channel and its place in the table.
        unsafe {
            let to = to.add(block * PREPARED).cast::<Parameters>();
            to.write_unaligned(Parameters::load(constants, block));
        }
    }
}

const _: () = assert!(size_of::<Parameters>() <= PREPARED);

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
        let even = _mm512_and_si512(down, _mm512_set1_epi64(0xffff_ffff));
        let odd = _mm512_srli_epi64::<32>(down);
        Self {
            left,
            multiplier: [multiplier, _mm512_srli_epi64::<32>(multiplier)],
            nudge: [nudge(even), nudge(odd)],
            shift: [_mm512_add_epi64(even, _mm512_set1_epi64(32)), odd],
            // SAFETY: passed on.
            affine: unsafe { Lines::load(constants, block) },
        }
    }

    /// Whether `relu` and `signed` cover all channels: only Single saturates to 32 bits.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn covers(&self, rounding: Rounding) -> bool {
        rounding != Rounding::Single || _mm512_test_epi32_mask(self.left, self.left) == 0
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
pub(super) struct Narrow {
    zero_point: __m512i,
    min: __m512i,
    max: __m512i,
    order: __m512i,
}

impl Narrow {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn new(constants: &Constants, zero_point: i32) -> Self {
        Self {
            zero_point: _mm512_set1_epi16(zero_point as i16),
            ..Self::limits(constants.min, constants.max)
        }
    }

    /// Without a zero point.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn limits(min: i8, max: i8) -> Self {
        Self {
            zero_point: _mm512_setzero_si512(),
            min: _mm512_set1_epi8(min),
            max: _mm512_set1_epi8(max),
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
        if parameters.affine.exist() {
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

/// What [`Strip::write`] has to do to the sums: nothing,
const DONE: u8 = 0;
/// [`Parameters::relu`],
const RELU: u8 = 1;
/// [`Parameters::signed`],
const SIGNED: u8 = 2;
/// or [`Lines::outputs`].
const AFFINE: u8 = 3;

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
        match HOW {
            RELU => parameters.relu(sum),
            SIGNED => parameters.signed(sum),
            AFFINE => parameters.affine.outputs(sum),
            _ => sum,
        }
    }

    /// # Safety
    /// As [`finish_block`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn write<const HOW: u8>(&self, parameters: &Parameters) {
        // The affine form has it.
        let zero_point = if HOW == AFFINE {
            0
        } else {
            self.constants.zero_point
        };
        let narrow = Narrow::new(self.constants, zero_point);
        let channels = self.constants.channels;
        let contiguous = channels == 16 || channels == 8;
        // Bytes of a vector of outputs, and bytes from its first to that of the next vector.
        let (bytes, stride) = if channels == 8 {
            (16, 16)
        } else {
            ((channels - self.block * 16).min(16), channels)
        };
        let lanes: __mmask16 = if bytes == 16 { !0 } else { (1 << bytes) - 1 };
        let vectors = self.vectors();
        let mut at = 0;
        while at + 4 <= vectors {
            // SAFETY: four sums are left; masked lanes are no channels of the pixels.
            unsafe {
                let quad = narrow.apply([
                    self.scaled::<HOW>(parameters, at),
                    self.scaled::<HOW>(parameters, at + 1),
                    self.scaled::<HOW>(parameters, at + 2),
                    self.scaled::<HOW>(parameters, at + 3),
                ]);
                let to = self.output.add(at * stride);
                if contiguous {
                    let left = self.pixels * channels - at * stride;
                    let lanes = if left >= 64 { !0 } else { (1 << left) - 1 };
                    _mm512_mask_storeu_epi8(to, lanes, quad);
                } else if bytes == 16 {
                    let put = |to: *mut i8, x| _mm_storeu_si128(to.cast(), x);
                    put(to, _mm512_castsi512_si128(quad));
                    put(to.add(stride), _mm512_extracti32x4_epi32::<1>(quad));
                    put(to.add(stride * 2), _mm512_extracti32x4_epi32::<2>(quad));
                    put(to.add(stride * 3), _mm512_extracti32x4_epi32::<3>(quad));
                } else {
                    let put = |to: *mut i8, x| _mm_mask_storeu_epi8(to, lanes, x);
                    put(to, _mm512_castsi512_si128(quad));
                    put(to.add(stride), _mm512_extracti32x4_epi32::<1>(quad));
                    put(to.add(stride * 2), _mm512_extracti32x4_epi32::<2>(quad));
                    put(to.add(stride * 3), _mm512_extracti32x4_epi32::<3>(quad));
                }
            }
            at += 4;
        }
        while at < vectors {
            let zero = _mm512_setzero_si512();
            // SAFETY: a vector is left, of which the mask takes what are channels.
            unsafe {
                let one = self.scaled::<HOW>(parameters, at);
                let one = _mm512_castsi512_si128(narrow.apply([one, zero, zero, zero]));
                let left = (self.pixels * channels - at * stride).min(bytes);
                let lanes = ((1_u32 << left) - 1) as u16;
                _mm_mask_storeu_epi8(self.output.add(at * stride), lanes, one);
            }
            at += 1;
        }
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
    let zero_point = _mm512_set1_epi32(constants.zero_point);
    let mut scaled = [_mm512_setzero_si512(); 4];
    for (b, (scaled, sum)) in scaled.iter_mut().zip(sums).enumerate() {
        // SAFETY: passed on.
        unsafe {
            let affine = Lines::load(constants, block + b);
            *scaled = if affine.exist() {
                // The zero point comes again.
                _mm512_sub_epi32(affine.outputs(*sum), zero_point)
            } else {
                scale(constants, block + b, *sum)
            };
        }
    }
    let bytes = Narrow::new(constants, constants.zero_point).apply(scaled);
    let left = (constants.channels - block * 16).min(sums.len() * 16);
    let lanes = if left >= 64 { !0 } else { (1 << left) - 1 };
    // SAFETY: the other lanes are no channels of these blocks.
    unsafe { _mm512_mask_storeu_epi8(output.add(block * 16), lanes, bytes) }
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
