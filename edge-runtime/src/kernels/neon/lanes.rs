//! The vectors of [`generic::tile`](crate::kernels::generic) in NEON, with and without dot products.

use core::arch::aarch64::*;
use core::arch::asm;

use super::matrix::{self, Matrices};
use crate::kernels::generic::finish::{DOUBLE, DOUBLE_LEFT, DOUBLE_RELU, HIGH_32, SINGLE};
use crate::kernels::generic::{Columns, Constants, DepthwiseRow, Lanes, Row, Source, Vectors};
use crate::kernels::generic::{finish, tile};
use crate::kernels::packing::depthwise_16x4::BAND;

/// Baseline: products of bytes in 16 bits, pairs of which are added to 32-bit sums: two partial
/// sums for each channel.
#[derive(Clone, Copy)]
pub(super) struct Products;

/// `sdot`: four products at once.
#[derive(Clone, Copy)]
pub(super) struct Dots;

/// Constants of four channels.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    multiplier: int32x4_t,
    left: int32x4_t,
    /// Negative: `srshl` shifts to the left.
    right: int32x4_t,
}

/// What both have in common.
macro_rules! common {
    () => {
        const BYTES: usize = 1;

        type Weights = int8x16_t;
        type Inputs = int8x16_t;
        type Steps = int8x16_t;
        type Lanes = int32x4_t;
        type Scale = Scale;

        #[inline(always)]
        unsafe fn weights(from: *const i8) -> int8x16_t {
            // SAFETY: the caller's.
            unsafe { vld1q_s8(from) }
        }

        #[inline(always)]
        unsafe fn columns(from: *const u8) -> int8x16_t {
            // SAFETY: the caller's.
            unsafe { vld1q_s8(from.cast()) }
        }

        #[inline(always)]
        unsafe fn step(from: *const u8) -> int8x16_t {
            // SAFETY: the caller's.
            unsafe { vreinterpretq_s8_s32(vdupq_n_s32(from.cast::<i32>().read_unaligned())) }
        }

        #[inline(always)]
        unsafe fn four_steps(from: *const u8) -> int8x16_t {
            // SAFETY: the caller's.
            unsafe { vld1q_s8(from.cast()) }
        }

        #[inline(always)]
        unsafe fn load(from: *const i32) -> int32x4_t {
            // SAFETY: the caller's.
            unsafe { vld1q_s32(from) }
        }

        #[inline(always)]
        unsafe fn store(lanes: int32x4_t, to: *mut i32) {
            // SAFETY: the caller's.
            unsafe { vst1q_s32(to, lanes) }
        }

        fn left(shift: u32) -> i32 {
            shift.cast_signed()
        }

        fn right(shift: u32, _wide: bool) -> Option<i32> {
            Some(-shift.cast_signed())
        }

        #[inline(always)]
        unsafe fn load_scale(
            multipliers: *const i32,
            left: *const i32,
            right: *const i32,
        ) -> Scale {
            // SAFETY: the caller's.
            unsafe {
                Scale {
                    multiplier: vld1q_s32(multipliers),
                    left: vld1q_s32(left),
                    right: vld1q_s32(right),
                }
            }
        }

        #[inline(always)]
        unsafe fn scale<const HOW: u8>(scale: &Scale, acc: int32x4_t) -> int32x4_t {
            // SAFETY: NEON is the baseline.
            unsafe { scaled::<HOW>(scale, acc) }
        }

        #[inline(always)]
        unsafe fn narrow(lanes: [int32x4_t; 4], end: [i32; 3], to: *mut i8) {
            // SAFETY: the caller's.
            unsafe { narrow(lanes, end, to) }
        }
    };
}

