//! What an emulated board and the program that runs it agree on: the layout of the flash file, the
//! factory record in it, and the frames on the sensor port.
//!
//! The sensor port is a serial line of its own beside the sync link. Both directions carry frames
//! of [`edge_sync::frame`] (COBS, CRC-32). To the board, a frame holds the boot epoch that it is
//! meant for and a [`ToBoard`], as the tuple `(u32, ToBoard)` in postcard; from the board, a
//! [`FromBoard`]. The board takes one message at a time: whoever sends one waits for its answer.
//!
//! A board that starts sends [`FromBoard::Ready`] with its epoch, unasked. Where that is the answer,
//! the message was lost with the restart and has to be sent again: the board drops what is meant
//! for an earlier epoch, so nothing that was still on the wire is served twice. A frame that was
//! cut by a restart fails its checksum and is skipped. The messages have no version: both ends come
//! from one checkout.

use serde::{Deserialize, Serialize};

/// Bytes of a sector, the unit of erasure.
pub const SECTOR: usize = 4096;
/// Bytes of the memory that stands in for flash; the length of the file.
pub const FLASH_LEN: usize = 16 << 20;
/// Bytes of one model slot; `model_slot_bytes` in the `board.toml` of every emulated board.
pub const SLOT_LEN: usize = 1 << 20;
/// First bytes of the two model slots, from the start of the flash.
pub const SLOTS: [usize; 2] = [0, SLOT_LEN];
/// First byte of the journal.
pub const JOURNAL: usize = 2 * SLOT_LEN;
/// Bytes of the journal.
pub const JOURNAL_LEN: usize = 4 * SECTOR;
/// First byte of the log.
pub const LOG: usize = JOURNAL + JOURNAL_LEN;
/// Bytes of the log.
pub const LOG_LEN: usize = 1 << 20;
/// First byte of the sector that holds the [`FactoryRecord`].
pub const FACTORY: usize = LOG + LOG_LEN;
/// Bytes that the layout takes; the rest of the file is unused.
pub const USED_LEN: usize = FACTORY + SECTOR;

const FACTORY_MAGIC: [u8; 4] = *b"DNF\x01";

/// What the factory writes once: who the board is and whose updates it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactoryRecord {
    /// Identity towards the server.
    pub device_id: u64,
    /// Ed25519 public key that verifies manifests.
    pub public_key: [u8; 32],
}

impl FactoryRecord {
    /// Bytes of the record at the start of its sector.
    pub const LEN: usize = 44;

    /// Magic, device id (little-endian), key.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let device_id = self.device_id.to_le_bytes();
        let fields = FACTORY_MAGIC.iter().chain(&device_id).copied();
        bytes
            .iter_mut()
            .zip(fields.chain(self.public_key))
            .for_each(|(to, from)| *to = from);
        bytes
    }

    /// Reads the start of the factory sector; `None` when the board was never provisioned.
    pub fn from_bytes(sector: &[u8]) -> Option<Self> {
        let (magic, rest) = sector.split_first_chunk()?;
        let (device_id, rest) = rest.split_first_chunk()?;
        let (public_key, _) = rest.split_first_chunk()?;
        (*magic == FACTORY_MAGIC).then(|| FactoryRecord {
            device_id: u64::from_le_bytes(*device_id),
            public_key: *public_key,
        })
    }
}

/// From the host to the board.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToBoard<'a> {
    /// One window of samples, each an `f32` in little-endian. Answered by [`FromBoard::Step`].
    Row(&'a [u8]),
    /// One input of the model, `i8` as bytes: run the model alone, without features, statistics or
    /// log. Answered by [`FromBoard::Output`].
    Infer(&'a [u8]),
    /// The round is over. Answered by [`FromBoard::RoundEnded`].
    EndRound,
    /// Answered by [`FromBoard::Info`].
    Query,
    /// Execute a loop of two instructions this many times, at least once. Answered by
    /// [`FromBoard::Counted`]: the proof that instructions are counted exactly.
    Count(u32),
}

/// From the board to the host.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromBoard<'a> {
    /// The board has started.
    Ready(Ready),
    /// A row went through the application.
    #[serde(borrow)]
    Step(StepTrace<'a>),
    /// What the model answered an input with, `i8` as bytes.
    Output(&'a [u8]),
    /// The round's statistics and samples are in the log.
    RoundEnded,
    /// What the board knows of itself.
    Info(Info),
    /// Instructions that the loop took.
    Counted(u32),
    /// The message could not be served.
    Refused(Refusal),
}

/// State of a board that has just started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Boot epoch: part of the key of every record.
    pub epoch: u32,
    /// Version counter of the running model.
    pub model_version: u32,
    /// Hash of its image.
    pub model_hash: [u8; 32],
    /// Whether the model is on trial.
    pub trial: bool,
    /// Samples of a window.
    pub window: u16,
}

/// One window as the board saw it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepTrace<'a> {
    /// Boot epoch.
    pub epoch: u32,
    /// Number of the window in this epoch.
    pub window: u32,
    /// Class with the highest output.
    pub class: u8,
    /// Confidence as it is logged, 0 to 255.
    pub confidence: u8,
    /// Instructions from the samples to the quantised features.
    pub instructions_features: u32,
    /// Instructions of `Session::run`.
    pub instructions_model: u32,
    /// Quantised features, `i8` as bytes.
    pub features: &'a [u8],
    /// Outputs of the model, `i8` as bytes.
    pub output: &'a [u8],
}

/// What a board knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Greatest depth of the stack since boot, in bytes.
    pub stack_peak: u32,
    /// Records that wait for the server's acknowledgement.
    pub pending_records: u32,
    /// Bytes of the arena that the running model takes.
    pub arena: u32,
    /// Version counter of the running model.
    pub model_version: u32,
    /// Hash of its image.
    pub model_hash: [u8; 32],
    /// Whether the model is on trial.
    pub trial: bool,
}

/// Why a message could not be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The row or input has another length than the model's.
    Length {
        /// Samples that a window has, or elements of an input.
        needed: u16,
    },
    /// A sample is not finite, or so great that a feature is not.
    NotFinite,
    /// The board has no model it could run.
    NoModel,
    /// No message this firmware knows.
    Unknown,
}
