//! ADD in the fitted form, 64 elements at a time.

use core::arch::x86_64::*;

use super::how::{AFFINE, Bytes};
use crate::kernels::generic::add_elements;
use crate::kernels::reference::add::AddFitted;

/// # Safety
/// `a` and `b` are readable and `output` is writable for `len` elements; the machine has the
/// instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) unsafe fn add_fitted(
    settings: &AddFitted,
    a: *const i8,
    b: *const i8,
    output: *mut i8,
    len: usize,
) {
    let [first, second] = [settings.a, settings.b].map(|factor| _mm512_set1_epi32(factor));
    let offset = _mm512_set1_epi32(settings.c);
    let shift = _mm_cvtsi32_si128((settings.shift % 32).cast_signed());
    let bytes = Bytes::limits(settings.min, settings.max);
    let mut at = 0;
    while at + 64 <= len {
        // SAFETY: 64 elements are left.
        unsafe {
            for part in 0..4 {
                let at = at + part * 16;
                let a = _mm512_cvtepi8_epi32(_mm_loadu_si128(a.add(at).cast()));
                let b = _mm512_cvtepi8_epi32(_mm_loadu_si128(b.add(at).cast()));
                let sum = _mm512_add_epi32(_mm512_mullo_epi32(a, first), offset);
                let sum = _mm512_add_epi32(_mm512_mullo_epi32(b, second), sum);
                bytes.write::<AFFINE>(_mm512_sra_epi32(sum, shift), output.add(at));
            }
        }
        at += 64;
    }
    // SAFETY: the rest.
    unsafe { add_elements(settings, a, b, output, at..len) }
}