/// The reference's roundings. `sqrdmulh` is its doubling high multiply, halves upwards, and
/// saturates where that does; `srshl` shifts to the right by a negative number and rounds halves
/// upwards too, so that TFLite's halves away from zero need one less below zero.
#[inline]
#[target_feature(enable = "neon")]
fn scaled<const HOW: u8>(scale: &Scale, acc: int32x4_t) -> int32x4_t {
    match HOW {
        DOUBLE_RELU => vrshlq_s32(vqrdmulhq_s32(acc, scale.multiplier), scale.right),
        DOUBLE | DOUBLE_LEFT => {
            let acc = if HOW == DOUBLE_LEFT {
                vshlq_s32(acc, scale.left)
            } else {
                acc
            };
            let product = vqrdmulhq_s32(acc, scale.multiplier);
            // Negative where the product is and something is shifted out. A product is not
            // `i32::MIN`: no multiplier is.
            let below = vandq_s32(product, scale.right);
            vrshlq_s32(vsraq_n_s32::<31>(product, below), scale.right)
        }
        SINGLE => {
            let [low, high] = products(acc, scale.multiplier);
            let low = vrshlq_s64(low, vmovl_s32(vget_low_s32(scale.right)));
            let high = vrshlq_s64(high, vmovl_high_s32(scale.right));
            vqmovn_high_s64(vqmovn_s64(low), high)
        }
        HIGH_32 => {
            let [low, high] = products(vshlq_s32(acc, scale.left), scale.multiplier);
            vrshrn_high_n_s64::<32>(vrshrn_n_s64::<32>(low), high)
        }
        _ => acc,
    }
}

/// 64-bit products.
#[inline]
#[target_feature(enable = "neon")]
fn products(a: int32x4_t, b: int32x4_t) -> [int64x2_t; 2] {
    [
        vmull_s32(vget_low_s32(a), vget_low_s32(b)),
        vmull_high_s32(a, b),
    ]
}

/// Saturation to 16 bits changes no output: the zero point has 8.
///
/// # Safety
/// `to` is writable for sixteen bytes.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn narrow([a, b, c, d]: [int32x4_t; 4], [zero, min, max]: [i32; 3], to: *mut i8) {
    let zero = vdupq_n_s16(zero as i16);
    let low = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), zero);
    let high = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(c), d), zero);
    let bytes = vqmovn_high_s16(vqmovn_s16(low), high);
    let bytes = vmaxq_s8(bytes, vdupq_n_s8(min as i8));
    let bytes = vminq_s8(bytes, vdupq_n_s8(max as i8));
    // SAFETY: the caller's.
    unsafe { vst1q_s8(to, bytes) }
}

impl Vectors for Products {
    const PIXELS: usize = 3;
    const WIDEST: usize = 8;
    type Sums = [int32x4_t; 2];
    common!();

    #[inline(always)]
    unsafe fn dot_step<const STEP: i32>(
        sums: [int32x4_t; 2],
        weights: int8x16_t,
        steps: int8x16_t,
    ) -> [int32x4_t; 2] {
        // SAFETY: NEON is the baseline.
        unsafe {
            let step = vdupq_laneq_s32::<STEP>(vreinterpretq_s32_s8(steps));
            Self::dot(sums, weights, vreinterpretq_s8_s32(step))
        }
    }

