//! How deep the stack has been: the unused part is painted once and looked at later.

use core::ptr::{addr_of, read_volatile, write_volatile};

const PAINT: u32 = 0xACE1_57AC;
/// Words below the caller that are left alone while painting: the painter's own frame.
const MARGIN: usize = 64;

unsafe extern "C" {
    /// End of all static memory (the heap would start here); from cortex-m-rt's linker script.
    static mut __sheap: u32;
    /// First address above the stack; from the same.
    static _stack_start: u32;
}

/// Paints everything from the end of the static memory up to just below the caller's frame.
///
/// Call it first thing in `main`.
pub fn paint() {
    let here = cortex_m::register::msp::read() as usize / 4 - MARGIN;
    for word in bottom() / 4..here {
        // SAFETY: these words are RAM above all statics and below every live frame; there is no heap.
        unsafe { write_volatile((word * 4) as *mut u32, PAINT) }
    }
}

/// Greatest depth since `paint`, in bytes.
pub fn peak() -> u32 {
    // SAFETY: as in `paint`; reading RAM that may hold live frames is harmless.
    let untouched = (bottom() / 4..top() / 4)
        .find(|word| unsafe { read_volatile((word * 4) as *const u32) } != PAINT);
    (top() - untouched.map_or(top(), |word| word * 4)) as u32
}

fn bottom() -> usize {
    (addr_of!(__sheap) as usize).next_multiple_of(4)
}

fn top() -> usize {
    addr_of!(_stack_start) as usize
}
