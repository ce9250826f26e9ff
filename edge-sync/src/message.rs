//! The messages that travel inside a frame.
//!
//! A frame carries one or more messages, each an envelope (`type u8, schema version u8, length u16`
//! little-endian) and a body of `length` bytes in postcard. The body of a version is frozen; another
//! layout is another version. A receiver skips what it does not know by its length, and counts it.

use serde::{Deserialize, Serialize};

use crate::MAX_MESSAGE;

/// Length of the envelope in bytes.
pub const ENVELOPE: usize = 4;

/// Bytes that the `Records` message needs beside one record: the envelope, its own header and the
/// header of the item, each at its longest.
pub const RECORDS_OVERHEAD: usize = ENVELOPE + RECORDS_HEADER + RECORD_HEADER;

/// Longest header of `Records`: three `u32` varints less the sequence, a stream and a count.
pub(crate) const RECORDS_HEADER: usize = 5 + 1 + 5 + 1;
/// Longest header of one record in `Records`: sequence and length.
pub(crate) const RECORD_HEADER: usize = 5 + 3;

/// How many record numbers an [`Ack`] reaches beyond its cumulative part; a device has no record in
/// flight that lies further ahead.
pub const ACK_WINDOW: u32 = 64;

/// First message of a device, repeated until the server's [`Policy`] names its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Who.
    pub device_id: u64,
    /// Boot epoch.
    pub epoch: u32,
    /// Kind of hardware; releases are signed for one.
    pub hardware_id: u32,
    /// Of the firmware.
    pub firmware_version: u32,
    /// Operators and packings that the firmware holds, as bits.
    pub kernel_set: u32,
    /// Version counter of the model that runs, 0 for none.
    pub model_version: u32,
    /// SHA-256 over the whole image of that model, zeros for none.
    pub model_hash: [u8; 32],
    /// The model is on trial.
    pub trial: bool,
}

/// What an update is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum UpdateState {
    /// Blocks are being fetched.
    Receiving,
    /// All there, hashed, loaded and self-tested; waits for a reboot.
    Verified,
    /// Runs, but falls back unless it is confirmed.
    Trial,
    /// The model of this device now.
    Confirmed,
    /// Given up; this version is not fetched again.
    Failed,
    /// The offer was not taken.
    Refused,
}

/// Why an update failed or was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing is wrong.
    None,
    /// The manifest cannot be read.
    Malformed,
    /// Not signed by the key of this device, or tampered with.
    Signature,
    /// For another kind of hardware.
    Hardware,
    /// The image does not fit in a slot.
    ImageTooLarge,
    /// The model needs more arena than the device has.
    ArenaTooLarge,
    /// The model needs operators or packings that the firmware lacks.
    Kernels,
    /// The firmware is too old or too new.
    Firmware,
    /// The version is not above the confirmed one.
    Version,
    /// This version has failed here before.
    KnownFailed,
    /// The block length does not suit the flash.
    BlockLength,
    /// The device is busy with another release.
    Busy,
    /// The received image has another hash than the manifest says, several times over.
    Hash,
    /// The runtime refused the image.
    Load,
    /// The self-test gave another output than it should.
    SelfTest,
    /// Too many boots without confirmation.
    TrialBoots,
    /// The flash failed.
    Flash,
}

/// The device tells how an update goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateStatus {
    /// Version counter of the release, 0 where the manifest could not be trusted.
    pub version: u32,
    /// What it is doing.
    pub state: UpdateState,
    /// Why, where it failed or was refused.
    pub reason: Reason,
}

/// The device asks for one block of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRequest {
    /// SHA-256 over the whole image.
    pub hash: [u8; 32],
    /// Number of the block, from 0.
    pub index: u32,
}

/// Header of several records of one epoch; `count` [`RecordItem`]s follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordsHeader {
    /// Boot epoch of all these records.
    pub epoch: u32,
    /// Stream; 0 today.
    pub stream: u8,
    /// Lowest number of this epoch that the device still keeps: everything below is acknowledged,
    /// or was never a record. A server that forgot what it had acknowledged starts from here.
    pub base: u32,
    /// Records that follow.
    pub count: u8,
}

/// One record in a `Records` message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordItem<'a> {
    /// Number in its epoch.
    pub sequence: u32,
    /// As [`crate::Record::encode`] wrote it.
    pub bytes: &'a [u8],
}

/// How a device chooses the windows whose raw samples it logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Selection {
    /// The ones that differ most from each other.
    Diverse,
    /// At random, for comparison.
    Random,
}

/// The server's answer to [`Hello`], and again whenever it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Epoch of the device's last [`Hello`]; 0 when the server has had none, which asks for one.
    pub epoch: u32,
    /// Share of a round's windows whose raw samples may be logged, in thousandths.
    pub sample_permille: u16,
    /// And at most this many of them.
    pub sample_max: u16,
    /// How they are chosen.
    pub selection: Selection,
}

