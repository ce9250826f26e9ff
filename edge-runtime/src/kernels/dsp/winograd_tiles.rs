//! The outputs of two tiles, for [`super::winograd`] from what [`super::winograd_inputs`] leaves.
#![allow(unsafe_code)] // Assembly: the compiler has no other way to SMLAD.

use core::arch::naked_asm;

/// What the outputs of two tiles are computed from.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    /// 16 positions of eight sums: those of the four output channels, each of both tiles.
    pub sums: *mut u32,
    /// The inputs after the last.
    pub inputs_end: *const u32,
    /// Bytes of the inputs less those of a position: `64 · channels - 16`.
    pub back: usize,
    /// The sums after the last.
    pub sums_end: *const u32,
    /// Upper left, upper right, lower left, lower right output of the first tile, then of the
    /// second.
    pub outputs: [*mut i8; 8],
    /// Blocks of packing 3.
    pub blocks: *const u8,
    /// Transformed inputs.
    pub inputs: *const u32,
    /// Output channels / 4, at least one.
    pub count: usize,
    /// Fills the last word.
    pub unused: u32,
}

/// Two input channels of both tiles and four outputs: 16 products in 11 instructions. r0: inputs,
/// r1: weights, r6-r12 and lr: sums.
macro_rules! step {
    ($mul:ident, $at:expr) => {
        concat!(
            "ldrd r2, r3, [r0, #(",
            $at,
            ")]\n",
            "ldm r1!, {{r4, r5}}\n",
            product!($mul, "r6", "r2", "r4"),
            product!($mul, "r7", "r3", "r4"),
            product!($mul, "r8", "r2", "r5"),
            product!($mul, "r9", "r3", "r5"),
            "ldm r1!, {{r4, r5}}\n",
            product!($mul, "r10", "r2", "r4"),
            product!($mul, "r11", "r3", "r4"),
            product!($mul, "r12", "r2", "r5"),
            product!($mul, "lr", "r3", "r5"),
        )
    };
}

macro_rules! product {
    (first, $sum:literal, $x:literal, $w:literal) => {
        concat!("smuad ", $sum, ", ", $x, ", ", $w, "\n")
    };
    (next, $sum:literal, $x:literal, $w:literal) => {
        concat!("smlad ", $sum, ", ", $x, ", ", $w, ", ", $sum, "\n")
    };
}

/// Sixteen input channels, those of position `$row` after the one in r0.
macro_rules! sixteen {
    ($mul:ident, $row:literal) => {
        concat!(
            step!($mul, concat!("16 * ", $row, " + 0")),
            step!(next, concat!("16 * ", $row, " + 8")),
            step!(next, concat!("16 * ", $row, " + 256")),
            step!(next, concat!("16 * ", $row, " + 264")),
            step!(next, concat!("16 * ", $row, " + 512")),
            step!(next, concat!("16 * ", $row, " + 520")),
            step!(next, concat!("16 * ", $row, " + 768")),
            step!(next, concat!("16 * ", $row, " + 776")),
        )
    };
}

/// A position of more than sixteen channels. The sums of the row before are kept: the columns'
/// transformation is cheaper on running sums.
macro_rules! position {
    ($label:literal, $($first:ident)?) => {
        concat!(
            $(
                sixteen!($first, "0"),
                "add r0, r0, #1024\n",
            )?
            $label, ":\n",
            sixteen!(next, "0"),
            "add r0, r0, #1024\n",
            "ldr r2, [sp, #4]\n",
            "cmp r0, r2\n",
            "bne ", $label, "b\n",
            "ldm sp, {{r2, r3, r4}}\n",
            "stm r2!, {{r6-r12, lr}}\n",
            "adds r3, #16\n",
            "strd r2, r3, [sp]\n",
            "subs r0, r0, r4\n",
        )
    };
}

/// A position of sixteen channels.
macro_rules! position_16 {
    ($mul:ident, $row:literal) => {
        concat!(
            sixteen!($mul, $row),
            "ldr r2, [sp]\n",
            "stm r2!, {{r6-r12, lr}}\n",
            "str r2, [sp]\n",
        )
    };
}

/// Column `$column` of the running sums `$at` words on from r0: with sums `s0` to `s3` after each
/// row, `m0 + m1 + m2 = s2` and `m1 - m2 - m3 = 2 s1 - s0 - s3`.
macro_rules! sums {
    ($at:literal, $column:literal, $upper:literal, $lower:literal) => {
        concat!(
            "ldr r2, [r0, #(128 * ",
            $column,
            " + 4 * ",
            $at,
            ")]\n",
            "ldr ",
            $lower,
            ", [r0, #(128 * ",
            $column,
            " + 32 + 4 * ",
            $at,
            ")]\n",
            "ldr ",
            $upper,
            ", [r0, #(128 * ",
            $column,
            " + 64 + 4 * ",
            $at,
            ")]\n",
            "ldr r3, [r0, #(128 * ",
            $column,
            " + 96 + 4 * ",
            $at,
            ")]\n",
            "rsb ",
            $lower,
            ", r2, ",
            $lower,
            ", lsl #1\n",
            "sub ",
            $lower,
            ", ",
            $lower,
            ", r3\n",
        )
    };
}

