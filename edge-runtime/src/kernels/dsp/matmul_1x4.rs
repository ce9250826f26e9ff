//! Inner products of one pixel and four output channels: for 32 multiplications 21 instructions with
//! 16-bit weights, 27 with 8-bit ones.

use core::arch::naked_asm;

use super::job::{Driven, Job};
use crate::kernels::cases;
use crate::kernels::packing::dsp_blocks::Width;

/// Activation words in a pass through the unrolled loop, which may begin at its half.
const UNROLL: usize = 16;

/// [`Job::entry`], where a word takes `single` instructions if it is computed alone, and eight words
/// in the loop take `half`. Words that fill no half come first, alone; `rest_1` follows them.
const fn entry(words: usize, single: usize, half: usize) -> usize {
    const HALF: usize = UNROLL / 2;
    let alone = (HALF - 1) * single * 4;
    match (words % HALF, words / HALF % 2) {
        (0, 0) => alone + REST_LEN,
        (0, _) => alone + REST_LEN + half * 4,
        (rest, _) => alone - rest * single * 4,
    }
}

/// Bytes of `rest_1`, whose instructions are all of four.
const REST_LEN: usize = 20;

/// After the words that come alone: the end, or the second half of the loop if halves are odd.
macro_rules! rest_1 {
    () => {
        "ldr.w r2, [sp, #16]
         subs.w r2, r2, r0
         beq.w 6f
         tst.w r2, #32
         bne.w 5f"
    };
}

/// The end of a pass.
macro_rules! next_1 {
    () => {
        "ldr.w r2, [sp, #16]
         cmp r0, r2
         bne.w 4b
         6: ldr.w pc, [sp, #24]"
    };
}

/// Four words of activations and the weights of a block that meet them.
macro_rules! four_i16 {
    () => {
        "ldmia.w r0!, {{r8-r11}}
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
         smlad r7, lr, r11, r7\n"
    };
}

/// Four words of activations and the weights of a block that meet them.
macro_rules! four_i8 {
    () => {
        "ldmia.w r0!, {{r8-r11}}
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
         smlad r6, lr, r11, r6\n"
    };
}

/// 16-bit weights.
pub(super) const fn i16<const CASES: u64>() -> &'static Driven {
    const {
        &Driven {
            kernel: matmul_i16_1x4::<CASES>,
            entry: |words| entry(words, 6, 42),
            pixels: 1,
            word: 4,
        }
    }
}

/// 8-bit weights.
pub(super) const fn i8<const CASES: u64>() -> &'static Driven {
    const {
        &Driven {
            kernel: matmul_i8_1x4::<CASES>,
            entry: |words| entry(words, 8, 54),
            pixels: 1,
            word: 4,
        }
    }
}

/// One pixel, 16-bit weights; `second`, `pairs` and `stride` of the job are not used.
///
/// # Safety
///
/// As [`super::matmul_2x4`].
#[unsafe(naked)]
unsafe extern "C" fn matmul_i16_1x4<const CASES: u64>(job: *const Job) {
    naked_asm!(
        dsp_cpu!(),
        prologue_1!(),
        start_1!(),
        "3: .rept 7
         ldr r8, [r0], #4
         ldmia.w r1!, {{r2, r3, r12, lr}}
         smlad r4, r2, r8, r4
         smlad r5, r3, r8, r5
         smlad r6, r12, r8, r6
         smlad r7, lr, r8, r7
         .endr",
        rest_1!(),
        "4: .rept 2\n",
        four_i16!(),
        ".endr
         5: .rept 2\n",
        four_i16!(),
        ".endr",
        next_1!(),
        epilogue_table!(32),
        "20:
         .if {forms} & 1",
        fixed_1!(),
        pack!("r4", "r5", "r6", "r7"),
        store_1!(),
        ".endif
         21:
         .if {forms} & 2",
        unclamped_1!(plain),
        store_1!(),
        ".endif
         22:
         .if {forms} & 4",
        general_1!(),
        store_1!(),
        ".endif
         24: // Streams with 16-bit weights do not have the other two.
         25:
         26:
         .if {forms} & 16",
        unclamped_1!(linear),
        store_1!(),
        ".endif
         23:
         .if {forms} & 8
         ldr.w r0, [sp, #4]
         stmia.w r0, {{r4-r7}}
         b.w 8b
         .endif",
        forms = const cases::forms(CASES, Width::I16),
    )
}

/// One pixel, 8-bit weights; `second`, `pairs` and `stride` of the job are not used.
///
/// # Safety
///
/// As [`super::matmul_2x4`].
#[unsafe(naked)]
unsafe extern "C" fn matmul_i8_1x4<const CASES: u64>(job: *const Job) {
    naked_asm!(
        dsp_cpu!(),
        prologue_1!(),
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
         .endr",
        rest_1!(),
        "4: .rept 2\n",
        four_i8!(),
        ".endr
         5: .rept 2\n",
        four_i8!(),
        ".endr",
        next_1!(),
        epilogue_table!(32),
        "20: // Streams with 8-bit weights do not have three of the forms.
         21:
         24:
         25:
         .if {forms} & 32",
        separate!("r4" "r5", "r6" "r7"),
        "ldr r0, [sp, #8]
         ldr r3, [sp, #28]\n",
        small!("r4"; "r5"; "r6"; "r7"),
        ".endif
         27:
         .if {forms} & 96",
        halve!("r4", "r5", "r6", "r7"),
        store_1!(),
        ".endif
         26:
         .if {forms} & 64",
        separate_doubled!("r4" "r5", "r6" "r7"),
        "ldr r0, [sp, #8]\n",
        small_linear!("r4"; "r5"; "r6"; "r7"),
        "b.w 27b
         .endif
         22:
         .if {forms} & 4",
        separate!("r4" "r5", "r6" "r7"),
        general_1!(),
        store_1!(),
        ".endif
         23:
         .if {forms} & 8",
        separate_raw!("r4" "r5", "r6" "r7"),
        "ldr.w r0, [sp, #4]
         stmia.w r0, {{r4-r7}}
         b.w 8b
         .endif",
        forms = const cases::forms(CASES, Width::I8),
    )
}
