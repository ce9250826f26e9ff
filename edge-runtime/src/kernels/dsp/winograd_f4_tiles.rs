//! The outputs of two tiles, for [`super::winograd_f4`] from what [`super::winograd_f4_inputs`] leaves.
#![allow(unsafe_code)] // Assembly: the compiler has no other way to SMLAD.

use core::arch::naked_asm;

/// What the outputs of two tiles are computed from; the assembly knows the offsets.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    /// 36 positions of eight sums: those of the four output channels, each of both tiles.
    pub sums: *mut u32,
    /// The inputs after the last.
    pub inputs_end: *const u32,
    /// Bytes of the inputs less those of a position and sixteen channels.
    pub back: usize,
    /// The sums after the last.
    pub sums_end: *const u32,
    /// Used by the loops: as `outputs`.
    pub current: *const *mut i8,
    /// Used by the loops: 0.
    pub channel: usize,
    /// The outputs of the first tile, row by row, then of the second.
    pub outputs: *const *mut i8,
    /// After the last.
    pub outputs_end: *const *mut i8,
    /// Blocks of packing 4.
    pub blocks: *const u8,
    /// Transformed inputs.
    pub inputs: *const u32,
    /// Output channels / 4, at least one.
    pub count: usize,
    /// After the sums of the first position.
    pub first_end: *const u32,
}

