//! FULLY_CONNECTED that reads the rows of weights of those inputs only that are not -128: two rows at
//! a time, interleaved and widened to what `vpmaddwd` wants.

use core::arch::x86_64::*;

use super::finish::finish;
use super::requantise::prepare;
use crate::kernels::generic::Sparse;
use crate::kernels::packing::rows_128::CHUNK;

/// Channels whose sums the registers hold.
const HALF: usize = 64;

/// # Safety
/// The machine has the instructions.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run(layer: &Sparse) {
    let constants = &layer.constants;
    // SAFETY: the first part of the scratch is as long as the prepared constants; the lists only name
    // rows of the layer, and a chunk has two halves.
    unsafe {
        prepare(constants, constants.prepared.cast_mut());
        let pairs = list(layer);
        for half in 0..constants.channels / HALF {
            let rows = layer.weights.add(half / 2 * layer.inputs * CHUNK);
            let channel = half * HALF;
            let mut sums = products(layer, rows.add(half % 2 * HALF), pairs);
            for (at, sum) in sums.iter_mut().enumerate() {
                let offset = constants.offsets.add(channel + at * 8).cast();
                *sum = _mm256_add_epi32(*sum, _mm256_loadu_si256(offset));
            }
            finish(constants, channel, 8, sums.as_mut_ptr(), layer.output, 1);
        }
    }
}

/// Lists the inputs that are not -128, filled up with a zero to an even number; returns how many
/// pairs these are.
///
/// # Safety
/// As [`run`].
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn list(layer: &Sparse) -> usize {
    let values = layer.values.cast::<u16>();
    let mut count = 0;
    // SAFETY: the lists have room for all inputs and some more.
    unsafe {
        for at in 0..layer.inputs {
            let x = (*layer.input.add(at)).cast_unsigned() ^ 0x80;
            layer.rows.add(count).write(at as u16);
            values.add(count).write_unaligned(x.into());
            count += usize::from(x != 0);
        }
        layer.rows.add(count).write(0);
        values.add(count).write_unaligned(0);
    }
    count.div_ceil(2)
}

/// The sums of 64 channels, in order.
///
/// # Safety
/// `rows` is the half of the first row of the chunk; else as [`run`].
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn products(layer: &Sparse, rows: *const i8, pairs: usize) -> [__m256i; 8] {
    // Sixteen bytes of a row each: channels of blocks 0 and 1, and of 2 and 3.
    let mut low = [_mm256_setzero_si256(); 4];
    let mut high = [_mm256_setzero_si256(); 4];
    // SAFETY: the lists hold as many pairs, of rows.
    unsafe {
        let mut listed = layer.rows.cast_const();
        let mut values = layer.values.cast_const().cast::<i32>();
        for _ in 0..pairs {
            let a = rows.add(usize::from(listed.read()) * CHUNK);
            let b = rows.add(usize::from(listed.add(1).read()) * CHUNK);
            let x = _mm256_set1_epi32(values.read_unaligned());
            for (l, (low, high)) in low.iter_mut().zip(&mut high).enumerate() {
                let a = _mm_loadu_si128(a.add(l * 16).cast());
                let b = _mm_loadu_si128(b.add(l * 16).cast());
                let first = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b));
                let second = _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(a, b));
                *low = _mm256_add_epi32(*low, _mm256_madd_epi16(first, x));
                *high = _mm256_add_epi32(*high, _mm256_madd_epi16(second, x));
            }
            listed = listed.add(2);
            values = values.add(1);
        }
    }
    let [a, b, c, d] = low;
    let [e, f, g, h] = high;
    [
        _mm256_permute2x128_si256::<0x20>(a, b),
        _mm256_permute2x128_si256::<0x20>(c, d),
        _mm256_permute2x128_si256::<0x31>(a, b),
        _mm256_permute2x128_si256::<0x31>(c, d),
        _mm256_permute2x128_si256::<0x20>(e, f),
        _mm256_permute2x128_si256::<0x20>(g, h),
        _mm256_permute2x128_si256::<0x31>(e, f),
        _mm256_permute2x128_si256::<0x31>(g, h),
    ]
}
