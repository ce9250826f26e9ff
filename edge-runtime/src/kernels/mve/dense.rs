//! The inner kernel of fully connected layers: one pixel by eight output channels, int8, Helium.
//!
//! ```text
//! acc[channel] = sum over chunks of 16: input . weights[channel]    (VMLADAVA, eight of them)
//! output[channel] = requantise(acc + bias)                          eight channels at once
//! ```
//!
//! Every weight is loaded once, so a chunk costs at least nine loads for eight multiplications.
//! Requantisation as in `epilogue`, with vectors of multipliers and shifts.

use core::arch::naked_asm;
use core::mem::offset_of;

/// Arguments of [`dense_i8_1x8`].
#[repr(C)]
pub(super) struct Dense {
    /// `chunks * 16` values; a multiple of 4.
    pub input: *const i8,
    /// Packed groups of eight channels, see `packing::mve_dense`; a multiple of 4.
    pub weights: *const u8,
    /// Where they end: a whole number of groups, at least one, after `weights`.
    pub weights_end: *const u8,
    /// Eight bytes for each group.
    pub output: *mut i8,
    /// At least 1.
    pub chunks: u32,
    /// Of the output.
    pub zero_point: i32,
    /// Lowest output.
    pub min: i32,
    /// Highest output.
    pub max: i32,
    /// A [`super::Mode`].
    pub mode: u32,
}

const _: () = assert!(offset_of!(Dense, output) == 12 && offset_of!(Dense, mode) == 32);

