//! Runs a board binary under QEMU and talks to its serial ports.
//!
//! [`Emulator`] is one board with its flash file: provisioned once, then started, killed and
//! started again as often as one likes; what is in the flash stays. Needs a Unix host: the ports
//! are Unix sockets. [`mod@bench`] runs a model alone, on five processors, and counts instructions.
#![forbid(unsafe_code)]

pub mod bench;
mod board;
pub mod elf;
mod emulator;
mod error;
mod process;
mod provision;
mod wire;

pub use board::Board;
pub use emulator::{Emulator, Step};
pub use error::EmulatorError;
pub use firmware::emulated::{Info, Ready};
pub use provision::Factory;

#[cfg(test)]
mod elf_tests;
