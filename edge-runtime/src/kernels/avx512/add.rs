//! ADD in the fitted form, 64 elements at a time.

use core::arch::x86_64::*;

use super::requantise::Narrow;
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
    let narrow = Narrow::limits(settings.min, settings.max);
    let mut at = 0;
    while at + 64 <= len {
        // SAFETY: 64 elements are left.
        unsafe {
            let mut quad = [offset; 4];
            for (part, sum) in quad.iter_mut().enumerate() {
                let at = at + part * 16;
                let a = _mm512_cvtepi8_epi32(_mm_loadu_si128(a.add(at).cast()));
                let b = _mm512_cvtepi8_epi32(_mm_loadu_si128(b.add(at).cast()));
                *sum = _mm512_add_epi32(*sum, _mm512_mullo_epi32(a, first));
                *sum = _mm512_add_epi32(*sum, _mm512_mullo_epi32(b, second));
                *sum = _mm512_sra_epi32(*sum, shift);
            }
            _mm512_storeu_si512(output.add(at).cast(), narrow.apply(quad));
        }
        at += 64;
    }
    // SAFETY: the rest.
    unsafe { add_elements(settings, a, b, output, at..len) }
}