    #[inline(always)]
    unsafe fn dot([a, b]: [int32x4_t; 2], w: int8x16_t, x: int8x16_t) -> [int32x4_t; 2] {
        // SAFETY: NEON is the baseline.
        unsafe {
            [
                vpadalq_s16(a, vmull_s8(vget_low_s8(w), vget_low_s8(x))),
                vpadalq_s16(b, vmull_high_s8(w, x)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn start(from: int32x4_t) -> [int32x4_t; 2] {
        // SAFETY: NEON is the baseline.
        unsafe {
            let zero = vdupq_n_s32(0);
            [vzip1q_s32(from, zero), vzip2q_s32(from, zero)]
        }
    }

    #[inline(always)]
    unsafe fn total([a, b]: [int32x4_t; 2]) -> int32x4_t {
        // SAFETY: NEON is the baseline.
        unsafe { vpaddq_s32(a, b) }
    }
}

impl Vectors for Dots {
    const PIXELS: usize = 6;
    const WIDEST: usize = 16;
    type Sums = int32x4_t;
    common!();

    #[inline(always)]
    unsafe fn dot_step<const STEP: i32>(
        mut sums: int32x4_t,
        weights: int8x16_t,
        steps: int8x16_t,
    ) -> int32x4_t {
        // SAFETY: the caller's machine has dot products; registers only.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                "sdot {sums:v}.4s, {weights:v}.16b, {steps:v}.4b[{STEP}]",
                sums = inout(vreg) sums,
                weights = in(vreg) weights,
                steps = in(vreg) steps,
                STEP = const STEP,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sums
    }

    #[inline(always)]
    unsafe fn dot(mut sums: int32x4_t, weights: int8x16_t, inputs: int8x16_t) -> int32x4_t {
        // SAFETY: as above.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                "sdot {sums:v}.4s, {weights:v}.16b, {inputs:v}.16b",
                sums = inout(vreg) sums,
                weights = in(vreg) weights,
                inputs = in(vreg) inputs,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sums
    }

    #[inline(always)]
    unsafe fn start(from: int32x4_t) -> int32x4_t {
        from
    }

    #[inline(always)]
    unsafe fn total(sums: int32x4_t) -> int32x4_t {
        sums
    }
}

/// Rows of bytes in scratch, for all levels.
macro_rules! rows {
    ($lanes:ty, $vectors:ty, $row:path) => {
        impl Lanes for $lanes {
            const BYTES: usize = 1;
            const BARE_PIXEL: bool = false;

            unsafe fn widen(from: *const i8, to: *mut u8, count: usize) {
                // SAFETY: passed on.
                unsafe { from.cast::<u8>().copy_to_nonoverlapping(to, count) }
            }

            unsafe fn fill(value: i8, to: *mut u8, count: usize) {
                // SAFETY: passed on.
                unsafe { to.write_bytes(value.cast_unsigned(), count) }
            }

            unsafe fn prepare(constants: &Constants, to: *mut u8) {
                // SAFETY: passed on.
                unsafe { finish::prepare::<$vectors>(constants, to) }
            }

            unsafe fn row(row: &Row) {
                // SAFETY: passed on.
                unsafe { $row(row) }
            }
        }

        impl Columns for $lanes {
            unsafe fn interleave(sources: &[Source; BAND], to: *mut u8, count: usize) {
                // SAFETY: passed on.
                unsafe { interleave(sources, to, count) }
            }

            unsafe fn fill_columns(value: i8, to: *mut u8, count: usize) {
                // SAFETY: passed on.
                unsafe { to.write_bytes(value.cast_unsigned(), count * BAND) }
            }

            unsafe fn depthwise_row(row: &DepthwiseRow) {
                // SAFETY: passed on.
                unsafe { tile::depthwise_row::<$vectors>(row) }
            }
        }
    };
}
rows!(Products, Products, tile::row::<Products>);
rows!(Dots, Dots, tile::row::<Dots>);
rows!(Matrices, Dots, matrix::row);

/// # Safety
/// As [`Columns::interleave`].
unsafe fn interleave(sources: &[Source; BAND], to: *mut u8, count: usize) {
    let mut at = 0;
    while at + 16 <= count {
        // SAFETY: sixteen elements are left.
        unsafe {
            let [a, b, c, d] = sources.map(|source| vld1q_s8(source.at(at)));
            let ac = [vzip1q_s8(a, c), vzip2q_s8(a, c)];
            let bd = [vzip1q_s8(b, d), vzip2q_s8(b, d)];
            let to = to.add(at * BAND).cast::<i8>();
            for (index, (ac, bd)) in ac.into_iter().zip(bd).enumerate() {
                vst1q_s8(to.add(index * 32), vzip1q_s8(ac, bd));
                vst1q_s8(to.add(index * 32 + 16), vzip2q_s8(ac, bd));
            }
        }
        at += 16;
    }
    let first = at;
    while at < count {
        for (index, source) in sources.iter().enumerate() {
            // SAFETY: the element is one of those that are left.
            unsafe {
                let x = *source.at(first).add(at - first);
                to.cast::<i8>().add(at * BAND + index).write(x);
            }
        }
        at += 1;
    }
}
