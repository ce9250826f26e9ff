//! Convolution rows with `vpdpbusd`.
//!
//! A tile is `P` pixels by `B` blocks of sixteen channels: for each step of four taps `B` loads of
//! weights, `P` broadcasts of four activations and `P * B` dot products.

use core::arch::x86_64::*;

use super::requantise::{Narrow, Parameters, lanes};
use crate::kernels::packing::dot_16x4::GROUP;
use crate::kernels::x86::{Form, Lanes, Row};

/// The instruction set.
pub(super) struct Vnni;

impl Lanes for Vnni {
    const BYTES: usize = 1;

    unsafe fn widen(from: *const i8, to: *mut u8, count: usize) {
        // SAFETY: passed on.
        unsafe { widen(from, to, count) }
    }

    unsafe fn fill(value: i8, to: *mut u8, count: usize) {
        // SAFETY: `to` is writable for `count` bytes.
        unsafe { to.write_bytes(value.cast_unsigned() ^ 0x80, count) }
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
    while at < count {
        let left = count - at;
        let lanes = if left >= 64 { !0 } else { (1 << left) - 1 };
        // SAFETY: the mask ends where `count` does.
        unsafe {
            let x = _mm512_maskz_loadu_epi8(lanes, from.add(at));
            let to = to.add(at).cast();
            _mm512_mask_storeu_epi8(to, lanes, _mm512_xor_si512(x, flip));
        }
        at += 64;
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
}

/// # Safety
/// As [`Lanes::row`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn all_groups(row: &Row) {
    let blocks = row.channels.div_ceil(16);
    let steps = row.kernel_rows * row.segments * row.steps;
    for group in (0..blocks).step_by(GROUP) {
        let in_group = (blocks - group).min(GROUP);
        let mut block = 0;
        while block < in_group {
            let mut part = Part {
                row,
                block: group + block,
                // SAFETY: the packing has `blocks * steps * 64` bytes of weights.
                weights: unsafe { row.weights.add((group * steps + block) * 64) },
                step: in_group * 64,
            };
            let wide = if row.pixels == 1 { 4 } else { 2 };
            // SAFETY: the blocks are in the group, and all lies where `row` says.
            unsafe {
                match (in_group - block).min(wide) {
                    4 => {
                        tile::<1, 4>(&mut part, 0);
                        block += 4;
                    }
                    1 => {
                        strips_of_one(&mut part);
                        block += 1;
                    }
                    _ => {
                        strips_of_two(&mut part);
                        block += 2;
                    }
                }
            }
        }
    }
}

/// Runs `tile::<P, $blocks>` over all pixels in strips of nearly the same width.
macro_rules! strips {
    ($name:ident, $blocks:literal, $most:literal, [$($p:literal)*]) => {
        /// # Safety
        /// The blocks of `part` are in the layer; else as [`Lanes::row`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        unsafe fn $name(part: &mut Part<'_>) {
            let pixels = part.row.pixels;
            let mut start = 0;
            while start < pixels {
                let left = pixels - start;
                let width = left.div_ceil(left.div_ceil($most));
                // SAFETY: the pixels `start..start + width` are in the row.
                unsafe {
                    match width {
                        $($p => tile::<$p, $blocks>(part, start),)*
                        _ => return,
                    }
                }
                start += width;
            }
        }
    };
}
strips!(strips_of_one, 1, 16, [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16]);
strips!(strips_of_two, 2, 12, [1 2 3 4 5 6 7 8 9 10 11 12]);

/// # Safety
/// Pixels `start..start + P` are in the row and `B` blocks in the part; else as [`Lanes::row`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn tile<const P: usize, const B: usize>(part: &mut Part<'_>, start: usize) {
    let row = part.row;
    // SAFETY: the blocks are in the layer.
    let parameters: [Parameters; B] =
        core::array::from_fn(|b| unsafe { Parameters::load(row, part.block + b) });
    let mut acc = [[_mm512_setzero_si512(); B]; P];
    for acc in &mut acc {
        for (acc, parameters) in acc.iter_mut().zip(&parameters) {
            *acc = parameters.start;
        }
    }
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
    match row.end.form {
        Form::Relu => {
            for acc in &mut acc {
                for (acc, parameters) in acc.iter_mut().zip(&parameters) {
                    *acc = parameters.relu(*acc);
                }
            }
        }
        Form::Signed => {
            for acc in &mut acc {
                for (acc, parameters) in acc.iter_mut().zip(&parameters) {
                    *acc = parameters.signed(*acc);
                }
            }
        }
        Form::Scalar => {
            for acc in &mut acc {
                for (b, acc) in acc.iter_mut().enumerate() {
                    // SAFETY: the blocks are in the layer.
                    *acc = unsafe { one_by_one(row, part.block + b, *acc) };
                }
            }
        }
    }
    let narrow = Narrow::new(row);
    let zero = _mm512_setzero_si512();
    let get = |index: usize| match acc.get(index / B).and_then(|acc| acc.get(index % B)) {
        Some(acc) => *acc,
        None => zero,
    };
    for quad in 0..(P * B).div_ceil(4) {
        let bytes = narrow.apply(core::array::from_fn(|lane| get(quad * 4 + lane)));
        let quarters = [
            _mm512_castsi512_si128(bytes),
            _mm512_extracti32x4_epi32::<1>(bytes),
            _mm512_extracti32x4_epi32::<2>(bytes),
            _mm512_extracti32x4_epi32::<3>(bytes),
        ];
        for (lane, quarter) in quarters.into_iter().enumerate() {
            let index = quad * 4 + lane;
            if index < P * B {
                let block = part.block + index % B;
                // SAFETY: masked lanes are not written; the others are channels of a pixel of the
                // row.
                unsafe {
                    let to = row
                        .output
                        .add((start + index / B) * row.channels + block * 16);
                    if row.channels % 16 == 0 {
                        _mm_storeu_si128(to.cast(), quarter);
                    } else {
                        _mm_mask_storeu_epi8(to, lanes(row, block), quarter);
                    }
                }
            }
        }
    }
}

/// Scales accumulators as the reference does, for what the vector forms do not cover.
///
/// # Safety
/// `block` is in the layer; else as [`Lanes::row`].
#[cold]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn one_by_one(row: &Row, block: usize, acc: __m512i) -> __m512i {
    let mut values = [0_i32; 16];
    // SAFETY: the array has 64 bytes.
    unsafe { _mm512_storeu_si512(values.as_mut_ptr().cast(), acc) };
    for (lane, value) in values.iter_mut().enumerate() {
        let channel = block * 16 + lane;
        if channel < row.channels {
            // SAFETY: it is a channel.
            let (multiplier, shift) =
                unsafe { (*row.multipliers.add(channel), *row.shifts.add(channel)) };
            *value = row.end.rounding.scale(*value, multiplier, shift);
        }
    }
    // SAFETY: as above.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}
