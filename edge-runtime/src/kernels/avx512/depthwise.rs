//! Depthwise rows with `vpdpbusd`: a column of the window is one dot product.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use super::Vnni;
use super::finish::finish_block;
use super::requantise::{starts, twice};
use crate::kernels::generic::{Columns, DepthwiseRow, Source, TOGETHER};
use crate::kernels::packing::depthwise_16x4::BAND;

impl Columns for Vnni {
    unsafe fn interleave(sources: &[Source; BAND], to: *mut u8, count: usize) {
        // SAFETY: passed on.
        unsafe { interleave(sources, to, count) }
    }

    unsafe fn fill_columns(value: i8, to: *mut u8, count: usize) {
        // SAFETY: `to` is writable for four times `count` bytes.
        unsafe { to.write_bytes(value.cast_unsigned() ^ 0x80, count * BAND) }
    }

    unsafe fn depthwise_row(row: &DepthwiseRow) {
        // SAFETY: passed on.
        unsafe { all_blocks(row) }
    }
}

/// # Safety
/// As [`Columns::interleave`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn interleave(sources: &[Source; BAND], to: *mut u8, count: usize) {
    let flip = _mm512_set1_epi8(i8::MIN);
    // Byte `4 i + k` of the result is byte `i` of source `k`.
    let element = _mm512_cvtepu8_epi32(_mm_setr_epi8(
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    ));
    let order = _mm512_add_epi8(
        _mm512_mullo_epi32(element, _mm512_set1_epi32(0x0101_0101)),
        _mm512_set1_epi32(0x3020_1000),
    );
    // Hidden from the compiler, which would take the permutation apart.
    let order = core::hint::black_box(order);
    let columns = |[a, b, c, d]: [__m128i; BAND]| {
        let ab = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(a), b);
        let cd = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(c), d);
        let rows = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(ab), cd);
        _mm512_permutexvar_epi8(order, _mm512_xor_si512(rows, flip))
    };
    let mut at = 0;
    while at + 16 <= count {
        // SAFETY: sixteen elements are left.
        unsafe {
            let rows = sources.map(|source| _mm_loadu_si128(source.at(at).cast()));
            _mm512_storeu_si512(to.add(at * BAND).cast(), columns(rows));
        }
        at += 16;
    }
    if at < count {
        let lanes = (1 << (count - at)) - 1;
        // SAFETY: the mask ends where `count` does.
        unsafe {
            let rows = sources.map(|source| _mm_maskz_loadu_epi8(lanes, source.at(at)));
            _mm512_mask_storeu_epi32(to.add(at * BAND).cast(), lanes, columns(rows));
        }
    }
}

/// # Safety
/// As [`Columns::depthwise_row`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn all_blocks(row: &DepthwiseRow) {
    // Of eight channels a vector has two pixels, side by side or not.
    let apart = row.constants.channels == 8 && row.pixel_bytes != 32;
    let three = row.bands == 1 && row.kernel_columns == 3;
    for block in 0..row.constants.channels.div_ceil(16) {
        // SAFETY: the block has a channel.
        unsafe {
            match (three, apart) {
                (true, false) => one_block::<true, false>(row, block),
                (true, true) => one_block::<true, true>(row, block),
                (false, false) => one_block::<false, false>(row, block),
                (false, true) => one_block::<false, true>(row, block),
            }
        }
    }
}

/// One block: `THREE` for a kernel of one band and three columns, `APART` for vectors of two pixels
/// that do not lie side by side.
///
/// # Safety
/// The block has a channel; else as [`Columns::depthwise_row`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn one_block<const THREE: bool, const APART: bool>(row: &DepthwiseRow, block: usize) {
    let constants = &row.constants;
    let taps = row.bands * row.kernel_columns;
    // SAFETY: the block has, by the packing, as many weights; columns are readable for a block
    // behind the last.
    unsafe {
        let weights = row.weights.add(block * taps * 64);
        let columns = row.columns.add(block * 64);
        let start = twice(constants, starts(constants, block));
        let load_weights = |tap: usize| {
            let w = _mm512_loadu_si512(weights.add(tap * 64).cast());
            twice(constants, w)
        };
        let step = row.pixel_bytes * if constants.channels == 8 { 2 } else { 1 };
        let load = |from: *const u8, at: usize| {
            if APART {
                // An odd last pixel is its own partner.
                let alone = at * 2 + 1 == row.pixels;
                let second = from.add(if alone { 0 } else { row.pixel_bytes });
                let first = _mm512_castsi256_si512(_mm256_loadu_si256(from.cast()));
                _mm512_inserti64x4::<1>(first, _mm256_loadu_si256(second.cast()))
            } else {
                _mm512_loadu_si512(from.cast())
            }
        };
        let mut sums = [MaybeUninit::<__m512i>::uninit(); TOGETHER];
        let sums = sums.as_mut_ptr().cast::<__m512i>();
        let mut w = [_mm512_setzero_si512(); 3];
        if THREE {
            w = core::array::from_fn(load_weights);
        }
        // An even number of pixels, so that a vector never has pixels of two strips.
        let most = if constants.channels == 8 {
            2 * TOGETHER
        } else {
            TOGETHER
        };
        let mut pixel = 0;
        while pixel < row.pixels {
            let pixels = (row.pixels - pixel).min(most);
            let (first, vectors) = if constants.channels == 8 {
                (pixel / 2, pixels.div_ceil(2))
            } else {
                (pixel, pixels)
            };
            let mut from = columns.add(first * step);
            let mut left = row.width; // of a row, if there are several
            for at in 0..vectors {
                let x = from;
                from = from.wrapping_add(step);
                left -= 1;
                if left == 0 {
                    from = from
                        .wrapping_add(row.row_bytes)
                        .wrapping_sub(row.width * step);
                    left = row.width;
                }
                let mut acc = start;
                if THREE {
                    for (tap, w) in w.iter().enumerate() {
                        let x = load(x.add(row.tap_bytes * tap), first + at);
                        acc = _mm512_dpbusd_epi32(acc, x, *w);
                    }
                } else {
                    let mut tap = 0;
                    for band in 0..row.bands {
                        let mut x = x.add(band * row.band_bytes);
                        for _ in 0..row.kernel_columns {
                            let w = load_weights(tap);
                            acc = _mm512_dpbusd_epi32(acc, load(x, first + at), w);
                            x = x.wrapping_add(row.tap_bytes);
                            tap += 1;
                        }
                    }
                }
                sums.add(at).write(acc);
            }
            let output = row.output.add(pixel * constants.channels + block * 16);
            finish_block(constants, block, sums, 1, output, pixels);
            pixel += pixels;
        }
    }
}
