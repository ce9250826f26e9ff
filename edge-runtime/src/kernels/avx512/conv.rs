//! Convolution rows with `vpdpbusd`.
//!
//! A tile is `P` pixels by `B` blocks of sixteen channels: for each step of four taps `B` loads of
//! weights, `P` broadcasts of four activations and `P * B` dot products.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use super::Vnni;
use super::finish::{finish, finish_64, finish_pixel, finish_tile};
use super::how::{How, prepare};
use super::requantise::starts;
use crate::kernels::generic::{Constants, Lanes, Row, prepared_len};
use crate::kernels::layer::Layer;
use crate::kernels::packing::dot_16x4::{GROUP, STEP};

/// How far ahead of their use weights of a single pixel are fetched, in bytes: worth 3 % where they
/// come from the second cache.
const AHEAD: usize = 3072;

/// Bytes from one pixel to the next that [`threefold_row`] takes.
const THREEFOLD: usize = 16;

/// Pixels whose sums wait for their end: at most three tiles of nearly the same width.
const STRIP: usize = 32;

impl Lanes for Vnni {
    const BYTES: usize = 1;
    const BARE_PIXEL: bool = true;

    unsafe fn widen(from: *const i8, to: *mut u8, count: usize) {
        // SAFETY: passed on.
        unsafe { widen(from, to, count) }
    }

    unsafe fn fill(value: i8, to: *mut u8, count: usize) {
        // SAFETY: `to` is writable for `count` bytes.
        unsafe { to.write_bytes(value.cast_unsigned() ^ 0x80, count) }
    }

    unsafe fn prepare(constants: &Constants, to: *mut u8) {
        // SAFETY: passed on.
        unsafe { prepare(constants, to) }
    }

    unsafe fn row(row: &Row) {
        // SAFETY: passed on.
        unsafe { all_groups(row) }
    }
}

/// # Safety
/// As [`Lanes::widen`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn widen(from: *const i8, to: *mut u8, count: usize) {
    let flip = _mm512_set1_epi8(i8::MIN);
    let mut at = 0;
    while at + 64 <= count {
        // SAFETY: 64 bytes are left.
        unsafe {
            let x = _mm512_loadu_si512(from.add(at).cast());
            _mm512_storeu_si512(to.add(at).cast(), _mm512_xor_si512(x, flip));
        }
        at += 64;
    }
    if at < count {
        let lanes = (1 << (count - at)) - 1;
        // SAFETY: the mask ends where `count` does.
        unsafe {
            let x = _mm512_maskz_loadu_epi8(lanes, from.add(at));
            let to = to.add(at).cast();
            _mm512_mask_storeu_epi8(to, lanes, _mm512_xor_si512(x, flip));
        }
    }
}

/// One block or two of one group, and where they write.
struct Part<'a> {
    row: &'a Row,
    /// First block of the layer.
    block: usize,
    /// Weights of the first step.
    weights: *const i8,
    /// Bytes of a step of the group.
    step: usize,
    /// How tiles write their outputs themselves, if they can.
    ends: Option<How>,
}

impl Part<'_> {
    /// Whether [`threefold_row`] takes the row: a pixel lies three to a segment, so that four of its
    /// activations are a step of three outputs.
    fn threefold(&self) -> bool {
        let row = self.row;
        row.segments == 1
            && row.pixel_bytes == THREEFOLD
            && row.steps * STEP == THREEFOLD * 3
            && row.pixels.is_multiple_of(16)
    }
}

/// # Safety
/// As [`Lanes::row`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn all_groups(row: &Row) {
    let blocks = row.constants.channels.div_ceil(16);
    let steps = row.kernel_rows * row.segments * row.steps;
    for group in (0..blocks).step_by(GROUP) {
        let in_group = (blocks - group).min(GROUP);
        let mut block = 0;
        while block < in_group {
            let part = Part {
                row,
                block: group + block,
                // SAFETY: the packing has `blocks * steps * 64` bytes of weights.
                weights: unsafe { row.weights.add((group * steps + block) * 64) },
                step: in_group * 64,
                ends: if row.pixels.is_multiple_of(4) {
                    // SAFETY: the block is in the layer, whose constants are prepared: it has more
                    // than one pixel.
                    unsafe { How::of(&row.constants, group + block, in_group - block) }
                } else {
                    None
                },
            };
            // SAFETY: the blocks are in the group, and all lies where `row` says.
            block += unsafe {
                match (row.pixels, in_group - block) {
                    (1, 4) => pixel::<4>(&part),
                    (1, 3) => pixel::<3>(&part),
                    (1, 2) => pixel::<2>(&part),
                    (1, _) => pixel::<1>(&part),
                    (_, 1) => strips_of_one(&part),
                    _ => strips_of_two(&part),
                }
            };
        }
    }
}