/// From four times accumulators to outputs, see [`crate::kernels::packing::winograd_dsp::Form`];
/// r3: multiplier, r12: addend, lr: shift; r2 is lost.
macro_rules! finish {
    (Merged, $($acc:literal)+) => {
        concat!(
            $("smmla ", $acc, ", ", $acc, ", r3, r12\n",)+
            $("asr ", $acc, ", ", $acc, ", lr\n",)+
            $("ssat ", $acc, ", #8, ", $acc, "\n",)+
        )
    };
    (Ties, $($acc:literal)+) => {
        concat!(
            $(
                "asr r2, ", $acc, ", #1\n",
                "smmlar r2, r2, r3, r12\n",
                "add r2, r2, ", $acc, ", asr #31\n",
                "asr r2, r2, lr\n",
                "ssat ", $acc, ", #8, r2\n",
            )+
        )
    };
}

/// The four outputs of a tile and a channel. `$at`: the sums' word, `$outputs`: where in the frame
/// the pointers are; with `$next` the channel's parameters are left
/// behind. `$channel`: which of the four.
macro_rules! outputs {
    ($form:ident, $at:literal, $outputs:literal, $next:literal, $channel:tt) => {
        concat!(
            sums!($at, "0", "r4", "r8"),
            sums!($at, "1", "r5", "r9"),
            sums!($at, "2", "r6", "r10"),
            sums!($at, "3", "r7", "r11"),
            "ldm r1", $next, ", {{r2, r3, r12, lr}}\n",
            // The bias counts once in each output: position 1, 1 has the sign + in all.
            "add r5, r5, r2\n",
            "add r9, r9, r2\n",
            "add r4, r4, r5\n",
            "add r4, r4, r6\n",
            "sub r5, r5, r6\n",
            "sub r5, r5, r7\n",
            "add r8, r8, r9\n",
            "add r8, r8, r10\n",
            "sub r9, r9, r10\n",
            "sub r9, r9, r11\n",
            finish!($form, "r4" "r5" "r8" "r9"),
            "ldrd r6, r7, [sp, #", $outputs, "]\n",
            "ldrd r10, r11, [sp, #(", $outputs, " + 8)]\n",
            store!($outputs, $channel),
        )
    };
}

/// Stores the four outputs. The first of four channels moves the pointers on.
macro_rules! store {
    ($outputs:literal, 0) => {
        concat!(
            "strb r4, [r6], #4\n",
            "strb r5, [r7], #4\n",
            "strb r8, [r10], #4\n",
            "strb r9, [r11], #4\n",
            "strd r6, r7, [sp, #",
            $outputs,
            "]\n",
            "strd r10, r11, [sp, #(",
            $outputs,
            " + 8)]\n",
        )
    };
    ($outputs:literal, $channel:literal) => {
        concat!(
            "strb r4, [r6, #(",
            $channel,
            " - 4)]\n",
            "strb r5, [r7, #(",
            $channel,
            " - 4)]\n",
            "strb r8, [r10, #(",
            $channel,
            " - 4)]\n",
            "strb r9, [r11, #(",
            $channel,
            " - 4)]\n",
        )
    };
}

/// # Safety
/// As [`Tiles`] says: `count` blocks, `inputs` up to `inputs_end`, 512 bytes of sums, outputs of
/// `4 · count` bytes.
pub(super) type Kernel = unsafe extern "C" fn(&Tiles);

macro_rules! two_tiles {
    ($name:ident, $form:ident, $($position:expr,)+) => {
        /// # Safety
        /// See [`Kernel`].
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(tiles: &Tiles) {
            naked_asm!(
                dsp_cpu!(),
                "
                push {{r4-r11, lr}}
                sub sp, #64
                mov r12, sp
                ldm r0!, {{r1-r8}}
                stm r12!, {{r1-r8}}
                ldm r0!, {{r1-r8}}
                stm r12!, {{r1-r8}}
                ldrd r1, r0, [sp, #48]
            1:
                ",
                $($position,)+
                "
                ldr r2, [sp]
                ldr r3, [sp, #12]
                cmp r2, r3
                bne 1b
                sub r0, r2, #512
                str r0, [sp]
                ",
                outputs!($form, "0", "16", "", 0),
                outputs!($form, "1", "32", "!", 0),
                outputs!($form, "2", "16", "", 1),
                outputs!($form, "3", "32", "!", 1),
                outputs!($form, "4", "16", "", 2),
                outputs!($form, "5", "32", "!", 2),
                outputs!($form, "6", "16", "", 3),
                outputs!($form, "7", "32", "!", 3),
                "
                ldr r3, [sp, #4]
                subs r3, #256
                str r3, [sp, #4]
                ldr r0, [sp, #52]
                ldr r2, [sp, #56]
                subs r2, #1
                str r2, [sp, #56]
                bne 1b
                add sp, #64
                pop {{r4-r11, pc}}
                "
            )
        }
    };
}

// The first row of a column starts its sums; with sixteen channels no loop is needed.
two_tiles!(
    two_tiles_merged,
    Merged,
    position!("2", first),
    position!("2",),
    position!("2",),
    position!("2",),
);
two_tiles!(
    two_tiles_ties,
    Ties,
    position!("2", first),
    position!("2",),
    position!("2",),
    position!("2",),
);
two_tiles!(
    two_tiles_16_merged,
    Merged,
    position_16!(first, "0"),
    position_16!(next, "1"),
    position_16!(next, "2"),
    position_16!(next, "3"),
    "adds r0, #64\n",
);
two_tiles!(
    two_tiles_16_ties,
    Ties,
    position_16!(first, "0"),
    position_16!(next, "1"),
    position_16!(next, "2"),
    position_16!(next, "3"),
    "adds r0, #64\n",
);
