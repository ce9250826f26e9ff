//! Convolution rows with `smmla`: two pixels by two channels of eight taps in one instruction.
//!
//! A vector of weights has four channels by four taps; zipped with that of the next step it gives two
//! with two channels by eight taps. A tile is up to three pairs of pixels by `N` vectors of four
//! channels, with two accumulators `[pixel][channel]` for each pair and vector.

use core::arch::aarch64::*;
use core::arch::asm;

use super::lanes::Dots;
use crate::kernels::generic::Row;
use crate::kernels::generic::finish::finish;
use crate::kernels::generic::tile::{self, LANES, Part, STRIP, Totals};

/// Products of byte matrices.
#[derive(Clone, Copy)]
pub(super) struct Matrices;

/// With fewer steps, in a segment or together, the beginnings and ends of tiles take more
/// instructions than are saved between: counted on layers of the MLPerf Tiny models.
const LEAST_STEPS: [usize; 2] = [4, 16];

/// Computes a row. A single pixel would leave half of each product unused, and so does the last of
/// an odd number of steps.
///
/// # Safety
/// As [`Lanes::row`](crate::kernels::generic::Lanes::row), with the constants of [`Dots`].
pub(super) unsafe fn row(row: &Row) {
    // SAFETY: passed on; the machine has dot products too.
    unsafe {
        let [of_segment, all] = LEAST_STEPS;
        let steps = row.kernel_rows * row.segments * row.steps;
        if row.pixels == 1 || row.steps < of_segment || steps < all {
            tile::row::<Dots>(row);
        } else {
            tile::parts(row, |part, left| {
                if left > 2 {
                    pixels::<4>(part)
                } else {
                    pixels::<2>(part)
                }
            });
        }
    }
}

/// All pixels in tiles of at most six. Returns `N`.
///
/// # Safety
/// `N` vectors from `part.channel` lie in a block; else as [`row`].
unsafe fn pixels<const N: usize>(part: &Part<'_>) -> usize {
    let row = part.row;
    let mut totals = Totals::uninit();
    let totals = totals.as_mut_ptr().cast::<i32>();
    let mut strip = 0;
    while strip < row.pixels {
        let all = (row.pixels - strip).min(STRIP);
        let mut at = 0;
        while at < all {
            let left = all - at;
            let pairs = left.div_ceil(left.div_ceil(6).max(1)).div_ceil(2);
            let width = left.min(pairs * 2);
            let to = totals.wrapping_add(at * N * LANES);
            // SAFETY: the pixels are in the row; only the last tile has one less than pairs, and
            // an even strip has room for its sums too.
            unsafe {
                match pairs {
                    1 => tile::<1, N>(part, strip + at, width, to),
                    2 => tile::<2, N>(part, strip + at, width, to),
                    3 => tile::<3, N>(part, strip + at, width, to),
                    _ => return N,
                }
            }
            at += width;
        }
        // SAFETY: all sums of the strip are written.
        unsafe {
            let output = row.output.add(strip * row.constants.channels);
            finish::<Dots>(&row.constants, part.channel, N, totals, output, all);
        }
        strip += all;
    }
    N
}