/// Runs `tile::<P, $blocks>` over all pixels in strips of nearly the same width; returns the blocks.
macro_rules! strips {
    ($name:ident, $blocks:literal, $most:literal, [$($p:literal)*], [$($whole:literal)*]) => {
        /// # Safety
        /// The blocks of `part` are in the layer; else as [`Lanes::row`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        unsafe fn $name(part: &Part<'_>) -> usize {
            let row = part.row;
            if let Some(how) = part.ends {
                if $blocks == 1 && part.threefold() {
                    // SAFETY: passed on.
                    unsafe { threefold_row(part, how) };
                    return $blocks;
                }
                let mut start = 0;
                while start < row.pixels {
                    let left = row.pixels - start;
                    let width = left.div_ceil(left.div_ceil($most).max(1)).next_multiple_of(4);
                    // SAFETY: the pixels are in the row.
                    unsafe {
                        match width {
                            $($whole => whole_tile::<$whole, $blocks>(part, start, how),)*
                            _ => break,
                        }
                    }
                    start += width;
                }
                return $blocks;
            }
            // Through memory, on purpose: an array that loops index would live there all the time.
            let mut sums = [MaybeUninit::<__m512i>::uninit(); STRIP * $blocks];
            let sums = sums.as_mut_ptr().cast::<__m512i>();
            let mut strip = 0;
            while strip < row.pixels {
                let pixels = (row.pixels - strip).min(STRIP);
                let mut start = 0;
                while start < pixels {
                    let left = pixels - start;
                    let width = left.div_ceil(left.div_ceil($most).max(1));
                    // SAFETY: the pixels are in the row, and the strip has room for their sums.
                    unsafe {
                        let sums = sums.add(start * $blocks);
                        match width {
                            $($p => tile::<$p, $blocks>(part, strip + start, sums),)*
                            _ => break,
                        }
                    }
                    start += width;
                }
                // SAFETY: all sums of the strip are written.
                unsafe {
                    let output = row.output.add(strip * row.constants.channels);
                    finish(&row.constants, part.block, $blocks, sums, output, pixels);
                }
                strip += pixels;
            }
            $blocks
        }
    };
}
strips!(strips_of_one, 1, 16, [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16], [4 8 12 16]);
strips!(strips_of_two, 2, 12, [1 2 3 4 5 6 7 8 9 10 11 12], [4 8 12]);

/// As [`tile`], but ends with the outputs.
///
/// # Safety
/// As [`tile`], without its sums; `how` is that of the blocks.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn whole_tile<const P: usize, const B: usize>(part: &Part<'_>, start: usize, how: How) {
    // SAFETY: passed on.
    unsafe {
        let acc = products::<P, B>(part, start);
        let constants = &part.row.constants;
        let output = part.row.output.add(start * constants.channels);
        finish_tile(constants, part.block, how, acc, output);
    }
}

/// # Safety
/// Pixels `start..start + P` are in the row, `B` blocks in the part, and `sums` is writable for
/// `P * B`: `[pixel][block]`; else as [`Lanes::row`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn tile<const P: usize, const B: usize>(part: &Part<'_>, start: usize, sums: *mut __m512i) {
    // SAFETY: passed on.
    let acc = unsafe { products::<P, B>(part, start) };
    for (p, acc) in acc.iter().enumerate() {
        for (b, acc) in acc.iter().enumerate() {
            // SAFETY: there is room for `P * B` sums.
            unsafe { sums.add(p * B + b).write(*acc) }
        }
    }
}

