//! The products of Winograd's tiles: `vpdpwssd` adds pairs of 16-bit products to 32-bit sums.

use core::arch::asm;
use core::arch::x86_64::*;

use super::Vnni;
use crate::kernels::generic::{CHUNK, POSITIONS, Products, SUM, back};
use crate::kernels::packing::winograd_16x2::{BLOCK, SIDE};

/// The position (1, 1), whose sum counts alike in all outputs.
const FIRST: usize = SIDE + 1;

/// The products of some tiles and blocks at all positions, some positions at once, so that a sum has
/// time before its next product. Written out, because loops over accumulators are not always unrolled,
/// and those would then live in memory.
macro_rules! tiles_by_blocks {
    ($name:ident, [$($t:literal)*], [$($b:literal)*], $p:tt) => {
        /// # Safety
        /// All lies where `of` says. The machine has the instructions.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        pub(super) unsafe fn $name(of: &Products, first: [__m512i; 2]) {
            const BLOCKS: usize = [$($b),*].len();
            const TOGETHER: usize = tiles_by_blocks!(count $p);
            let Products { mut weights, mut tiles, mut sums, .. } = *of;
            let position = of.depth / 2 * SUM;
            for step in 0..POSITIONS / TOGETHER {
                let mut acc =
                    [[[_mm512_setzero_si512(); BLOCKS]; [$($t),*].len()]; TOGETHER];
                if step == FIRST / TOGETHER {
                    acc[FIRST - FIRST / TOGETHER * TOGETHER] = [[$(first[$b]),*]; [$($t),*].len()];
                }
                let mut x = tiles.cast::<i32>();
                for _ in 0..of.depth / 2 {
                    // SAFETY: passed on.
                    unsafe {
                        tiles_by_blocks!(positions acc, weights, x, of, position, [$($t)*], [$($b)*], $p);
                        x = x.add(1);
                        weights = weights.add(SUM);
                    }
                }
                // SAFETY: passed on.
                unsafe {
                    tiles_by_blocks!(store acc, sums, [$($t)*], [$($b)*], $p);
                    weights = weights.add(position * (TOGETHER - 1));
                    tiles = tiles.add(of.step * TOGETHER);
                    sums = sums.add(SUM * TOGETHER);
                }
            }
        }
    };
    (count [$($p:literal)*]) => { [$($p),*].len() };
    (positions $acc:ident, $weights:ident, $x:ident, $of:ident, $position:ident, $t:tt, $b:tt, [$($p:literal)*]) => {
        $(tiles_by_blocks!(position $acc, $weights, $x, $of, $position, $t, $b, $p);)*
    };
    (position $acc:ident, $weights:ident, $x:ident, $of:ident, $position:ident, $t:tt, [$($b:literal)*], $p:literal) => {
        let weights = $weights.add($position * $p);
        let x = $x.add($of.step / 2 * $p);
        let w = [$(_mm512_loadu_si512(weights.add($b * $of.block_len).cast())),*];
        tiles_by_blocks!(step $acc, w, x, $of, $t, [$($b)*], $p);
    };
    (step $acc:ident, $w:ident, $x:ident, $of:ident, [$($t:literal)*], $b:tt, $p:literal) => {
        $(
            let pair = $x.add($t * $of.depth / 2).read_unaligned();
            let pair = _mm512_set1_epi32(pair);
            tiles_by_blocks!(dot $acc, $w, pair, $t, $b, $p);
        )*
    };
    (dot $acc:ident, $w:ident, $pair:ident, $t:literal, [$($b:literal)*], $p:literal) => {
        $($acc[$p][$t][$b] = _mm512_dpwssd_epi32($acc[$p][$t][$b], $pair, $w[$b]);)*
    };
    (store $acc:ident, $sums:ident, $t:tt, $b:tt, [$($p:literal)*]) => {
        $(tiles_by_blocks!(put $acc, $sums, $t, $b, $p);)*
    };
    (put $acc:ident, $sums:ident, [$($t:literal)*], $b:tt, $p:literal) => {
        $(tiles_by_blocks!(blocks $acc, $sums, $t, $b, $p);)*
    };
    (blocks $acc:ident, $sums:ident, $t:literal, [$($b:literal)*], $p:literal) => {
        $(_mm512_storeu_si512(
            $sums.add((($b * CHUNK + $t) * POSITIONS + $p) * SUM).cast(),
            $acc[$p][$t][$b],
        );)*
    };
}
tiles_by_blocks!(two_by_two, [0 1], [0 1], [0 1 2 3]);
tiles_by_blocks!(four_by_two, [0 1 2 3], [0 1], [0 1]);
tiles_by_blocks!(eight_by_two, [0 1 2 3 4 5 6 7], [0 1], [0]);
tiles_by_blocks!(four_by_one, [0 1 2 3], [0], [0 1 2 3]);
tiles_by_blocks!(eight_by_one, [0 1 2 3 4 5 6 7], [0], [0 1]);

