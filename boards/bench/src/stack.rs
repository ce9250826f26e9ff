//! How deep the stack goes: what lies below the caller is painted, and looked at afterwards.

use core::arch::{asm, naked_asm};
use core::ptr::addr_of;

const PAINT: u32 = 0xACE1_57AC;

unsafe extern "C" {
    static _stack_bottom: u32;
}

/// Paints everything from the end of the stack's memory up to the caller's stack pointer, which it
/// returns. Uses no stack itself.
#[unsafe(naked)]
pub extern "C" fn paint() -> usize {
    naked_asm!(
        "movw r0, #:lower16:_stack_bottom",
        "movt r0, #:upper16:_stack_bottom",
        "movw r1, #{low}",
        "movt r1, #{high}",
        "mov r2, sp",
        "1: cmp r0, r2",
        "bhs 2f",
        "str r1, [r0], #4",
        "b 1b",
        "2: bx lr",
        low = const PAINT & 0xffff,
        high = const PAINT >> 16,
    )
}

/// Bytes below `top`, which [`paint`] returned, that have been written since. What was reserved
/// below the last written word does not show.
pub fn depth(top: usize) -> u32 {
    let mut word = addr_of!(_stack_bottom) as usize;
    while word < top {
        let value: u32;
        // SAFETY: an aligned word of the stack's memory. In assembly because the word belongs to no
        // object that the compiler knows.
        unsafe { asm!("ldr {}, [{}]", out(reg) value, in(reg) word, options(nostack, readonly)) }
        if value != PAINT {
            break;
        }
        word += 4;
    }
    (top - word) as u32
}
