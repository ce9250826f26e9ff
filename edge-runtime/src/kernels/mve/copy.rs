//! Copies and fills of rows, 16 bytes at a time.

use core::arch::naked_asm;
use core::mem::offset_of;

/// Most pieces of a column that [`gather_columns`] takes at once.
pub(super) const PIECES: usize = 16;

/// What the columns of a row of outputs are gathered from.
#[repr(C)]
pub(super) struct Pieces {
    /// How many, 1..=`PIECES`.
    pub count: usize,
    /// Bytes of each, at least 1.
    pub len: usize,
    /// From the pieces of a column to those of the next.
    pub step: usize,
    /// From a gathered column to the next.
    pub column_len: usize,
    /// Where they start.
    pub starts: [*const i8; PIECES],
}

const _: () = assert!(offset_of!(Pieces, starts) == 16);

/// Gathers `columns` columns, the pieces of each one after the other. Copies whole vectors: up to
/// 15 bytes behind each column change, so columns are gathered in ascending order.
///
/// # Safety
///
/// From `offset` on, `columns` steps of every piece can be read, rounded up to 16 bytes; the
/// columns, and 15 bytes behind, can be written and overlap no piece. `columns` is not zero. The
/// core has Helium and it is enabled.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn gather_columns(
    pieces: *const Pieces,
    target: *mut i8,
    columns: usize,
    offset: usize,
) {
    naked_asm!(
        "
        .cpu cortex-m55
        push {{r4-r11, lr}}
        ldrd r4, r5, [r0]
        ldrd r6, r7, [r0, #8]
        add r8, r0, #16
        cmp r5, #16
        bhi 3f
        cmp r4, #3
        beq 7f
    1:
        mov r9, r8
        mov r10, r1
        dls lr, r4
    2:
        ldr r11, [r9], #4
        add r11, r11, r3
        vldrb.u8 q0, [r11]
        vstrb.8 q0, [r10]
        add r10, r10, r5
        le lr, 2b
        add r3, r3, r6
        add r1, r1, r7
        subs r2, r2, #1
        bne 1b
        pop {{r4-r11, pc}}
    7: // three pieces, as of a 3x3 window
        ldm r8, {{r8, r9, r10}}
        add r8, r8, r3
        add r9, r9, r3
        add r10, r10, r3
        dls lr, r2
    8:
        vldrb.u8 q0, [r8]
        add r8, r8, r6
        vldrb.u8 q1, [r9]
        add r9, r9, r6
        vstrb.8 q0, [r1]
        add r11, r1, r5
        vldrb.u8 q2, [r10]
        add r10, r10, r6
        vstrb.8 q1, [r11]
        add r11, r11, r5
        add r1, r1, r7
        vstrb.8 q2, [r11]
        le lr, 8b
        pop {{r4-r11, pc}}
    3: // pieces of more than a vector
        add r0, r5, #15
        lsr r0, r0, #4
        lsl r4, r4, #2
        add r4, r4, r8
    4:
        mov r9, r8
        mov r10, r1
    5:
        ldr r11, [r9], #4
        add r11, r11, r3
        mov r12, r10
        dls lr, r0
    6:
        vldrb.u8 q0, [r11], #16
        vstrb.8 q0, [r12], #16
        le lr, 6b
        add r10, r10, r5
        cmp r9, r4
        bne 5b
        add r3, r3, r6
        add r1, r1, r7
        subs r2, r2, #1
        bne 4b
        pop {{r4-r11, pc}}
        "
    )
}

/// Copies `count` pieces of `len` bytes, `source_step` apart, to consecutive places.
///
/// # Safety
///
/// All of the pieces can be read, all of `target..target + count * len` can be written, the two do
/// not overlap, and neither `len` nor `count` is zero. The core has Helium and it is enabled.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn copy_pieces(
    target: *mut i8,
    source: *const i8,
    len: usize,
    count: usize,
    source_step: usize,
) {
    naked_asm!(
        "
        .cpu cortex-m55
        push {{r4, r5, r6, lr}}
        ldr r4, [sp, #16]
        cmp r2, #16
        bhi 2f
        vctp.8 r2
        dls lr, r3
    1:
        vpst
        vldrbt.u8 q0, [r1]
        add r1, r1, r4
        vpst
        vstrbt.8 q0, [r0]
        add r0, r0, r2
        le lr, 1b
        pop {{r4, r5, r6, pc}}
    2:
        mov r5, r0
        mov r6, r1
        dlstp.8 lr, r2
    3:
        vldrb.u8 q0, [r6], #16
        vstrb.8 q0, [r5], #16
        letp lr, 3b
        add r0, r0, r2
        add r1, r1, r4
        subs r3, r3, #1
        bne 2b
        pop {{r4, r5, r6, pc}}
        "
    )
}

/// Writes `value` (the low byte) `len` times.
///
/// # Safety
///
/// All of `target..target + len` can be written. The core has Helium and it is enabled.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn fill(target: *mut i8, value: u32, len: usize) {
    naked_asm!(
        "
        .cpu cortex-m55
        push {{r4, lr}}
        vdup.8 q0, r1
        wlstp.8 lr, r2, 2f
    1:
        vstrb.8 q0, [r0], #16
        letp lr, 1b
    2:
        pop {{r4, pc}}
        "
    )
}
