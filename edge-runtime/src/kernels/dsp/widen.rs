//! Activations from `i8` to `i16` pairs, in the order of SXTB16.

use core::arch::naked_asm;

/// What [`widen_2`] and [`widen_1`] read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// How many, not zero.
    pub rows: usize,
    /// Bytes between the end of a row and the start of the next.
    pub skip: usize,
    /// Groups of four bytes in a row.
    pub groups: usize,
    /// Bytes of a row beyond the groups, below four.
    pub rest: usize,
}

/// Widens rows of two pixels, word by word in turn; the words of a row are
/// [`crate::kernels::packing::dsp_blocks::Taps::row_words`]. Lanes left over hold anything.
///
/// # Safety
///
/// `rows` is valid; both pixels' rows can be read, `panel` can be written and lies on a 4-byte
/// boundary.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn widen_2(
    first: *const u8,
    second: *const u8,
    panel: *mut u32,
    rows: *const Rows,
) {
    naked_asm!(
        dsp_cpu!(),
        "push {{r4-r10, lr}}
         ldmia.w r3, {{r9, r10, r12, lr}}
         2: lsrs r3, r12, #1
         bcc 3f
         ldr r5, [r0], #4
         ldr r7, [r1], #4
         sxtb16 r4, r5
         sxtb16 r6, r5, ror #8
         sxtb16 r5, r7
         sxtb16 r7, r7, ror #8
         stmia r2!, {{r4-r7}}
         3: cbz r3, 5f
         4: ldr r5, [r0], #4
         ldr r7, [r1], #4
         sxtb16 r4, r5
         sxtb16 r6, r5, ror #8
         sxtb16 r5, r7
         sxtb16 r7, r7, ror #8
         stmia r2!, {{r4-r7}}
         ldr r5, [r0], #4
         ldr r7, [r1], #4
         sxtb16 r4, r5
         sxtb16 r6, r5, ror #8
         sxtb16 r5, r7
         sxtb16 r7, r7, ror #8
         subs r3, #1
         stmia r2!, {{r4-r7}}
         bne 4b
         5: cmp lr, #1
         bhs 7f
         6: add r0, r10
         add r1, r10
         subs.w r9, r9, #1
         bne 2b
         pop {{r4-r10, pc}}
         7: bhi 8f
         ldrsb r4, [r0], #1
         ldrsb r5, [r1], #1
         stmia r2!, {{r4, r5}}
         b 6b
         8: cmp lr, #2
         ldrh r4, [r0], #2
         ldrh r5, [r1], #2
         ittt hi
         ldrbhi r6, [r0], #1
         ldrbhi r7, [r1], #1
         orrhi.w r4, r4, r6, lsl #16
         it hi
         orrhi.w r5, r5, r7, lsl #16
         sxtb16 r6, r4, ror #8
         sxtb16 r7, r5, ror #8
         sxtb16 r4, r4
         sxtb16 r5, r5
         stmia r2!, {{r4-r7}}
         b 6b",
    )
}

/// Widens rows of one pixel, else as [`widen_2`].
///
/// # Safety
///
/// As [`widen_2`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn widen_1(pixel: *const u8, panel: *mut u32, rows: *const Rows) {
    naked_asm!(
        dsp_cpu!(),
        "push {{r4-r8, lr}}
         ldmia.w r2, {{r6, r7, r8, r12}}
         2: movs.w r3, r8
         beq 4f
         3: ldr r5, [r0], #4
         subs r3, #1
         sxtb16 r4, r5
         sxtb16 r5, r5, ror #8
         stmia r1!, {{r4, r5}}
         bne 3b
         4: cmp.w r12, #1
         bhs 6f
         5: add r0, r7
         subs r6, #1
         bne 2b
         pop {{r4-r8, pc}}
         6: bhi 7f
         ldrsb r4, [r0], #1
         stmia r1!, {{r4}}
         b 5b
         7: cmp.w r12, #2
         ldrh r4, [r0], #2
         itt hi
         ldrbhi r5, [r0], #1
         orrhi.w r4, r4, r5, lsl #16
         sxtb16 r5, r4, ror #8
         sxtb16 r4, r4
         stmia r1!, {{r4, r5}}
         b 5b",
    )
}
