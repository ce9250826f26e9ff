//! The parts of the loops in [`super::depthwise_rows`], which says what they work on; offsets in the
//! frame are those of `Rows`.

/// Copies `Rows` to the frame.
macro_rules! enter {
    () => {
        "
        push {{r4-r11, lr}}
        sub sp, #80
        mov r11, sp
        ldm r0!, {{r1-r10}}
        stm r11!, {{r1-r10}}
        ldm r0!, {{r1-r10}}
        stm r11!, {{r1-r10}}
        "
    };
}

/// Reads a pixel of four rows and stores their pairs; r0-r3: the rows, r8: the pixel, r5: where to.
macro_rules! widen_pairs {
    () => {
        "
        ldr r7, [r0, r8]
        ldr r9, [r1, r8]
        ldr r10, [r2, r8]
        ldr r11, [r3, r8]
        pkhbt r12, r7, r9, lsl #16
        pkhtb r7, r9, r7, asr #16
        pkhbt lr, r10, r11, lsl #16
        pkhtb r10, r11, r10, asr #16
        sxtb16 r9, r12
        sxtb16 r11, lr
        sxtb16 r12, r12, ror #8
        sxtb16 lr, lr, ror #8
        stm r5!, {{r9, r11, r12, lr}}
        sxtb16 r9, r7
        sxtb16 r11, r10
        sxtb16 r12, r7, ror #8
        sxtb16 lr, r10, ror #8
        stm r5!, {{r9, r11, r12, lr}}
        "
    };
}

/// Widens the columns of four channels and leaves r0 at the columns, r1 at the records and the four
/// output pointers in the frame.
macro_rules! widen {
    () => {
        concat!(
            "
        1:  add r12, sp, #24
            ldm r12, {{r0-r6}}
            movs r8, #0
        2:
            ",
            widen_pairs!(),
            "
            add r8, r8, r4
            cmp r5, r6
            bne 2b
            ",
            widened!(),
        )
    };
}