/// # Safety
/// `width` pixels from `start` are in the row, `P * 2` or one less; `totals` is writable for the
/// sums of `P * 2`; else as [`pixels`].
#[inline(never)]
#[target_feature(enable = "neon")]
unsafe fn tile<const P: usize, const N: usize>(
    part: &Part<'_>,
    start: usize,
    width: usize,
    totals: *mut i32,
) {
    let row = part.row;
    // SAFETY: taps lie in the ring; the weights have as many steps as there are; prepared constants
    // fill whole blocks.
    unsafe {
        let bias: [[int32x4_t; 2]; N] = core::array::from_fn(|n| {
            let bias = row.constants.bias_of(part.channel / 16).add(n * LANES);
            [repeated(vld1_s32(bias)), repeated(vld1_s32(bias.add(2)))]
        });
        let mut sums = [bias; P];
        let mut weights = part.weights;
        let mut slot = row.first;
        // From the first pixel of the last pair to the second, if there is one.
        let last = if width == P * 2 { row.pixel_bytes } else { 0 };
        for _ in 0..row.kernel_rows {
            for segment in 0..row.segments {
                let mut x = row
                    .ring
                    .add(slot * row.row_bytes + segment * row.segment_bytes)
                    .add(start * row.pixel_bytes);
                let second = |p: usize| if p + 1 == P { last } else { row.pixel_bytes };
                let mut steps = row.steps;
                if P == 3 && N == 4 {
                    let pairs = steps / 2;
                    let sums = &mut *(&raw mut sums).cast::<[[[int32x4_t; 2]; 4]; 3]>();
                    let pixels = [row.pixel_bytes, last];
                    three_by_four(sums, x, pixels, weights, part.step, pairs);
                    weights = weights.add(part.step * 2 * pairs);
                    x = x.add(LANES * 2 * pairs);
                    steps -= 2 * pairs;
                }
                while steps >= 2 {
                    let xs: [int8x16_t; P] = core::array::from_fn(|p| {
                        let x = x.add(p * 2 * row.pixel_bytes);
                        vcombine_s8(vld1_s8(x.cast()), vld1_s8(x.add(second(p)).cast()))
                    });
                    for n in 0..N {
                        let a = vld1q_s32(weights.add(n * 16).cast());
                        let b = vld1q_s32(weights.add(part.step + n * 16).cast());
                        multiply(&mut sums, n, a, b, &xs);
                    }
                    weights = weights.add(part.step * 2);
                    x = x.add(LANES * 2);
                    steps -= 2;
                }
                if steps > 0 {
                    let four = |x: *const u8| {
                        let x = x.cast::<u32>().read_unaligned();
                        vcreate_s8(u64::from(x))
                    };
                    let xs: [int8x16_t; P] = core::array::from_fn(|p| {
                        let x = x.add(p * 2 * row.pixel_bytes);
                        vcombine_s8(four(x), four(x.add(second(p))))
                    });
                    for n in 0..N {
                        let a = vld1q_s32(weights.add(n * 16).cast());
                        multiply(&mut sums, n, a, vdupq_n_s32(0), &xs);
                    }
                    weights = weights.add(part.step);
                }
            }
            slot += row.row_step;
            if slot >= row.ring_rows {
                slot -= row.ring_rows;
            }
        }
        for (p, sums) in sums.iter().enumerate() {
            for (n, [a, b]) in sums.iter().enumerate() {
                let [a, b] = [vreinterpretq_s64_s32(*a), vreinterpretq_s64_s32(*b)];
                let to = totals.add((p * 2 * N + n) * LANES);
                vst1q_s32(to, vreinterpretq_s32_s64(vzip1q_s64(a, b)));
                vst1q_s32(to.add(N * LANES), vreinterpretq_s32_s64(vzip2q_s64(a, b)));
            }
        }
    }
}

