//! The vectors of Winograd's F(4x4, 3x3): `vpdpwssd` sums pairs of 16-bit products in 32 bits, without
//! saturation.

use core::arch::x86_64::*;

use super::Vnni;
use super::finish::{How, finish_block, finish_tile};
use super::requantise::{prepare, starts};
use crate::kernels::generic::{
    CHUNK, Constants, POSITIONS, Products, SUM, UNSCALE, Vector, run_winograd,
};
use crate::kernels::layer::Layer;

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
    const TOGETHER: usize = 2;

    #[inline(always)]
    unsafe fn widen([first, second]: [*const i8; 2]) -> __m512i {
        unsafe {
            let first = _mm256_castsi128_si256(_mm_loadu_si128(first.cast()));
            let second = _mm_loadu_si128(second.cast());
            _mm512_cvtepi8_epi16(_mm256_inserti128_si256::<1>(first, second))
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
    unsafe fn store_words(a: __m512i, [first, second]: [*mut i16; 2]) {
        unsafe {
            _mm256_storeu_si256(first.cast(), _mm512_castsi512_si256(a));
            _mm256_storeu_si256(second.cast(), _mm512_extracti64x4_epi64::<1>(a));
        }
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
    unsafe fn broadcast(pair: *const i16) -> __m512i {
        unsafe { _mm512_set1_epi32(pair.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m512i, x: __m512i, weights: __m512i) -> __m512i {
        unsafe { _mm512_dpwssd_epi32(sums, x, weights) }
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
    unsafe fn products(of: &Products, blocks: usize, tiles: usize) {
        unsafe {
            match (blocks, tiles) {
                (2, 0..=2) => two_by_two(of),
                (2, 3..=4) => four_by_two(of),
                (2, _) => eight_by_two(of),
                (_, 0..=4) => four_by_one(of),
                _ => eight_by_one(of),
            }
        }
    }
    #[inline(always)]
    unsafe fn prepare(constants: &Constants, to: *mut u8) {
        unsafe { prepare(constants, to) }
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
            if pixels.is_multiple_of(4)
                && let Some(how) = How::of(constants, block, 1)
            {
                for four in 0..pixels / 4 {
                    let sums = sums.cast::<__m512i>().add(four * 4);
                    let quad = [
                        [sums.read_unaligned()],
                        [sums.add(1).read_unaligned()],
                        [sums.add(2).read_unaligned()],
                        [sums.add(3).read_unaligned()],
                    ];
                    let output = output.add(four * 4 * constants.channels);
                    finish_tile(constants, block, how, quad, output);
                }
                return;
            }
            let output = output.add(block * 16);
            finish_block(constants, block, sums.cast(), 1, output, pixels);
        }
    }
}

/// The products of some tiles and blocks at all positions. Written out, because loops over
/// accumulators are not always unrolled, and those would then live in memory.
macro_rules! tiles_by_blocks {
    ($name:ident, [$($t:literal)*], [$($b:literal)*]) => {
        /// # Safety
        /// All lies where `of` says. The machine has the instructions.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        unsafe fn $name(of: &Products) {
            const BLOCKS: usize = [$($b),*].len();
            let Products { mut weights, mut tiles, mut sums, .. } = *of;
            for _ in 0..POSITIONS {
                let mut acc = [[_mm512_setzero_si512(); BLOCKS]; [$($t),*].len()];
                let mut x = tiles.cast::<i32>();
                for _ in 0..of.depth / 2 {
                    // SAFETY: passed on.
                    unsafe {
                        let w: [__m512i; BLOCKS] =
                            [$(_mm512_loadu_si512(weights.add($b * of.block_len).cast())),*];
                        tiles_by_blocks!(step acc, w, x, of, [$($t)*], [$($b)*]);
                        x = x.add(1);
                        weights = weights.add(SUM);
                    }
                }
                // SAFETY: passed on.
                unsafe {
                    tiles_by_blocks!(store acc, sums, [$($t)*], [$($b)*]);
                    tiles = tiles.add(of.step);
                    sums = sums.add(SUM);
                }
            }
        }
    };
    (step $acc:ident, $w:ident, $x:ident, $of:ident, [$($t:literal)*], $b:tt) => {
        $(
            let pair = $x.add($t * $of.depth / 2).read_unaligned();
            let pair = _mm512_set1_epi32(pair);
            tiles_by_blocks!(dot $acc, $w, pair, $t, $b);
        )*
    };
    (dot $acc:ident, $w:ident, $pair:ident, $t:literal, [$($b:literal)*]) => {
        $($acc[$t][$b] = _mm512_dpwssd_epi32($acc[$t][$b], $pair, $w[$b]);)*
    };
    (store $acc:ident, $sums:ident, [$($t:literal)*], $b:tt) => {
        $(tiles_by_blocks!(put $acc, $sums, $t, $b);)*
    };
    (put $acc:ident, $sums:ident, $t:literal, [$($b:literal)*]) => {
        $(_mm512_storeu_si512(
            $sums.add(($b * CHUNK + $t) * POSITIONS * SUM).cast(),
            $acc[$t][$b],
        );)*
    };
}
tiles_by_blocks!(two_by_two, [0 1], [0 1]);
tiles_by_blocks!(four_by_two, [0 1 2 3], [0 1]);
tiles_by_blocks!(eight_by_two, [0 1 2 3 4 5 6 7], [0 1]);
tiles_by_blocks!(four_by_one, [0 1 2 3], [0]);
tiles_by_blocks!(eight_by_one, [0 1 2 3 4 5 6 7], [0]);
