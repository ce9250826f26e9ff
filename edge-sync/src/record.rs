//! What a device logs: records, their keys, and their bytes.
//!
//! An encoded record is `kind u8, version u8, body in postcard`. The body of a version is frozen:
//! another layout is another version. `src/tests/golden.rs` holds the bytes of every version.

use serde::{Deserialize, Serialize};

use crate::message::{Reason, UpdateState};

/// Which record of one device: boot epoch and number within it. Ordered as the device logged.
///
/// There is one stream (0) today; the messages carry its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// Boot epoch: grows by at least one with every boot, from 1.
    pub epoch: u32,
    /// Number of the record in its epoch, from 0. A number may be missing, none is used twice.
    pub sequence: u32,
}

/// A record, borrowing its long parts from the bytes that it was decoded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record<'a> {
    /// One inference (kind 1).
    Inference {
        /// Number of the window since boot.
        window: u32,
        /// Version counter of the model.
        model: u32,
        /// Index of the winning class.
        class: u8,
        /// Its output, `q + 128`: 0..=255.
        confidence: u8,
        /// Share of features outside their training range, 0..=255.
        novelty: u8,
    },
    /// A chunk of the monitor's counts since the last time they were logged (kind 2).
    Statistics {
        /// Version counter of the model.
        model: u32,
        /// Windows that these counts are about.
        windows: u32,
        /// Index of the first count of this chunk.
        offset: u16,
        /// Counts in all chunks together.
        total: u16,
        /// `u16` little-endian counts.
        counts: &'a [u8],
    },
    /// The raw samples of a window (kind 3).
    Sample {
        /// Number of the window since boot.
        window: u32,
        /// Version counter of the model.
        model: u32,
        /// Index of the winning class.
        class: u8,
        /// Its output, `q + 128`: 0..=255.
        confidence: u8,
        /// Why this window was chosen: the higher, the more wanted.
        score: u16,
        /// `f32` little-endian samples, as the sensor gave them.
        samples: &'a [u8],
    },
    /// Something that happened to the device itself (kind 4).
    Event(Event),
}

/// Something that happened to a device. New ones are only ever added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Event {
    /// The firmware started.
    Booted {
        /// Of the firmware.
        firmware_version: u32,
        /// Version counter of the model that runs, 0 for none.
        model: u32,
        /// The model is on trial.
        trial: bool,
    },
    /// An update changed its state.
    Update {
        /// Version counter of the release.
        version: u32,
        /// The new state.
        state: UpdateState,
        /// Why, where it failed or was refused.
        reason: Reason,
    },
    /// The log was full: this many records were dropped since the last such event.
    Dropped {
        /// Records that were never logged.
        records: u32,
    },
    /// The sensor failed this many times since the last such event.
    SensorFault {
        /// Failed reads.
        count: u32,
    },
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// A kind or version that this code does not know: to be kept, not to be refused.
    Unknown {
        /// First byte.
        kind: u8,
        /// Second byte.
        version: u8,
    },
    /// Too short, too long, or not what its kind and version promise.
    Malformed,
    /// The buffer for an encoded record is too small; it needs this many bytes.
    BufferTooSmall(usize),
}

const INFERENCE: u8 = 1;
const STATISTICS: u8 = 2;
const SAMPLE: u8 = 3;
const EVENT: u8 = 4;
const VERSION: u8 = 1;

/// Version 1 of the bodies, as tuples: what postcard writes for a struct of the same fields.
type InferenceV1 = (u32, u32, u8, u8, u8);
type StatisticsV1<'a> = (u32, u32, u16, u16, &'a [u8]);
type SampleV1<'a> = (u32, u32, u8, u8, u16, &'a [u8]);

impl<'a> Record<'a> {
    /// Writes the record to the start of `out` and returns its length.
    ///
    /// # Errors
    /// [`RecordError::BufferTooSmall`] with the length needed.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, RecordError> {
        match *self {
            Record::Inference {
                window,
                model,
                class,
                confidence,
                novelty,
            } => put(INFERENCE, &(window, model, class, confidence, novelty), out),
            Record::Statistics {
                model,
                windows,
                offset,
                total,
                counts,
            } => put(STATISTICS, &(model, windows, offset, total, counts), out),
            Record::Sample {
                window,
                model,
                class,
                confidence,
                score,
                samples,
            } => put(
                SAMPLE,
                &(window, model, class, confidence, score, samples),
                out,
            ),
            Record::Event(event) => put(EVENT, &event, out),
        }
    }

    /// Reads a record that fills `bytes`.
    ///
    /// # Errors
    /// [`RecordError::Unknown`] for another kind or version, [`RecordError::Malformed`] otherwise.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (&[kind, version], body) = bytes.split_first_chunk().ok_or(RecordError::Malformed)?;
        Ok(match (kind, version) {
            (INFERENCE, VERSION) => {
                let (window, model, class, confidence, novelty) = take::<InferenceV1>(body)?;
                Record::Inference {
                    window,
                    model,
                    class,
                    confidence,
                    novelty,
                }
            }
            (STATISTICS, VERSION) => {
                let (model, windows, offset, total, counts) = take::<StatisticsV1<'_>>(body)?;
                Record::Statistics {
                    model,
                    windows,
                    offset,
                    total,
                    counts,
                }
            }
            (SAMPLE, VERSION) => {
                let (window, model, class, confidence, score, samples) =
                    take::<SampleV1<'_>>(body)?;
                Record::Sample {
                    window,
                    model,
                    class,
                    confidence,
                    score,
                    samples,
                }
            }
            (EVENT, VERSION) => Record::Event(take::<Event>(body)?),
            (kind, version) => return Err(RecordError::Unknown { kind, version }),
        })
    }
}

fn put<T: Serialize>(kind: u8, body: &T, out: &mut [u8]) -> Result<usize, RecordError> {
    let needed = postcard::experimental::serialized_size(body).unwrap_or(0) + 2;
    let too_small = RecordError::BufferTooSmall(needed);
    let (head, rest) = out.split_first_chunk_mut().ok_or(too_small)?;
    *head = [kind, VERSION];
    postcard::to_slice(body, rest).map_err(|_| too_small)?;
    Ok(needed)
}

fn take<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, RecordError> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        _ => Err(RecordError::Malformed),
    }
}
