//! What goes into the application and what comes out of it.

use edge_runtime::FeatureError;
use edge_sync::log::LogError;
use edge_sync::slots::SlotError;

/// Who a device is and whose updates it takes. The rest of what it tells the server (operators,
/// arena) follows from the firmware and its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceConfig {
    /// Its identity towards the server.
    pub device_id: u64,
    /// Kind of hardware; releases are signed for one.
    pub hardware_id: u32,
    /// Of this firmware.
    pub firmware_version: u32,
    /// Ed25519 key that verifies manifests.
    pub public_key: [u8; 32],
}

/// Why the application did not start. `E` is the error of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootError<E> {
    /// Slots or journal.
    Slots(SlotError<E>),
    /// The log.
    Log(LogError<E>),
}

impl<E> From<SlotError<E>> for BootError<E> {
    fn from(error: SlotError<E>) -> Self {
        Self::Slots(error)
    }
}

impl<E> From<LogError<E>> for BootError<E> {
    fn from(error: LogError<E>) -> Self {
        Self::Log(error)
    }
}

/// Why a window was passed over. `E` is the error of the sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepError<E> {
    /// The sensor failed.
    Sensor(E),
    /// A sample is NaN or infinite, or so great that a feature is.
    NotFinite,
    /// The feature pipeline refused the window. Never with a model that was loaded.
    Features(FeatureError),
}

/// One window that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'s> {
    /// Boot epoch, which with `window` names the window.
    pub epoch: u32,
    /// Number of the window in this epoch, from 0. Windows that were passed over have none.
    pub window: u32,
    /// Index of the greatest output, the first of equals.
    pub class: u8,
    /// That output, 0..=255 (the int8 value plus 128).
    pub confidence: u8,
    /// Share of the features outside what training saw, 0..=255.
    pub novelty: u8,
    /// Quantised features, the input of the model.
    pub features: &'s [i8],
    /// Output of the model, one value for each class.
    pub output: &'s [i8],
}

/// Points that a window passes, for boards that measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The samples are there; features come next.
    Sensed,
    /// The features are there; the model comes next.
    Extracted,
    /// The output is there; statistics and the log come next.
    Inferred,
}

/// What the application has seen since boot; all counts saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Windows answered.
    pub windows: u32,
    /// Windows passed over because they were not finite.
    pub not_finite: u32,
    /// Reads of the sensor that failed.
    pub sensor_faults: u32,
    /// Records that the log did not take.
    pub dropped: u32,
    /// Times that the flash failed under the log or an update.
    pub flash_faults: u32,
}
