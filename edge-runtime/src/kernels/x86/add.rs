//! ADD in the fitted form.

use core::cell::Cell;

use crate::kernels::reference::add::AddFitted;

use super::detect::{Level, level};

/// `output[i] = clamp((x1[i] · a + x2[i] · b + c) >> shift, min, max)`, in an
/// `i32` that wraps; the shift is arithmetic, and taken modulo 32.
///
/// The output may be the same bytes as an input, or lie below: no element is written before those
/// up to it are read. The shortest slice decides.
pub fn add_fitted(settings: &AddFitted, a: &[Cell<i8>], b: &[Cell<i8>], output: &[Cell<i8>]) {
    let len = a.len().min(b.len()).min(output.len());
    let (a, b) = (a.as_ptr().cast(), b.as_ptr().cast());
    let output = output.as_ptr().cast::<i8>().cast_mut();
    // SAFETY: all three have `len` elements, cells may be written, and the machine has the
    // instructions.
    unsafe {
        match level() {
            Level::Avx512Vnni => crate::kernels::avx512::add_fitted(settings, a, b, output, len),
            Level::Avx2 => crate::kernels::avx2::add_fitted(settings, a, b, output, len),
            Level::None => elements(settings, a, b, output, 0..len),
        }
    }
}

/// Some elements, one by one.
///
/// # Safety
/// They are readable in `a` and `b` and writable in `output`.
pub(crate) unsafe fn elements(
    settings: &AddFitted,
    a: *const i8,
    b: *const i8,
    output: *mut i8,
    range: core::ops::Range<usize>,
) {
    let [first, second] = [settings.a, settings.b];
    for at in range {
        // SAFETY: the element is in all three.
        unsafe {
            let sum = i32::from(*a.add(at))
                .wrapping_mul(first)
                .wrapping_add(i32::from(*b.add(at)).wrapping_mul(second))
                .wrapping_add(settings.c)
                .wrapping_shr(settings.shift);
            let value = sum.max(settings.min.into()).min(settings.max.into());
            output.add(at).write(value as i8);
        }
    }
}
