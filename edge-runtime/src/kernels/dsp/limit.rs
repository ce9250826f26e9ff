//! The end of an activation whose range is not that of `i8` itself.
#![allow(unsafe_code)] // Assembly: four comparisons an instruction.

use core::arch::naked_asm;
use core::cell::Cell;

use crate::kernels::cases;

/// Limits each value to `min..=max`.
pub(super) fn limit<const CASES: u64>(min: i8, max: i8, values: &[Cell<i8>]) {
    if CASES & cases::LIMITED == 0 || (min == i8::MIN && max == i8::MAX) {
        return;
    }
    let words = values.len() / 4;
    if words > 0 {
        let each = |value: i8| u32::from(value.cast_unsigned()) * 0x0101_0101;
        // SAFETY: that many words lie in the slice; cells may be written through a shared
        // reference.
        unsafe {
            let values = values.as_ptr().cast::<u32>().cast_mut();
            limit_words(values, words, each(min), each(max));
        }
    }
    for value in values.iter().skip(words * 4) {
        value.set(value.get().min(max).max(min));
    }
}

/// Limits the bytes of words, the maximum first. SSUB8 notes for each byte whether the difference
/// is negative, SEL chooses by that.
///
/// # Safety
/// At least one word; all may be read and written.
#[unsafe(naked)]
unsafe extern "C" fn limit_words(values: *mut u32, words: usize, min: u32, max: u32) {
    naked_asm!(
        dsp_cpu!(),
        "
        push {{r4, lr}}
    1:  ldr r4, [r0]
        ssub8 r12, r4, r3
        sel r4, r3, r4
        ssub8 r12, r4, r2
        sel r4, r4, r2
        str r4, [r0], #4
        subs r1, #1
        bne 1b
        pop {{r4, pc}}
        "
    )
}
