//! The device application as a library: sense, infer, monitor, log, sync; generic over a board.
//!
//! A board brings four things: NOR flash that is mapped into memory (four
//! [`Partitions`](edge_sync::Partitions)), RAM ([`Memory`]), a [`Sensor`], and a loop that carries
//! bytes between a link and an [`App`] and tells it the time. The application does the rest. It
//! knows no chip, no clock and no transport, allocates nothing, and does not panic on anything that
//! comes from sensor, link or flash.
//!
//! ```text
//! loop {
//!     if let Err(fault) = app.step(now) { .. }            // one window, if there is one
//!     app.on_link(now, received);                         // whatever arrived
//!     while let n @ 1.. = app.poll_link(now, &mut frame) { send(&frame[..n]) }
//!     if round_is_over { app.end_round() }
//!     if app.wants_reboot() && nothing_left_to_send { reset() }
//! }
//! ```
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

#[cfg(any(test, feature = "virtual-board"))]
extern crate std;

mod app;
pub mod emulated;
mod memory;
mod provision;
pub mod selection;
mod sensor;
pub mod sensors;
#[cfg(feature = "virtual-board")]
pub mod virtual_board;

pub use app::{App, BootError, Counters, DeviceConfig, Stage, Step, StepError};
pub use memory::{
    Buffers, FRAME_LEN, Memory, RECEIVE_LEN, RECORD_LEN, TRANSMIT_LEN, counts_len, scratch_len,
};
pub use provision::provision;
pub use sensor::Sensor;
