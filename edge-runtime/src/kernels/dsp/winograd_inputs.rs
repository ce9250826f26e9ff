//! The input of two tiles, transformed for [`super::winograd`].
//!
//! A transformed position of a tile is counted column by column: `4 · column + row`. The inputs of
//! two tiles lie as `[input channels / 4][position][2][tile]` words, with channels `c` and `c + 2`
//! as halves of the first pair of words and `c + 1` and `c + 3` of the second.
#![allow(unsafe_code)] // Assembly: the compiler has no other way to SXTB16.

use core::arch::naked_asm;

/// What [`transform`] gets.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch {
    /// Four rows of six pixels.
    pub rows: [*const i8; 4],
    /// `64 · channels` bytes.
    pub to: *mut u32,
    /// Bytes from a pixel to the next: a multiple of 4.
    pub channels: usize,
}

/// Reads a column of two input rows into the pair of registers `$even`, `$odd`, the
/// second subtracted from the first; r0, r1: the rows, r3: bytes from a pixel to the next, r4: the pixel.
macro_rules! column {
    ($even:literal, $odd:literal) => {
        concat!(
            "ldr ",
            $odd,
            ", [r0, r4]\n",
            "ldr lr, [r1, r4]\n",
            "add r4, r4, r3\n",
            "sxtb16 ",
            $even,
            ", ",
            $odd,
            "\n",
            "sxtb16 r12, lr\n",
            "sxtb16 ",
            $odd,
            ", ",
            $odd,
            ", ror #8\n",
            "sxtb16 lr, lr, ror #8\n",
            "ssub16 ",
            $even,
            ", ",
            $even,
            ", r12\n",
            "ssub16 ",
            $odd,
            ", ",
            $odd,
            ", lr\n",
        )
    };
}

/// The first three positions of a row of a tile, from columns in `$0`, `$1`, `$2` (overwrites the
/// first).
macro_rules! three {
    ($row:literal, $at:literal, $zero:literal, $one:literal, $two:literal) => {
        concat!(
            "ssub16 ",
            $zero,
            ", ",
            $zero,
            ", ",
            $two,
            "\n",
            "sadd16 r11, ",
            $one,
            ", ",
            $two,
            "\n",
            "ssub16 r12, ",
            $two,
            ", ",
            $one,
            "\n",
            "str ",
            $zero,
            ", [r2, #(16 * (0 + ",
            $row,
            ") + ",
            $at,
            ")]\n",
            "str r11, [r2, #(16 * (4 + ",
            $row,
            ") + ",
            $at,
            ")]\n",
            "str r12, [r2, #(16 * (8 + ",
            $row,
            ") + ",
            $at,
            ")]\n",
        )
    };
}

/// The fourth position, from the second and the fourth column (overwrites the second).
macro_rules! fourth {
    ($row:literal, $at:literal, $one:literal, $three:literal) => {
        concat!(
            "ssub16 ",
            $one,
            ", ",
            $one,
            ", ",
            $three,
            "\n",
            "str ",
            $one,
            ", [r2, #(16 * (12 + ",
            $row,
            ") + ",
            $at,
            ")]\n",
        )
    };
}

/// Row `$row` of both transformed tiles: input row `$a` less row `$b`.
macro_rules! row {
    ($row:literal, $a:literal, $b:literal) => {
        concat!(
            "ldr r0, [sp, #(4 * ",
            $a,
            ")]\n",
            "ldr r1, [sp, #(4 * ",
            $b,
            ")]\n",
            "movs r4, #0\n",
            column!("r5", "r6"),
            column!("r7", "r8"),
            column!("r9", "r10"),
            three!($row, "0", "r5", "r7", "r9"),
            three!($row, "8", "r6", "r8", "r10"),
            column!("r5", "r6"),
            fourth!($row, "0", "r7", "r5"),
            fourth!($row, "8", "r8", "r6"),
            column!("r7", "r8"),
            three!($row, "4", "r9", "r5", "r7"),
            three!($row, "12", "r10", "r6", "r8"),
            column!("r9", "r10"),
            fourth!($row, "4", "r5", "r9"),
            fourth!($row, "12", "r6", "r10"),
        )
    };
}

/// The sum of two input rows and their difference, for one pair of channels.
macro_rules! sum_and_difference {
    ($rotation:literal, $sum:literal, $difference:literal) => {
        concat!(
            "ldr ",
            $sum,
            ", [r0, r4]\n",
            "ldr lr, [r1, r4]\n",
            "add r4, r4, r3\n",
            "sxtb16 ",
            $sum,
            ", ",
            $sum,
            $rotation,
            "\n",
            "sxtb16 lr, lr",
            $rotation,
            "\n",
            "ssub16 ",
            $difference,
            ", lr, ",
            $sum,
            "\n",
            "sadd16 ",
            $sum,
            ", ",
            $sum,
            ", lr\n",
        )
    };
}

/// Rows 1 and 2 of both transformed tiles, for one pair of channels: `$first` and `$second` are the
/// places of the tiles.
macro_rules! middle_rows {
    ($rotation:literal, $first:literal, $second:literal) => {
        concat!(
            "ldr r0, [sp, #4]\n",
            "ldr r1, [sp, #8]\n",
            "movs r4, #0\n",
            sum_and_difference!($rotation, "r5", "r6"),
            sum_and_difference!($rotation, "r7", "r8"),
            sum_and_difference!($rotation, "r9", "r10"),
            three!("1", $first, "r5", "r7", "r9"),
            three!("2", $first, "r6", "r8", "r10"),
            sum_and_difference!($rotation, "r5", "r6"),
            fourth!("1", $first, "r7", "r5"),
            fourth!("2", $first, "r8", "r6"),
            sum_and_difference!($rotation, "r7", "r8"),
            three!("1", $second, "r9", "r5", "r7"),
            three!("2", $second, "r10", "r6", "r8"),
            sum_and_difference!($rotation, "r9", "r10"),
            fourth!("1", $second, "r5", "r9"),
            fourth!("2", $second, "r6", "r10"),
        )
    };
}

/// `Bᵀ d B` of two tiles side by side, with
/// `Bᵀ = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]`.
///
/// # Safety
/// The rows valid for reads of six pixels, `to` for writes of `64 · channels` bytes; all on 4-byte
/// boundaries.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn transform(patch: &Patch) {
    naked_asm!(
        dsp_cpu!(),
        "
        push {{r4-r11, lr}}
        ldm r0, {{r4-r9}}
        add r10, r8, r9, lsl #6
        push {{r4-r10}}
        mov r2, r8
        mov r3, r9
    1:
        ",
        row!("0", "0", "2"),
        middle_rows!("", "0", "4"),
        middle_rows!(", ror #8", "8", "12"),
        row!("3", "1", "3"),
        "
        ldm sp, {{r4-r7}}
        adds r4, #4
        adds r5, #4
        adds r6, #4
        adds r7, #4
        stm sp, {{r4-r7}}
        ldr r5, [sp, #24]
        add r2, r2, #256
        cmp r2, r5
        bne 1b
        add sp, #28
        pop {{r4-r11, pc}}
        "
    )
}