/// As `widen`, with a fifth row.
macro_rules! widen_five {
    () => {
        concat!(
            "
        1:  add r12, sp, #24
            ldm r12, {{r0-r5}}
            ldr r6, [sp, #76]
            movs r8, #0
        2:
            ",
            widen_pairs!(),
            "
            ldr r9, [r6, r8]
            ldr r7, [sp, #48]
            add r8, r8, r4
            sxtb16 r10, r9
            sxtb16 r11, r9, ror #8
            stm r5!, {{r10, r11}}
            cmp r5, r7
            bne 2b
            adds r6, #4
            str r6, [sp, #76]
            ",
            widened!(),
        )
    };
}

/// Moves rows and outputs on to the next four channels.
macro_rules! widened {
    () => {
        "
        adds r0, #4
        adds r1, #4
        adds r2, #4
        adds r3, #4
        add r12, sp, #24
        stm r12, {{r0-r3}}
        mov r12, r4
        ldr r4, [sp, #60]
        ldr r6, [sp, #64]
        ldr r0, [sp, #52]
        ldr r1, [sp, #56]
        ldr lr, [sp, #20]
        add r5, r4, r12
        add r7, r6, r12
        stm sp, {{r4-r7}}
        adds r4, #4
        adds r6, #4
        str r4, [sp, #60]
        str r6, [sp, #64]
        cmp r0, lr
        beq 4f
        "
    };
}

/// Goes on with the next group, or returns.
macro_rules! leave {
    () => {
        "
    5:  adds r1, #160
        str r1, [sp, #56]
        ldr r0, [sp, #68]
        subs r0, #1
        str r0, [sp, #68]
        bne 1b
        add sp, #80
        pop {{r4-r11, pc}}
        "
    };
}

/// Reads column `$column` of channel `$channel`: rows 0 and 1 to r12, 2 and 3 to lr.
macro_rules! column {
    ($channel:literal, $column:literal) => {
        concat!(
            "ldrd r12, lr, [r0, #(32 * ",
            $column,
            " + 8 * ",
            $channel,
            ")]\n"
        )
    };
}

/// A kernel column with weights `$w01`, `$w12` of an upper output; the sum goes from `$from` to
/// `$to`.
macro_rules! upper {
    ($to:literal, $from:literal, $w01:literal, $w12:literal) => {
        concat!(
            "smlad ", $to, ", r12, ", $w01, ", ", $from, "\n", "smlabt ", $to, ", lr, ", $w12,
            ", ", $to, "\n",
        )
    };
}

/// As `upper`, of a lower output.
macro_rules! lower {
    ($to:literal, $from:literal, $w01:literal, $w12:literal) => {
        concat!(
            "smlatb ", $to, ", r12, ", $w01, ", ", $from, "\n", "smlad ", $to, ", lr, ", $w12,
            ", ", $to, "\n",
        )
    };
}

/// From accumulators to outputs, see [`crate::kernels::packing::depthwise_dsp::Form`].
macro_rules! finish {
    (Fixed, $($acc:literal)+) => {
        concat!(
            "ldrd r2, r3, [r1], #12\n",
            $("smmla ", $acc, ", ", $acc, ", r2, r3\n",)+
            $("ssat ", $acc, ", #8, ", $acc, ", asr #10\n",)+
        )
    };
    (Merged, $($acc:literal)+) => {
        concat!(
            "ldm r1!, {{r2, r3, r12}}\n",
            $("smmla ", $acc, ", ", $acc, ", r2, r3\n",)+
            $("asr ", $acc, ", ", $acc, ", r12\n",)+
            $("ssat ", $acc, ", #8, ", $acc, "\n",)+
        )
    };
    (Ties, $($acc:literal)+) => {
        concat!(
            "ldm r1!, {{r2, r3, r12}}\n",
            $(
                "smmlar r4, ", $acc, ", r2, r3\n",
                "add r4, r4, ", $acc, ", asr #31\n",
                "asr r4, r4, r12\n",
                "ssat ", $acc, ", #8, r4\n",
            )+
        )
    };
}

/// A kernel column of both outputs with stride 2; the word with the fifth row is read to r12 after.
macro_rules! both {
    ($upper:literal, $lower:literal, $from:literal, $from_lower:literal, $w01:literal, $w12:literal) => {
        concat!(
            "smlad ",
            $upper,
            ", r12, ",
            $w01,
            ", ",
            $from,
            "\n",
            "smlabt ",
            $upper,
            ", lr, ",
            $w12,
            ", ",
            $upper,
            "\n",
            "smlad ",
            $lower,
            ", lr, ",
            $w01,
            ", ",
            $from_lower,
            "\n",
        )
    };
}

/// Column `$column` of channel `$channel`, 40 bytes a column.
macro_rules! column_of_five {
    ($channel:literal, $column:literal) => {
        concat!(
            "ldrd r12, lr, [r0, #(40 * ",
            $column,
            " + 8 * ",
            $channel,
            ")]\n"
        )
    };
}

/// The fifth row of the column: `$fifth` is the instruction for the half that the channel has, then
/// the offset of its word.
macro_rules! fifth {
    ($column:literal, [$mul:literal, $at:literal], $($sum:literal $w12:literal)+) => {
        concat!(
            "ldr r12, [r0, #(40 * ", $column, " + ", $at, ")]\n",
            $($mul, " ", $sum, ", r12, ", $w12, ", ", $sum, "\n",)+
        )
    };
}

macro_rules! channel_2x2_stride_2 {
    ($form:ident, $channel:literal, $fifth:tt) => {
        concat!(
            "ldm r1!, {{r2-r8}}\n",
            column_of_five!($channel, "0"),
            both!("r9", "r10", "r8", "r8", "r2", "r3"),
            fifth!("0", $fifth, "r10" "r3"),
            column_of_five!($channel, "1"),
            both!("r9", "r10", "r9", "r10", "r4", "r5"),
            fifth!("1", $fifth, "r10" "r5"),
            column_of_five!($channel, "2"),
            both!("r9", "r10", "r9", "r10", "r6", "r7"),
            both!("r11", "r8", "r8", "r8", "r2", "r3"),
            fifth!("2", $fifth, "r10" "r7" "r8" "r3"),
            column_of_five!($channel, "3"),
            both!("r11", "r8", "r11", "r8", "r4", "r5"),
            fifth!("3", $fifth, "r8" "r5"),
            column_of_five!($channel, "4"),
            both!("r11", "r8", "r11", "r8", "r6", "r7"),
            fifth!("4", $fifth, "r8" "r7"),
            finish!($form, "r9" "r10" "r11" "r8"),
            "ldm sp, {{r4-r7, r12, lr}}\n",
            "strb r9, [r4, #", $channel, "]\n",
            "strb r11, [r5, #", $channel, "]\n",
            "strb r10, [r6, #", $channel, "]\n",
            "strb r8, [r7, #", $channel, "]\n",
        )
    };
}

macro_rules! channel_2x1_stride_2 {
    ($form:ident, $channel:literal, $fifth:tt) => {
        concat!(
            "ldm r1!, {{r2-r8}}\n",
            column_of_five!($channel, "0"),
            both!("r9", "r10", "r8", "r8", "r2", "r3"),
            fifth!("0", $fifth, "r10" "r3"),
            column_of_five!($channel, "1"),
            both!("r9", "r10", "r9", "r10", "r4", "r5"),
            fifth!("1", $fifth, "r10" "r5"),
            column_of_five!($channel, "2"),
            both!("r9", "r10", "r9", "r10", "r6", "r7"),
            fifth!("2", $fifth, "r10" "r7"),
            finish!($form, "r9" "r10"),
            "ldm sp, {{r4-r6}}\n",
            "strb r9, [r4, #", $channel, "]\n",
            "strb r10, [r6, #", $channel, "]\n",
        )
    };
}

macro_rules! channel_2x2 {
    ($form:ident, $channel:literal) => {
        concat!(
            // r2-r7: weights; r8: bias, later the lower right sum; r9: upper left; r10: lower
            // left; r11: upper right.
            "ldm r1!, {{r2-r8}}\n",
            column!($channel, "0"),
            upper!("r9", "r8", "r2", "r3"),
            lower!("r10", "r8", "r2", "r3"),
            column!($channel, "1"),
            upper!("r9", "r9", "r4", "r5"),
            lower!("r10", "r10", "r4", "r5"),
            upper!("r11", "r8", "r2", "r3"),
            lower!("r8", "r8", "r2", "r3"),
            column!($channel, "2"),
            upper!("r9", "r9", "r6", "r7"),
            lower!("r10", "r10", "r6", "r7"),
            upper!("r11", "r11", "r4", "r5"),
            lower!("r8", "r8", "r4", "r5"),
            column!($channel, "3"),
            upper!("r11", "r11", "r6", "r7"),
            lower!("r8", "r8", "r6", "r7"),
            finish!($form, "r9" "r10" "r11" "r8"),
            "ldm sp, {{r4-r7, r12, lr}}\n",
            "strb r9, [r4, #", $channel, "]\n",
            "strb r11, [r5, #", $channel, "]\n",
            "strb r10, [r6, #", $channel, "]\n",
            "strb r8, [r7, #", $channel, "]\n",
        )
    };
}

macro_rules! channel_2x1 {
    ($form:ident, $channel:literal) => {
        concat!(
            "ldm r1!, {{r2-r8}}\n",
            column!($channel, "0"),
            upper!("r9", "r8", "r2", "r3"),
            lower!("r10", "r8", "r2", "r3"),
            column!($channel, "1"),
            upper!("r9", "r9", "r4", "r5"),
            lower!("r10", "r10", "r4", "r5"),
            column!($channel, "2"),
            upper!("r9", "r9", "r6", "r7"),
            lower!("r10", "r10", "r6", "r7"),
            finish!($form, "r9" "r10"),
            "ldm sp, {{r4-r6}}\n",
            "strb r9, [r4, #", $channel, "]\n",
            "strb r10, [r6, #", $channel, "]\n",
        )
    };
}

macro_rules! channel_1x2 {
    (1, $form:ident, $channel:literal) => {
        concat!(
            "ldm r1!, {{r2-r8}}\n",
            column!($channel, "0"),
            upper!("r9", "r8", "r2", "r3"),
            column!($channel, "1"),
            upper!("r9", "r9", "r4", "r5"),
            upper!("r8", "r8", "r2", "r3"),
            column!($channel, "2"),
            upper!("r9", "r9", "r6", "r7"),
            upper!("r8", "r8", "r4", "r5"),
            column!($channel, "3"),
            upper!("r8", "r8", "r6", "r7"),
            finish!($form, "r9" "r8"),
            "ldm sp, {{r4-r7, r12, lr}}\n",
            "strb r9, [r4, #", $channel, "]\n",
            "strb r8, [r5, #", $channel, "]\n",
        )
    };
    (2, $form:ident, $channel:literal) => {
        concat!(
            "ldm r1!, {{r2-r8}}\n",
            column!($channel, "0"),
            upper!("r9", "r8", "r2", "r3"),
            column!($channel, "1"),
            upper!("r9", "r9", "r4", "r5"),
            column!($channel, "2"),
            upper!("r9", "r9", "r6", "r7"),
            upper!("r8", "r8", "r2", "r3"),
            column!($channel, "3"),
            upper!("r8", "r8", "r4", "r5"),
            column!($channel, "4"),
            upper!("r8", "r8", "r6", "r7"),
            finish!($form, "r9" "r8"),
            "ldm sp, {{r4-r7, r12, lr}}\n",
            "strb r9, [r4, #", $channel, "]\n",
            "strb r8, [r5, #", $channel, "]\n",
        )
    };
}

macro_rules! channel_1x1 {
    ($form:ident, $channel:literal) => {
        concat!(
            "ldm r1!, {{r2-r8}}\n",
            column!($channel, "0"),
            upper!("r8", "r8", "r2", "r3"),
            column!($channel, "1"),
            upper!("r8", "r8", "r4", "r5"),
            column!($channel, "2"),
            upper!("r8", "r8", "r6", "r7"),
            finish!($form, "r8"),
            "ldr r4, [sp]\n",
            "strb r8, [r4, #",
            $channel,
            "]\n",
        )
    };
}

/// The four channels of one output, in a loop to `3:`. Output rows begin on 4-byte boundaries, so the
/// address of the last channel's successor is one too.
macro_rules! channel_any {
    ($form:ident) => {
        concat!(
            "ldm r1!, {{r2-r8}}\n",
            column!("0", "0"),
            upper!("r8", "r8", "r2", "r3"),
            column!("0", "1"),
            upper!("r8", "r8", "r4", "r5"),
            column!("0", "2"),
            upper!("r8", "r8", "r6", "r7"),
            finish!($form, "r8"),
            "ldr r4, [sp]\n",
            "adds r0, #8\n",
            "strb r8, [r4], #1\n",
            "str r4, [sp]\n",
            "tst r4, #3\n",
            "bne 3b\n",
        )
    };
}

/// After a block: to the next two outputs, or on to the one without a partner.
macro_rules! advance {
    ($bytes:literal) => {
        concat!(
            "add r4, r4, r12\n",
            "add r5, r5, r12\n",
            "add r6, r6, r12\n",
            "add r7, r7, r12\n",
            "stm sp, {{r4-r7}}\n",
            "adds r0, #",
            $bytes,
            "\n",
            "subs r1, #160\n",
            "cmp r0, lr\n",
            "bne 3b\n",
            "4: ldr r12, [sp, #72]\n",
            "cmp r12, #0\n",
            "beq 5f\n",
        )
    };
}
