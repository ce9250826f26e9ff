//! The inner products: widened activations against a stream of blocks of four output channels.
//!
//! Instructions for 16 multiplications: 11 with 16-bit weights and 12 with 8-bit ones for two
//! pixels, 10.5 and 13.5 for one. Two accumulators an operand is what keeps loads below
//! multiplications in cycles, and what fourteen registers allow.

use core::arch::naked_asm;

use super::requantise::{clamp, fixed_1, fixed_2, general, linear_i8, linear_i16, pack, plain};

/// Arguments of a kernel; it is copied to the stack, where the kernel keeps count in it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    /// Widened activations; of a pair of pixels word by word in turn.
    pub panel: *const u32,
    /// First channel of the first pixel; for `Form::Raw` eight (or four) `i32` instead.
    pub output: *mut u8,
    /// First channel of the second pixel.
    pub second: *mut u8,
    /// Where `output` ends: four bytes further for each block. Not read for `Form::Raw`.
    pub output_end: *mut u8,
    /// Where the first pair's activations end.
    pub panel_end: *const u32,
    /// Code bytes skipped by the first, shorter pass through the unrolled loop.
    pub entry: usize,
    /// Code of the form.
    pub form: usize,
    /// First block.
    pub weights: *const u8,
    /// Pairs of pixels, their activations one after another, their outputs too.
    pub pairs: usize,
    /// From a pixel's output to the next one's.
    pub stride: usize,
    /// Repeated in four bytes.
    pub min: u32,
    /// Repeated in four bytes.
    pub max: u32,
}

/// A kernel. It reads `words` of activations a pixel and the blocks' streams, and writes four
/// bytes a block and pixel (`Form::Raw`: all accumulators of one block, and returns).
pub(super) type Kernel = unsafe extern "C" fn(*const Job);

/// Activation words in a pass through the unrolled loop of a kernel for pairs.
const PAIR_UNROLL: usize = 32; // 256 bytes of a panel, see `prologue_2`.
/// Activation words in a pass through the unrolled loop of a kernel for single pixels.
const SINGLE_UNROLL: usize = 8;

/// Groups of four taps in a pass through the unrolled loop of a kernel that widens as it goes.
const DIRECT_UNROLL: usize = 8;

/// [`Job::entry`] of a kernel for pairs, whose loop holds `instructions` for a word.
const fn pair_entry(words: usize, instructions: usize) -> usize {
    match words % PAIR_UNROLL {
        0 => 0,
        rest => (PAIR_UNROLL - rest) * instructions * 4,
    }
}

/// [`Job::entry`] of a kernel for single pixels: the words that fill no pass come first, one by one.
const fn single_entry(words: usize, instructions: usize) -> usize {
    (SINGLE_UNROLL - 1 - words % SINGLE_UNROLL) * instructions * 4
}

/// [`Job::entry`] of [`pair_i16_2x4`].
pub(super) const fn entry_i16_2x4(words: usize) -> usize {
    pair_entry(words, 11)
}

/// [`Job::entry`] of [`pair_i8_2x4`].
pub(super) const fn entry_i8_2x4(words: usize) -> usize {
    pair_entry(words, 12)
}

/// [`Job::entry`] of [`single_i16_1x4`].
pub(super) const fn entry_i16_1x4(words: usize) -> usize {
    single_entry(words, 6)
}

/// [`Job::entry`] of [`single_i8_1x4`].
pub(super) const fn entry_i8_1x4(words: usize) -> usize {
    single_entry(words, 8)
}

/// [`Job::entry`] of [`direct_i16_1x4`]; words come in pairs.
pub(super) const fn entry_direct_i16_1x4(words: usize) -> usize {
    direct_entry(words, 13)
}

/// [`Job::entry`] of [`direct_i8_1x4`]; words come in pairs.
pub(super) const fn entry_direct_i8_1x4(words: usize) -> usize {
    direct_entry(words, 16)
}

/// [`Job::entry`] of a kernel that widens as it goes, whose loop holds `instructions` for each of
/// [`DIRECT_UNROLL`] groups of four taps.
const fn direct_entry(words: usize, instructions: usize) -> usize {
    match words / 2 % DIRECT_UNROLL {
        0 => 0,
        rest => (DIRECT_UNROLL - rest) * instructions * 4,
    }
}

