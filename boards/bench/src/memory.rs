//! The two big blocks of memory that the linker script sets aside.

use core::ptr::{addr_of, addr_of_mut};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

unsafe extern "C" {
    static mut _bulk_start: u8;
    static _bulk_end: u8;
    static mut _arena_start: i8;
    static _arena_end: i8;
}

/// The memory for the image and the memory for the arena, both on a 16-byte boundary. Only the
/// first call gets them; any other gets empty slices.
pub fn take() -> (&'static mut [u8], &'static mut [i8]) {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    // One thread, no interrupts: no read-modify-write needed.
    if TAKEN.load(Relaxed) {
        return (&mut [], &mut []);
    }
    TAKEN.store(true, Relaxed);
    let bulk_len = addr_of!(_bulk_end) as usize - addr_of!(_bulk_start) as usize;
    let arena_len = addr_of!(_arena_end) as usize - addr_of!(_arena_start) as usize;
    // SAFETY: RAM of the machine that no section, neither the stack nor the other block has, handed
    // out once; any bytes are valid.
    unsafe {
        (
            core::slice::from_raw_parts_mut(addr_of_mut!(_bulk_start), bulk_len),
            core::slice::from_raw_parts_mut(addr_of_mut!(_arena_start), arena_len),
        )
    }
}
