//! Inner products of two pixels and four output channels: for 16 multiplications 11 instructions with
//! 16-bit weights, 12 with 8-bit ones. Two loads an operand pair keep loads below multiplications in
//! cycles; eight accumulators are what fourteen registers allow.

use core::arch::naked_asm;

use super::job::{Driven, Job};
use crate::kernels::cases;
use crate::kernels::packing::dsp_blocks::Width;

/// Activation words in a pass through the unrolled loop: as many as the longest window has, if not too
/// many. A 3x3 window takes four times 18 for each 16 channels; where most of them are transformed, a
/// shorter loop costs little.
const fn unroll(cases: u64) -> usize {
    let words = cases::loop_words(cases);
    if cases != cases::ALL && cases & cases::WINOGRAD != 0 && words > 18 {
        18
    } else {
        words
    }
}

/// Bytes of a pair's activations that one pass takes, with the first word.
const fn pass(cases: u64) -> usize {
    (unroll(cases) + 1) * 8
}

/// [`Job::entry`], where the loop holds `instructions` for a word: a shorter first pass. The first word
/// comes before the loop, with the biases.
const fn entry(words: usize, unroll: usize, instructions: usize) -> usize {
    let left = match (words.saturating_sub(1), words.saturating_sub(1) % unroll) {
        (0, _) => 0,
        (_, 0) => unroll,
        (_, rest) => rest,
    };
    (unroll - left) * instructions * 4
}

/// 16-bit weights.
pub(super) const fn i16<const CASES: u64>() -> &'static Driven {
    const {
        &Driven {
            kernel: matmul_i16_2x4::<CASES>,
            entry: |words| entry(words, unroll(CASES), 11),
            pixels: 2,
            word: 4,
        }
    }
}

/// 8-bit weights.
pub(super) const fn i8<const CASES: u64>() -> &'static Driven {
    const {
        &Driven {
            kernel: matmul_i8_2x4::<CASES>,
            entry: |words| entry(words, unroll(CASES), 12),
            pixels: 2,
            word: 4,
        }
    }
}