/// Instructions that add eight input channels, four pairs, of four tiles at one position. The pairs of
/// two tiles come from memory lane by lane. Those of the others come four at once and are spread by
/// shuffles: with the weights there would be five loads for four products, and a core has two of each in
/// a cycle.
macro_rules! position {
    ($weights:literal, $x:literal, [$($sums:literal)*]) => {
        concat!(
            "vbroadcasti32x4 zmm26, [", $x, " + 96]\n",
            "vbroadcasti32x4 zmm25, [", $x, " + 64]\n",
            position!(pair "0", $weights, $x, $($sums)*),
            position!(pair "1", $weights, $x, $($sums)*),
            position!(pair "2", $weights, $x, $($sums)*),
            position!(pair "3", $weights, $x, $($sums)*),
        )
    };
    (pair $pair:literal, $weights:literal, $x:literal, $a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            "vmovdqu64 zmm24, [{w} + ", $weights, " + 64 * ", $pair, "]\n",
            "vpshufd zmm27, zmm25, 85 * ", $pair, "\n",
            "vpshufd zmm28, zmm26, 85 * ", $pair, "\n",
            "vpdpwssd ", $a, ", zmm24, dword ptr [", $x, " + 4 * ", $pair, "]{{1to16}}\n",
            "vpdpwssd ", $b, ", zmm24, dword ptr [", $x, " + 32 + 4 * ", $pair, "]{{1to16}}\n",
            "vpdpwssd ", $c, ", zmm24, zmm27\n",
            "vpdpwssd ", $d, ", zmm24, zmm28\n",
        )
    };
}

/// The products of four tiles and a block of a layer with [`BLOCK`] input channels, column by column;
/// the first dimension back is done before they leave their registers.
///
/// In instructions, because a compiler takes `vpdpwssd` apart into a product and a sum here.
///
/// # Safety
/// As [`Vector::products`](crate::kernels::generic::Vector::products). The machine has the instructions.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn four_columns(of: &Products, first: __m512i) {
    // Bytes of weights of a position; `position!` counts in six times as many.
    const POSITION: usize = BLOCK / 2 * SUM;
    const { assert!(SIDE * POSITION == 3072 && BLOCK * 2 == 32) };
    for column in 0..SIDE {
        let zero = [_mm512_setzero_si512(); 4];
        let [mut a, mut b, mut c, mut d, mut e, mut f] = [zero; SIDE];
        if column == FIRST % SIDE {
            b = [first; 4];
        }
        // SAFETY: the weights and the tiles of a column are where `of` says; it only reads.
        unsafe {
            let weights = of.weights.add(column * POSITION);
            let x = of.tiles.add(column * of.step);
            let step = SIDE * of.step;
            asm!(
            ".p2align 6",
            "2:",
            position!("0", "{x}", ["zmm0" "zmm1" "zmm2" "zmm3"]),
            position!("3072", "{x} + {step}", ["zmm4" "zmm5" "zmm6" "zmm7"]),
            position!("6144", "{x} + {step} * 2", ["zmm8" "zmm9" "zmm10" "zmm11"]),
            position!("9216", "{y}", ["zmm12" "zmm13" "zmm14" "zmm15"]),
            position!("12288", "{x} + {step} * 4", ["zmm16" "zmm17" "zmm18" "zmm19"]),
            position!("15360", "{y} + {step} * 2", ["zmm20" "zmm21" "zmm22" "zmm23"]),
            "add {w}, 256",
            "add {x}, 16",
            "add {y}, 16",
            "cmp {w}, {end}",
            "jne 2b",
            w = inout(reg) weights => _,
            x = inout(reg) x => _,
            y = inout(reg) x.add(step * 3) => _,
            step = in(reg) step * 2,
            end = in(reg) weights.add(POSITION),
            inout("zmm0") a[0],
            inout("zmm1") a[1],
            inout("zmm2") a[2],
            inout("zmm3") a[3],
            inout("zmm4") b[0],
            inout("zmm5") b[1],
            inout("zmm6") b[2],
            inout("zmm7") b[3],
            inout("zmm8") c[0],
            inout("zmm9") c[1],
            inout("zmm10") c[2],
            inout("zmm11") c[3],
            inout("zmm12") d[0],
            inout("zmm13") d[1],
            inout("zmm14") d[2],
            inout("zmm15") d[3],
            inout("zmm16") e[0],
            inout("zmm17") e[1],
            inout("zmm18") e[2],
            inout("zmm19") e[3],
            inout("zmm20") f[0],
            inout("zmm21") f[1],
            inout("zmm22") f[2],
            inout("zmm23") f[3],
            out("zmm24") _,
            out("zmm25") _,
            out("zmm26") _,
            out("zmm27") _,
            out("zmm28") _,
            options(pure, readonly, nostack)
            );
            macro_rules! tiles {
                ($($tile:literal)*) => {$({
                    let sums = of.sums.add(($tile * POSITIONS + column) * SUM);
                    let column = [a[$tile], b[$tile], c[$tile], d[$tile], e[$tile], f[$tile]];
                    for (row, result) in back::<Vnni>(column).into_iter().enumerate() {
                        _mm512_storeu_si512(sums.add(row * SIDE * SUM).cast(), result);
                    }
                })*};
            }
            tiles!(0 1 2 3);
        }
    }
}
