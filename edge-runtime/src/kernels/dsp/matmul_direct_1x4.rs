//! Inner products of one pixel and four output channels, activations widened on the way: for 16
//! multiplications 13 instructions with 16-bit weights, 16 with 8-bit ones, and no scratch.

use core::arch::naked_asm;

use super::job::{Driven, Job};
use crate::kernels::cases;
use crate::kernels::packing::dsp_blocks::Width;

/// Groups of four taps in a pass through the unrolled loop.
const UNROLL: usize = 8;

/// [`Job::entry`], where a group takes `instructions`: a shorter first pass. Two words are a group.
const fn entry(words: usize, instructions: usize) -> usize {
    match words / 2 % UNROLL {
        0 => 0,
        rest => (UNROLL - rest) * instructions * 4,
    }
}

/// 16-bit weights.
pub(super) const fn i16<const CASES: u64>() -> &'static Driven {
    const {
        &Driven {
            kernel: matmul_direct_i16_1x4::<CASES>,
            entry: |words| entry(words, 13),
            pixels: 1,
            word: 2,
        }
    }
}

/// 8-bit weights.
pub(super) const fn i8<const CASES: u64>() -> &'static Driven {
    const {
        &Driven {
            kernel: matmul_direct_i8_1x4::<CASES>,
            entry: |words| entry(words, 16),
            pixels: 1,
            word: 2,
        }
    }
}

/// One pixel, 16-bit weights, activations widened on the way: `job.panel` is bytes, a multiple of
/// four, on any boundary. For one block: each widens all of them again.
///
/// # Safety
///
/// As [`super::matmul_2x4`].
#[unsafe(naked)]
unsafe extern "C" fn matmul_direct_i16_1x4<const CASES: u64>(job: *const Job) {
    naked_asm!(
        dsp_cpu!(),
        prologue_1!(),
        start_1!(),
        "3: .rept 8
         ldr r9, [r0], #4
         ldmia.w r1!, {{r2, r3, r12, lr}}
         sxtb16 r8, r9
         smlad r4, r2, r8, r4
         smlad r5, r3, r8, r5
         smlad r6, r12, r8, r6
         smlad r7, lr, r8, r7
         ldmia.w r1!, {{r2, r3, r12, lr}}
         sxtb16 r8, r9, ror #8
         smlad r4, r2, r8, r4
         smlad r5, r3, r8, r5
         smlad r6, r12, r8, r6
         smlad r7, lr, r8, r7
         .endr",
        next!(),
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

/// One pixel, 8-bit weights, else as [`matmul_direct_i16_1x4`].
///
/// # Safety
///
/// As [`super::matmul_2x4`].
#[unsafe(naked)]
unsafe extern "C" fn matmul_direct_i8_1x4<const CASES: u64>(job: *const Job) {
    naked_asm!(
        dsp_cpu!(),
        prologue_1!(),
        start_1!(),
        "3: .rept 8
         ldr r9, [r0], #4
         ldmia.w r1!, {{r2, r3, r12, lr}}
         sxtb16 r8, r9
         sxtb16 r9, r9, ror #8
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
         .endr",
        next!(),
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
