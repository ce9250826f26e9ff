//! Vector table and reset. There are no interrupts; every fault ends the emulator.

use core::arch::global_asm;

use crate::semihosting;

// The sixteen vectors that every Cortex-M has. All faults go to one handler; the rest cannot
// happen. The reset handler lets code use FPU and Helium (CPACR: full access to CP10 and CP11;
// without either the register ignores writes), copies the variables' initial values and clears the
// others.
global_asm!(
    ".section .vectors, \"a\"",
    ".word _stack_top",
    ".word reset",
    ".rept 14",
    ".word fault",
    ".endr",
    ".section .text.reset, \"ax\"",
    ".thumb_func",
    ".global reset",
    ".type reset, %function",
    "reset:",
    "movw r0, #0xED88",
    "movt r0, #0xE000",
    "ldr r1, [r0]",
    "orr r1, r1, #0xF00000",
    "str r1, [r0]",
    "dsb",
    "isb",
    "movw r0, #:lower16:_data_start",
    "movt r0, #:upper16:_data_start",
    "movw r1, #:lower16:_data_end",
    "movt r1, #:upper16:_data_end",
    "movw r2, #:lower16:_data_load",
    "movt r2, #:upper16:_data_load",
    "1: cmp r0, r1",
    "bhs 2f",
    "ldr r3, [r2], #4",
    "str r3, [r0], #4",
    "b 1b",
    "2: movw r0, #:lower16:_bss_start",
    "movt r0, #:upper16:_bss_start",
    "movw r1, #:lower16:_bss_end",
    "movt r1, #:upper16:_bss_end",
    "movs r3, #0",
    "3: cmp r0, r1",
    "bhs 4f",
    "str r3, [r0], #4",
    "b 3b",
    "4: bl main",
    "b .",
    ".thumb_func",
    ".type fault, %function",
    "fault:",
    // The processor has stacked r0-r3, r12, lr, pc, xPSR.
    "ldr r0, [sp, #24]",
    "bl bench_fault",
    "b .",
);

/// Says where the fault was and ends the emulator.
#[unsafe(no_mangle)]
extern "C" fn bench_fault(pc: u32) -> ! {
    let mut text = *b"fault at 0x00000000\n\0";
    if let Some(digits) = text.get_mut(11..19) {
        for (digit, place) in digits.iter_mut().zip((0..8).rev()) {
            let nibble = (pc >> (4 * place)) as u8 & 15;
            *digit = nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
        }
    }
    if let Ok(text) = core::ffi::CStr::from_bytes_with_nul(&text) {
        semihosting::write_console(text);
    }
    semihosting::exit(semihosting::FAULTED)
}
