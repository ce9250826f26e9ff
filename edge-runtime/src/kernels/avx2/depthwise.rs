//! Depthwise rows with `vpmaddwd`: a column of the window is two pairs of one channel.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use super::Pairs;
use super::finish::finish;
use crate::kernels::generic::{Columns, DepthwiseRow, Source, TOGETHER};
use crate::kernels::packing::depthwise_16x4::BAND;

impl Columns for Pairs {
    unsafe fn interleave(sources: &[Source; BAND], to: *mut u8, count: usize) {
        // SAFETY: passed on.
        unsafe { interleave(sources, to, count) }
    }

    unsafe fn fill_columns(value: i8, to: *mut u8, count: usize) {
        let to = to.cast::<i16>();
        for at in 0..count * BAND {
            // SAFETY: `to` is writable for four times `count` times two bytes.
            unsafe { to.add(at).write_unaligned(value.into()) }
        }
    }

    unsafe fn depthwise_row(row: &DepthwiseRow) {
        // SAFETY: passed on.
        unsafe { all_halves(row) }
    }
}

/// # Safety
/// As [`Columns::interleave`].
#[target_feature(enable = "avx2,fma")]
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
/// As [`Columns::depthwise_row`].
#[target_feature(enable = "avx2,fma")]
unsafe fn all_halves(row: &DepthwiseRow) {
    let three = row.bands == 1 && row.kernel_columns == 3;
    for half in 0..row.constants.channels.div_ceil(8) {
        // SAFETY: the half has a channel.
        unsafe {
            if three {
                one_half::<true>(row, half);
            } else {
                one_half::<false>(row, half);
            }
        }
    }
}

/// Weights of four channels, or columns of as many.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn widened(from: *const i8) -> __m256i {
    // SAFETY: the caller's, sixteen bytes.
    unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())) }
}

/// Eight channels: `THREE` for a kernel of one band and three columns.
///
/// # Safety
/// The half has a channel; else as [`Columns::depthwise_row`].
#[target_feature(enable = "avx2,fma")]
unsafe fn one_half<const THREE: bool>(row: &DepthwiseRow, half: usize) {
    let constants = &row.constants;
    let taps = row.bands * row.kernel_columns;
    // SAFETY: the half has, by the packing, as many weights; columns are readable for a block
    // behind the last.
    unsafe {
        let weights = row.weights.add(half / 2 * taps * 64 + half % 2 * 32);
        let columns = row.columns.add(half * 64);
        let mut w = [[_mm256_setzero_si256(); 2]; 3];
        if THREE {
            for (tap, w) in w.iter_mut().enumerate() {
                let weights = weights.add(tap * 64);
                *w = [widened(weights), widened(weights.add(16))];
            }
        }
        let mut sums = [MaybeUninit::<__m256i>::uninit(); TOGETHER];
        let sums = sums.as_mut_ptr().cast::<__m256i>();
        let mut pixel = 0;
        while pixel < row.pixels {
            let pixels = (row.pixels - pixel).min(TOGETHER);
            let mut from = columns.add(pixel * row.pixel_bytes);
            let mut left = row.width; // of a row, if there are several
            for at in 0..pixels {
                let x = from;
                from = from.wrapping_add(row.pixel_bytes);
                left -= 1;
                if left == 0 {
                    let row_before = row.width * row.pixel_bytes;
                    from = from.wrapping_add(row.row_bytes).wrapping_sub(row_before);
                    left = row.width;
                }
                let mut pairs = [_mm256_setzero_si256(); 2];
                if THREE {
                    for (tap, w) in w.iter().enumerate() {
                        let x = x.add(tap * row.tap_bytes).cast::<__m256i>();
                        for (v, (pairs, w)) in pairs.iter_mut().zip(w).enumerate() {
                            let x = _mm256_loadu_si256(x.add(v));
                            *pairs = _mm256_add_epi32(*pairs, _mm256_madd_epi16(x, *w));
                        }
                    }
                } else {
                    let mut weights = weights;
                    for band in 0..row.bands {
                        let mut x = x.add(band * row.band_bytes);
                        for _ in 0..row.kernel_columns {
                            for (v, pairs) in pairs.iter_mut().enumerate() {
                                let x = _mm256_loadu_si256(x.cast::<__m256i>().add(v));
                                let w = widened(weights.add(v * 16));
                                *pairs = _mm256_add_epi32(*pairs, _mm256_madd_epi16(x, w));
                            }
                            x = x.wrapping_add(row.tap_bytes);
                            weights = weights.add(64);
                        }
                    }
                }
                let [low, high] = pairs;
                let sum = _mm256_hadd_epi32(low, high);
                let sum = _mm256_permute4x64_epi64::<0b1101_1000>(sum);
                sums.add(at).write(sum);
            }
            let output = row.output.add(pixel * constants.channels);
            finish(constants, half * 8, 1, sums, output, pixels);
            pixel += pixels;
        }
    }
}
