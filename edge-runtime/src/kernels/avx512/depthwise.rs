//! Depthwise rows with `vpdpbusd`: a column of the window is one dot product.

use core::arch::x86_64::*;

use super::Vnni;
use super::requantise::{Block, starts};
use crate::kernels::packing::depthwise_16x4::BAND;
use crate::kernels::x86::{Columns, DepthwiseRow, Source};

impl Columns for Vnni {
    const BYTES: usize = 1;

    unsafe fn interleave(sources: &[Source; BAND], to: *mut u8, count: usize) {
        // SAFETY: passed on.
        unsafe { interleave(sources, to, count) }
    }

    unsafe fn fill(value: i8, to: *mut u8, count: usize) {
        // SAFETY: `to` is writable for four times `count` bytes.
        unsafe { to.write_bytes(value.cast_unsigned() ^ 0x80, count * BAND) }
    }

    unsafe fn row(row: &DepthwiseRow) {
        // SAFETY: passed on.
        unsafe { all_blocks(row) }
    }
}

/// # Safety
/// As [`Columns::interleave`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn interleave([a, b, c, d]: &[Source; BAND], to: *mut u8, count: usize) {
    let flip = _mm512_set1_epi8(i8::MIN);
    // Byte `4 i + k` of the result is byte `i` of source `k`.
    let element = _mm512_cvtepu8_epi32(_mm_setr_epi8(
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    ));
    let order = _mm512_add_epi8(
        _mm512_mullo_epi32(element, _mm512_set1_epi32(0x0101_0101)),
        _mm512_set1_epi32(0x3020_1000),
    );
    let mut at = 0;
    while at < count {
        let left = count - at;
        // SAFETY: the masks end where `count` does.
        unsafe {
            let lanes = if left >= 16 { !0 } else { (1 << left) - 1 };
            let load = |source: &Source| _mm_maskz_loadu_epi8(lanes, source.at(at));
            let ab = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(load(a)), load(b));
            let cd = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(load(c)), load(d));
            let rows = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(ab), cd);
            let columns = _mm512_permutexvar_epi8(order, _mm512_xor_si512(rows, flip));
            _mm512_mask_storeu_epi32(to.add(at * BAND).cast(), lanes, columns);
        }
        at += 16;
    }
}

/// # Safety
/// As [`Columns::row`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn all_blocks(row: &DepthwiseRow) {
    let taps = row.bands * row.kernel_columns;
    for block in 0..row.constants.channels.div_ceil(16) {
        // SAFETY: the block has a channel and, by the packing, as many weights.
        unsafe {
            let weights = row.weights.add(block * taps * 64);
            let columns = row.columns.add(block * 64);
            let start = starts(&row.constants, block);
            let at = Block {
                constants: &row.constants,
                block,
                output: row.output.add(block * 16),
                pixels: row.pixels,
            };
            let load = |from: *const u8| _mm512_loadu_si512(from.cast());
            if taps == 3 {
                let w: [__m512i; 3] =
                    core::array::from_fn(|tap| _mm512_loadu_si512(weights.add(tap * 64).cast()));
                at.finish(|pixel| {
                    let x = columns.add(pixel * row.pixel_bytes);
                    let acc = _mm512_dpbusd_epi32(start, load(x), w[0]);
                    let acc = _mm512_dpbusd_epi32(acc, load(x.add(row.tap_bytes)), w[1]);
                    _mm512_dpbusd_epi32(acc, load(x.add(row.tap_bytes * 2)), w[2])
                });
            } else {
                at.finish(|pixel| {
                    let mut acc = start;
                    let mut weights = weights;
                    for band in 0..row.bands {
                        let mut x = columns.add(pixel * row.pixel_bytes + band * row.band_bytes);
                        for _ in 0..row.kernel_columns {
                            let w = _mm512_loadu_si512(weights.cast());
                            acc = _mm512_dpbusd_epi32(acc, load(x), w);
                            x = x.wrapping_add(row.tap_bytes);
                            weights = weights.add(64);
                        }
                    }
                    acc
                });
            }
        }
    }
}