/// Frame: the job at `sp`, its entry (offset 20) and form (24) turned into addresses.
/// `3:` is where entries count from, `9:` the table of epilogues. Then the first block.
macro_rules! prologue {
    () => {
        "push {{r4-r11, lr}}
         sub sp, #52
         ldmia.w r0!, {{r4-r11}}
         ldmia.w r0, {{r0, r1, r2, r3}}
         adr.w r12, 3f
         add.w r9, r9, r12
         orr r9, r9, #1
         adr.w r12, 9f
         ldr.w lr, [r12, r10, lsl #2]
         add.w r10, r12, lr
         stmia.w sp, {{r4-r11}}
         add.w r12, sp, #32
         stmia.w r12, {{r0, r1, r2, r3}}
         mov r0, r4
         mov r1, r11"
    };
}

/// After `prologue`, for pairs: where activations take more than one pass, the unrolled loop ends at
/// `6:`, else in the epilogue at once.
macro_rules! prologue_2 {
    () => {
        "str.w r10, [sp, #48]
         sub.w r12, r8, r4
         cmp.w r12, #256
         bls 2f
         adr.w r12, 6f
         orr r12, r12, #1
         str.w r12, [sp, #24]"
    };
}

/// The end of a pass over a pair's activations.
macro_rules! next_2 {
    () => {
        "ldr.w pc, [sp, #24]
         6: ldr.w r2, [sp, #16]
         cmp r0, r2
         bne.w 3b
         ldr.w pc, [sp, #48]"
    };
}

macro_rules! epilogue_table {
    () => {
        "8: add sp, #52
         pop {{r4-r11, pc}}
         .p2align 2
         9: .word 20f - 9b + 1
         .word 21f - 9b + 1
         .word 22f - 9b + 1
         .word 23f - 9b + 1
         .word 24f - 9b + 1"
    };
}

/// Biases, then the loop from its entry.
macro_rules! start_2 {
    () => {
        "2: ldmia.w r1, {{r8-r11}}
         ldmia.w r1!, {{r4-r7}}
         ldr.w pc, [sp, #20]"
    };
}

macro_rules! start_1 {
    () => {
        "2: ldmia.w r1!, {{r4-r7}}
         ldr.w pc, [sp, #20]"
    };
}

/// Back to `3:` until the activations end, then the epilogue.
macro_rules! next {
    () => {
        "ldr.w r2, [sp, #16]
         cmp r0, r2
         bne.w 3b
         ldr.w pc, [sp, #24]"
    };
}

/// Stores a word for each pixel; back to `2:` for the next block; else the next pair.
macro_rules! store_2 {
    () => {
        "ldmia.w sp, {{r0, r2, r3, r12}}
         str r4, [r2], #4
         str r8, [r3], #4
         strd r2, r3, [sp, #4]
         cmp r2, r12
         bne.w 2b
         b.w 7f"
    };
}

macro_rules! store_1 {
    () => {
        "ldmia.w sp, {{r0, r2, r3, r12}}
         str r4, [r2], #4
         str r2, [sp, #4]
         cmp r2, r12
         bne.w 2b
         b.w 8b"
    };
}

/// The next pair's activations follow, its output follows the second pixel's. In: `r0` the
/// activations of this pair, `r3` the end of its second output.
macro_rules! pair_2 {
    () => {
        "7: ldr r4, [sp, #16]
         ldr r1, [sp, #28]
         ldrd r6, r5, [sp, #32]
         subs r6, #1
         beq.w 8b
         str r6, [sp, #32]
         sub.w r7, r4, r0
         add.w r7, r7, r4
         str r7, [sp, #16]
         mov r0, r4
         add.w r8, r3, r5
         strd r4, r3, [sp]
         strd r8, r8, [sp, #8]
         b.w 2b"
    };
}

/// All epilogues of a pair; accumulators are scaled by `2^left` already.
macro_rules! unclamped_2 {
    ($channel:ident) => {
        concat!(
            $channel!("r4", "r8"),
            $channel!("r5", "r9"),
            $channel!("r6", "r10"),
            $channel!("r7", "r11"),
            pack!("r4", "r5", "r6", "r7"),
            pack!("r8", "r9", "r10", "r11"),
        )
    };
}

macro_rules! general_2 {
    () => {
        concat!(
            general!("r4", "r8"),
            general!("r5", "r9"),
            general!("r6", "r10"),
            general!("r7", "r11"),
            pack!("r4", "r5", "r6", "r7"),
            pack!("r8", "r9", "r10", "r11"),
            "ldrd r2, r3, [sp, #40]\n",
            clamp!("r4"),
            clamp!("r8"),
        )
    };
}

macro_rules! unclamped_1 {
    ($channel:ident) => {
        concat!(
            $channel!("r4"),
            $channel!("r5"),
            $channel!("r6"),
            $channel!("r7"),
            pack!("r4", "r5", "r6", "r7"),
        )
    };
}

macro_rules! general_1 {
    () => {
        concat!(
            general!("r4"),
            general!("r5"),
            general!("r6"),
            general!("r7"),
            pack!("r4", "r5", "r6", "r7"),
            "ldrd r2, r3, [sp, #40]\n",
            clamp!("r4"),
        )
    };
}

/// Each odd register from `256 * odd + even` to `256 * odd`, each even one times 256.
macro_rules! separate {
    ($($even:literal $odd:literal),+) => {
        concat!($(
            "sub.w ", $odd, ", ", $odd, ", ", $even, "\n",
            "lsl.w ", $even, ", ", $even, ", #8\n",
        )+)
    };
}

/// Each odd register from `256 * odd + even` to `odd`.
macro_rules! separate_raw {
    ($($even:literal $odd:literal),+) => {
        concat!($(
            "sub.w ", $odd, ", ", $odd, ", ", $even, "\n",
            "asr.w ", $odd, ", ", $odd, ", #8\n",
        )+)
    };
}

/// Pairs of pixels, 16-bit weights.
///
/// # Safety
///
/// `job` is valid and names memory of the lengths that its fields and the kernel's layout imply,
/// activations and weights on 4-byte boundaries.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn pair_i16_2x4(job: *const Job) {
    naked_asm!(
        dsp_cpu!(),
        prologue!(),
        prologue_2!(),
        start_2!(),
        "3: .rept 32
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
        epilogue_table!(),
        "20:",
        fixed_2!(),
        pack!("r4", "r5", "r6", "r7"),
        pack!("r8", "r9", "r10", "r11"),
        store_2!(),
        "21:",
        unclamped_2!(plain),
        store_2!(),
        "22:",
        general_2!(),
        store_2!(),
        "24:",
        unclamped_2!(linear_i16),
        store_2!(),
        "23: ldr.w r0, [sp, #4]
         stmia.w r0, {{r4-r11}}
         b.w 8b",
        pair_2!(),
    )
}

/// Pairs of pixels, 8-bit weights: even registers sum even channels, odd ones `256 * odd + even`.
///
/// # Safety
///
/// As [`pair_i16_2x4`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn pair_i8_2x4(job: *const Job) {
    naked_asm!(
        dsp_cpu!(),
        prologue!(),
        prologue_2!(),
        start_2!(),
        "3: .rept 32
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
        epilogue_table!(),
        "20: // No stream with 8-bit weights has the form.
         21:",
        separate!("r4" "r5", "r6" "r7", "r8" "r9", "r10" "r11"),
        unclamped_2!(plain),
        store_2!(),
        "22:",
        separate!("r4" "r5", "r6" "r7", "r8" "r9", "r10" "r11"),
        general_2!(),
        store_2!(),
        "24:",
        separate!("r4" "r5", "r6" "r7", "r8" "r9", "r10" "r11"),
        unclamped_2!(linear_i8),
        store_2!(),
        "23:",
        separate_raw!("r4" "r5", "r6" "r7", "r8" "r9", "r10" "r11"),
        "ldr.w r0, [sp, #4]
         stmia.w r0, {{r4-r11}}
         b.w 8b",
        pair_2!(),
    )
}

/// One pixel, 16-bit weights; `second`, `pairs` and `stride` of the job are not used.
///
/// # Safety
///
/// As [`pair_i16_2x4`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn single_i16_1x4(job: *const Job) {
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
/// As [`pair_i16_2x4`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn single_i8_1x4(job: *const Job) {
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

/// One pixel, 16-bit weights, activations widened on the way: `job.panel` is bytes, a multiple of
/// four, on any boundary. For one block: each widens all of them again.
///
/// # Safety
///
/// As [`pair_i16_2x4`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn direct_i16_1x4(job: *const Job) {
    naked_asm!(
        dsp_cpu!(),
        prologue!(),
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

/// One pixel, 8-bit weights, else as [`direct_i16_1x4`].
///
/// # Safety
///
/// As [`pair_i16_2x4`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn direct_i8_1x4(job: *const Job) {
    naked_asm!(
        dsp_cpu!(),
        prologue!(),
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
