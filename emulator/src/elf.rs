//! As much of ELF as it takes to tell a firmware from a near-empty file: what is loaded where, and
//! whether it starts with a vector table.
//!
//! Self-contained on purpose: `xtask` includes this file as a module, so that it needs no crate of
//! the workspace to compile before it can build one.

use std::fmt;

/// What a firmware for a Cortex-M puts into the memory that it starts from.
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
    /// Nothing is loaded where the processor starts, or fewer bytes than a vector table has: the
    /// linker script was not applied.
    NoVectorTable {
        /// Where it should be.
        address: u32,
        /// Bytes that are loaded in all.
        loaded_bytes: u32,
    },
    /// A symbol that the host has to know the address of is not there.
    SymbolMissing {
        /// Its name.
        name: &'static str,
    },
    /// The first two words are no initial stack pointer and reset handler.
    BadVectorTable {
        /// First word: should be in the RAM and a multiple of 8.
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
            ElfError::NoVectorTable {
                address,
                loaded_bytes,
            } => write!(
                f,
                "no vector table at address {address:#x} ({loaded_bytes} bytes are loaded in all): \
                 the linker script was not applied"
            ),
            ElfError::SymbolMissing { name } => write!(f, "there is no symbol `{name}`"),
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
const SHT_SYMTAB: u32 = 2;
const SECTION_HEADER_SIZE: usize = 40;
const SYMBOL_SIZE: usize = 16;
const MACHINE_ARM: u16 = 40;

/// A piece of the memory that is loaded from the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Where it is loaded (the physical address: initial values of variables lie in the flash).
    pub address: u32,
    /// What is loaded.
    pub bytes: &'a [u8],
}

/// A name and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// As the linker knows it.
    pub name: &'a str,
    /// Of a function: with the Thumb bit set.
    pub address: u32,
    /// Bytes, 0 where nobody said.
    pub size: u32,
}

/// Checks a firmware that starts at address 0 and has its RAM at 0x20000000.
///
/// # Errors
/// See [`ElfError`].
pub fn check_firmware(file: &[u8]) -> Result<Firmware, ElfError> {
    check_firmware_at(file, 0, 0x20)
}

/// Reads the headers of an ELF file and checks its vector table, which lies at `start`; `ram` is
/// the topmost byte of the addresses of the RAM.
///
/// # Errors
/// See [`ElfError`].
pub fn check_firmware_at(file: &[u8], start: u32, ram: u32) -> Result<Firmware, ElfError> {
    let segments = segments(file)?;
    let sizes = segments.iter().map(|segment| segment.bytes.len() as u32);
    let loaded_bytes = sizes.fold(0, u32::saturating_add);
    let code = segments
        .iter()
        .find(|segment| segment.address == start && segment.bytes.len() as u32 >= VECTORS * 4)
        .ok_or(ElfError::NoVectorTable {
            address: start,
            loaded_bytes,
        })?;
    let (initial_stack, reset_handler) = (word(code.bytes, 0)?, word(code.bytes, 4)?);
    let in_ram = initial_stack >> 24 == ram && initial_stack.is_multiple_of(8);
    let in_code = reset_handler & 1 == 1
        && reset_handler >= start
        && reset_handler - start < loaded_bytes.max(code.bytes.len() as u32);
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

/// Everything that is loaded and not empty, in the order of the file.
///
/// # Errors
/// [`ElfError::NotArmElf`], [`ElfError::Truncated`].
pub fn segments(file: &[u8]) -> Result<Vec<Segment<'_>>, ElfError> {
    if file.get(..6) != Some(b"\x7fELF\x01\x01") || half(file, 18)? != MACHINE_ARM {
        return Err(ElfError::NotArmElf);
    }
    let headers = word(file, 28)? as usize;
    let (entry_size, entries) = (half(file, 42)? as usize, half(file, 44)? as usize);
    let mut found = Vec::new();
    for entry in 0..entries {
        let header = headers + entry * entry_size;
        let (offset, address) = (word(file, header + 4)?, word(file, header + 12)?);
        let bytes = range(file, offset, word(file, header + 16)?);
        if word(file, header)? != PT_LOAD || bytes == Ok(&[]) {
            continue;
        }
        let bytes = bytes?;
        found.push(Segment { address, bytes });
    }
    Ok(found)
}

/// The named symbols of an ELF file; none where it was stripped of them.
///
/// # Errors
/// [`ElfError::NotArmElf`], [`ElfError::Truncated`].
pub fn symbols(file: &[u8]) -> Result<Vec<Symbol<'_>>, ElfError> {
    segments(file)?;
    let headers = word(file, 32)? as usize;
    let (entry_size, entries) = (half(file, 46)? as usize, half(file, 48)? as usize);
    let section = |index: usize| {
        let tail = file.get(headers + index * entry_size..);
        let header = tail.and_then(|tail| tail.get(..SECTION_HEADER_SIZE));
        header.ok_or(ElfError::Truncated)
    };
    let content = |header| range(file, word(header, 16)?, word(header, 20)?);
    let mut found = Vec::new();
    for index in 0..entries {
        let table = section(index)?;
        if word(table, 4)? != SHT_SYMTAB {
            continue;
        }
        let names = content(section(word(table, 24)? as usize)?)?;
        for record in content(table)?.chunks_exact(SYMBOL_SIZE) {
            let name = names.get(word(record, 0)? as usize..).unwrap_or_default();
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            let (address, size) = (word(record, 4)?, word(record, 8)?);
            match str::from_utf8(name) {
                // `$t`, `$d` and the like mark code and data.
                Ok(name) if !name.is_empty() && !name.starts_with('$') => found.push(Symbol {
                    name,
                    address,
                    size,
                }),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Names in an ELF file that belong to the machinery of a panic: none of a firmware that cannot.
///
/// # Errors
/// As [`symbols`].
pub fn panic_machinery(file: &[u8]) -> Result<Vec<&str>, ElfError> {
    let names = symbols(file)?.into_iter().map(|symbol| symbol.name);
    Ok(names
        .filter(|name| {
            // `core::panicking::*` in either mangling, the handler, and its mark in `boards/bench`.
            [
                "panicking",
                "panic_fmt",
                "panic_bounds_check",
                "rust_begin_unwind",
                "panic_is_linked",
            ]
            .iter()
            .any(|part| name.contains(part))
        })
        .collect())
}

fn range(file: &[u8], offset: u32, len: u32) -> Result<&[u8], ElfError> {
    let tail = file.get(offset as usize..).ok_or(ElfError::Truncated)?;
    tail.get(..len as usize).ok_or(ElfError::Truncated)
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