/// The sums of a tile.
///
/// # Safety
/// As [`tile`]. The machine has the instructions.
#[inline(always)] // Sums that are passed on would live in memory; this is compiled into the tiles.
unsafe fn products<const P: usize, const B: usize>(
    part: &Part<'_>,
    start: usize,
) -> [[__m512i; B]; P] {
    let row = part.row;
    // SAFETY: the blocks are in the layer.
    let first: [__m512i; B] =
        core::array::from_fn(|b| unsafe { starts(&row.constants, part.block + b) });
    let mut acc = [first; P];
    let mut weights = part.weights;
    let mut slot = row.first;
    for _ in 0..row.kernel_rows {
        for segment in 0..row.segments {
            // SAFETY: taps, and the up to three bytes behind a segment, lie in the ring or in the
            // slack behind it; the weights have as many steps as there are.
            unsafe {
                let mut x = row
                    .ring
                    .add(slot * row.row_bytes + segment * row.segment_bytes)
                    .add(start * row.pixel_bytes);
                for _ in 0..row.steps {
                    let w: [__m512i; B] =
                        core::array::from_fn(|b| _mm512_loadu_si512(weights.add(b * 64).cast()));
                    for (p, acc) in acc.iter_mut().enumerate() {
                        let x = x.add(p * row.pixel_bytes).cast::<i32>().read_unaligned();
                        let x = _mm512_set1_epi32(x);
                        for (acc, w) in acc.iter_mut().zip(w) {
                            *acc = _mm512_dpbusd_epi32(*acc, x, w);
                        }
                    }
                    x = x.add(4);
                    weights = weights.add(part.step);
                }
            }
        }
        slot += row.row_step;
        if slot >= row.ring_rows {
            slot -= row.ring_rows;
        }
    }
    acc
}

/// One block of a row, sixteen pixels at a time: 18 broadcasts and three loads of weights for 48 dot
/// products.
///
/// # Safety
/// The row is [`threefold`](Part::threefold), the block in the part, and `how` its end; else as
/// [`Lanes::row`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn threefold_row(part: &Part<'_>, how: How) {
    let row = part.row;
    // SAFETY: the block is in the layer.
    let first = unsafe { starts(&row.constants, part.block) };
    let quads = THREEFOLD / STEP;
    let mut start = 0;
    while start < row.pixels {
        let [mut a, mut b, mut c, mut d] = [first; 4];
        let [mut e, mut f, mut g, mut h] = [first; 4];
        let [mut i, mut j, mut k, mut l] = [first; 4];
        let [mut m, mut n, mut o, mut p] = [first; 4];
        let mut weights = part.weights;
        let mut slot = row.first;
        for _ in 0..row.kernel_rows {
            // SAFETY: taps lie in the ring; the weights have as many steps as there are.
            unsafe {
                let mut x = row.ring.add(slot * row.row_bytes + start * row.pixel_bytes);
                for _ in 0..quads {
                    let u = _mm512_loadu_si512(weights.cast());
                    let v = _mm512_loadu_si512(weights.add(quads * part.step).cast());
                    let w = _mm512_loadu_si512(weights.add(quads * part.step * 2).cast());
                    // A pixel adds to the output to its left, that above it and that to its right. Every
                    // fourth, so that a sum has time before its next product.
                    macro_rules! pixels {
                        ($($at:literal [$($sum:ident $of:ident)*])*) => {$(
                            let four = x.add($at * THREEFOLD).cast::<i32>().read_unaligned();
                            let four = _mm512_set1_epi32(four);
                            $($sum = _mm512_dpbusd_epi32($sum, four, $of);)*
                        )*};
                    }
                    pixels!(
                        0 [a u] 4 [c w d v e u] 8 [g w h v i u] 12 [k w l v m u] 16 [o w p v]
                        1 [a v b u] 5 [d w e v f u] 9 [h w i v j u] 13 [l w m v n u] 17 [p w]
                        2 [a w b v c u] 6 [e w f v g u] 10 [i w j v k u] 14 [m w n v o u]
                        3 [b w c v d u] 7 [f w g v h u] 11 [j w k v l u] 15 [n w o v p u]
                    );
                    x = x.add(STEP);
                    weights = weights.add(part.step);
                }
                weights = weights.add(quads * part.step * 2);
            }
            slot += row.row_step;
            if slot >= row.ring_rows {
                slot -= row.ring_rows;
            }
        }
        // SAFETY: the pixels are in the row.
        unsafe {
            let constants = &row.constants;
            let output = row.output.add(start * constants.channels);
            let sums = [
                [a],
                [b],
                [c],
                [d],
                [e],
                [f],
                [g],
                [h],
                [i],
                [j],
                [k],
                [l],
                [m],
                [n],
                [o],
                [p],
            ];
            finish_tile(constants, part.block, how, sums, output);
        }
        start += 16;
    }
}

