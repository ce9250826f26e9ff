//! What the two programs for the emulated machines share: start-up, memory, semihosting, markers.
//!
//! Everything that is `unsafe` lies here; the programs are plain Rust.
#![no_std]

pub mod memory;
pub mod semihosting;
pub mod stack;

mod start;

use core::arch::naked_asm;

use edge_runtime::kernels::cases;

/// Cases of its kernels that a program for one image does without.
pub const LEFT_OUT: u64 = if cfg!(feature = "compact") {
    cases::LEFT_OVER | cases::UNROLLED
} else if cfg!(feature = "short") {
    cases::LEFT_OVER | cases::WHOLE_LOOPS
} else if cfg!(feature = "small") {
    cases::LEFT_OVER
} else {
    0
};

/// Counting begins with the instruction after the call of this function.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn bench_start() {
    naked_asm!("bx lr")
}

/// An operator has ended: in a run that is split by operators, what was executed since the last
/// mark belongs to it.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn bench_split() {
    naked_asm!("bx lr")
}

/// Counting ends with the call of this function.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn bench_stop() {
    naked_asm!("bx lr")
}

/// A name that no ELF file may have: the panic handler calls it, so it is linked only where some
/// code can panic, even if everything of `core::panicking` was inlined.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn bench_panic_is_linked() -> ! {
    semihosting::write_console(c"panic");
    semihosting::exit(semihosting::PANICKED)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    bench_panic_is_linked()
}
