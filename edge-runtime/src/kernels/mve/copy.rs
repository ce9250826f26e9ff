//! Copies of rows, 16 bytes at a time.

use core::arch::naked_asm;

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
