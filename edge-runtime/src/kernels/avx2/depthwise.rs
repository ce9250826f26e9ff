//! Depthwise rows with `vpmaddwd`: a column of the window is two pairs of one channel.

use core::arch::x86_64::*;

use super::Pairs;
use super::requantise::Half;
use crate::kernels::packing::depthwise_16x4::BAND;
use crate::kernels::x86::{Columns, DepthwiseRow, Source};

impl Columns for Pairs {
    const BYTES: usize = 2;

    unsafe fn interleave(sources: &[Source; BAND], to: *mut u8, count: usize) {
        // SAFETY: passed on.
        unsafe { interleave(sources, to, count) }
    }

    unsafe fn fill(value: i8, to: *mut u8, count: usize) {
        let to = to.cast::<i16>();
        for at in 0..count * BAND {
            // SAFETY: `to` is writable for four times `count` times two bytes.
            unsafe { to.add(at).write_unaligned(value.into()) }
        }
    }

    unsafe fn row(row: &DepthwiseRow) {
        // SAFETY: passed on.
        unsafe { all_halves(row) }
    }
}

/// # Safety
/// As [`Columns::interleave`].
#[target_feature(enable = "avx2")]
unsafe fn interleave(sources: &[Source; BAND], to: *mut u8, count: usize) {
    let mut at = 0;
    while at + 16 <= count {
        // SAFETY: sixteen elements are left.
        unsafe {
            let [a, b, c, d] =
                sources.map(|source| _mm256_cvtepi8_epi16(_mm_loadu_si128(source.at(at).cast())));
            // Unpacking stays in halves of 128 bits: elements 0..8 and 8..16.
            let ab = [_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)];
            let cd = [_mm256_unpacklo_epi16(c, d), _mm256_unpackhi_epi16(c, d)];
            let to = to.add(at * BAND * 2).cast::<__m128i>();
            for (index, (ab, cd)) in ab.into_iter().zip(cd).enumerate() {
                let low = _mm256_unpacklo_epi32(ab, cd);
                let high = _mm256_unpackhi_epi32(ab, cd);
                let to = to.add(index * 2);
                _mm_storeu_si128(to, _mm256_castsi256_si128(low));
                _mm_storeu_si128(to.add(1), _mm256_castsi256_si128(high));
                _mm_storeu_si128(to.add(4), _mm256_extracti128_si256::<1>(low));
                _mm_storeu_si128(to.add(5), _mm256_extracti128_si256::<1>(high));
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

/// # Safety
/// As [`Columns::row`].
#[target_feature(enable = "avx2")]
unsafe fn all_halves(row: &DepthwiseRow) {
    let taps = row.bands * row.kernel_columns;
    for half in 0..row.constants.channels.div_ceil(8) {
        // SAFETY: the half has a channel and, by the packing, as many weights; columns are readable
        // for a block behind the last.
        unsafe {
            let weights = row.weights.add(half / 2 * taps * 64 + half % 2 * 32);
            let columns = row.columns.add(half * 64);
            let at = Half {
                constants: &row.constants,
                channel: half * 8,
                output: row.output.add(half * 8),
                pixels: row.pixels,
            };
            let widened = |from: *const i8| _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast()));
            let product = |x: *const u8, w| _mm256_madd_epi16(_mm256_loadu_si256(x.cast()), w);
            let total =
                |low, high| _mm256_permute4x64_epi64::<0b1101_1000>(_mm256_hadd_epi32(low, high));
            if taps == 3 {
                let w: [[__m256i; 2]; 3] = core::array::from_fn(|tap| {
                    let weights = weights.add(tap * 64);
                    [widened(weights), widened(weights.add(16))]
                });
                at.finish(|pixel| {
                    let x = columns.add(pixel * row.pixel_bytes);
                    let [y, z] = [x.add(row.tap_bytes), x.add(row.tap_bytes * 2)];
                    let [low, high] = [0, 1].map(|v: usize| {
                        let [x, y, z] = [x, y, z].map(|x| x.add(v * 32));
                        let [[a, d], [b, e], [c, f]] = w;
                        let [a, b, c] = if v == 0 { [a, b, c] } else { [d, e, f] };
                        let sum = _mm256_add_epi32(product(x, a), product(y, b));
                        _mm256_add_epi32(sum, product(z, c))
                    });
                    total(low, high)
                });
            } else {
                at.finish(|pixel| {
                    let mut sums = [_mm256_setzero_si256(); 2];
                    let mut weights = weights;
                    for band in 0..row.bands {
                        let mut x = columns.add(pixel * row.pixel_bytes + band * row.band_bytes);
                        for _ in 0..row.kernel_columns {
                            for (v, sum) in sums.iter_mut().enumerate() {
                                let w = widened(weights.add(v * 16));
                                *sum = _mm256_add_epi32(*sum, product(x.add(v * 32), w));
                            }
                            x = x.wrapping_add(row.tap_bytes);
                            weights = weights.add(64);
                        }
                    }
                    let [low, high] = sums;
                    total(low, high)
                });
            }
        }
    }
}
