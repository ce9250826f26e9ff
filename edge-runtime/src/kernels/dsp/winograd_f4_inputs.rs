//! The input of two tiles, transformed for [`super::winograd_f4`].
//!
//! A transformed position of a tile is counted column by column: `6 · column + row`. The inputs of
//! two tiles lie as `[input channels / 16][position][channels / 4][2][tile]` words, with channels
//! `c` and `c + 2` as halves of the first pair of words and `c + 1` and `c + 3` of the second.
#![allow(unsafe_code)] // Assembly: the compiler has no other way to SXTB16.

use core::arch::naked_asm;

/// What [`transform`] gets.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch {
    /// Six rows of ten pixels.
    pub from: *const i8,
    /// Bytes from a row to the next.
    pub row: usize,
    /// Bytes from a pixel to the next.
    pub channels: usize,
    /// 120 words.
    pub columns: *mut u32,
    /// Where the first position of these four channels goes.
    pub to: *mut u32,
}

/// One dimension of `Bᵀ d B` of r5-r10, with `Bᵀ` = `[4, 0, -5, 0, 1, 0]`, `[0, -4, -4, 1, 1, 0]`,
/// `[0, 4, -4, -1, 1, 0]`, `[0, -2, -1, 2, 1, 0]`, `[0, 2, -1, -2, 1, 0]`, `[0, 4, 0, -5, 0, 1]`.
/// The results go to `$to` + `$at` + 0, 1 .. 5 times `$step` bytes.
macro_rules! dimension {
    ($to:literal, $at:literal, $step:literal) => {
        concat!(
            "ssub16 r5, r5, r7\n",
            "ssub16 r11, r9, r7\n",
            "sadd16 r5, r5, r5\n",
            "sadd16 r5, r5, r5\n",
            "sadd16 r5, r5, r11\n",
            "ssub16 r12, r6, r8\n",
            "sadd16 r12, r12, r12\n",
            "ssub16 lr, r11, r12\n",
            "sadd16 r11, r11, r12\n",
            "sadd16 r12, r12, r12\n",
            "ssub16 r10, r10, r8\n",
            "sadd16 r10, r10, r12\n",
            "sadd16 r7, r7, r7\n",
            "sadd16 r7, r7, r7\n",
            "ssub16 r9, r9, r7\n",
            "sadd16 r6, r6, r6\n",
            "sadd16 r6, r6, r6\n",
            "ssub16 r6, r6, r8\n",
            "ssub16 r7, r9, r6\n",
            "sadd16 r9, r9, r6\n",
            "str r5, [",
            $to,
            ", #(",
            $at,
            ")]\n",
            "str r7, [",
            $to,
            ", #(",
            $at,
            " + ",
            $step,
            ")]\n",
            "str r9, [",
            $to,
            ", #(",
            $at,
            " + 2 * ",
            $step,
            ")]\n",
            "str lr, [",
            $to,
            ", #(",
            $at,
            " + 3 * ",
            $step,
            ")]\n",
            "str r11, [",
            $to,
            ", #(",
            $at,
            " + 4 * ",
            $step,
            ")]\n",
            "str r10, [",
            $to,
            ", #(",
            $at,
            " + 5 * ",
            $step,
            ")]\n",
        )
    };
}

/// A column of pixels, of channels c and c + 2 or (rotated) c + 1 and c + 3.
macro_rules! column {
    ($rotation:literal, $at:literal) => {
        concat!(
            "ldr r5, [r0]\n",
            "ldr r6, [r0, r1]\n",
            "ldr r7, [r0, r1, lsl #1]\n",
            "ldr r8, [r2]\n",
            "ldr r9, [r2, r1]\n",
            "ldr r10, [r2, r1, lsl #1]\n",
            "sxtb16 r5, r5",
            $rotation,
            "\n",
            "sxtb16 r6, r6",
            $rotation,
            "\n",
            "sxtb16 r7, r7",
            $rotation,
            "\n",
            "sxtb16 r8, r8",
            $rotation,
            "\n",
            "sxtb16 r9, r9",
            $rotation,
            "\n",
            "sxtb16 r10, r10",
            $rotation,
            "\n",
            dimension!("r4", $at, "40"),
        )
    };
}

/// `Bᵀ d B` of four channels of two tiles side by side.
///
/// # Safety
/// Six rows of ten words valid for reads, `columns` for 120 words, `to` for all positions; all on
/// 4-byte boundaries.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn transform(patch: &Patch) {
    naked_asm!(
        dsp_cpu!(),
        "
        push {{r0, r4-r11, lr}}
        ldm r0, {{r0, r1, r3, r4}}
        add r2, r1, r1, lsl #1
        add r2, r2, r0
        add r12, r4, #40
        push {{r12}}
    1:
        ",
        column!("", "0"),
        column!(", ror #8", "240"),
        "
        add r0, r0, r3
        add r2, r2, r3
        adds r4, #4
        ldr r12, [sp]
        cmp r4, r12
        bne 1b
        add r3, r4, #200
        subs r4, #40
        ldr r0, [sp, #4]
        ldr r0, [r0, #16]
    2:  ldm r4, {{r5-r10}}
        ",
        dimension!("r0", "0", "384"),
        "add r12, r4, #16",
        "ldm r12, {{r5-r10}}",
        dimension!("r0", "4", "384"),
        "add r12, r4, #240",
        "ldm r12, {{r5-r10}}",
        dimension!("r0", "8", "384"),
        "add r12, r4, #256",
        "ldm r12, {{r5-r10}}",
        dimension!("r0", "12", "384"),
        "
        adds r0, #64
        adds r4, #40
        cmp r4, r3
        bne 2b
        add sp, #8
        pop {{r4-r11, pc}}
        "
    )
}
