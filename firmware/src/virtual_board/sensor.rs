//! A sensor that is fed by the program around the board.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::vec::Vec;

use super::lock;
use crate::Sensor;

/// The windows that wait to be sensed.
#[derive(Clone, Debug, Default)]
pub struct QueueSensor(Arc<Mutex<VecDeque<Vec<f32>>>>);

/// A queued window has another length than the model's windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongLength {
    /// Samples that the model asks for.
    pub needed: usize,
    /// Samples in the queued window, which is dropped.
    pub found: usize,
}

impl Sensor for QueueSensor {
    type Error = WrongLength;

    fn read(&mut self, window: &mut [f32]) -> Result<bool, WrongLength> {
        let Some(samples) = lock(&self.0).pop_front() else {
            return Ok(false);
        };
        if samples.len() != window.len() {
            return Err(WrongLength {
                needed: window.len(),
                found: samples.len(),
            });
        }
        window.copy_from_slice(&samples);
        Ok(true)
    }
}

impl QueueSensor {
    pub(super) fn push(&self, samples: &[f32]) {
        lock(&self.0).push_back(samples.to_vec());
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}
