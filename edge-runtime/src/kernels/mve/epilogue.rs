//! What the kernels of pairs of channels share: how they start, and from sums to outputs.
//!
//! Registers after the start: r0 arguments, r2 address of the epilogue, r11 output, q7 offsets.
//! Frame: 0 zero point, 4 end of weights, 8 and 12 free, 16 weights, 20 tiles, 24 input step,
//! 28 output step, 32 min, 36 max, from 40 to 64 free.
//!
//! An epilogue takes sums from r0, r2, r4, r6 (four pixels of the first channel) and r8, r10, r12,
//! lr (of the second), and the parameters from r9. It ends at label 11 for the next pair, or at
//! label 30.
//!
//! VQRDMULH is the saturating rounding doubling high multiply. VRSHL rounds halves upwards, TFLite
//! away from zero; they differ in negative halves alone, so one less before the shift repairs it,
//! and where the output is clamped at its zero point from below nothing needs repair. One rounding
//! of the 64-bit product by `31 - s` bits, `s <= -2`, is VMULH and VRSHL by `-1 - s`: the rounding
//! bit lies in the high word, and two floors are one.

macro_rules! prologue {
    () => {
        r"
        .cpu cortex-m55
        push {{r4-r11, lr}}
        vpush {{d8-d15}}
        sub sp, sp, #68
        ldrd r2, r3, [r0, #40]
        ldr r4, [r0, #20]
        strd r2, r4, [sp]
        str r3, [sp, #32]
        ldr r2, [r0, #48]
        str r2, [sp, #36]
        ldr r2, [r0, #16]
        ldr r3, [r0, #28]
        strd r2, r3, [sp, #16]
        ldrd r2, r3, [r0, #32]
        strd r2, r3, [sp, #24]
        ldr r11, [r0, #24]
        add r2, r0, #64
        vldrh.u16 q7, [r2]
        adr.w r2, 40f
        ldr r3, [r0, #60]
        ldr r3, [r2, r3, lsl #2]
        add r2, r2, r3
        orr r2, r2, #1
        "
    };
}

macro_rules! epilogue {
    () => {
        r"
        .macro dunlin_mve_gather
        vmov q4[2], q4[0], r0, r4
        vmov q4[3], q4[1], r2, r6
        vmov q5[2], q5[0], r8, r12
        vmov q5[3], q5[1], r10, lr
        ldm r9!, {{r0, r2, r4, r6, r8, r10}}
        vadd.i32 q4, q4, r0
        vadd.i32 q5, q5, r6
        .endm
        .macro dunlin_mve_narrow
        vqmovnb.s32 q4, q4
        vqmovnt.s32 q4, q5
        ldrd r0, r2, [sp]
        vqadd.s16 q4, q4, r0
        vqmovnb.s16 q4, q4
        .endm
        .macro dunlin_mve_store
        vstrb.16 q4, [r11, q7]
        add r11, r11, #2
        cmp r9, r2
        bne.w 11b
        .endm

    20: // two roundings, clamped at the zero point from below
        dunlin_mve_gather
        vqrdmulh.s32 q4, q4, r2
        vqrdmulh.s32 q5, q5, r8
        vrshl.s32 q4, r4
        vrshl.s32 q5, r10
        dunlin_mve_narrow
        dunlin_mve_store
        b 30f
    21: // two roundings, all shifts to the right
        dunlin_mve_gather
        vqrdmulh.s32 q4, q4, r2
        vqrdmulh.s32 q5, q5, r8
        vshr.s32 q6, q4, #31
        vadd.i32 q4, q4, q6
        vshr.s32 q6, q5, #31
        vadd.i32 q5, q5, q6
        vrshl.s32 q4, r4
        vrshl.s32 q5, r10
        dunlin_mve_narrow
        dunlin_mve_store
        b 30f
    22: // two roundings, any shift
        dunlin_mve_gather
        bic r0, r4, r4, asr #31
        vshl.s32 q4, r0
        bic r0, r10, r10, asr #31
        vshl.s32 q5, r0
        vqrdmulh.s32 q4, q4, r2
        vqrdmulh.s32 q5, q5, r8
        and r4, r4, r4, asr #31
        and r10, r10, r10, asr #31
        vdup.32 q6, r4
        vand q6, q6, q4
        vshr.s32 q6, q6, #31
        vqadd.s32 q4, q4, q6
        vdup.32 q6, r10
        vand q6, q6, q5
        vshr.s32 q6, q6, #31
        vqadd.s32 q5, q5, q6
        b 26f
    24: // one rounding, any shift
        dunlin_mve_gather
        add r0, r4, #2
        bic r0, r0, r0, asr #31
        vshl.s32 q4, r0
        add r0, r10, #2
        bic r0, r0, r0, asr #31
        vshl.s32 q5, r0
        adds r4, r4, #1
        it pl
        movpl r4, #-1
        adds r10, r10, #1
        it pl
        movpl r10, #-1
        b 27f
    23: // one rounding, shifts of at least 2 to the right, stored one less
        dunlin_mve_gather
    27:
        vdup.32 q6, r2
        vmulh.s32 q4, q4, q6
        vdup.32 q6, r8
        vmulh.s32 q5, q5, q6
    26:
        vrshl.s32 q4, r4
        vrshl.s32 q5, r10
        b 28f
    25: // the high word, rounded
        dunlin_mve_gather
        vshl.s32 q4, r4
        vshl.s32 q5, r10
        vdup.32 q6, r2
        vrmulh.s32 q4, q4, q6
        vdup.32 q6, r8
        vrmulh.s32 q5, q5, q6
    28:
        dunlin_mve_narrow
        ldr r4, [sp, #32]
        vdup.8 q6, r4
        vmax.s8 q4, q4, q6
        ldr r4, [sp, #36]
        vdup.8 q6, r4
        vmin.s8 q4, q4, q6
        dunlin_mve_store
        b 30f
        .purgem dunlin_mve_gather
        .purgem dunlin_mve_narrow
        .purgem dunlin_mve_store
        .p2align 2
    40:
        .word 20b - 40b
        .word 21b - 40b
        .word 22b - 40b
        .word 23b - 40b
        .word 24b - 40b
        .word 25b - 40b
        "
    };
}

pub(super) use {epilogue, prologue};
