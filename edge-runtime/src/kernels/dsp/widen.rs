//! Activations from `i8` to `i16` pairs, in the order of SXTB16.

use core::arch::naked_asm;

/// Widens rows of two pixels, word by word in turn. A row is `groups` groups of four bytes of each
/// pixel; `skip` bytes lie between two rows of a pixel. Writes 16 bytes a group to `panel`.
///
/// # Safety
///
/// `groups` and `rows` are not zero; both pixels' rows can be read, `panel` can be written and lies
/// on a 4-byte boundary.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn widen_2(
    first: *const u8,
    second: *const u8,
    panel: *mut u32,
    groups: usize,
    rows: usize,
    skip: usize,
) {
    naked_asm!(
        "push {{r4-r8, lr}}
         ldrd r12, lr, [sp, #24]
         2: lsrs r8, r3, #1
         bcc 3f
         ldr r5, [r0], #4
         ldr r7, [r1], #4
         sxtb16 r4, r5
         sxtb16 r6, r5, ror #8
         sxtb16 r5, r7
         sxtb16 r7, r7, ror #8
         stmia r2!, {{r4-r7}}
         cmp r8, #0
         beq 4f
         3: ldr r5, [r0], #4
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
         stmia r2!, {{r4-r7}}
         subs r8, #1
         bne 3b
         4: add r0, lr
         add r1, lr
         subs r12, #1
         bne 2b
         pop {{r4-r8, pc}}",
    )
}

/// Widens `groups` groups of four bytes of one pixel. Writes 8 bytes a group.
///
/// # Safety
///
/// As [`widen_2`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn widen_1(pixel: *const u8, panel: *mut u32, groups: usize) {
    naked_asm!(
        "push {{r4, lr}}
         2: ldr r12, [r0], #4
         sxtb16 r3, r12
         sxtb16 r4, r12, ror #8
         stmia r1!, {{r3, r4}}
         subs r2, #1
         bne 2b
         pop {{r4, pc}}",
    )
}
