//! The inner kernel of convolutions: four pixels by two output channels, int8, Helium.
//!
//! For each tile of four pixels and each pair of output channels:
//!
//! ```text
//! acc[channel][pixel] = sum over chunks of 16: columns[pixel] . weights[channel]   (VMLADAVA)
//! y = requantise(acc + bias)                   four pixels of a channel in a vector
//! output[offsets[2 * pixel + channel]] = y     one scattered store of eight bytes
//! ```
//!
//! Why four by two: VMLADAVA adds 16 products to a general register of even number, of which there
//! are eight, and a chunk then costs six loads for eight multiplications. The chunks of a pixel are
//! unrolled; a tile jumps to as many of them as it needs, so there is no loop counter, for which no
//! register is left. The chunk that comes first in the stream is the last of the pixel, because its
//! code is at a fixed distance and can start the sums without clearing them.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::epilogue::{epilogue, prologue};

/// Chunks of 16 that are unrolled.
pub(super) const UNROLLED: usize = 17;

/// Arguments of [`conv_i8_4x2`].
#[repr(C)]
pub(super) struct Panel {
    /// The last chunk of each of the first four pixels; multiples of 4.
    pub pixels: [*const i8; 4],
    /// Packed pairs of channels, see `packing::mve_panel`; a multiple of 4.
    pub weights: *const u8,
    /// Where they end: a whole number of pairs, at least one, after `weights`.
    pub weights_end: *const u8,
    /// First output of the first of the four pixels.
    pub output: *mut i8,
    /// Tiles of four pixels, at least 1.
    pub tiles: u32,
    /// From a tile to the next.
    pub input_step: usize,
    /// From the end of a tile (the first pixel's channel after the last one computed) to the next.
    pub output_step: usize,
    /// Of the output.
    pub zero_point: i32,
    /// Lowest output, in each byte.
    pub min: u32,
    /// Highest output, in each byte.
    pub max: u32,
    /// Chunks beside the last one: `passes * UNROLLED + rest`.
    pub passes: u32,
    /// Below `UNROLLED`, or up to that where `passes` is 0.
    pub rest: u32,
    /// A [`super::Mode`].
    pub mode: u32,
    /// Where the eight outputs of a tile go, relative to the output of the first pixel: even ones
    /// the first channel of pixel `i / 2`, odd ones the second.
    pub offsets: [u16; 8],
}

const _: () = {
    assert!(offset_of!(Panel, weights) == 16 && offset_of!(Panel, tiles) == 28);
    assert!(offset_of!(Panel, zero_point) == 40 && offset_of!(Panel, passes) == 52);
    assert!(offset_of!(Panel, mode) == 60 && offset_of!(Panel, offsets) == 64);
};

