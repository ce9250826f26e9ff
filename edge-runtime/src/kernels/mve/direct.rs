//! The inner kernel of 3x3 convolutions at a horizontal stride of 1: four neighbouring pixels by two
//! output channels, int8, Helium.
//!
//! The windows of four neighbours lie in six columns: for each row of the window and each 16
//! channels of the input, six loads of columns serve 24 multiplications, where `panel` needs twelve
//! and a gathered copy of the columns.

use core::arch::naked_asm;

use super::epilogue::{epilogue, prologue};
use super::panel::Panel;

/// A row of the window: r{row} points to 16 channels of the first of six columns.
macro_rules! row {
    ($row:literal, $first:literal) => {
        concat!(
            "vldrw.u32 q0, [",
            $row,
            "]\n",
            "vldrw.u32 q4, [r9], #16\n",
            $first,
            " r0, q0, q4\n",
            "vldrw.u32 q1, [",
            $row,
            ", #16]\n",
            $first,
            " r2, q1, q4\n",
            "vldrw.u32 q2, [",
            $row,
            ", #32]\n",
            $first,
            " r4, q2, q4\n",
            "vldrw.u32 q3, [",
            $row,
            ", #48]\n",
            $first,
            " r6, q3, q4\n",
            "vldrw.u32 q5, [r9], #16\n",
            $first,
            " r8, q0, q5\n",
            "vldrw.u32 q0, [",
            $row,
            ", #64]\n",
            $first,
            " r10, q1, q5\n",
            "vldrw.u32 q4, [r9], #16\n",
            $first,
            " r12, q2, q5\n",
            $first,
            " lr, q3, q5\n",
            "vmladava.s8 r0, q1, q4\n",
            "vldrw.u32 q5, [r9], #16\n",
            "vmladava.s8 r2, q2, q4\n",
            "vmladava.s8 r4, q3, q4\n",
            "vmladava.s8 r6, q0, q4\n",
            "vldrw.u32 q4, [r9], #16\n",
            "vmladava.s8 r8, q1, q5\n",
            "vldrw.u32 q1, [",
            $row,
            ", #80]\n",
            "vmladava.s8 r10, q2, q5\n",
            "vmladava.s8 r12, q3, q5\n",
            "vmladava.s8 lr, q0, q5\n",
            "vldrw.u32 q5, [r9], #16\n",
            "vmladava.s8 r0, q2, q4\n",
            "vmladava.s8 r2, q3, q4\n",
            "vmladava.s8 r4, q0, q4\n",
            "vmladava.s8 r6, q1, q4\n",
            "vmladava.s8 r8, q2, q5\n",
            "vmladava.s8 r10, q3, q5\n",
            "vmladava.s8 r12, q0, q5\n",
            "vmladava.s8 lr, q1, q5\n",
        )
    };
}

/// Runs all pairs of channels on `tiles` tiles of four neighbours.
///
/// In `arguments`, the first three of `pixels` are the rows under the window, at the first tap of
/// the first pixel, 16 bytes for each column; `passes` is the number of further 16 channels; `rest`
/// is how far their columns are from those of the 16 before, below 65536; `input_step` is 64.
///
/// # Safety
///
/// As for [`super::panel::conv_i8_4x2`]: in each row six columns can be read for each tile and each
/// 16 channels, all multiples of 4, and pairs of weights have `288 * (passes + 1) + 24` bytes.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn conv_3x3_i8_4x2(arguments: *const Panel) {
    // r1, r3, r5: rows; r7: channels left, and the step to them; r9: weights; r11: output.
    // Frame: as `epilogue`, 8 where to go after 16 channels, 12 epilogue, 40 initial r7, 44 rows.
    naked_asm!(
        prologue!(),
        r"
        ldrd r4, r5, [r0, #52]
        sub r6, r4, #1
        add r6, r5, r6, lsl #16
        str r6, [sp, #40]
        mov r3, r2
        cbz r4, 1f
        adr.w r3, 12f
        orr r3, r3, #1
    1:
        strd r3, r2, [sp, #8]
        ldrd r1, r3, [r0]
        ldr r5, [r0, #8]
    10: // a tile
        ldr r9, [sp, #16]
        strd r1, r3, [sp, #44]
        str r5, [sp, #52]
    11: // a pair of channels
        ",
        row!("r1", "vmladav.s8"),
        row!("r3", "vmladava.s8"),
        row!("r5", "vmladava.s8"),
        r"
        ldr pc, [sp, #8]
    12:
        ldr r7, [sp, #40]
    13: // the next 16 channels
        uxtah r1, r1, r7
        uxtah r3, r3, r7
        uxtah r5, r5, r7
        ",
        row!("r1", "vmladava.s8"),
        row!("r3", "vmladava.s8"),
        row!("r5", "vmladava.s8"),
        r"
        subs r7, r7, #65536
        bpl.w 13b
        ldrd r1, r3, [sp, #44]
        ldr r5, [sp, #52]
        ldr pc, [sp, #12]
        ",
        epilogue!(),
        r"
    30: // the tile is done
        ldrd r0, r2, [sp, #20]
        subs r0, r0, #1
        str r0, [sp, #20]
        add r1, r1, r2
        add r3, r3, r2
        add r5, r5, r2
        ldr r4, [sp, #28]
        add r11, r11, r4
        bne.w 10b
        add sp, sp, #68
        vpop {{d8-d15}}
        pop {{r4-r11, pc}}
        "
    )
}