impl Default for Policy {
    /// No raw samples.
    fn default() -> Self {
        Self {
            epoch: 0,
            sample_permille: 0,
            sample_max: 0,
            selection: Selection::Diverse,
        }
    }
}

/// These records are durably stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Boot epoch that this is about.
    pub epoch: u32,
    /// Stream; 0 today.
    pub stream: u8,
    /// All records with a lower number are stored (or never were).
    pub cumulative: u32,
    /// Bit `i`: record `cumulative + 1 + i` is stored as well.
    pub bitmap: u64,
}

/// A release for this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer<'a> {
    /// [`crate::manifest::SignedManifest::bytes`].
    pub manifest: &'a [u8],
    /// Ed25519, 64 bytes.
    pub signature: &'a [u8],
}

/// A block of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block<'a> {
    /// First bytes of the image's hash.
    pub hash: [u8; 8],
    /// Number of the block, from 0.
    pub index: u32,
    /// `block_len` bytes, fewer in the last one.
    pub bytes: &'a [u8],
}

/// A message of either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Device to server, type 0x01.
    Hello(Hello),
    /// Device to server, type 0x02: the records follow the header in the iterator.
    Records(RecordsHeader, RecordItems<'a>),
    /// Device to server, type 0x03.
    BlockRequest(BlockRequest),
    /// Device to server, type 0x04.
    UpdateStatus(UpdateStatus),
    /// Server to device, type 0x41.
    Policy(Policy),
    /// Server to device, type 0x42.
    Ack(Ack),
    /// Server to device, type 0x43.
    Offer(Offer<'a>),
    /// Server to device, type 0x44.
    Block(Block<'a>),
}

pub(crate) const HELLO: u8 = 0x01;
pub(crate) const RECORDS: u8 = 0x02;
pub(crate) const BLOCK_REQUEST: u8 = 0x03;
pub(crate) const UPDATE_STATUS: u8 = 0x04;
pub(crate) const POLICY: u8 = 0x41;
pub(crate) const ACK: u8 = 0x42;
pub(crate) const OFFER: u8 = 0x43;
pub(crate) const BLOCK: u8 = 0x44;
/// Schema version of every message so far.
pub(crate) const VERSION: u8 = 1;

/// Iterator over the records of a message. [`Message::decode`] has checked that all are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordItems<'a> {
    left: u8,
    bytes: &'a [u8],
}

impl<'a> Iterator for RecordItems<'a> {
    type Item = RecordItem<'a>;

    fn next(&mut self) -> Option<RecordItem<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (item, rest) = postcard::take_from_bytes(self.bytes).ok()?;
        self.bytes = rest;
        Some(item)
    }
}

/// Why a message was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The buffer is too small; it needs this many bytes.
    BufferTooSmall(usize),
    /// The body is longer than a frame may carry; at most [`MAX_MESSAGE`] bytes with its envelope.
    TooLong(usize),
}

/// Why bytes are not a message that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A type or version that this code does not know. It was skipped.
    Unknown {
        /// Of the envelope.
        kind: u8,
        /// Of the envelope.
        version: u8,
    },
    /// The body is not what its type and version promise. It was skipped.
    Malformed {
        /// Of the envelope.
        kind: u8,
    },
    /// The envelope is cut or promises more than there is; the rest of the frame is lost.
    Torn,
}

impl<'a> Message<'a> {
    /// Writes envelope and body to the start of `out` and returns their length.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        match self {
            Message::Hello(body) => put(HELLO, body, out),
            Message::Records(header, items) => put_records(header, items.bytes, out),
            Message::BlockRequest(body) => put(BLOCK_REQUEST, body, out),
            Message::UpdateStatus(body) => put(UPDATE_STATUS, body, out),
            Message::Policy(body) => put(POLICY, body, out),
            Message::Ack(body) => put(ACK, body, out),
            Message::Offer(body) => put(OFFER, body, out),
            Message::Block(body) => put(BLOCK, body, out),
        }
    }

    /// Takes the next message off the front of `payload`, which moves past it even where it is not
    /// understood. `None` at the end.
    pub fn decode(payload: &mut &'a [u8]) -> Option<Result<Self, DecodeError>> {
        let bytes = *payload;
        if bytes.is_empty() {
            return None;
        }
        *payload = &[];
        let Some((&[kind, version, low, high], rest)) = bytes.split_first_chunk::<ENVELOPE>()
        else {
            return Some(Err(DecodeError::Torn));
        };
        let Some((body, rest)) = rest.split_at_checked(u16::from_le_bytes([low, high]).into())
        else {
            return Some(Err(DecodeError::Torn));
        };
        *payload = rest;
        Some(Self::body(kind, version, body))
    }

    fn body(kind: u8, version: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        if version != VERSION {
            return Err(DecodeError::Unknown { kind, version });
        }
        Ok(match kind {
            HELLO => Message::Hello(take(kind, body)?),
            RECORDS => {
                let malformed = DecodeError::Malformed { kind };
                let (header, bytes): (RecordsHeader, _) =
                    postcard::take_from_bytes(body).map_err(|_| malformed)?;
                let items = RecordItems {
                    left: header.count,
                    bytes,
                };
                let mut check = items;
                if check.by_ref().count() != usize::from(header.count) || !check.bytes.is_empty() {
                    return Err(malformed);
                }
                Message::Records(header, items)
            }
            BLOCK_REQUEST => Message::BlockRequest(take(kind, body)?),
            UPDATE_STATUS => Message::UpdateStatus(take(kind, body)?),
            POLICY => Message::Policy(take(kind, body)?),
            ACK => Message::Ack(take(kind, body)?),
            OFFER => Message::Offer(take(kind, body)?),
            BLOCK => Message::Block(take(kind, body)?),
            _ => return Err(DecodeError::Unknown { kind, version }),
        })
    }
}