/// On to the next tile, or back.
macro_rules! tile_end {
    () => {
        r"
    30: // the tile is done
        ldrd r0, r2, [sp, #20]
        subs r0, r0, #1
        str r0, [sp, #20]
        add r1, r1, r2
        add r3, r3, r2
        add r5, r5, r2
        add r7, r7, r2
        ldr r4, [sp, #28]
        add r11, r11, r4
        bne.w 10b
        add sp, sp, #68
        vpop {{d8-d15}}
        pop {{r4-r11, pc}}
        "
    };
}

/// As [`conv_i8_4x2`] where a pixel is one chunk: the pixels stay in their vectors.
///
/// # Safety
///
/// As for [`conv_i8_4x2`], with `passes` and `rest` zero.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn conv_i8_4x2_of_16(arguments: *const Panel) {
    naked_asm!(
        prologue!(),
        r"
        str r2, [sp, #12]
        ldrd r1, r3, [r0]
        ldrd r5, r7, [r0, #8]
    10: // a tile
        vldrw.u32 q0, [r1]
        ldr r9, [sp, #16]
        vldrw.u32 q1, [r3]
        vldrw.u32 q2, [r5]
        vldrw.u32 q3, [r7]
    11: // a pair of channels
        vldrw.u32 q4, [r9], #16
        vmladav.s8 r0, q0, q4
        vmladav.s8 r2, q1, q4
        vldrw.u32 q5, [r9], #16
        vmladav.s8 r4, q2, q4
        vmladav.s8 r6, q3, q4
        vmladav.s8 r8, q0, q5
        vmladav.s8 r10, q1, q5
        vmladav.s8 r12, q2, q5
        vmladav.s8 lr, q3, q5
        ldr pc, [sp, #12]
        ",
        epilogue!(),
        tile_end!(),
    )
}

/// Runs all pairs of channels on `tiles` tiles.
///
/// # Safety
///
/// `arguments` is as its fields say. For every tile the 16 bytes at each pixel pointer and the
/// `16 * (passes * UNROLLED + rest)` bytes below can be read, `weights..weights_end` can be read
/// and holds pairs of `32 * chunks + 24` bytes, all bytes at `output + offset` can be written for
/// every pair (the output moves two bytes a pair), and no store changes a byte that is read later
/// in the call. The core has Helium and it is enabled.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn conv_i8_4x2(arguments: *const Panel) {
    // r1, r3, r5, r7: pixels; r9: weights; r11: output; even registers: accumulators.
    // Frame: as `epilogue`, 8 entry, 12 epilogue, 40 passes left, 44 spilled r11, 48 passes, 52 entry
    // of the rest, 56 what all passes subtract from the pixels, 60 epilogue after passes.
    naked_asm!(
        prologue!(),
        r"
        adr.w r3, 13f
        orr r3, r3, #1
        ldrd r4, r5, [r0, #52]
        mov r6, #56
        mls r5, r5, r6, r3
        cbz r4, 1f
        strd r4, r5, [sp, #48]
        str r4, [sp, #40]
        add r5, r4, #1
        mov r6, #272
        mul r5, r5, r6
        strd r5, r2, [sp, #56]
        adr.w r5, 12f
        orr r5, r5, #1
        adr.w r2, 14f
        orr r2, r2, #1
    1:
        strd r5, r2, [sp, #8]
        ldr r7, [r0, #12]
        ldr r5, [r0, #8]
        ldr r3, [r0, #4]
        ldr r1, [r0]
    10: // a tile
        ldr r9, [sp, #16]
    11: // a pair of channels
        vldrw.u32 q0, [r1]
        vldrw.u32 q4, [r9], #16
        vmladav.s8 r0, q0, q4
        vldrw.u32 q1, [r3]
        vmladav.s8 r2, q1, q4
        vldrw.u32 q2, [r5]
        vmladav.s8 r4, q2, q4
        vldrw.u32 q3, [r7]
        vmladav.s8 r6, q3, q4
        vldrw.u32 q5, [r9], #16
        vmladav.s8 r8, q0, q5
        vmladav.s8 r10, q1, q5
        vmladav.s8 r12, q2, q5
        vmladav.s8 lr, q3, q5
        ldr pc, [sp, #8]
    12:
        .irp off,272,256,240,224,208,192,176,160,144,128,112,96,80,64,48,32,16
        vldrw.u32 q0, [r1, #-\off]
        vldrw.u32 q4, [r9], #16
        vmladava.s8 r0, q0, q4
        vldrw.u32 q1, [r3, #-\off]
        vmladava.s8 r2, q1, q4
        vldrw.u32 q2, [r5, #-\off]
        vmladava.s8 r4, q2, q4
        vldrw.u32 q3, [r7, #-\off]
        vmladava.s8 r6, q3, q4
        vldrw.u32 q5, [r9], #16
        vmladava.s8 r8, q0, q5
        vmladava.s8 r10, q1, q5
        vmladava.s8 r12, q2, q5
        vmladava.s8 lr, q3, q5
        .endr
    13:
        ldr pc, [sp, #12]
    14: // a pass is over: another one, or the rest, or the epilogue
        str r11, [sp, #44]
        ldr r11, [sp, #40]
        subs r11, r11, #1
        str r11, [sp, #40]
        sub r1, r1, #272
        sub r3, r3, #272
        sub r5, r5, #272
        sub r7, r7, #272
        blt 15f
        ldr r11, [sp, #44]
        bgt 12b
        ldr pc, [sp, #52]
    15:
        ldr r11, [sp, #48]
        str r11, [sp, #40]
        ldr r11, [sp, #56]
        add r1, r1, r11
        add r3, r3, r11
        add r5, r5, r11
        add r7, r7, r11
        ldr r11, [sp, #44]
        ldr pc, [sp, #60]

        ",
        epilogue!(),
        tile_end!(),
    )
}
