//! Nothing here should panic. If something does, the third serial port says where, and the board
//! halts until it is switched off; the emulator looks for the word `panic` there.

use core::{fmt::Write, panic::PanicInfo};

use crate::uart::Uart;

const UART2: usize = 0x4000_6000;

/// Says why on the debug port and halts.
pub fn halt(why: core::fmt::Arguments<'_>) -> ! {
    cortex_m::interrupt::disable();
    // SAFETY: UART2's registers; nothing else drives it, and nothing runs after this.
    let mut uart = unsafe { Uart::new(UART2) };
    let _ = writeln!(uart, "panic: {why}");
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    halt(format_args!("{info}"))
}
