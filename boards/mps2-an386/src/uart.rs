//! CMSDK UART: polled, one byte of buffer each way.

use core::ptr::{read_volatile, write_volatile};

const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CTRL: usize = 0x08;
const BAUDDIV: usize = 0x10;

const STATE_TX_FULL: u32 = 1 << 0;
const STATE_RX_FULL: u32 = 1 << 1;
const CTRL_TX_RX_ENABLE: u32 = 0b11;
/// The smallest divider that the peripheral accepts; QEMU does not pace the bytes by it.
const BAUDDIV_MIN: u32 = 16;

/// One UART, enabled in both directions.
pub struct Uart {
    base: usize,
}

impl Uart {
    /// Enables the UART whose registers start at `base`.
    ///
    /// # Safety
    /// `base` is the address of a CMSDK UART that nothing else drives.
    pub unsafe fn new(base: usize) -> Self {
        let mut uart = Uart { base };
        uart.write(BAUDDIV, BAUDDIV_MIN);
        uart.write(CTRL, CTRL_TX_RX_ENABLE);
        // Empties the buffer. It also tells QEMU to look at its end of the line again: having found
        // the receiver disabled, it would not do so before something else wakes it, seconds later.
        uart.read(DATA);
        uart
    }

    /// The byte that has arrived, if one has.
    pub fn receive(&mut self) -> Option<u8> {
        let full = self.read(STATE) & STATE_RX_FULL != 0;
        full.then(|| self.read(DATA) as u8)
    }

    /// Sends all bytes; waits while the other side takes none.
    pub fn send(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            while self.read(STATE) & STATE_TX_FULL != 0 {}
            self.write(DATA, u32::from(byte));
        }
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: `new`'s caller vouches for the registers at `base`; all are 32 bits wide.
        unsafe { read_volatile((self.base + register) as *const u32) }
    }

    fn write(&mut self, register: usize, value: u32) {
        // SAFETY: as in `read`.
        unsafe { write_volatile((self.base + register) as *mut u32, value) }
    }
}

impl core::fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.send(text.as_bytes());
        Ok(())
    }
}
