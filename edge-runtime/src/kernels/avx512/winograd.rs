//! The vectors of Winograd's F(4x4, 3x3).

use core::arch::x86_64::*;

use super::Vnni;
use super::finish::finish_block;
use super::how::prepare;
use super::requantise::starts;
use super::winograd_ends::TileEnds;
use super::winograd_products::{
    eight_by_one, eight_by_two, four_by_one, four_by_two, four_columns, two_by_two,
};
use crate::kernels::generic::{
    Constants, Forward, Products, TileSums, UNSCALE, Vector, run_winograd,
};
use crate::kernels::layer::Layer;
use crate::kernels::packing::winograd_16x2::BLOCK;

/// # Safety
/// The machine has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn run(layer: &Layer<'_>) {
    // SAFETY: passed on.
    unsafe { run_winograd::<Vnni>(layer) }
}

// SAFETY of all blocks: the callers have the instructions and pass pointers as the trait says.
#[allow(clippy::undocumented_unsafe_blocks)] // said once, above
impl Vector for Vnni {
    type Words = __m512i;
    type Sums = __m512i;
    type Ends = TileEnds;
    const TOGETHER: usize = 2;

    #[inline(always)]
    unsafe fn widen(from: *const i8) -> __m512i {
        unsafe { _mm512_cvtepi8_epi16(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_words([first, second]: [*const i16; 2]) -> __m512i {
        unsafe {
            let first = _mm512_castsi256_si512(_mm256_loadu_si256(first.cast()));
            _mm512_inserti64x4::<1>(first, _mm256_loadu_si256(second.cast()))
        }
    }
    #[inline(always)]
    unsafe fn add_words(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_add_epi16(a, b) }
    }
    #[inline(always)]
    unsafe fn sub_words(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_sub_epi16(a, b) }
    }
    #[inline(always)]
    unsafe fn four_words(a: __m512i) -> __m512i {
        unsafe { _mm512_slli_epi16::<2>(a) }
    }
    #[inline(always)]
    unsafe fn store_words(a: __m512i, to: *mut i16) {
        unsafe { _mm512_storeu_si512(to.cast(), a) }
    }

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store(sums: __m512i, to: *mut u8) {
        unsafe { _mm512_storeu_si512(to.cast(), sums) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_add_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_sub_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn left<const N: u32>(a: __m512i) -> __m512i {
        unsafe { _mm512_slli_epi32::<N>(a) }
    }
    #[inline(always)]
    unsafe fn unscale(a: __m512i) -> __m512i {
        unsafe {
            let a = _mm512_mullo_epi32(a, _mm512_set1_epi32(UNSCALE.0));
            _mm512_srai_epi32::<{ UNSCALE.1 }>(a)
        }
    }

    #[inline(always)]
    unsafe fn transform(of: &Forward<'_>, top: usize, tiles: *mut i16) {
        unsafe { forward(of, top, tiles) }
    }
    #[inline(always)]
    unsafe fn products(of: &Products, blocks: usize, tiles: usize, first: [__m512i; 2]) -> bool {
        unsafe {
            let [of_first, _] = first;
            match (blocks, tiles) {
                (2, 0..=2) => two_by_two(of, first),
                (2, 3..=4) => four_by_two(of, first),
                (2, _) => eight_by_two(of, first),
                _ if of.depth == BLOCK => {
                    four_columns(of, of_first);
                    if tiles > 4 {
                        four_columns(&of.skip(4), of_first);
                    }
                    return true;
                }
                (_, 0..=4) => four_by_one(of, first),
                _ => eight_by_one(of, first),
            }
        }
        false
    }
    #[inline(always)]
    unsafe fn prepare(constants: &Constants, to: *mut u8) {
        unsafe { prepare(constants, to) }
    }
    #[inline(always)]
    unsafe fn ends(constants: &Constants, block: usize) -> Option<TileEnds> {
        unsafe { TileEnds::load(constants, block) }
    }
    #[inline(always)]
    unsafe fn first(ends: &TileEnds) -> __m512i {
        ends.first
    }
    #[inline(always)]
    unsafe fn tiles(
        ends: &TileEnds,
        sums: TileSums,
        count: usize,
        output: *mut i8,
        strides: [usize; 2],
    ) {
        unsafe {
            match (ends.is_odd, sums.is_half) {
                (true, true) => ends.tiles::<true, true>(sums, count, output, strides),
                (true, false) => ends.tiles::<true, false>(sums, count, output, strides),
                (false, true) => ends.tiles::<false, true>(sums, count, output, strides),
                (false, false) => ends.tiles::<false, false>(sums, count, output, strides),
            }
        }
    }
    #[inline(always)]
    unsafe fn start(constants: &Constants, block: usize) -> __m512i {
        unsafe { starts(constants, block) }
    }
    #[inline(always)]
    unsafe fn finish(
        constants: &Constants,
        block: usize,
        sums: *mut u8,
        output: *mut i8,
        pixels: usize,
    ) {
        unsafe {
            let output = output.add(block * 16);
            finish_block(constants, block, sums.cast(), 1, output, pixels);
        }
    }
}

/// A function of its own, which has all registers.
///
/// # Safety
/// As [`Forward::row`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn forward(of: &Forward<'_>, top: usize, tiles: *mut i16) {
    // SAFETY: passed on.
    unsafe { of.row::<Vnni>(top, tiles) }
}
