//! Copies of whole rows.
#![allow(unsafe_code)] // Assembly: the compiler's own copy takes three times as many instructions.

use core::arch::naked_asm;

/// Copies `words` words, eight at a time.
///
/// # Safety
/// Both regions valid for `words` words, on 4-byte boundaries and apart from each other.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn copy_words(to: *mut u32, from: *const u32, words: usize) {
    naked_asm!(
        dsp_cpu!(),
        "
        push {{r4-r9, lr}}
        subs r2, #8
        blo 2f
    1:  ldm r1!, {{r3-r9, r12}}
        stm r0!, {{r3-r9, r12}}
        subs r2, #8
        bhs 1b
    2:  adds r2, #8
        beq 4f
    3:  ldr r3, [r1], #4
        str r3, [r0], #4
        subs r2, #1
        bne 3b
    4:  pop {{r4-r9, pc}}
        "
    )
}