/// Pairs of pixels, 16-bit weights.
///
/// # Safety
///
/// `job` is valid and names memory of the lengths that its fields and the kernel's layout imply,
/// activations and weights on 4-byte boundaries.
#[unsafe(naked)]
unsafe extern "C" fn matmul_i16_2x4<const CASES: u64>(job: *const Job) {
    naked_asm!(
        dsp_cpu!(),
        prologue!(),
        prologue_2!(),
        "2: ldmia.w r1!, {{r4-r7}}
         ldmia.w r0!, {{r2, r3}}
         ldmia.w r1!, {{r12, lr}}
         smlad r8, r12, r3, r4
         smlad r4, r12, r2, r4
         smlad r9, lr, r3, r5
         smlad r5, lr, r2, r5
         ldmia.w r1!, {{r12, lr}}
         smlad r10, r12, r3, r6
         smlad r6, r12, r2, r6
         smlad r11, lr, r3, r7
         smlad r7, lr, r2, r7
         ldr.w pc, [sp, #20]",
        "3: .rept {unroll}
         ldmia.w r0!, {{r2, r3}}
         ldmia.w r1!, {{r12, lr}}
         smlad r4, r12, r2, r4
         smlad r8, r12, r3, r8
         smlad r5, lr, r2, r5
         smlad r9, lr, r3, r9
         ldmia.w r1!, {{r12, lr}}
         smlad r6, r12, r2, r6
         smlad r10, r12, r3, r10
         smlad r7, lr, r2, r7
         smlad r11, lr, r3, r11
         .endr",
        next_2!(),
        epilogue_table!(52),
        "20:
         .if {forms} & 1",
        fixed_2!(),
        pack!("r4", "r5", "r6", "r7"),
        pack!("r8", "r9", "r10", "r11"),
        store_2!(),
        ".endif
         21:
         .if {forms} & 2",
        unclamped_2!(plain),
        store_2!(),
        ".endif
         22:
         .if {forms} & 4",
        general_2!(),
        store_2!(),
        ".endif
         24: // Streams with 16-bit weights do not have the other two.
         25:
         26:
         .if {forms} & 16",
        unclamped_2!(linear),
        store_2!(),
        ".endif
         23:
         .if {forms} & 8
         ldr.w r0, [sp, #4]
         stmia.w r0, {{r4-r11}}
         b.w 8b
         .endif",
        pair_2!(),
        forms = const cases::forms(CASES, Width::I16),
        unroll = const unroll(CASES),
        pass = const pass(CASES),
        whole = const (CASES & cases::WHOLE_LOOPS != 0) as u32,
    )
}

/// Pairs of pixels, 8-bit weights: even registers sum even channels, odd ones `256 * odd + even`.
///
/// # Safety
///
/// As [`matmul_i16_2x4`].
#[unsafe(naked)]
unsafe extern "C" fn matmul_i8_2x4<const CASES: u64>(job: *const Job) {
    naked_asm!(
        dsp_cpu!(),
        prologue!(),
        prologue_2!(),
        "2: ldmia.w r1!, {{r4-r7}}
         ldmia.w r0!, {{r2, r3}}
         ldmia.w r1!, {{r12, lr}}
         smlad r9, r12, r3, r5
         smlad r5, r12, r2, r5
         sxtb16 r12, r12
         smlad r11, lr, r3, r7
         smlad r7, lr, r2, r7
         sxtb16 lr, lr
         smlad r8, r12, r3, r4
         smlad r4, r12, r2, r4
         smlad r10, lr, r3, r6
         smlad r6, lr, r2, r6
         ldr.w pc, [sp, #20]",
        "3: .rept {unroll}
         ldmia.w r0!, {{r2, r3}}
         ldmia.w r1!, {{r12, lr}}
         smlad r5, r12, r2, r5
         smlad r9, r12, r3, r9
         sxtb16 r12, r12
         smlad r7, lr, r2, r7
         smlad r11, lr, r3, r11
         sxtb16 lr, lr
         smlad r4, r12, r2, r4
         smlad r8, r12, r3, r8
         smlad r6, lr, r2, r6
         smlad r10, lr, r3, r10
         .endr",
        next_2!(),
        epilogue_table!(52),
        "20: // Streams with 8-bit weights do not have three of the forms.
         21:
         24:
         25:
         .if {forms} & 32",
        separate!("r4" "r5", "r6" "r7", "r8" "r9", "r10" "r11"),
        "ldrd r0, r3, [sp, #40]\n",
        small!("r4", "r8"; "r5", "r9"; "r6", "r10"; "r7", "r11"),
        ".endif
         .if {forms} & 64
         b.w 27f
         .endif
         26:
         .if {forms} & 64",
        separate_doubled!("r4" "r5", "r6" "r7", "r8" "r9", "r10" "r11"),
        "ldr r0, [sp, #40]\n",
        small_linear!("r4", "r8"; "r5", "r9"; "r6", "r10"; "r7", "r11"),
        ".endif
         27:
         .if {forms} & 96",
        halve!("r4", "r5", "r6", "r7"),
        halve!("r8", "r9", "r10", "r11"),
        store_2!(),
        ".endif
         22:
         .if {forms} & 4",
        separate!("r4" "r5", "r6" "r7", "r8" "r9", "r10" "r11"),
        general_2!(),
        store_2!(),
        ".endif
         23:
         .if {forms} & 8",
        separate_raw!("r4" "r5", "r6" "r7", "r8" "r9", "r10" "r11"),
        "ldr.w r0, [sp, #4]
         stmia.w r0, {{r4-r11}}
         b.w 8b
         .endif",
        pair_2!(),
        forms = const cases::forms(CASES, Width::I8),
        unroll = const unroll(CASES),
        pass = const pass(CASES),
        whole = const (CASES & cases::WHOLE_LOOPS != 0) as u32,
    )
}
