//! The sensor port: rows of samples in, traces out. `firmware::emulated` describes the frames.

use core::{
    cell::{Cell, RefCell},
    convert::Infallible,
};

use edge_sync::frame;
use firmware::{Sensor, emulated::FromBoard};

use crate::uart::Uart;

/// Longest window in samples.
pub const MAX_WINDOW: usize = 1024;

/// The row that has arrived and waits for the application.
pub struct Row {
    samples: RefCell<[f32; MAX_WINDOW]>,
    waiting: Cell<bool>,
}

impl Row {
    /// No row.
    pub const fn new() -> Self {
        Row {
            samples: RefCell::new([0.0; MAX_WINDOW]),
            waiting: Cell::new(false),
        }
    }

    /// Takes a window of `f32` in little-endian; `false` if it has another length than `window`.
    pub fn put(&self, bytes: &[u8], window: usize) -> bool {
        let (samples, rest) = bytes.as_chunks::<4>();
        if samples.len() != window || window > MAX_WINDOW || !rest.is_empty() {
            return false;
        }
        let mut row = self.samples.borrow_mut();
        row.iter_mut()
            .zip(samples)
            .for_each(|(to, from)| *to = f32::from_le_bytes(*from));
        self.waiting.set(true);
        true
    }
}

/// The application's sensor: one window for each row.
pub struct RowSensor<'a>(pub &'a Row);

impl Sensor for RowSensor<'_> {
    type Error = Infallible;

    fn read(&mut self, window: &mut [f32]) -> Result<bool, Infallible> {
        if self.0.waiting.take() {
            let row = self.0.samples.borrow();
            window
                .iter_mut()
                .zip(row.iter())
                .for_each(|(to, from)| *to = *from);
            return Ok(true);
        }
        Ok(false)
    }
}

/// Sends one message; `payload` and `wire` are room for it.
pub fn send(uart: &mut Uart, message: &FromBoard<'_>, payload: &mut [u8], wire: &mut [u8]) {
    // Neither can fail for the messages there are: the longest, a trace, is shorter than a row.
    if let Ok(payload) = postcard::to_slice(message, payload)
        && let Ok(len) = frame::encode(payload, wire)
    {
        uart.send(wire.get(..len).unwrap_or(&[]));
    }
}
