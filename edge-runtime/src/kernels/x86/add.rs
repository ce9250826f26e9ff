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
            Level::None => crate::kernels::generic::add_elements(settings, a, b, output, 0..len),
        }
    }
}
