//! The inner kernels of depthwise 3x3 convolutions: eight pixels of a channel at a time, Helium.
//!
//! For each group of 16 channels of a strip of eight output pixels:
//!
//! 1. The columns under the strip are turned: a VST4 of the three rows under the window (and
//!    anything as the fourth) puts the three values of a channel side by side, so that a column is
//!    16 words, one for each channel, `[channel][row]`.
//! 2. For each channel a gathering load reads four neighbouring columns, 4 x 4 values, in which two
//!    outputs of a stride of 1 lie side by side: one VMLADAV with the weights `[w0 w1 w2 0]`, one
//!    with `[0 w0 w1 w2]`, each a column of three values and a zero. At a stride of 2 there is one
//!    output in it.
//! 3. Eight sums are requantised as in `epilogue` and stored with one scattered store.
//!
//! The turned columns are why this beats multiplying 16 channels at a time: there the sums have to
//! be widened to 32 bits, four vectors for each tap.

use core::arch::naked_asm;
use core::mem::offset_of;

/// Arguments of the kernels.
#[repr(C)]
pub(super) struct Strip {
    /// The rows under the window, at the column of the first output's first tap.
    pub rows: [*const i8; 3],
    /// From a column to the next: channels of the input.
    pub step: usize,
    /// Room for turned columns, 64 bytes each; a multiple of 4.
    pub turned: *mut i8,
    /// Columns to turn, at least 1.
    pub columns: u32,
    /// 32 bytes for each channel, see `packing::mve_depthwise`; a multiple of 4.
    pub weights: *const u8,
    /// At least 1.
    pub channels: u32,
    /// First output.
    pub output: *mut i8,
    /// Of the output.
    pub zero_point: i32,
    /// Lowest output, in each byte.
    pub min: u32,
    /// Highest output, in each byte.
    pub max: u32,
    /// A [`super::Mode`].
    pub mode: u32,
    /// Pairs of pixels that are left out of 4 (at a stride of 1) or pixels out of 8 (of 2).
    pub skipped: u32,
    /// Two bits for each lane of `offsets` that is stored.
    pub mask: u32,
    /// Where the outputs go: lane `2 * i` has pixel `i`, lane `2 * i + 1` pixel `i + 4`.
    pub offsets: [u16; 8],
}

const _: () = {
    assert!(offset_of!(Strip, columns) == 20 && offset_of!(Strip, output) == 32);
    assert!(offset_of!(Strip, mode) == 48 && offset_of!(Strip, offsets) == 60);
};

