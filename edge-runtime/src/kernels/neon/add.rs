//! ADD in the fitted form, sixteen elements at a time.

use core::arch::aarch64::*;
use core::cell::Cell;

use super::lanes::narrow;
use crate::kernels::generic::add_elements;
use crate::kernels::reference::add::AddFitted;

/// `output[i] = clamp((x1[i] · a + x2[i] · b + c) >> shift, min, max)`, in an `i32` that wraps; the
/// shift is arithmetic, and taken modulo 32.
///
/// The output may be the same bytes as an input, or lie below: no element is written before those
/// up to it are read. The shortest slice decides.
pub fn add_fitted(settings: &AddFitted, a: &[Cell<i8>], b: &[Cell<i8>], output: &[Cell<i8>]) {
    let len = a.len().min(b.len()).min(output.len());
    let (a, b) = (a.as_ptr().cast::<i8>(), b.as_ptr().cast::<i8>());
    let output = output.as_ptr().cast::<i8>().cast_mut();
    // SAFETY: NEON is the baseline.
    let [first, second, offset, shift] = unsafe {
        [
            vdupq_n_s32(settings.a),
            vdupq_n_s32(settings.b),
            vdupq_n_s32(settings.c),
            vdupq_n_s32(-((settings.shift % 32).cast_signed())),
        ]
    };
    let end = [0, settings.min.into(), settings.max.into()];
    let mut at = 0;
    while at + 16 <= len {
        // SAFETY: sixteen elements are left in all three, and cells may be written.
        unsafe {
            let a = widened(vld1q_s8(a.add(at)));
            let b = widened(vld1q_s8(b.add(at)));
            let mut sums = [offset; 4];
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum = vmlaq_s32(vmlaq_s32(*sum, a, first), b, second);
                *sum = vshlq_s32(*sum, shift);
            }
            narrow(sums, end, output.add(at));
        }
        at += 16;
    }
    // SAFETY: the rest.
    unsafe { add_elements(settings, a, b, output, at..len) }
}

#[inline]
#[target_feature(enable = "neon")]
fn widened(x: int8x16_t) -> [int32x4_t; 4] {
    let (low, high) = (vmovl_s8(vget_low_s8(x)), vmovl_high_s8(x));
    [
        vmovl_s16(vget_low_s16(low)),
        vmovl_high_s16(low),
        vmovl_s16(vget_low_s16(high)),
        vmovl_high_s16(high),
    ]
}
