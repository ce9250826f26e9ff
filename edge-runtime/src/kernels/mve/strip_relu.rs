//! The kernels of `strip` for the common case: a horizontal stride of 1, [`super::Mode::DoubleRelu`].
//! There is one epilogue, so no jump to it, and no choice of pixels.

use core::arch::naked_asm;

use super::strip::{Strip, prologue};

/// The sums of a pair of pixels, of neighbouring columns `at` bytes on.
macro_rules! pair {
    ($data:literal, $at:literal, $even:literal, $odd:literal) => {
        concat!(
            "vldrw.u32 ",
            $data,
            ", [q7, ",
            $at,
            "\n",
            "vmladav.s8 ",
            $even,
            ", ",
            $data,
            ", q1\n",
            "vmladav.s8 ",
            $odd,
            ", ",
            $data,
            ", q0\n",
        )
    };
}

/// The end of a channel for two roundings, clamped at the zero point from below.
macro_rules! relu {
    () => {
        r"
        ldm r9!, {{r0, r2, r4}}
        vadd.i32 q2, q2, r0
        vadd.i32 q3, q3, r0
        vqrdmulh.s32 q2, q2, r2
        vqrdmulh.s32 q3, q3, r2
        vrshl.s32 q2, r4
        vrshl.s32 q3, r4
        vqmovnb.s32 q2, q2
        vqmovnt.s32 q2, q3
        vqadd.s16 q2, q2, r3
        vqmovnb.s16 q2, q2
        "
    };
}

/// The end of a group, where there is one epilogue.
macro_rules! end {
    () => {
        r"
    20:
        ldr r0, [sp, #24]
        cmp r0, #0
        bgt.w 10b
        add sp, sp, #36
        vpop {{d8-d15}}
        pop {{r4-r11, pc}}
        .p2align 2
    40: // what the start looks up
        .word 20b - 40b
    41:
        .word 0
        "
    };
}

/// Exactly eight pixels of all channels, horizontal stride 1, [`super::Mode::DoubleRelu`].
///
/// # Safety
///
/// As for [`super::strip::depthwise_i8_8x1`], with ten columns and all pixels.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn depthwise_relu_i8_8x1(arguments: *const Strip) {
    naked_asm!(
        prologue!(),
        r"
    11: // a channel
    12:
        vldrw.u32 q1, [r9, #4]
        vldrw.u32 q0, [r9], #20
        ",
        pair!("q2", "#388]", "r12", "lr"),
        pair!("q3", "#260]", "r8", "r10"),
        pair!("q2", "#132]", "r4", "r6"),
        pair!("q3", "#4]!", "r0", "r2"),
        r"
        vmov q2[2], q2[0], r0, r4
        vmov q2[3], q2[1], r2, r6
        vmov q3[2], q3[0], r8, r12
        vmov q3[3], q3[1], r10, lr
        ",
        relu!(),
        r"
        vstrb.16 q2, [r11, q5]
        add r11, r11, #1
        cmp r9, r1
        bne.w 11b
        ",
        end!(),
    )
}

/// Five or six pixels of all channels, horizontal stride 1, [`super::Mode::DoubleRelu`]. A register
/// is left for the loop, and a vector of sums is half full: pixel 5 is in lane 5, not 3.
///
/// # Safety
///
/// As for [`super::strip::depthwise_i8_8x1`], with eight columns at most.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn depthwise_relu_i8_6x1(arguments: *const Strip) {
    naked_asm!(
        prologue!(),
        r"
        dls lr, r4
    11: // a channel
    12:
        vldrw.u32 q1, [r9, #4]
        vldrw.u32 q0, [r9], #20
        ",
        pair!("q2", "#260]", "r8", "r10"),
        pair!("q3", "#132]", "r4", "r6"),
        pair!("q2", "#4]!", "r0", "r2"),
        r"
        vmov q2[2], q2[0], r0, r4
        vmov q2[3], q2[1], r2, r6
        vmov q3[2], q3[0], r8, r10
        ",
        relu!(),
        r"
        vpst
        vstrbt.16 q2, [r11, q5]
        add r11, r11, #1
        le lr, 11b
        ",
        end!(),
    )
}
