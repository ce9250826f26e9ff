//! FULLY_CONNECTED that reads the rows of weights of those inputs only that are not -128.
//!
//! Four rows are interleaved to what `vpdpbusd` wants: 16 shuffles for 512 products, as many cycles
//! as their bytes take from the second cache.

use core::arch::x86_64::*;

use super::finish::finish_64;
use crate::kernels::generic::{Constants, Sparse};
use crate::kernels::packing::rows_128::CHUNK;

/// How far ahead of their use rows are fetched, counted in rows: worth 4 % where they come from the second
/// cache.
const NEXT: usize = 12;

/// # Safety
/// The machine has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,popcnt")]
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

/// Lists the inputs that are not -128, filled up with zeros to a multiple of four; returns how many
/// times four these are.
///
/// # Safety
/// As [`run`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,popcnt")]
unsafe fn list(layer: &Sparse) -> usize {
    let row = CHUNK as i32;
    let mut places = _mm512_mullo_epi32(
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
        _mm512_set1_epi32(row),
    );
    let flip = _mm_set1_epi8(i8::MIN);
    let mut count = 0;
    let mut at = 0;
    // SAFETY: sixteen inputs are left; what is listed are at most the inputs so far, and the lists
    // have room for sixteen more.
    unsafe {
        while at < layer.inputs {
            let x = _mm_xor_si128(_mm_loadu_si128(layer.input.add(at).cast()), flip);
            let x = _mm512_cvtepu8_epi32(x);
            let some = _mm512_test_epi32_mask(x, x);
            let listed = _mm512_maskz_compress_epi32(some, places);
            _mm512_storeu_si512(layer.places.add(count).cast(), listed);
            let x = _mm512_cvtepi32_epi8(_mm512_maskz_compress_epi32(some, x));
            _mm_storeu_si128(layer.values.add(count).cast(), x);
            count += some.count_ones() as usize;
            places = _mm512_add_epi32(places, _mm512_set1_epi32(16 * row));
            at += 16;
        }
        _mm512_storeu_si512(layer.places.add(count).cast(), _mm512_setzero_si512());
        _mm512_storeu_si512(layer.places.add(count + 16).cast(), _mm512_setzero_si512());
        layer.values.add(count).cast::<i32>().write_unaligned(0);
    }
    count.div_ceil(4)
}

/// Adds the products of the listed rows of a chunk.
///
/// # Safety
/// `rows` is the first of the chunk; else as [`run`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,popcnt")]
unsafe fn products(
    layer: &Sparse,
    rows: *const i8,
    quads: usize,
    mut sums: [__m512i; 8],
) -> [__m512i; 8] {
    // SAFETY: the lists hold as many, and places of rows.
    unsafe {
        let mut places = layer.places.cast_const();
        let mut values = layer.values.cast_const().cast::<i32>();
        for _ in 0..quads {
            let row = |index: usize| rows.offset(places.add(index).read_unaligned() as isize);
            let [a, b, c, d] = [row(0), row(1), row(2), row(3)];
            for index in NEXT..NEXT + 4 {
                let next =
                    rows.wrapping_offset(places.wrapping_add(index).read_unaligned() as isize);
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
            places = places.add(4);
            values = values.add(1);
        }
        sums
    }
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
