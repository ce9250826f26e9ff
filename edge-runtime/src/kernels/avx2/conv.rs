//! Convolution rows with `vpmaddwd`.
//!
//! A tile is `P` pixels by `H` halves of a block, each half of eight channels in two vectors. A
//! vector of weights is four channels by four taps, so it meets one broadcast of four activations,
//! and a channel has two partial sums that are added at the end.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use super::Pairs;
use super::finish::finish;
use super::requantise::prepare;
use crate::kernels::generic::{Constants, Lanes, Row};
use crate::kernels::packing::dot_16x4::GROUP;

/// Pixels whose sums wait for their end: a multiple of every tile's width.
const STRIP: usize = 24;

impl Lanes for Pairs {
    const BYTES: usize = 2;
    const BARE_PIXEL: bool = false;

    unsafe fn widen(from: *const i8, to: *mut u8, count: usize) {
        // SAFETY: passed on.
        unsafe { widen(from, to, count) }
    }

    unsafe fn fill(value: i8, to: *mut u8, count: usize) {
        let to = to.cast::<i16>();
        for at in 0..count {
            // SAFETY: `to` is writable for `count` times two bytes.
            unsafe { to.add(at).write_unaligned(value.into()) }
        }
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
#[target_feature(enable = "avx2,fma")]
unsafe fn widen(from: *const i8, to: *mut u8, count: usize) {
    let mut at = 0;
    while at + 16 <= count {
        // SAFETY: sixteen are left.
        unsafe {
            let x = _mm_loadu_si128(from.add(at).cast());
            _mm256_storeu_si256(to.add(at * 2).cast(), _mm256_cvtepi8_epi16(x));
        }
        at += 16;
    }
    while at < count {
        // SAFETY: one is left.
        unsafe {
            to.cast::<i16>()
                .add(at)
                .write_unaligned((*from.add(at)).into())
        }
        at += 1;
    }
}

/// Half a block or more.
struct Part<'a> {
    row: &'a Row,
    /// First channel; there is at least this one.
    channel: usize,
    /// Weights of the first step.
    weights: *const i8,
    /// Bytes of a step of the group.
    step: usize,
}

/// # Safety
/// As [`Lanes::row`].
#[target_feature(enable = "avx2,fma")]
unsafe fn all_groups(row: &Row) {
    let blocks = row.constants.channels.div_ceil(16);
    let steps = row.kernel_rows * row.segments * row.steps;
    let halves = row.constants.channels.div_ceil(8);
    let mut half = 0;
    while half < halves {
        let block = half / 2;
        let group = block - block % GROUP;
        let first = (group * steps + block % GROUP) * 64 + half % 2 * 32;
        let part = Part {
            row,
            channel: half * 8,
            // SAFETY: the packing has `blocks * steps * 64` bytes of weights.
            weights: unsafe { row.weights.add(first) },
            step: (blocks - group).min(GROUP) * 64,
        };
        // The fewer pixels, the more channels at once, as far as the group has them.
        let left = (halves - half).min((group + GROUP) * 2 - half);
        // SAFETY: the channels are in the layer, and their weights side by side in the group.
        half += unsafe {
            match (row.pixels, left) {
                (1, 4..) => two_blocks(&part),
                (1..=3, 2..) => whole_block(&part),
                _ => half_block(&part),
            }
        };
    }
}

/// Runs `tile::<P, $halves>` over all pixels in strips of nearly the same width; returns the
/// halves.
macro_rules! strips {
    ($name:ident, $halves:literal, $most:literal, [$($p:literal)*]) => {
        /// # Safety
        /// The channels of `part` are in the layer; else as [`Lanes::row`].
        #[target_feature(enable = "avx2,fma")]
        unsafe fn $name(part: &Part<'_>) -> usize {
            let row = part.row;
            // Through memory, on purpose: an array that loops index would live there all the time.
            let mut sums = [MaybeUninit::<__m256i>::uninit(); STRIP * $halves];
            let sums = sums.as_mut_ptr().cast::<__m256i>();
            let mut strip = 0;
            while strip < row.pixels {
                let pixels = (row.pixels - strip).min(STRIP);
                let mut start = 0;
                while start < pixels {
                    let left = pixels - start;
                    let width = left.div_ceil(left.div_ceil($most).max(1));
                    // SAFETY: the pixels are in the row, and the strip has room for their sums.
                    unsafe {
                        let sums = sums.add(start * $halves);
                        match width {
                            $($p => tile::<$p, $halves>(part, strip + start, sums),)*
                            _ => break,
                        }
                    }
                    start += width;
                }
                // SAFETY: all sums of the strip are written.
                unsafe {
                    let output = row.output.add(strip * row.constants.channels);
                    finish(&row.constants, part.channel, $halves, sums, output, pixels);
                }
                strip += pixels;
            }
            $halves
        }
    };
}
strips!(half_block, 1, 6, [1 2 3 4 5 6]);
strips!(whole_block, 2, 3, [1 2 3]);
strips!(two_blocks, 4, 1, [1]);

/// # Safety
/// Pixels `start..start + P` are in the row, each half has a channel, and `sums` is writable for
/// `P * H`: `[pixel][half]`; else as [`Lanes::row`].
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const P: usize, const H: usize>(part: &Part<'_>, start: usize, sums: *mut __m256i) {
    let row = part.row;
    let mut acc = [[[_mm256_setzero_si256(); 2]; H]; P];
    let mut weights = part.weights;
    let mut slot = row.first;
    for _ in 0..row.kernel_rows {
        for segment in 0..row.segments {
            // SAFETY: taps, and the up to three elements behind a segment, lie in the ring or in
            // the slack behind it; the weights have as many steps as there are.
            unsafe {
                let mut x = row
                    .ring
                    .add(slot * row.row_bytes + segment * row.segment_bytes)
                    .add(start * row.pixel_bytes);
                for _ in 0..row.steps {
                    let w: [[__m256i; 2]; H] = core::array::from_fn(|h| {
                        core::array::from_fn(|v| {
                            let w = _mm_loadu_si128(weights.add(h * 32 + v * 16).cast());
                            _mm256_cvtepi8_epi16(w)
                        })
                    });
                    for (p, acc) in acc.iter_mut().enumerate() {
                        let x = x.add(p * row.pixel_bytes).cast::<i64>().read_unaligned();
                        let x = _mm256_set1_epi64x(x);
                        for (acc, w) in acc.iter_mut().zip(w) {
                            for (acc, w) in acc.iter_mut().zip(w) {
                                *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(x, w));
                            }
                        }
                    }
                    x = x.add(8);
                    weights = weights.add(part.step);
                }
            }
        }
        slot += row.row_step;
        if slot >= row.ring_rows {
            slot -= row.ring_rows;
        }
    }
    for (p, acc) in acc.iter().enumerate() {
        for (h, [low, high]) in acc.iter().enumerate() {
            let pairs = _mm256_permute4x64_epi64::<0b1101_1000>(_mm256_hadd_epi32(*low, *high));
            // SAFETY: there is room for `P * H` sums.
            unsafe { sums.add(p * H + h).write(pairs) }
        }
    }
}
