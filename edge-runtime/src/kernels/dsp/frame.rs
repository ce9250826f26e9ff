//! The parts around the inner loops, as assembly: frame, order of blocks and pixels, stores.
//!
//! `r0` is the activations, `r1` the stream, `r4`-`r7` are the accumulators of a pixel, `r8`-`r11` those
//! of a second one. Names end in the number of pixels. Labels: `2:` a block begins, `3:` the unrolled
//! loop, `7:` a pair ends, `8:` return, `9:` the table of epilogues, which are `20:` to `24:`, in the
//! order of the codes of the forms.

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

/// As `prologue`, for one pixel: the frame is eight words, `min` at 8 and `max` at 28.
macro_rules! prologue_1 {
    () => {
        "push {{r4-r11, lr}}
         sub sp, #32
         ldrd r2, r3, [r0, #40]
         ldmia.w r0, {{r4-r11}}
         adr.w r12, 3f
         add.w r9, r9, r12
         orr r9, r9, #1
         adr.w r12, 9f
         ldr.w lr, [r12, r10, lsl #2]
         add.w r10, r12, lr
         mov r0, r4
         mov r1, r11
         mov r6, r2
         mov r11, r3
         stmia.w sp, {{r4-r11}}"
    };
}

/// After `prologue`, for pairs: where activations beyond the first word take more than one pass, the
/// unrolled loop ends at `6:`, else in the epilogue at once. If most take more (`whole` is 0) it
/// always ends at `6:`.
macro_rules! prologue_2 {
    () => {
        ".if {whole}
         str.w r10, [sp, #48]
         sub.w r12, r8, r4
         cmp.w r12, #{pass}
         bls 2f
         adr.w r12, 6f
         orr r12, r12, #1
         str.w r12, [sp, #24]
         .endif"
    };
}

/// The end of a pass over a pair's activations.
macro_rules! next_2 {
    () => {
        ".if {whole}
         ldr.w pc, [sp, #24]
         .endif
         6: ldr.w r2, [sp, #16]
         cmp r0, r2
         bne.w 3b
         .if {whole}
         ldr.w pc, [sp, #48]
         .else
         ldr.w pc, [sp, #24]
         .endif"
    };
}

macro_rules! epilogue_table {
    ($frame:literal) => {
        concat!(
            "8: add sp, #",
            $frame,
            "
         pop {{r4-r11, pc}}
         .p2align 2
         9: .word 20f - 9b + 1
         .word 21f - 9b + 1
         .word 22f - 9b + 1
         .word 23f - 9b + 1
         .word 24f - 9b + 1
         .word 25f - 9b + 1
         .word 26f - 9b + 1"
        )
    };
}

/// Biases, then the loop from its entry.
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
            "ldr r2, [sp, #8]\nldr r3, [sp, #28]\n",
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

/// Each odd register from `256 * odd + even` to `2 * odd`, each even one times 2.
macro_rules! separate_doubled {
    ($($even:literal $odd:literal),+) => {
        concat!($(
            "sub.w ", $odd, ", ", $odd, ", ", $even, "\n",
            "lsl.w ", $even, ", ", $even, ", #1\n",
            "asr.w ", $odd, ", ", $odd, ", #7\n",
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
