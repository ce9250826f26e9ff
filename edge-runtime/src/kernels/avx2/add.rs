//! ADD in the fitted form, 32 elements at a time.

use core::arch::x86_64::*;

use super::requantise::Narrow;
use crate::kernels::generic::add_elements;
use crate::kernels::reference::add::AddFitted;

/// # Safety
/// `a` and `b` are readable and `output` is writable for `len` elements; the machine has the
/// instructions.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn add_fitted(
    settings: &AddFitted,
    a: *const i8,
    b: *const i8,
    output: *mut i8,
    len: usize,
) {
    let [first, second] = [settings.a, settings.b].map(|factor| _mm256_set1_epi32(factor));
    let offset = _mm256_set1_epi32(settings.c);
    let shift = _mm_cvtsi32_si128((settings.shift % 32).cast_signed());
    let narrow = Narrow::limits(settings.min, settings.max);
    let mut at = 0;
    while at + 32 <= len {
        // SAFETY: 32 elements are left.
        unsafe {
            let mut quad = [offset; 4];
            for (part, sum) in quad.iter_mut().enumerate() {
                let at = at + part * 8;
                let a = _mm256_cvtepi8_epi32(_mm_loadl_epi64(a.add(at).cast()));
                let b = _mm256_cvtepi8_epi32(_mm_loadl_epi64(b.add(at).cast()));
                *sum = _mm256_add_epi32(*sum, _mm256_mullo_epi32(a, first));
                *sum = _mm256_add_epi32(*sum, _mm256_mullo_epi32(b, second));
                *sum = _mm256_sra_epi32(*sum, shift);
            }
            _mm256_storeu_si256(output.add(at).cast(), narrow.apply(quad));
        }
        at += 32;
    }
    // SAFETY: the rest.
    unsafe { add_elements(settings, a, b, output, at..len) }
}
