//! The program `size` without the runtime: start-up, fault handler, and the memory handed out.
#![no_std]
#![no_main]

use bench_boards::memory;
use core::hint::black_box;

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    black_box(memory::take());
    loop {
        core::hint::spin_loop();
    }
}