// Registers of the loop over channels: r1 end of the group's weights, r3 zero point, r5 epilogue,
// r7 entry, r9 weights, r11 output, even ones sums. q5 offsets, q7 addresses of four columns (and
// q6 those of the columns from the eighth on at a stride of 2), both one channel behind.
// Frame: 0 rows, 12 step, 16 turned, 20 columns, 24 channels left, 28 min, 32 max.
macro_rules! prologue {
    () => {
        r"
        .cpu cortex-m55
        push {{r4-r11, lr}}
        vpush {{d8-d15}}
        sub sp, sp, #36
        ldm r0, {{r1-r6}}
        stm sp, {{r1-r6}}
        ldr r9, [r0, #24]
        ldrd r2, r11, [r0, #28]
        str r2, [sp, #24]
        ldr r3, [r0, #36]
        ldrd r2, r4, [r0, #40]
        strd r2, r4, [sp, #28]
        ldrd r2, r4, [r0, #48]
        adr.w r5, 40f
        ldr r2, [r5, r2, lsl #2]
        add r5, r5, r2
        orr r5, r5, #1
        adr.w r7, 12f
        orr r7, r7, #1
        ldr r6, 41f
        mla r7, r4, r6, r7
        ldr r2, [r0, #56]
        vmsr p0, r2
        add r0, r0, #60
        vldrh.u16 q5, [r0]
    10: // a group of 16 channels: turn the columns
        ldm sp, {{r0, r1, r2, r4, r6, r8}}
        // r0, r1, r2 rows, r4 step, r6 turned, r8 columns
        mov lr, r8
        mov r12, r6
        dls lr, lr
    1:
        vldrb.u8 q0, [r0]
        add r0, r0, r4
        vldrb.u8 q1, [r1]
        add r1, r1, r4
        vldrb.u8 q2, [r2]
        add r2, r2, r4
        vst40.8 {{q0, q1, q2, q3}}, [r12]
        vst41.8 {{q0, q1, q2, q3}}, [r12]
        vst42.8 {{q0, q1, q2, q3}}, [r12]
        vst43.8 {{q0, q1, q2, q3}}, [r12]!
        le lr, 1b
        ldm sp, {{r0, r1, r2}}
        add r0, r0, #16
        add r1, r1, #16
        add r2, r2, #16
        stm sp, {{r0, r1, r2}}
        ldr r2, [sp, #24]
        mov r4, #16
        subs r8, r2, r4
        it lo
        movlo r4, r2
        str r8, [sp, #24]
        add r1, r9, r4, lsl #5
        // Addresses of the first four columns, a word behind.
        sub r6, r6, #4
        mov r0, #0
        vidup.u32 q7, r0, #8
        vshl.i32 q7, q7, #3
        vadd.i32 q7, q7, r6
    "
    };
}
macro_rules! epilogue {
    () => {
        r"
        vmov q2[2], q2[0], r0, r4
        vmov q2[3], q2[1], r2, r6
        vmov q3[2], q3[0], r8, r12
        vmov q3[3], q3[1], r10, lr
        ldm r9!, {{r0, r2, r4}}
        vadd.i32 q2, q2, r0
        vadd.i32 q3, q3, r0
        bx r5
        .macro dunlin_mve_narrow
        vqmovnb.s32 q2, q2
        vqmovnt.s32 q2, q3
        vqadd.s16 q2, q2, r3
        vqmovnb.s16 q2, q2
        .endm
        .macro dunlin_mve_store
        vpst
        vstrbt.16 q2, [r11, q5]
        add r11, r11, #1
        cmp r9, r1
        bne.w 11b
        .endm
    20: // two roundings, clamped at the zero point from below
        vqrdmulh.s32 q2, q2, r2
        vqrdmulh.s32 q3, q3, r2
        vrshl.s32 q2, r4
        vrshl.s32 q3, r4
        dunlin_mve_narrow
        dunlin_mve_store
        b 30f
    21: // two roundings, all shifts to the right
        vqrdmulh.s32 q2, q2, r2
        vqrdmulh.s32 q3, q3, r2
        vshr.s32 q0, q2, #31
        vadd.i32 q2, q2, q0
        vshr.s32 q0, q3, #31
        vadd.i32 q3, q3, q0
        vrshl.s32 q2, r4
        vrshl.s32 q3, r4
        dunlin_mve_narrow
        dunlin_mve_store
        b 30f
    22: // two roundings, any shift
        bic r0, r4, r4, asr #31
        vshl.s32 q2, r0
        vshl.s32 q3, r0
        vqrdmulh.s32 q2, q2, r2
        vqrdmulh.s32 q3, q3, r2
        and r4, r4, r4, asr #31
        vdup.32 q1, r4
        vand q0, q1, q2
        vshr.s32 q0, q0, #31
        vqadd.s32 q2, q2, q0
        vand q0, q1, q3
        vshr.s32 q0, q0, #31
        vqadd.s32 q3, q3, q0
        b 26f
    24: // one rounding, any shift
        add r0, r4, #2
        bic r0, r0, r0, asr #31
        vshl.s32 q2, r0
        vshl.s32 q3, r0
        adds r4, r4, #1
        it pl
        movpl r4, #-1
    23: // one rounding, shifts of at least 2 to the right, stored one less
        vdup.32 q0, r2
        vmulh.s32 q2, q2, q0
        vmulh.s32 q3, q3, q0
    26:
        vrshl.s32 q2, r4
        vrshl.s32 q3, r4
        b 28f
    25: // the high word, rounded
        vshl.s32 q2, r4
        vshl.s32 q3, r4
        vdup.32 q0, r2
        vrmulh.s32 q2, q2, q0
        vrmulh.s32 q3, q3, q0
    28:
        dunlin_mve_narrow
        ldrd r0, r2, [sp, #28]
        vdup.8 q0, r0
        vmax.s8 q2, q2, q0
        vdup.8 q0, r2
        vmin.s8 q2, q2, q0
        dunlin_mve_store
    30: // the group is done
        ldr r0, [sp, #24]
        cmp r0, #0
        bgt.w 10b
        add sp, sp, #36
        vpop {{d8-d15}}
        pop {{r4-r11, pc}}
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

/// Eight pixels of all channels, horizontal stride 1: ten columns at most.
///
/// # Safety
///
/// `arguments` is as its fields say. From each row pointer `(columns - 1) * step + c` bytes can be
/// read, where `c` is the channels rounded up to 16; ten columns fit at `turned`, which overlaps
/// nothing; the weights of all channels can be read; every output that `mask` lets through can be
/// written for every channel and changes nothing that is read later in the call. The core has
/// Helium and it is enabled.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn depthwise_i8_8x1(arguments: *const Strip) {
    naked_asm!(
        prologue!(),
        r"
    11: // a channel
        vldrw.u32 q1, [r9, #4]
        vldrw.u32 q0, [r9], #20
        bx r7
    12:
        vldrw.u32 q2, [q7, #388]
        vmladav.s8 r12, q2, q1
        vmladav.s8 lr, q2, q0
        vldrw.u32 q3, [q7, #260]
        vmladav.s8 r8, q3, q1
        vmladav.s8 r10, q3, q0
        vldrw.u32 q2, [q7, #132]
        vmladav.s8 r4, q2, q1
        vmladav.s8 r6, q2, q0
        vldrw.u32 q3, [q7, #4]!
        vmladav.s8 r0, q3, q1
        vmladav.s8 r2, q3, q0
        ",
        epilogue!(),
        r"
    41: // bytes for a pair of pixels
        .word 12
        "
    )
}

/// Eight pixels of all channels, horizontal stride 2: 17 columns at most.
///
/// # Safety
///
/// As for [`depthwise_i8_8x1`], with 18 columns at `turned`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn depthwise_i8_8x1_stride_2(arguments: *const Strip) {
    naked_asm!(
        prologue!(),
        r"
        mov r4, #512
        vadd.i32 q6, q7, r4
    11: // a channel
        vldrw.u32 q1, [r9, #4]
        add r9, r9, #20
        bx r7
    12:
        vldrw.u32 q2, [q6, #388]
        vmladav.s8 lr, q2, q1
        vldrw.u32 q3, [q6, #260]
        vmladav.s8 r12, q3, q1
        vldrw.u32 q2, [q6, #132]
        vmladav.s8 r10, q2, q1
        vldrw.u32 q3, [q6, #4]!
        vmladav.s8 r8, q3, q1
        vldrw.u32 q2, [q7, #388]
        vmladav.s8 r6, q2, q1
        vldrw.u32 q3, [q7, #260]
        vmladav.s8 r4, q3, q1
        vldrw.u32 q2, [q7, #132]
        vmladav.s8 r2, q2, q1
        vldrw.u32 q3, [q7, #4]!
        vmladav.s8 r0, q3, q1
        ",
        epilogue!(),
        r"
    41: // bytes for a pixel
        .word 8
        "
    )
}

pub(super) use prologue;