/// `pairs` times two steps of three pairs of pixels by four vectors. In one piece: 24 sums leave eight
/// registers, and a compiler that loads ahead moves them about.
///
/// # Safety
/// The machine has matrix products. `x` is the first pixel, each next one is `between` bytes
/// behind, the sixth `last`; all are readable for `pairs * 8` bytes, `weights` for as many
/// steps of `step` bytes.
#[inline(always)]
unsafe fn three_by_four(
    sums: &mut [[[int32x4_t; 2]; 4]; 3],
    x: *const u8,
    [between, last]: [usize; 2],
    weights: *const i8,
    step: usize,
    pairs: usize,
) {
    if pairs == 0 {
        return;
    }
    let [
        [[a, b], [c, d], [e, f], [g, h]],
        [[i, j], [k, l], [m, n], [o, p]],
        third,
    ] = sums;
    let [[q, r], [s, t], [u, v], [w, y]] = third;
    let second = x.wrapping_add(between);
    let third = second.wrapping_add(between);
    let fourth = third.wrapping_add(between);
    let fifth = fourth.wrapping_add(between);
    // SAFETY: the caller's; registers and what it says is readable.
    unsafe {
        asm!(
            ".arch_extension i8mm",
            "2:",
            "ldr {x0:d}, [{p0}], #8",
            "ldr {x1:d}, [{p2}], #8",
            "ldr {x2:d}, [{p4}], #8",
            "ldp {w0:q}, {w1:q}, [{wa}]",
            "ldp {w2:q}, {w3:q}, [{wb}]",
            "ld1 {{{x0:v}.d}}[1], [{p1}], #8",
            "ld1 {{{x1:v}.d}}[1], [{p3}], #8",
            "ld1 {{{x2:v}.d}}[1], [{p5}], #8",
            "subs {pairs}, {pairs}, #1",
            "zip1 {z:v}.4s, {w0:v}.4s, {w2:v}.4s",
            "zip2 {w2:v}.4s, {w0:v}.4s, {w2:v}.4s",
            "smmla {a:v}.4s, {x0:v}.16b, {z:v}.16b",
            "smmla {i:v}.4s, {x1:v}.16b, {z:v}.16b",
            "smmla {q:v}.4s, {x2:v}.16b, {z:v}.16b",
            "zip1 {z:v}.4s, {w1:v}.4s, {w3:v}.4s",
            "zip2 {w3:v}.4s, {w1:v}.4s, {w3:v}.4s",
            "ldp {w0:q}, {w1:q}, [{wa}, #32]",
            "smmla {b:v}.4s, {x0:v}.16b, {w2:v}.16b",
            "smmla {j:v}.4s, {x1:v}.16b, {w2:v}.16b",
            "smmla {r:v}.4s, {x2:v}.16b, {w2:v}.16b",
            "smmla {c:v}.4s, {x0:v}.16b, {z:v}.16b",
            "smmla {k:v}.4s, {x1:v}.16b, {z:v}.16b",
            "smmla {s:v}.4s, {x2:v}.16b, {z:v}.16b",
            "smmla {d:v}.4s, {x0:v}.16b, {w3:v}.16b",
            "smmla {l:v}.4s, {x1:v}.16b, {w3:v}.16b",
            "smmla {t:v}.4s, {x2:v}.16b, {w3:v}.16b",
            "ldp {w2:q}, {w3:q}, [{wb}, #32]",
            "add {wa}, {wa}, {two}",
            "add {wb}, {wb}, {two}",
            "zip1 {z:v}.4s, {w0:v}.4s, {w2:v}.4s",
            "zip2 {w2:v}.4s, {w0:v}.4s, {w2:v}.4s",
            "smmla {e:v}.4s, {x0:v}.16b, {z:v}.16b",
            "smmla {m:v}.4s, {x1:v}.16b, {z:v}.16b",
            "smmla {u:v}.4s, {x2:v}.16b, {z:v}.16b",
            "zip1 {z:v}.4s, {w1:v}.4s, {w3:v}.4s",
            "zip2 {w3:v}.4s, {w1:v}.4s, {w3:v}.4s",
            "smmla {f:v}.4s, {x0:v}.16b, {w2:v}.16b",
            "smmla {n:v}.4s, {x1:v}.16b, {w2:v}.16b",
            "smmla {v:v}.4s, {x2:v}.16b, {w2:v}.16b",
            "smmla {g:v}.4s, {x0:v}.16b, {z:v}.16b",
            "smmla {o:v}.4s, {x1:v}.16b, {z:v}.16b",
            "smmla {w:v}.4s, {x2:v}.16b, {z:v}.16b",
            "smmla {h:v}.4s, {x0:v}.16b, {w3:v}.16b",
            "smmla {p:v}.4s, {x1:v}.16b, {w3:v}.16b",
            "smmla {y:v}.4s, {x2:v}.16b, {w3:v}.16b",
            "b.ne 2b",
            a = inout(vreg) *a, b = inout(vreg) *b, c = inout(vreg) *c, d = inout(vreg) *d,
            e = inout(vreg) *e, f = inout(vreg) *f, g = inout(vreg) *g, h = inout(vreg) *h,
            i = inout(vreg) *i, j = inout(vreg) *j, k = inout(vreg) *k, l = inout(vreg) *l,
            m = inout(vreg) *m, n = inout(vreg) *n, o = inout(vreg) *o, p = inout(vreg) *p,
            q = inout(vreg) *q, r = inout(vreg) *r, s = inout(vreg) *s, t = inout(vreg) *t,
            u = inout(vreg) *u, v = inout(vreg) *v, w = inout(vreg) *w, y = inout(vreg) *y,
            x0 = out(vreg) _, x1 = out(vreg) _, x2 = out(vreg) _, z = out(vreg) _,
            w0 = out(vreg) _, w1 = out(vreg) _, w2 = out(vreg) _, w3 = out(vreg) _,
            p0 = inout(reg) x => _,
            p1 = inout(reg) second => _,
            p2 = inout(reg) third => _,
            p3 = inout(reg) fourth => _,
            p4 = inout(reg) fifth => _,
            p5 = inout(reg) fifth.wrapping_add(last) => _,
            wa = inout(reg) weights => _,
            wb = inout(reg) weights.wrapping_add(step) => _,
            two = in(reg) step.wrapping_mul(2),
            pairs = inout(reg) pairs => _,
            options(readonly, nostack),
        );
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn repeated(x: int32x2_t) -> int32x4_t {
    vcombine_s32(x, x)
}

/// Adds the products of two steps, `a` and `b`, of four channels.
///
/// # Safety
/// The machine has matrix products.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn multiply<const P: usize, const N: usize>(
    sums: &mut [[[int32x4_t; 2]; N]; P],
    n: usize,
    a: int32x4_t,
    b: int32x4_t,
    xs: &[int8x16_t; P],
) {
    let low = vreinterpretq_s8_s32(vzip1q_s32(a, b));
    let high = vreinterpretq_s8_s32(vzip2q_s32(a, b));
    for (sums, x) in sums.iter_mut().zip(xs) {
        if let Some([first, second]) = sums.get_mut(n) {
            // SAFETY: passed on.
            unsafe {
                *first = smmla(*first, *x, low);
                *second = smmla(*second, *x, high);
            }
        }
    }
}

/// # Safety
/// The machine has matrix products.
#[inline(always)]
unsafe fn smmla(mut sums: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    // SAFETY: the caller's; registers only.
    unsafe {
        asm!(
            ".arch_extension i8mm",
            "smmla {sums:v}.4s, {x:v}.16b, {w:v}.16b",
            sums = inout(vreg) sums,
            x = in(vreg) x,
            w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
