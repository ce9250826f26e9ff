//! The vectors of Winograd's F(4x4, 3x3): pairs of registers, `vpmaddwd` and an addition.

use core::arch::x86_64::*;

use super::Pairs;
use super::finish::finish;
use super::requantise::prepare;
use crate::kernels::generic::{
    Constants, Forward, POSITIONS, Products, SUM, TileSums, UNSCALE, Vector, run_winograd,
};
use crate::kernels::layer::Layer;

/// # Safety
/// The machine has the instructions.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run(layer: &Layer<'_>) {
    // SAFETY: passed on.
    unsafe { run_winograd::<Pairs>(layer) }
}

type Two = [__m256i; 2];

// SAFETY of all blocks: the callers have the instructions and pass pointers as the trait says.
#[allow(clippy::undocumented_unsafe_blocks)] // said once, above
impl Vector for Pairs {
    type Words = Two;
    type Sums = Two;
    /// All tiles end by way of memory.
    type Ends = ();
    const TOGETHER: usize = 1;

    #[inline(always)]
    unsafe fn widen(from: *const i8) -> Two {
        [from, from.wrapping_add(16)]
            .map(|from| unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())) })
    }
    #[inline(always)]
    unsafe fn load_words(from: [*const i16; 2]) -> Two {
        from.map(|from| unsafe { _mm256_loadu_si256(from.cast()) })
    }
    #[inline(always)]
    unsafe fn add_words([a, b]: Two, [c, d]: Two) -> Two {
        unsafe { [_mm256_add_epi16(a, c), _mm256_add_epi16(b, d)] }
    }
    #[inline(always)]
    unsafe fn sub_words([a, b]: Two, [c, d]: Two) -> Two {
        unsafe { [_mm256_sub_epi16(a, c), _mm256_sub_epi16(b, d)] }
    }
    #[inline(always)]
    unsafe fn four_words([a, b]: Two) -> Two {
        unsafe { [_mm256_slli_epi16::<2>(a), _mm256_slli_epi16::<2>(b)] }
    }
    #[inline(always)]
    unsafe fn store_words([a, b]: Two, to: *mut i16) {
        unsafe {
            _mm256_storeu_si256(to.cast(), a);
            _mm256_storeu_si256(to.add(16).cast(), b);
        }
    }

    #[inline(always)]
    unsafe fn zero() -> Two {
        unsafe { [_mm256_setzero_si256(); 2] }
    }
    #[inline(always)]
    unsafe fn load(from: *const u8) -> Two {
        unsafe {
            [
                _mm256_loadu_si256(from.cast()),
                _mm256_loadu_si256(from.add(32).cast()),
            ]
        }
    }
    #[inline(always)]
    unsafe fn store([a, b]: Two, to: *mut u8) {
        unsafe {
            _mm256_storeu_si256(to.cast(), a);
            _mm256_storeu_si256(to.add(32).cast(), b);
        }
    }
    #[inline(always)]
    unsafe fn add([a, b]: Two, [c, d]: Two) -> Two {
        unsafe { [_mm256_add_epi32(a, c), _mm256_add_epi32(b, d)] }
    }
    #[inline(always)]
    unsafe fn sub([a, b]: Two, [c, d]: Two) -> Two {
        unsafe { [_mm256_sub_epi32(a, c), _mm256_sub_epi32(b, d)] }
    }
    #[inline(always)]
    unsafe fn left<const N: u32>([a, b]: Two) -> Two {
        unsafe {
            let by = _mm_cvtsi32_si128(N.cast_signed());
            [_mm256_sll_epi32(a, by), _mm256_sll_epi32(b, by)]
        }
    }
    #[inline(always)]
    unsafe fn unscale(a: Two) -> Two {
        a.map(|a| unsafe {
            let a = _mm256_mullo_epi32(a, _mm256_set1_epi32(UNSCALE.0));
            _mm256_srai_epi32::<{ UNSCALE.1.cast_signed() }>(a)
        })
    }

    #[inline(always)]
    unsafe fn transform(of: &Forward<'_>, top: usize, tiles: *mut i16) {
        unsafe { forward(of, top, tiles) }
    }
    #[inline(always)]
    unsafe fn products(of: &Products, _: usize, tiles: usize, _: [Two; 2]) -> bool {
        unsafe {
            four_tiles(of);
            if tiles > 4 {
                four_tiles(&of.skip(4));
            }
        }
        false
    }
    #[inline(always)]
    unsafe fn prepare(constants: &Constants, to: *mut u8) {
        unsafe { prepare(constants, to) }
    }
    #[inline(always)]
    unsafe fn ends(_: &Constants, _: usize) -> Option<()> {
        None
    }
    #[inline(always)]
    unsafe fn first((): &()) -> Two {
        unsafe { Self::zero() }
    }
    #[inline(always)]
    unsafe fn tiles((): &(), _: TileSums, _: usize, _: *mut i8, _: [usize; 2]) {}
    /// [`finish`] adds it.
    #[inline(always)]
    unsafe fn start(_: &Constants, _: usize) -> Two {
        unsafe { [_mm256_setzero_si256(); 2] }
    }
    #[inline(always)]
    unsafe fn finish(
        constants: &Constants,
        block: usize,
        sums: *mut u8,
        output: *mut i8,
        pixels: usize,
    ) {
        unsafe { finish(constants, block * 16, 2, sums.cast(), output, pixels) }
    }
}

/// A function of its own, which has all registers.
///
/// # Safety
/// As [`Forward::row`].
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn forward(of: &Forward<'_>, top: usize, tiles: *mut i16) {
    // SAFETY: passed on.
    unsafe { of.row::<Pairs>(top, tiles) }
}

/// The products of four tiles and a block, in a function of its own: all registers for eight sums.
///
/// # Safety
/// As [`Vector::products`].
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn four_tiles(of: &Products) {
    let Products {
        mut weights,
        mut tiles,
        mut sums,
        ..
    } = *of;
    // SAFETY: passed on.
    unsafe {
        for _ in 0..POSITIONS {
            let mut acc = [Pairs::zero(); 4];
            let mut x = tiles.cast::<i32>();
            for _ in 0..of.depth / 2 {
                let [v, w] = Pairs::load(weights);
                for (tile, [a, b]) in acc.iter_mut().enumerate() {
                    let pair = x.add(tile * of.depth / 2).read_unaligned();
                    let pair = _mm256_set1_epi32(pair);
                    *a = _mm256_add_epi32(*a, _mm256_madd_epi16(pair, v));
                    *b = _mm256_add_epi32(*b, _mm256_madd_epi16(pair, w));
                }
                x = x.add(1);
                weights = weights.add(SUM);
            }
            for (tile, acc) in acc.into_iter().enumerate() {
                Pairs::store(acc, sums.add(tile * POSITIONS * SUM));
            }
            tiles = tiles.add(of.step);
            sums = sums.add(SUM);
        }
    }
}
