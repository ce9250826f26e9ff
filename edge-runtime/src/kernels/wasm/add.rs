//! ADD in the fitted form, sixteen elements at a time.

use core::arch::wasm32::*;
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
    let [first, second, offset] = [settings.a, settings.b, settings.c].map(|x| i32x4_splat(x));
    let shift = settings.shift % 32;
    let end = [0, settings.min.into(), settings.max.into()];
    let mut at = 0;
    while at + 16 <= len {
        // SAFETY: sixteen elements are left in all three, and cells may be written.
        unsafe {
            let a = widened(v128_load(a.add(at).cast()));
            let b = widened(v128_load(b.add(at).cast()));
            let mut sums = [offset; 4];
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum = i32x4_add(*sum, i32x4_mul(a, first));
                *sum = i32x4_shr(i32x4_add(*sum, i32x4_mul(b, second)), shift);
            }
            narrow(sums, end, output.add(at));
        }
        at += 16;
    }
    // SAFETY: the rest.
    unsafe { add_elements(settings, a, b, output, at..len) }
}

#[inline(always)]
fn widened(x: v128) -> [v128; 4] {
    let (low, high) = (i16x8_extend_low_i8x16(x), i16x8_extend_high_i8x16(x));
    [
        i32x4_extend_low_i16x8(low),
        i32x4_extend_high_i16x8(low),
        i32x4_extend_low_i16x8(high),
        i32x4_extend_high_i16x8(high),
    ]
}
