//! As much of ELF as it takes to tell a firmware from a near-empty file: what is loaded where, and
//! whether it starts with a vector table.
//!
//! Self-contained on purpose: `xtask` includes this file as a module, so that it needs no crate of
//! the workspace to compile before it can build one.

use std::fmt;

/// What a firmware for a Cortex-M puts into the memory at address 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// Bytes that are loaded: code, constants and the initial values of variables.
    pub loaded_bytes: u32,
    /// First entry of the vector table.
    pub initial_stack: u32,
    /// Second entry: the reset handler, with the Thumb bit set.
    pub reset_handler: u32,
}

/// Why a file is no firmware that could start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElfError {
    /// Not a 32-bit little-endian ELF executable for Arm.
    NotArmElf,
    /// The program headers or what they point to lie outside the file.
    Truncated,
    /// Nothing is loaded at address 0, or fewer bytes than a vector table has: the linker script
    /// was not applied.
    NoVectorTable {
        /// Bytes that are loaded in all.
        loaded_bytes: u32,
    },
    /// The first two words are no initial stack pointer and reset handler.
    BadVectorTable {
        /// First word: should be in the RAM at 0x20000000 and a multiple of 8.
        initial_stack: u32,
        /// Second word: should be odd and within the loaded code.
        reset_handler: u32,
    },
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ElfError::NotArmElf => write!(f, "not a 32-bit Arm ELF file"),
            ElfError::Truncated => write!(f, "the ELF file is cut short"),
            ElfError::NoVectorTable { loaded_bytes } => write!(
                f,
                "no vector table at address 0 ({loaded_bytes} bytes are loaded in all): \
                 the linker script was not applied"
            ),
            ElfError::BadVectorTable {
                initial_stack,
                reset_handler,
            } => write!(
                f,
                "the vector table starts with {initial_stack:#010x} and {reset_handler:#010x}, \
                 which are no stack pointer and reset handler"
            ),
        }
    }
}

impl std::error::Error for ElfError {}

/// Words of the smallest vector table: the sixteen that every Cortex-M has.
const VECTORS: u32 = 16;
const PT_LOAD: u32 = 1;
const MACHINE_ARM: u16 = 40;

/// Reads the headers of an ELF file and checks its vector table.
///
/// # Errors
/// See [`ElfError`].
pub fn check_firmware(file: &[u8]) -> Result<Firmware, ElfError> {
    if file.get(..6) != Some(b"\x7fELF\x01\x01") || half(file, 18)? != MACHINE_ARM {
        return Err(ElfError::NotArmElf);
    }
    let headers = word(file, 28)? as usize;
    let (entry_size, entries) = (half(file, 42)? as usize, half(file, 44)? as usize);
    let mut loaded_bytes = 0u32;
    let mut vectors = None;
    for entry in 0..entries {
        let header = headers + entry * entry_size;
        let (offset, address) = (word(file, header + 4)?, word(file, header + 12)?);
        let file_size = word(file, header + 16)?;
        if word(file, header)? != PT_LOAD || file_size == 0 {
            continue;
        }
        if offset as usize + file_size as usize > file.len() {
            return Err(ElfError::Truncated);
        }
        loaded_bytes = loaded_bytes.saturating_add(file_size);
        if address == 0 && file_size >= VECTORS * 4 {
            vectors = Some((offset as usize, file_size));
        }
    }
    let (offset, size) = vectors.ok_or(ElfError::NoVectorTable { loaded_bytes })?;
    let (initial_stack, reset_handler) = (word(file, offset)?, word(file, offset + 4)?);
    let in_ram = initial_stack >> 24 == 0x20 && initial_stack.is_multiple_of(8);
    let in_code = reset_handler & 1 == 1 && reset_handler < loaded_bytes.max(size);
    if !in_ram || !in_code {
        return Err(ElfError::BadVectorTable {
            initial_stack,
            reset_handler,
        });
    }
    Ok(Firmware {
        loaded_bytes,
        initial_stack,
        reset_handler,
    })
}

fn half(file: &[u8], at: usize) -> Result<u16, ElfError> {
    let bytes = file
        .get(at..)
        .and_then(|tail| tail.first_chunk())
        .ok_or(ElfError::Truncated)?;
    Ok(u16::from_le_bytes(*bytes))
}

fn word(file: &[u8], at: usize) -> Result<u32, ElfError> {
    let bytes = file
        .get(at..)
        .and_then(|tail| tail.first_chunk())
        .ok_or(ElfError::Truncated)?;
    Ok(u32::from_le_bytes(*bytes))
}