/// Two input channels of both tiles and four outputs: 16 products in 11 instructions. r0: inputs,
/// r1: weights, r6-r12 and lr: sums.
macro_rules! step {
    ($mul:ident) => {
        concat!(
            "ldm r0!, {{r2, r3}}\n",
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

macro_rules! sixteen {
    ($mul:ident) => {
        concat!(
            step!($mul),
            step!(next),
            step!(next),
            step!(next),
            step!(next),
            step!(next),
            step!(next),
            step!(next),
        )
    };
}

/// A position of more than sixteen channels.
macro_rules! position {
    () => {
        position!("")
    };
    ($after_sixteen:literal) => {
        concat!(
            sixteen!(first),
            "add r0, r0, #2240\n",
            $after_sixteen,
            "2:\n",
            sixteen!(next),
            "add r0, r0, #2240\n",
            "ldr r2, [sp, #4]\n",
            "cmp r0, r2\n",
            "bne 2b\n",
            "7:\n",
            "ldm sp, {{r2, r3, r4}}\n",
            "stm r2!, {{r6-r12, lr}}\n",
            "adds r3, #64\n",
            "strd r2, r3, [sp]\n",
            "subs r0, r0, r4\n",
        )
    };
}

/// A position of any number of channels.
macro_rules! position_any {
    () => {
        position!("ldr r2, [sp, #4]\ncmp r0, r2\nbeq 7f\n")
    };
}

/// Two positions of sixteen channels.
macro_rules! positions_16 {
    () => {
        concat!(
            sixteen!(first),
            "ldr r2, [sp]\n",
            "stm r2!, {{r6-r12, lr}}\n",
            "str r2, [sp]\n",
            sixteen!(first),
            "ldr r2, [sp]\n",
            "stm r2!, {{r6-r12, lr}}\n",
            "str r2, [sp]\n",
        )
    };
}

/// One dimension of `Aᵀ M A` with the scales of `G` taken back:
/// `[6, -4, -4, 1, 1, 0]`, half of `[0, -4, 4, 2, -2, 0]`, a quarter of `[0, -4, -4, 4, 4, 0]` and
/// of `[0, -4, 4, 8, -8, 24]`, in r10, r11, r9, r3, of six words from r0 + `$at` on.
macro_rules! sums {
    ($at:expr, $step:literal) => {
        concat!(
            "ldr r2, [r0, #(",
            $at,
            ")]\n",
            "ldr r3, [r0, #(",
            $at,
            " + ",
            $step,
            ")]\n",
            "ldr r4, [r0, #(",
            $at,
            " + 2 * ",
            $step,
            ")]\n",
            "ldr r5, [r0, #(",
            $at,
            " + 3 * ",
            $step,
            ")]\n",
            "ldr r6, [r0, #(",
            $at,
            " + 4 * ",
            $step,
            ")]\n",
            "ldr r7, [r0, #(",
            $at,
            " + 5 * ",
            $step,
            ")]\n",
            "add r8, r3, r4\n",
            "sub r3, r3, r4\n",
            "add r9, r5, r6\n",
            "sub r5, r5, r6\n",
            "add r2, r2, r2, lsl #1\n",
            "sub r10, r9, r8, lsl #2\n",
            "add r10, r10, r2, lsl #1\n",
            "sub r11, r5, r3, lsl #1\n",
            "sub r9, r9, r8\n",
            "add r7, r7, r7, lsl #1\n",
            "rsb r3, r3, r5, lsl #1\n",
            "add r3, r3, r7, lsl #1\n",
        )
    };
}

/// Column `$at / 192` of a tile's sums, in place.
macro_rules! vertical {
    ($at:literal) => {
        concat!(
            sums!($at, "32"),
            "str r10, [r0, #(",
            $at,
            ")]\n",
            "str r11, [r0, #(",
            $at,
            " + 32)]\n",
            "str r9, [r0, #(",
            $at,
            " + 64)]\n",
            "str r3, [r0, #(",
            $at,
            " + 96)]\n",
        )
    };
}

/// From 64 times accumulators to outputs, see [`crate::kernels::packing::winograd_dsp::Form`];
/// r7: multiplier, r8: addend, r12: shift; r2 is lost.
macro_rules! finish {
    (Merged, $($acc:literal)+) => {
        concat!(
            $("smmla ", $acc, ", ", $acc, ", r7, r8\n",)+
            $("asr ", $acc, ", ", $acc, ", r12\n",)+
            $("ssat ", $acc, ", #8, ", $acc, "\n",)+
        )
    };
    (Ties, $($acc:literal)+) => {
        concat!(
            $(
                "asr r2, ", $acc, ", #5\n",
                "smmlar r2, r2, r7, r8\n",
                "add r2, r2, ", $acc, ", asr #31\n",
                "asr r2, r2, r12\n",
                "ssat ", $acc, ", #8, r2\n",
            )+
        )
    };
}

/// Row `$row` of a tile's outputs; `$factors`: where the inverses of 9 begin that take back the
/// row's scale, too.
macro_rules! outputs {
    ($form:ident, $row:literal, $factors:literal) => {
        concat!(
            sums!(concat!("32 * ", $row), "192"),
            "adr r2, ", $factors, "\n",
            "ldm r2, {{r4, r5, r6}}\n",
            "ldm r1, {{r2, r7, r8, r12}}\n",
            "mla r10, r10, r4, r2\n",
            "mla r11, r11, r5, r2\n",
            "mla r9, r9, r6, r2\n",
            "mla r3, r3, r6, r2\n",
            finish!($form, "r10" "r11" "r9" "r3"),
            "ldrd r2, r12, [sp, #16]\n",
            "ldm r2!, {{r4-r7}}\n",
            "str r2, [sp, #16]\n",
            "strb r10, [r4, r12]\n",
            "strb r11, [r5, r12]\n",
            "strb r9, [r6, r12]\n",
            "strb r3, [r7, r12]\n",
        )
    };
}

/// # Safety
/// As [`Tiles`] says: `count` blocks, `inputs` up to `inputs_end`, 1152 bytes of sums, outputs of
/// `4 · count` bytes.
pub(super) type Kernel = unsafe extern "C" fn(&Tiles);

macro_rules! two_tiles {
    ($name:ident, $form:ident, $positions:ident) => {
        /// # Safety
        /// See [`Kernel`].
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(tiles: &Tiles) {
            naked_asm!(
                dsp_cpu!(),
                "
                push {{r4-r11, lr}}
                sub sp, #52
                mov r12, sp
                ldm r0!, {{r1-r6}}
                stm r12!, {{r1-r6}}
                ldm r0!, {{r1-r6}}
                stm r12!, {{r1-r6}}
                ldrd r1, r0, [sp, #32]
            1:
                ",
                $positions!(),
                "
                ldr r2, [sp]
                ldr r3, [sp, #12]
                cmp r2, r3
                bne 1b
                sub r0, r2, #1152
                str r0, [sp]
                b 6f
                .balign 4
            // The inverse of 9 modulo 2^32 times 1, 2, 4, 8, 16.
            3:  .word 0x38e38e39
            4:  .word 0x71c71c72
            5:  .word 0xe38e38e4, 0xc71c71c8, 0x8e38e390
            6:
                ",
                vertical!("0"),
                vertical!("192"),
                vertical!("384"),
                vertical!("576"),
                vertical!("768"),
                vertical!("960"),
                outputs!($form, "0", "3b"),
                outputs!($form, "1", "4b"),
                outputs!($form, "2", "5b"),
                outputs!($form, "3", "5b"),
                "
                adds r0, #4
                ldrd r4, r5, [sp, #24]
                cmp r2, r5
                bne 6b
                adds r12, #1
                strd r4, r12, [sp, #16]
                adds r1, #16
                ldr r2, [sp, #44]
                cmp r0, r2
                bne 6b
                ldr r3, [sp, #4]
                sub r3, r3, #2304
                str r3, [sp, #4]
                ldr r0, [sp, #36]
                ldr r2, [sp, #40]
                subs r2, #1
                str r2, [sp, #40]
                bne 1b
                add sp, #52
                pop {{r4-r11, pc}}
                "
            )
        }
    };
}

two_tiles!(two_tiles_merged, Merged, position);
two_tiles!(two_tiles_ties, Ties, position);
two_tiles!(two_tiles_any_merged, Merged, position_any);
two_tiles!(two_tiles_any_ties, Ties, position_any);
two_tiles!(two_tiles_16_merged, Merged, positions_16);
two_tiles!(two_tiles_16_ties, Ties, positions_16);