/// Computes `B` blocks of a single pixel, and returns how many these are. Even and odd steps have
/// sums of their own: one set would wait for itself.
///
/// # Safety
/// The row has one pixel, and `B` blocks are in the part; else as [`Lanes::row`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn pixel<const B: usize>(part: &Part<'_>) -> usize {
    let row = part.row;
    // SAFETY: the blocks are in the layer.
    let mut even: [__m512i; B] =
        core::array::from_fn(|b| unsafe { starts(&row.constants, part.block + b) });
    let mut odd = [_mm512_setzero_si512(); B];
    let mut weights = part.weights;
    let mut slot = row.first;
    for _ in 0..row.kernel_rows {
        for segment in 0..row.segments {
            // SAFETY: as in `tile`.
            unsafe {
                let mut x = row
                    .ring
                    .add(slot * row.row_bytes + segment * row.segment_bytes)
                    .cast::<i32>();
                for _ in 0..row.steps / 2 {
                    let first = _mm512_set1_epi32(x.read_unaligned());
                    let second = _mm512_set1_epi32(x.add(1).read_unaligned());
                    let next = weights.add(part.step);
                    for line in 0..B * 2 {
                        _mm_prefetch::<_MM_HINT_T0>(weights.wrapping_add(AHEAD + line * 64));
                    }
                    for (b, (even, odd)) in even.iter_mut().zip(&mut odd).enumerate() {
                        let w = _mm512_loadu_si512(weights.add(b * 64).cast());
                        *even = _mm512_dpbusd_epi32(*even, first, w);
                        let w = _mm512_loadu_si512(next.add(b * 64).cast());
                        *odd = _mm512_dpbusd_epi32(*odd, second, w);
                    }
                    x = x.add(2);
                    weights = next.add(part.step);
                }
                if row.steps % 2 == 1 {
                    let first = _mm512_set1_epi32(x.read_unaligned());
                    for (b, even) in even.iter_mut().enumerate() {
                        let w = _mm512_loadu_si512(weights.add(b * 64).cast());
                        *even = _mm512_dpbusd_epi32(*even, first, w);
                    }
                    weights = weights.add(part.step);
                }
            }
        }
        slot += row.row_step;
        if slot >= row.ring_rows {
            slot -= row.ring_rows;
        }
    }
    // A copy: accumulators that are passed on would live in memory all the time.
    let mut sums = even;
    for (sum, odd) in sums.iter_mut().zip(odd) {
        *sum = _mm512_add_epi32(*sum, odd);
    }
    // SAFETY: the blocks are in the layer.
    unsafe {
        let constants = &row.constants;
        match sums.first_chunk::<4>() {
            Some(sums) if constants.channels >= (part.block + 4) * 16 => {
                finish_64(constants, part.block, *sums, row.output);
            }
            _ => finish_pixel(constants, part.block, sums, row.output),
        }
    }
    B
}

/// A fully connected layer: [`run`](crate::kernels::generic::run) without what windows need. Leaves
/// the output alone where a slice is too short.
///
/// # Safety
/// The machine has the instructions.
#[inline(always)] // as `flat_layer`
pub(super) unsafe fn one_pixel(layer: &Layer<'_>) -> Option<()> {
    let ([_, _, inputs], [_, _, channels]) = (layer.window.input, layer.window.output);
    let steps = inputs.div_ceil(STEP);
    let blocks = channels.div_ceil(16);
    let needed = blocks
        .checked_mul(steps)?
        .checked_mul(64)?
        .checked_add(blocks.checked_mul(192)?)?;
    let prepared = prepared_len(channels);
    let fits = layer.weights.len() >= needed
        && layer.scratch.len() >= prepared.checked_add(inputs)?.checked_add(64)?
        && layer.input.len() >= inputs
        && layer.output.len() >= channels;
    if !fits {
        return None;
    }
    let ring = layer.scratch.as_ptr().cast::<u8>().cast_mut();
    // SAFETY: the scratch holds prepared constants, which one pixel does without, the inputs, and 64
    // bytes that may be read behind them; the weights have as many steps.
    unsafe {
        let ring = ring.add(prepared);
        widen(layer.input.as_ptr().cast(), ring, inputs);
        all_groups(&Row {
            ring,
            ring_rows: 1,
            row_bytes: inputs,
            first: 0,
            row_step: 1,
            kernel_rows: 1,
            segments: 1,
            segment_bytes: 0,
            steps,
            pixel_bytes: inputs,
            weights: layer.weights.as_ptr().add(blocks * 192).cast(),
            constants: Constants::new(layer, channels)?,
            // `Cell::as_ptr` of the first one would only be good for that one; this is good for all.
            output: layer.output.as_ptr().cast::<i8>().cast_mut(),
            pixels: 1,
        });
    }
    Some(())
}