/// Runs all groups.
///
/// # Safety
///
/// `arguments` is as its fields say: `16 * chunks` bytes at `input` and all of the weights (groups
/// of `128 * chunks + 96` bytes) can be read, eight bytes for each group at `output` can be
/// written and overlap nothing that is read. The core has Helium and it is enabled.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn dense_i8_1x8(arguments: *const Dense) {
    // r1: input; r3: weights; r5: output; r7: blocks of four chunks left; r9: entry; r11: start
    // of the input. Frame: 0 zero point, 4 end of weights, 8 blocks, 12 epilogue.
    naked_asm!(
        r"
        .cpu cortex-m55
        push {{r4-r11, lr}}
        vpush {{d8-d15}}
        sub sp, sp, #20
        ldr r1, [r0]
        mov r11, r1
        ldrd r3, r4, [r0, #4]
        ldr r5, [r0, #12]
        ldr r2, [r0, #20]
        strd r2, r4, [sp]
        ldr r2, [r0, #24]
        vdup.8 q6, r2
        ldr r2, [r0, #28]
        vdup.8 q7, r2
        ldr r2, [r0, #32]
        adr.w r4, 40f
        ldr r2, [r4, r2, lsl #2]
        add r4, r4, r2
        orr r4, r4, #1
        ldr r2, [r0, #16]
        sub r2, r2, #1
        lsr r7, r2, #2
        strd r7, r4, [sp, #8]
        and r2, r2, #3
        mov r4, #68
        adr.w r9, 13f
        orr r9, r9, #1
        mls r9, r2, r4, r9
    11: // a group of eight channels
        vldrw.u32 q0, [r1], #16
        vldrw.u32 q1, [r3], #16
        vmladav.s8 r0, q0, q1
        vldrw.u32 q2, [r3], #16
        vmladav.s8 r2, q0, q2
        vldrw.u32 q3, [r3], #16
        vmladav.s8 r4, q0, q3
        vldrw.u32 q4, [r3], #16
        vmladav.s8 r6, q0, q4
        vldrw.u32 q1, [r3], #16
        vmladav.s8 r8, q0, q1
        vldrw.u32 q2, [r3], #16
        vmladav.s8 r10, q0, q2
        vldrw.u32 q3, [r3], #16
        vmladav.s8 r12, q0, q3
        vldrw.u32 q4, [r3], #16
        vmladav.s8 lr, q0, q4
        bx r9
    12:
        .rept 4
        vldrw.u32 q0, [r1], #16
        vldrw.u32 q1, [r3], #16
        vmladava.s8 r0, q0, q1
        vldrw.u32 q2, [r3], #16
        vmladava.s8 r2, q0, q2
        vldrw.u32 q3, [r3], #16
        vmladava.s8 r4, q0, q3
        vldrw.u32 q4, [r3], #16
        vmladava.s8 r6, q0, q4
        vldrw.u32 q1, [r3], #16
        vmladava.s8 r8, q0, q1
        vldrw.u32 q2, [r3], #16
        vmladava.s8 r10, q0, q2
        vldrw.u32 q3, [r3], #16
        vmladava.s8 r12, q0, q3
        vldrw.u32 q4, [r3], #16
        vmladava.s8 lr, q0, q4
        .endr
    13:
        subs r7, r7, #1
        bpl.w 12b
        // Even channels in q4, odd ones in q5: narrowing interleaves them.
        vmov q4[2], q4[0], r0, r8
        vmov q4[3], q4[1], r4, r12
        vmov q5[2], q5[0], r2, r10
        vmov q5[3], q5[1], r6, lr
        vldrw.u32 q0, [r3], #16
        vldrw.u32 q1, [r3], #16
        vadd.i32 q4, q4, q0
        vadd.i32 q5, q5, q1
        vldrw.u32 q0, [r3], #16
        vldrw.u32 q1, [r3], #16
        vldrw.u32 q2, [r3], #16
        vldrw.u32 q3, [r3], #16
        mov r1, r11
        ldrd r7, r0, [sp, #8]
        bx r0

    20: // two roundings, clamped at the zero point from below
        vqrdmulh.s32 q4, q4, q0
        vqrdmulh.s32 q5, q5, q1
        b 29f
    21: // two roundings, all shifts to the right
    22: // two roundings, any shift
        vmov.i32 q0, #0
        sub r0, r3, #64
        vldrw.u32 q1, [r0]
        vmax.s32 q0, q0, q2
        vshl.s32 q4, q4, q0
        vqrdmulh.s32 q4, q4, q1
        vmov.i32 q0, #0
        vldrw.u32 q1, [r0, #16]
        vmax.s32 q0, q0, q3
        vshl.s32 q5, q5, q0
        vqrdmulh.s32 q5, q5, q1
        vmov.i32 q0, #0
        vmin.s32 q2, q2, q0
        vmin.s32 q3, q3, q0
        vand q0, q4, q2
        vshr.s32 q0, q0, #31
        vqadd.s32 q4, q4, q0
        vand q0, q5, q3
        vshr.s32 q0, q0, #31
        vqadd.s32 q5, q5, q0
        b 29f
    24: // one rounding, any shift
        mov r0, #2
        mov r2, #0
        mov r4, #1
        mvn r6, #0
        vdup.32 q0, r2
        vadd.i32 q1, q2, r0
        vmax.s32 q1, q1, q0
        vshl.s32 q4, q4, q1
        vadd.i32 q1, q3, r0
        vmax.s32 q1, q1, q0
        vshl.s32 q5, q5, q1
        vdup.32 q0, r6
        vadd.i32 q2, q2, r4
        vmin.s32 q2, q2, q0
        vadd.i32 q3, q3, r4
        vmin.s32 q3, q3, q0
        sub r0, r3, #64
        vldrw.u32 q0, [r0]
        vldrw.u32 q1, [r0, #16]
    23: // one rounding, shifts of at least 2 to the right, stored one less
        vmulh.s32 q4, q4, q0
        vmulh.s32 q5, q5, q1
    29:
        vrshl.s32 q4, q4, q2
        vrshl.s32 q5, q5, q3
    30:
        vqmovnb.s32 q4, q4
        vqmovnt.s32 q4, q5
        ldrd r0, r2, [sp]
        vqadd.s16 q4, q4, r0
        vqmovnb.s16 q4, q4
        vmax.s8 q4, q4, q6
        vmin.s8 q4, q4, q7
        vstrb.16 q4, [r5], #8
        cmp r3, r2
        bne.w 11b
        add sp, sp, #20
        vpop {{d8-d15}}
        pop {{r4-r11, pc}}
    25: // the high word, rounded
        vshl.s32 q4, q4, q2
        vshl.s32 q5, q5, q3
        vrmulh.s32 q4, q4, q0
        vrmulh.s32 q5, q5, q1
        b 30b
        .p2align 2
    40:
        .word 20b - 40b
        .word 21b - 40b
        .word 22b - 40b
        .word 23b - 40b
        .word 24b - 40b
        .word 25b - 40b
        "
    )
}
