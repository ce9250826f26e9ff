//! The inner kernel of depthwise convolutions of any window: one pixel by 16 channels, Helium.
//!
//! For each tap, 16 products of int8 in two vectors of int16, which are widened and added to four
//! vectors of sums. Even and odd lanes part twice on the way, and narrowing joins them again, so
//! the parameters are in that order: vector `i` has channels `4 * lane + [0, 2, 1, 3][i]`.

use core::arch::naked_asm;
use core::mem::offset_of;

/// Most rows of a window.
pub(super) use crate::kernels::footprint::mve::ROWS;

/// Arguments of [`depthwise_i8_1x16`].
#[repr(C)]
pub(super) struct Taps {
    /// Rows of the window, 1..=`ROWS`.
    pub rows: usize,
    /// Taps of a row, at least 1.
    pub columns: usize,
    /// From a tap to the next.
    pub step: usize,
    /// From `starts` to the first tap and channel.
    pub offset: usize,
    /// A group of 16 channels, see `packing::mve_depthwise_any`; a multiple of 4.
    pub weights: *const u8,
    /// Of the first channel.
    pub output: *mut i8,
    /// Channels to store, 1..=16.
    pub channels: u32,
    /// Of the output.
    pub zero_point: i32,
    /// Lowest output.
    pub min: i32,
    /// Highest output.
    pub max: i32,
    /// 0 for two roundings, 1 for one, 2 for the high word.
    pub rounding: u32,
    /// The rows.
    pub starts: [*const i8; ROWS],
}

const _: () = assert!(offset_of!(Taps, channels) == 24 && offset_of!(Taps, starts) == 44);

/// One pixel of 16 channels.
///
/// # Safety
///
/// `arguments` is as its fields say. From `offset` on, 16 bytes can be read at each tap of each
/// row; `16 * taps + 192` bytes can be read at `weights` and `channels` bytes written at `output`.
/// The core has Helium and it is enabled.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn depthwise_i8_1x16(arguments: *const Taps) {
    naked_asm!(
        r"
        .cpu cortex-m55
        push {{r4-r7, lr}}
        vpush {{d8-d15}}
        ldm r0, {{r2-r6}}
        // r1 starts, r2 rows, r3 columns, r4 step, r5 offset, r6 weights
        add r1, r0, #44
        vmov.i32 q0, #0
        vmov.i32 q1, #0
        vmov.i32 q2, #0
        vmov.i32 q3, #0
    1:
        ldr r7, [r1], #4
        add r7, r7, r5
        dls lr, r3
    2:
        vldrb.u8 q4, [r7]
        add r7, r7, r4
        vldrb.u8 q5, [r6], #16
        vmullb.s8 q6, q4, q5
        vmullt.s8 q7, q4, q5
        vmovlb.s16 q4, q6
        vadd.i32 q0, q0, q4
        vmovlt.s16 q6, q6
        vadd.i32 q1, q1, q6
        vmovlb.s16 q4, q7
        vadd.i32 q2, q2, q4
        vmovlt.s16 q7, q7
        vadd.i32 q3, q3, q7
        le lr, 2b
        subs r2, r2, #1
        bne 1b
        // Bias, multiplier and shift of each vector are 64 bytes apart.
        .macro dunlin_mve_parameters sums
        vldrw.u32 q4, [r6], #16
        vadd.i32 \sums, \sums, q4
        vldrw.u32 q5, [r6, #48]
        vldrw.u32 q6, [r6, #112]
        .endm
        ldr r1, [r0, #40]
        cmp r1, #1
        beq 4f
        bhi 5f
        .irp sums, q0, q1, q2, q3
        dunlin_mve_parameters \sums
        vmov.i32 q7, #0
        vmax.s32 q4, q6, q7
        vshl.s32 \sums, \sums, q4
        vqrdmulh.s32 \sums, \sums, q5
        vmin.s32 q6, q6, q7
        vand q4, \sums, q6
        vshr.s32 q4, q4, #31
        vqadd.s32 \sums, \sums, q4
        vrshl.s32 \sums, \sums, q6
        .endr
        b 6f
    4:
        mov r1, #2
        mov r2, #1
        .irp sums, q0, q1, q2, q3
        dunlin_mve_parameters \sums
        vmov.i32 q7, #0
        vadd.i32 q4, q6, r1
        vmax.s32 q4, q4, q7
        vshl.s32 \sums, \sums, q4
        vmvn.i32 q7, #0
        vadd.i32 q6, q6, r2
        vmin.s32 q6, q6, q7
        vmulh.s32 \sums, \sums, q5
        vrshl.s32 \sums, \sums, q6
        .endr
        b 6f
    5:
        .irp sums, q0, q1, q2, q3
        dunlin_mve_parameters \sums
        vshl.s32 \sums, \sums, q6
        vrmulh.s32 \sums, \sums, q5
        .endr
    6:
        vqmovnb.s32 q0, q0
        vqmovnt.s32 q0, q1
        vqmovnb.s32 q2, q2
        vqmovnt.s32 q2, q3
        ldr r1, [r0, #28]
        vqadd.s16 q0, q0, r1
        vqadd.s16 q2, q2, r1
        vqmovnb.s16 q0, q0
        vqmovnt.s16 q0, q2
        ldrd r1, r2, [r0, #32]
        vdup.8 q4, r1
        vmax.s8 q0, q0, q4
        vdup.8 q4, r2
        vmin.s8 q0, q0, q4
        ldrd r1, r2, [r0, #20]
        vctp.8 r2
        vpst
        vstrbt.8 q0, [r1]
        vpop {{d8-d15}}
        pop {{r4-r7, pc}}
        .purgem dunlin_mve_parameters
        "
    )
}
