//! The vectors of [`generic::tile`](crate::kernels::generic) in WebAssembly's SIMD.

use core::arch::wasm32::*;

use crate::kernels::generic::finish::{DOUBLE, DOUBLE_LEFT, DOUBLE_RELU, HIGH_32};
use crate::kernels::generic::{Columns, Constants, DepthwiseRow, Lanes, Row, Source, Vectors};
use crate::kernels::generic::{finish, tile};
use crate::kernels::packing::depthwise_16x4::BAND;

/// Pairs of 16 bits: two partial sums for each channel.
#[derive(Clone, Copy)]
pub(super) struct Pairs;

/// Constants of four channels. There is no shift of each lane by its own number: powers of two
/// stand for shifts.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    multiplier: v128,
    /// 2^shift.
    left: v128,
    /// 2^(30 - shift).
    right: v128,
    /// All bits where something is shifted out to the right.
    shifts: v128,
}

impl Vectors for Pairs {
    const BYTES: usize = 2;
    const PIXELS: usize = 2;
    const WIDEST: usize = 4;

    type Weights = [v128; 2];
    type Inputs = [v128; 2];
    /// Each step twice.
    type Steps = [v128; 4];
    type Sums = [v128; 2];
    type Lanes = v128;
    type Scale = Scale;

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> [v128; 2] {
        // SAFETY: the caller's.
        unsafe {
            [
                i16x8_load_extend_i8x8(from),
                i16x8_load_extend_i8x8(from.add(8)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn columns(from: *const u8) -> [v128; 2] {
        // SAFETY: the caller's.
        unsafe { [v128_load(from.cast()), v128_load(from.add(16).cast())] }
    }

    #[inline(always)]
    unsafe fn step(from: *const u8) -> [v128; 2] {
        // SAFETY: the caller's.
        unsafe { [v128_load64_splat(from.cast()); 2] }
    }

    #[inline(always)]
    unsafe fn four_steps(from: *const u8) -> [v128; 4] {
        // SAFETY: the caller's.
        core::array::from_fn(|step| unsafe { v128_load64_splat(from.add(step * 8).cast()) })
    }

    #[inline(always)]
    unsafe fn dot_step<const STEP: i32>(
        sums: [v128; 2],
        weights: [v128; 2],
        [a, b, c, d]: [v128; 4],
    ) -> [v128; 2] {
        let x = match STEP {
            0 => a,
            1 => b,
            2 => c,
            _ => d,
        };
        // SAFETY: no pointers.
        unsafe { Self::dot(sums, weights, [x, x]) }
    }

    #[inline(always)]
    unsafe fn dot([a, b]: [v128; 2], [w, v]: [v128; 2], [x, y]: [v128; 2]) -> [v128; 2] {
        [
            i32x4_add(a, i32x4_dot_i16x8(w, x)),
            i32x4_add(b, i32x4_dot_i16x8(v, y)),
        ]
    }

    #[inline(always)]
    unsafe fn start(from: v128) -> [v128; 2] {
        let zero = i32x4_splat(0);
        [
            i32x4_shuffle::<0, 4, 1, 5>(from, zero),
            i32x4_shuffle::<2, 4, 3, 5>(from, zero),
        ]
    }

    #[inline(always)]
    unsafe fn total([a, b]: [v128; 2]) -> v128 {
        i32x4_add(
            i32x4_shuffle::<0, 2, 4, 6>(a, b),
            i32x4_shuffle::<1, 3, 5, 7>(a, b),
        )
    }

    #[inline(always)]
    unsafe fn load(from: *const i32) -> v128 {
        // SAFETY: the caller's.
        unsafe { v128_load(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(lanes: v128, to: *mut i32) {
        // SAFETY: the caller's.
        unsafe { v128_store(to.cast(), lanes) }
    }

    fn left(shift: u32) -> i32 {
        1_i32.wrapping_shl(shift)
    }

    fn right(shift: u32, wide: bool) -> Option<i32> {
        (!wide && shift <= 30).then(|| 1_i32.wrapping_shl(30 - shift))
    }

    #[inline(always)]
    unsafe fn load_scale(multipliers: *const i32, left: *const i32, right: *const i32) -> Scale {
        // SAFETY: the caller's.
        unsafe {
            let right = v128_load(right.cast());
            Scale {
                multiplier: v128_load(multipliers.cast()),
                left: v128_load(left.cast()),
                right,
                shifts: i32x4_ne(right, i32x4_splat(1 << 30)),
            }
        }
    }

    #[inline(always)]
    unsafe fn scale<const HOW: u8>(scale: &Scale, acc: v128) -> v128 {
        scaled::<HOW>(scale, acc)
    }

    #[inline(always)]
    unsafe fn narrow(lanes: [v128; 4], end: [i32; 3], to: *mut i8) {
        // SAFETY: the caller's.
        unsafe { narrow(lanes, end, to) }
    }
}

/// The reference's roundings.
#[inline(always)]
fn scaled<const HOW: u8>(scale: &Scale, acc: v128) -> v128 {
    match HOW {
        DOUBLE_RELU | DOUBLE | DOUBLE_LEFT => {
            let acc = if HOW == DOUBLE_LEFT {
                i32x4_mul(acc, scale.left)
            } else {
                acc
            };
            // The doubling high multiply: `(acc * multiplier + 2^30) >> 31`.
            let product = product::<31>(acc, scale.multiplier);
            // Halves away from zero: one less below zero, where something is shifted out.
            let product = if HOW == DOUBLE_RELU {
                product
            } else {
                let below = v128_and(i32x4_shr(product, 31), scale.shifts);
                i32x4_add(product, below)
            };
            // `(product + 2^(shift - 1)) >> shift`, times 2^(30 - shift).
            self::product::<30>(product, scale.right)
        }
        HIGH_32 => product::<32>(i32x4_mul(acc, scale.left), scale.multiplier),
        _ => acc,
    }
}

/// The low words of `(a * b + 2^(SHIFT - 1)) >> SHIFT`.
#[inline(always)]
fn product<const SHIFT: u32>(a: v128, b: v128) -> v128 {
    let half = i64x2_splat(1 << (SHIFT - 1));
    let low = i64x2_add(i64x2_extmul_low_i32x4(a, b), half);
    let high = i64x2_add(i64x2_extmul_high_i32x4(a, b), half);
    i32x4_shuffle::<0, 2, 4, 6>(i64x2_shr(low, SHIFT), i64x2_shr(high, SHIFT))
}

/// Saturation to 16 bits changes no output: the zero point has 8.
///
/// # Safety
/// `to` is writable for sixteen bytes.
#[inline(always)]
pub(super) unsafe fn narrow([a, b, c, d]: [v128; 4], [zero, min, max]: [i32; 3], to: *mut i8) {
    let zero = i16x8_splat(zero as i16);
    let low = i16x8_add_sat(i16x8_narrow_i32x4(a, b), zero);
    let high = i16x8_add_sat(i16x8_narrow_i32x4(c, d), zero);
    let bytes = i8x16_narrow_i16x8(low, high);
    let bytes = i8x16_max(bytes, i8x16_splat(min as i8));
    let bytes = i8x16_min(bytes, i8x16_splat(max as i8));
    // SAFETY: the caller's.
    unsafe { v128_store(to.cast(), bytes) }
}

impl Lanes for Pairs {
    const BYTES: usize = 2;
    const BARE_PIXEL: bool = false;

    unsafe fn widen(from: *const i8, to: *mut u8, count: usize) {
        let mut at = 0;
        while at + 8 <= count {
            // SAFETY: eight are left.
            unsafe { v128_store(to.add(at * 2).cast(), i16x8_load_extend_i8x8(from.add(at))) }
            at += 8;
        }
        while at < count {
            // SAFETY: one is left.
            unsafe {
                let to = to.cast::<i16>().add(at);
                to.write_unaligned((*from.add(at)).into());
            }
            at += 1;
        }
    }

    unsafe fn fill(value: i8, to: *mut u8, count: usize) {
        for at in 0..count {
            // SAFETY: `to` is writable for `count` times two bytes.
            unsafe { to.cast::<i16>().add(at).write_unaligned(value.into()) }
        }
    }

    unsafe fn prepare(constants: &Constants, to: *mut u8) {
        // SAFETY: passed on.
        unsafe { finish::prepare::<Self>(constants, to) }
    }

    unsafe fn row(row: &Row) {
        // SAFETY: passed on.
        unsafe { tile::row::<Self>(row) }
    }
}

impl Columns for Pairs {
    unsafe fn interleave(sources: &[Source; BAND], to: *mut u8, count: usize) {
        let mut at = 0;
        while at + 16 <= count {
            for half in 0..2 {
                // SAFETY: sixteen elements are left.
                unsafe {
                    let [a, b, c, d] = sources
                        .map(|source| i16x8_load_extend_i8x8(source.at(at).wrapping_add(half * 8)));
                    let [ab, cd] = [[a, b], [c, d]].map(|[a, b]| {
                        [
                            i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(a, b),
                            i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(a, b),
                        ]
                    });
                    let to = to.add((at + half * 8) * BAND * 2);
                    for (index, (ab, cd)) in ab.into_iter().zip(cd).enumerate() {
                        let to = to.add(index * 32).cast::<v128>();
                        v128_store(to, i32x4_shuffle::<0, 4, 1, 5>(ab, cd));
                        v128_store(to.add(1), i32x4_shuffle::<2, 6, 3, 7>(ab, cd));
                    }
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
                    let to = to.cast::<i16>().add(at * BAND + index);
                    to.write_unaligned(x.into());
                }
            }
            at += 1;
        }
    }

    unsafe fn fill_columns(value: i8, to: *mut u8, count: usize) {
        // SAFETY: passed on.
        unsafe { <Self as Lanes>::fill(value, to, count * BAND) }
    }

    unsafe fn depthwise_row(row: &DepthwiseRow) {
        // SAFETY: passed on.
        unsafe { tile::depthwise_row::<Self>(row) }
    }
}
