//! The inner loops of [`super::depthwise`]: four channels at a time of one or two output rows.
//!
//! The input rows are read once for all outputs of a group of four channels, one word a pixel, and
//! widened into *columns* of 32 bytes: for each channel rows 0 and 1 as the halves of a word, then
//! rows 2 and 3. With weights as pairs of rows, a column of the kernel takes two instructions an
//! output: for the upper output (0, 1)·(0, 1) and 2·2, for the lower 1·0 and (2, 3)·(1, 2).
#![allow(unsafe_code)] // Assembly: the compiler has no other way to SMLAD.

use core::arch::naked_asm;

/// What the loops get; they copy it to their frame, and the assembly knows the offsets.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// Used by the loops.
    pub working: [u32; 4],
    /// Bytes from an output to the output two columns on.
    pub step: usize,
    /// Where in the columns the outputs that come in pairs end.
    pub pairs_end: *const u32,
    /// Four input rows. The lower of one output row is not used.
    pub rows: [*const i8; 4],
    /// Bytes from a pixel to the next, of input and output.
    pub channels: usize,
    /// Where the first pixel's column goes, and the end of the last one's.
    pub interior: [*mut u32; 2],
    /// The column under the left edge of the first output.
    pub columns: *const u32,
    /// Records of packing 5.
    pub records: *const u8,
    /// Upper and lower output row.
    pub outputs: [*mut i8; 2],
    /// Channels / 4, at least one.
    pub groups: usize,
    /// Not zero where a last output comes without a partner.
    pub odd: usize,
    /// Fills the last word.
    pub unused: u32,
}

/// Runs all groups of channels of one or two output rows.
///
/// # Safety
/// All pointers of `Rows` on 4-byte boundaries; four rows of `(interior[1] - interior[0]) / 8`
/// pixels of `channels = 4 · groups` bytes; `columns` up to the last output's last column valid,
/// those outside `interior` filled; `groups` times four records; output rows of as many pixels.
pub(super) type Kernel = unsafe extern "C" fn(&Rows);

/// Copies [`Rows`] to the frame, widens the columns of a group, and leaves r0 at the columns, r1
/// at the records and the four output pointers in the frame.
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
    1:  add r12, sp, #24
        ldm r12, {{r0-r6}}
        movs r8, #0
    2:  ldr r7, [r0, r8]
        ldr r9, [r1, r8]
        ldr r10, [r2, r8]
        ldr r11, [r3, r8]
        add r8, r8, r4
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
        cmp r5, r6
        bne 2b
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

/// After a block: to the next two outputs, or on to the one without a partner.
macro_rules! advance {
    ($columns:literal) => {
        concat!(
            "add r4, r4, r12\n",
            "add r5, r5, r12\n",
            "add r6, r6, r12\n",
            "add r7, r7, r12\n",
            "stm sp, {{r4-r7}}\n",
            "adds r0, #(32 * ",
            $columns,
            ")\n",
            "subs r1, #160\n",
            "cmp r0, lr\n",
            "bne 3b\n",
            "4: ldr r12, [sp, #72]\n",
            "cmp r12, #0\n",
            "beq 5f\n",
        )
    };
}

macro_rules! two_rows {
    ($name:ident, $form:ident) => {
        /// # Safety
        /// See [`Kernel`].
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(rows: &Rows) {
            naked_asm!(
                enter!(),
                "3:",
                channel_2x2!($form, "0"),
                channel_2x2!($form, "1"),
                channel_2x2!($form, "2"),
                channel_2x2!($form, "3"),
                advance!("2"),
                channel_2x1!($form, "0"),
                channel_2x1!($form, "1"),
                channel_2x1!($form, "2"),
                channel_2x1!($form, "3"),
                "subs r1, #160",
                leave!(),
            )
        }
    };
}

macro_rules! one_row {
    ($name:ident, $stride:tt, $columns:literal, $form:ident) => {
        /// # Safety
        /// See [`Kernel`].
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(rows: &Rows) {
            naked_asm!(
                enter!(),
                "3:",
                channel_1x2!($stride, $form, "0"),
                channel_1x2!($stride, $form, "1"),
                channel_1x2!($stride, $form, "2"),
                channel_1x2!($stride, $form, "3"),
                advance!($columns),
                channel_1x1!($form, "0"),
                channel_1x1!($form, "1"),
                channel_1x1!($form, "2"),
                channel_1x1!($form, "3"),
                "subs r1, #160",
                leave!(),
            )
        }
    };
}

two_rows!(two_rows_fixed, Fixed);
two_rows!(two_rows_merged, Merged);
two_rows!(two_rows_ties, Ties);
one_row!(one_row_fixed, 1, "2", Fixed);
one_row!(one_row_merged, 1, "2", Merged);
one_row!(one_row_ties, 1, "2", Ties);
one_row!(one_row_stride_2_fixed, 2, "4", Fixed);
one_row!(one_row_stride_2_merged, 2, "4", Merged);
one_row!(one_row_stride_2_ties, 2, "4", Ties);
