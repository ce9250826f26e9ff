//! Inner products of one pixel and four output channels: for 32 multiplications 21 instructions with
//! 16-bit weights, 27 with 8-bit ones.

use core::arch::naked_asm;

use super::job::{Driven, Job};

/// Activation words in a pass through the unrolled loop.
const UNROLL: usize = 8;

/// [`Job::entry`], where a word takes `instructions`: the words that fill no pass come first.
const fn entry(words: usize, instructions: usize) -> usize {
    (UNROLL - 1 - words % UNROLL) * instructions * 4
}

/// 16-bit weights.
pub(super) static I16: Driven = Driven {
    kernel: matmul_i16_1x4,
    entry: |words| entry(words, 6),
    pixels: 1,
    word: 4,
};

/// 8-bit weights.
pub(super) static I8: Driven = Driven {
    kernel: matmul_i8_1x4,
    entry: |words| entry(words, 8),
    pixels: 1,
    word: 4,
};

/// One pixel, 16-bit weights; `second`, `pairs` and `stride` of the job are not used.
///
/// # Safety
///
/// As [`super::matmul_2x4`].
#[unsafe(naked)]
unsafe extern "C" fn matmul_i16_1x4(job: *const Job) {
    naked_asm!(
        dsp_cpu!(),
        prologue!(),
        start_1!(),
        "3: .rept 7
         ldr r8, [r0], #4
         ldmia.w r1!, {{r2, r3, r12, lr}}
         smlad r4, r2, r8, r4
         smlad r5, r3, r8, r5
         smlad r6, r12, r8, r6
         smlad r7, lr, r8, r7
         .endr
         b.w 5f
         4: .rept 2
         ldmia.w r0!, {{r8-r11}}
         ldmia.w r1!, {{r2, r3, r12, lr}}
         smlad r4, r2, r8, r4
         smlad r5, r3, r8, r5
         smlad r6, r12, r8, r6
         smlad r7, lr, r8, r7
         ldmia.w r1!, {{r2, r3, r12, lr}}
         smlad r4, r2, r9, r4
         smlad r5, r3, r9, r5
         smlad r6, r12, r9, r6
         smlad r7, lr, r9, r7
         ldmia.w r1!, {{r2, r3, r12, lr}}
         smlad r4, r2, r10, r4
         smlad r5, r3, r10, r5
         smlad r6, r12, r10, r6
         smlad r7, lr, r10, r7
         ldmia.w r1!, {{r2, r3, r12, lr}}
         smlad r4, r2, r11, r4
         smlad r5, r3, r11, r5
         smlad r6, r12, r11, r6
         smlad r7, lr, r11, r7
         .endr
         5: ldr.w r2, [sp, #16]
         cmp r0, r2
         bne.w 4b
         ldr.w pc, [sp, #24]",
        epilogue_table!(),
        "20:",
        fixed_1!(),
        pack!("r4", "r5", "r6", "r7"),
        store_1!(),
        "21:",
        unclamped_1!(plain),
        store_1!(),
        "22:",
        general_1!(),
        store_1!(),
        "24:",
        unclamped_1!(linear_i16),
        store_1!(),
        "23: ldr.w r0, [sp, #4]
         stmia.w r0, {{r4-r7}}
         b.w 8b",
    )
}

/// One pixel, 8-bit weights; `second`, `pairs` and `stride` of the job are not used.
///
/// # Safety
///
/// As [`super::matmul_2x4`].
#[unsafe(naked)]
unsafe extern "C" fn matmul_i8_1x4(job: *const Job) {
    naked_asm!(
        dsp_cpu!(),
        prologue!(),
        start_1!(),
        "3: .rept 7
         ldr r8, [r0], #4
         ldmia.w r1!, {{r2, r3}}
         smlad r5, r2, r8, r5
         smlad r7, r3, r8, r7
         sxtb16 r2, r2
         sxtb16 r3, r3
         smlad r4, r2, r8, r4
         smlad r6, r3, r8, r6
         .endr
         b.w 5f
         4: .rept 2
         ldmia.w r0!, {{r8-r11}}
         ldmia.w r1!, {{r2, r3, r12, lr}}
         smlad r5, r2, r8, r5
         smlad r7, r3, r8, r7
         smlad r5, r12, r9, r5
         smlad r7, lr, r9, r7
         sxtb16 r2, r2
         sxtb16 r3, r3
         sxtb16 r12, r12
         sxtb16 lr, lr
         smlad r4, r2, r8, r4
         smlad r6, r3, r8, r6
         smlad r4, r12, r9, r4
         smlad r6, lr, r9, r6
         ldmia.w r1!, {{r2, r3, r12, lr}}
         smlad r5, r2, r10, r5
         smlad r7, r3, r10, r7
         smlad r5, r12, r11, r5
         smlad r7, lr, r11, r7
         sxtb16 r2, r2
         sxtb16 r3, r3
         sxtb16 r12, r12
         sxtb16 lr, lr
         smlad r4, r2, r10, r4
         smlad r6, r3, r10, r6
         smlad r4, r12, r11, r4
         smlad r6, lr, r11, r6
         .endr
         5: ldr.w r2, [sp, #16]
         cmp r0, r2
         bne.w 4b
         ldr.w pc, [sp, #24]",
        epilogue_table!(),
        "20: // No stream with 8-bit weights has the form.
         21:",
        separate!("r4" "r5", "r6" "r7"),
        unclamped_1!(plain),
        store_1!(),
        "22:",
        separate!("r4" "r5", "r6" "r7"),
        general_1!(),
        store_1!(),
        "24:",
        separate!("r4" "r5", "r6" "r7"),
        unclamped_1!(linear_i8),
        store_1!(),
        "23:",
        separate_raw!("r4" "r5", "r6" "r7"),
        "ldr.w r0, [sp, #4]
         stmia.w r0, {{r4-r7}}
         b.w 8b",
    )
}
