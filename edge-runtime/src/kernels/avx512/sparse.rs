//! FULLY_CONNECTED that reads the rows of weights of those inputs only that are not -128.
//!
//! Four rows are interleaved to what `vpdpbusd` wants: 16 shuffles for 512 products, as many cycles
//! as their bytes take from the second cache.

use core::arch::x86_64::*;

use super::finish::finish_64;
use crate::kernels::generic::{Constants, Sparse};
use crate::kernels::packing::rows_128::CHUNK;

/// How far ahead of their use rows are fetched, counted in rows: worth a tenth where they come from the
/// second cache.
const NEXT: usize = 12;

/// # Safety
/// The machine has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi2,popcnt")]
pub(super) unsafe fn run(layer: &Sparse) {
    // SAFETY: the lists have room for all inputs and for what a vector writes behind them; they only
    // name rows of the layer, and its chunks have eight blocks.
    unsafe {
        let quads = list(layer);
        for chunk in 0..layer.constants.channels / CHUNK {
            let rows = layer.weights.add(chunk * layer.inputs * CHUNK);
            let block = chunk * 8;
            let c = &layer.constants;
            // Closures would not have the instructions, and be calls.
            let start = [
                start(c, block),
                start(c, block + 1),
                start(c, block + 2),
                start(c, block + 3),
                start(c, block + 4),
                start(c, block + 5),
                start(c, block + 6),
                start(c, block + 7),
            ];
            let sums = products(layer, rows, quads, start);
            let [a, b, c, d, e, f, g, h] = sums;
            finish_64(&layer.constants, block, [a, b, c, d], layer.output);
            finish_64(&layer.constants, block + 4, [e, f, g, h], layer.output);
        }
    }
}

/// As [`starts`](super::requantise::starts) for a block of which all channels exist.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn start(constants: &Constants, block: usize) -> __m512i {
    // SAFETY: passed on.
    unsafe {
        let bias = _mm512_loadu_si512(constants.bias.add(block * 16).cast());
        let offset = _mm512_loadu_si512(constants.offsets.add(block * 16).cast());
        _mm512_add_epi32(bias, offset)
    }
}

/// Lists the inputs that are not -128, 64 by 64, each filled up with zeros to a multiple of four, so that
/// four lie in what was stored at once; returns how many times four these are.
///
/// # Safety
/// As [`run`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,popcnt")]
unsafe fn list(layer: &Sparse) -> usize {
    let flip = _mm512_set1_epi8(i8::MIN);
    let mut count = 0;
    let mut at = 0;
    // SAFETY: inputs behind the last are not read. As inputs are a multiple of four, no more are listed
    // than there are, and the lists have room for 64 more.
    unsafe {
        let lanes = _mm512_loadu_si512(LANES.as_ptr().cast());
        while at < layer.inputs {
            let left = layer.inputs - at;
            let inside = if left < 64 { (1 << left) - 1 } else { !0 };
            let x = _mm512_mask_loadu_epi8(flip, inside, layer.input.add(at).cast());
            let x = _mm512_xor_si512(x, flip);
            let some = _mm512_test_epi8_mask(x, x);
            let values = _mm512_maskz_compress_epi8(some, x);
            _mm512_storeu_si512(layer.values.add(count).cast(), values);
            // What fills up is of the first row of these.
            let rows = _mm512_maskz_compress_epi8(some, lanes);
            let first = _mm512_set1_epi16(at as i16);
            let to = layer.rows.add(count);
            let half = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(rows));
            _mm512_storeu_si512(to.cast(), _mm512_add_epi16(half, first));
            let half = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64::<1>(rows));
            _mm512_storeu_si512(to.add(32).cast(), _mm512_add_epi16(half, first));
            count += (some.count_ones() as usize).next_multiple_of(4);
            at += 64;
        }
        // Only for what is fetched ahead: the first rows of the next chunk.
        let first = _mm512_loadu_si512(layer.rows.cast_const().cast());
        let chunk = _mm512_set1_epi16(layer.inputs as i16);
        let behind = layer.rows.add(count);
        _mm512_storeu_si512(behind.cast(), _mm512_add_epi16(first, chunk));
    }
    count / 4
}

/// The lanes of a vector.
const LANES: [u8; 64] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49,
    50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
];

/// Adds the products of the listed rows of a chunk.
///
/// # Safety
/// `rows` is the first of the chunk; else as [`run`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn products(
    layer: &Sparse,
    rows: *const i8,
    quads: usize,
    mut sums: [__m512i; 8],
) -> [__m512i; 8] {
    // SAFETY: the lists hold as many rows; behind them they are readable.
    unsafe {
        let mut listed = layer.rows.cast_const();
        let mut values = layer.values.cast_const().cast::<i32>();
        for _ in 0..quads {
            let [a, b, c, d] = offsets(listed).map(|offset| rows.add(offset));
            for offset in offsets(listed.add(NEXT)) {
                let next = rows.wrapping_add(offset);
                _mm_prefetch::<_MM_HINT_T0>(next);
                _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(64));
            }
            let x = _mm512_set1_epi32(values.read_unaligned());
            let [p, q, r, s] = interleave(a, b, c, d);
            sums[0] = _mm512_dpbusd_epi32(sums[0], x, p);
            sums[1] = _mm512_dpbusd_epi32(sums[1], x, q);
            sums[2] = _mm512_dpbusd_epi32(sums[2], x, r);
            sums[3] = _mm512_dpbusd_epi32(sums[3], x, s);
            let [p, q, r, s] = interleave(a.add(64), b.add(64), c.add(64), d.add(64));
            sums[4] = _mm512_dpbusd_epi32(sums[4], x, p);
            sums[5] = _mm512_dpbusd_epi32(sums[5], x, q);
            sums[6] = _mm512_dpbusd_epi32(sums[6], x, r);
            sums[7] = _mm512_dpbusd_epi32(sums[7], x, s);
            listed = listed.add(4);
            values = values.add(1);
        }
        sums
    }
}

/// Where four listed rows begin, in bytes. One load: a store of a vector is slow to forward to loads of
/// 16 bits.
///
/// # Safety
/// The list has four more.
#[inline]
unsafe fn offsets(listed: *const u16) -> [usize; 4] {
    // SAFETY: passed on.
    let rows = unsafe { listed.cast::<u64>().read_unaligned() };
    [0, 16, 32, 48].map(|at| usize::from((rows >> at) as u16) * CHUNK)
}

/// The weights of sixteen channels in each vector, four inputs of a channel side by side.
///
/// # Safety
/// Of each row 64 bytes are readable; the machine has the instructions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn interleave(a: *const i8, b: *const i8, c: *const i8, d: *const i8) -> [__m512i; 4] {
    // SAFETY: passed on.
    let [a, b, c, d] = unsafe { [a, b, c, d].map(|row| _mm512_loadu_si512(row.cast())) };
    let (ab, cd) = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
    let (ab_high, cd_high) = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
    [
        _mm512_unpacklo_epi16(ab, cd),
        _mm512_unpackhi_epi16(ab, cd),
        _mm512_unpacklo_epi16(ab_high, cd_high),
        _mm512_unpackhi_epi16(ab_high, cd_high),
    ]
}
