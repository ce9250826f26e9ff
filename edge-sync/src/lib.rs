//! Dunlin's sync protocol: frames, messages, durable log and model slots as state machines without I/O.
//!
//! Nothing here knows a transport, a clock or a chip. Bytes and the time (a `u64` in milliseconds
//! that never goes back) come in as arguments, bytes go out through slices of the caller, and flash
//! is whatever implements `embedded_storage::nor_flash::NorFlash`. `PROTOCOL.md` beside this crate
//! is the document of every format; the modules are the same in code, from the outside in:
//!
//! | module | holds |
//! | --- | --- |
//! | [`frame`] | COBS + CRC-32 frames on a byte stream, and the decoder that survives anything |
//! | [`message`] | the envelope and the messages that travel inside a frame |
//! | [`record`] | what a device logs, and the keys of records |
//! | [`log`] | the durable ring of records in flash |
//! | [`manifest`] | the signed description of a model release |
//! | [`slots`] | two model slots and the journal that says which one runs |
//! | [`storage`] | what the state machines ask of a board's flash |
//! | [`device`] | the session of a device |
//! | [`server`] | the session of the server with one device |
//!
//! **Encryption** (Noise) belongs between [`message`] and [`frame`]: what is framed today is a run
//! of messages, what will be framed then is the same run sealed. Only the two `on_bytes` and the
//! two `poll_transmit` functions touch that border.
//!
//! **Panics:** none, whatever comes off the wire or out of flash; errors are typed.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable
    )
)]

#[cfg(test)]
extern crate std;

pub mod device;
mod entry;
pub mod frame;
pub mod log;
pub mod manifest;
pub mod message;
pub mod record;
pub mod server;
pub mod slots;
pub mod storage;

#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

pub use device::DeviceSession;
pub use frame::Decoder;
pub use log::Log;
pub use record::{Record, RecordKey};
pub use server::ServerSession;
pub use storage::{MappedFlash, Partitions, Storage};

/// Longest run of messages that one frame may carry, in bytes. A record of 1,024 `f32` samples
/// fits, with its headers.
pub const MAX_MESSAGE: usize = 4352;

/// Longest encoded record in bytes: what is left of [`MAX_MESSAGE`] beside the headers of the
/// `Records` message.
pub const MAX_RECORD: usize = MAX_MESSAGE - message::RECORDS_OVERHEAD;

/// CRC-32 as in IEEE 802.3 (polynomial 0x04C11DB7, reflected), used by frames, log and journal.
pub(crate) const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