fn take<'a, T: Deserialize<'a>>(kind: u8, body: &'a [u8]) -> Result<T, DecodeError> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        _ => Err(DecodeError::Malformed { kind }),
    }
}

/// Writes the envelope of a body of `len` bytes; the place for the body is returned.
fn envelope(kind: u8, len: usize, out: &mut [u8]) -> Result<&mut [u8], EncodeError> {
    let needed = len.saturating_add(ENVELOPE);
    if needed > MAX_MESSAGE {
        return Err(EncodeError::TooLong(needed));
    }
    let too_small = EncodeError::BufferTooSmall(needed);
    let (head, rest) = out.split_first_chunk_mut().ok_or(too_small)?;
    let [low, high] = (len as u16).to_le_bytes();
    *head = [kind, VERSION, low, high];
    rest.get_mut(..len).ok_or(too_small)
}

fn put<T: Serialize>(kind: u8, body: &T, out: &mut [u8]) -> Result<usize, EncodeError> {
    let len = postcard::experimental::serialized_size(body).unwrap_or(usize::MAX);
    let place = envelope(kind, len, out)?;
    postcard::to_slice(body, place).map_err(|_| EncodeError::BufferTooSmall(len + ENVELOPE))?;
    Ok(len + ENVELOPE)
}

fn put_records(header: &RecordsHeader, items: &[u8], out: &mut [u8]) -> Result<usize, EncodeError> {
    let head = postcard::experimental::serialized_size(header).unwrap_or(usize::MAX);
    let len = head.saturating_add(items.len());
    let too_small = EncodeError::BufferTooSmall(len.saturating_add(ENVELOPE));
    let place = envelope(RECORDS, len, out)?;
    let (first, rest) = place.split_at_mut_checked(head).ok_or(too_small)?;
    postcard::to_slice(header, first).map_err(|_| too_small)?;
    for (to, from) in rest.iter_mut().zip(items) {
        *to = *from;
    }
    Ok(len + ENVELOPE)
}

/// Puts a `Records` message together in place, so that records are read from flash straight into it.
pub(crate) struct RecordsWriter<'o> {
    out: &'o mut [u8],
    header: &'o mut RecordsHeader,
    /// Where the next record goes.
    at: usize,
}

impl<'o> RecordsWriter<'o> {
    pub fn new(header: &'o mut RecordsHeader, out: &'o mut [u8]) -> Result<Self, EncodeError> {
        header.count = 0;
        let len = out.len().min(MAX_MESSAGE);
        let head = postcard::experimental::serialized_size(&*header).unwrap_or(RECORDS_HEADER);
        let at = ENVELOPE + head;
        let out = out
            .get_mut(..len)
            .ok_or(EncodeError::BufferTooSmall(at + 1))?;
        Ok(Self { out, header, at })
    }

    /// Whether there is no record in it yet.
    pub fn is_empty(&self) -> bool {
        self.header.count == 0
    }

    /// Adds a record; the place for its `len` bytes is returned.
    pub fn record(&mut self, sequence: u32, len: usize) -> Result<&mut [u8], EncodeError> {
        let head = (sequence, len as u32);
        let head_len = postcard::experimental::serialized_size(&head).unwrap_or(RECORD_HEADER);
        let body = self.at.saturating_add(head_len);
        let end = body.saturating_add(len);
        let too_small = EncodeError::BufferTooSmall(end);
        let count = self.header.count.checked_add(1).ok_or(too_small)?;
        let (front, rest) = self
            .out
            .get_mut(self.at..end)
            .ok_or(too_small)?
            .split_at_mut_checked(head_len)
            .ok_or(too_small)?;
        postcard::to_slice(&head, front).map_err(|_| too_small)?;
        self.header.count = count;
        self.at = end;
        Ok(rest)
    }

    /// Writes the envelope and the header; returns the length of the message.
    pub fn finish(self) -> Result<usize, EncodeError> {
        let place = envelope(RECORDS, self.at.saturating_sub(ENVELOPE), self.out)?;
        postcard::to_slice(self.header, place).map_err(|_| EncodeError::BufferTooSmall(self.at))?;
        Ok(self.at)
    }
}
