//! The 16 MB of memory at 0x21000000, a file of the host that outlives the board, under the rules
//! of NOR flash: an erase sets a whole sector to ones, a write only clears bits.

use core::ptr::{read_volatile, write_volatile};

use edge_sync::MappedFlash;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// Where the memory lies in the board's address space.
pub const BASE: usize = 0x2100_0000;

/// A partition of the flash.
pub struct Flash {
    base: usize,
    len: usize,
}

impl Flash {
    /// The `len` bytes from `offset` on, both from the start of the flash and in bytes.
    ///
    /// # Safety
    /// Both are multiples of a sector, the range lies within the 16 MB, and no other `Flash`
    /// overlaps it.
    pub unsafe fn new(offset: usize, len: usize) -> Self {
        Flash {
            base: BASE + offset,
            len,
        }
    }
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len())?;
        let from = self.mapped().get(offset as usize..).unwrap_or(&[]);
        bytes
            .iter_mut()
            .zip(from)
            .for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.len
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to)?;
        for word in (from as usize..to as usize).step_by(4) {
            let address = (self.base + word) as *mut u32;
            // SAFETY: checked to lie in this partition, aligned, and `&mut self` is the only way to it.
            unsafe { write_volatile(address, u32::MAX) }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len())?;
        let (words, _) = bytes.as_chunks::<4>();
        for (index, word) in words.iter().enumerate() {
            let address = (self.base + offset as usize + index * 4) as *mut u32;
            // SAFETY: checked to lie in this partition, aligned, and `&mut self` is the only way to it.
            unsafe { write_volatile(address, read_volatile(address) & u32::from_le_bytes(*word)) }
        }
        Ok(())
    }
}

impl MappedFlash for Flash {
    fn mapped(&self) -> &[u8] {
        // SAFETY: the partition is memory, initialised by the file behind it, and changes only
        // through `&mut self`, which this borrow excludes.
        unsafe { core::slice::from_raw_parts(self.base as *const u8, self.len) }
    }
}
