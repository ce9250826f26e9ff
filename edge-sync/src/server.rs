//! The server's session with one device.
//!
//! Driven by [`ServerSession::on_bytes`] and [`ServerSession::poll_transmit`]. It holds nothing
//! that must survive: after a restart of the server, a fresh session picks up where the device is.
//!
//! **Nothing is acknowledged that was not reported as [`committed`](ServerSession::committed)**; a
//! record that was received and not committed is reported again when the device sends it again. The
//! store drops what it has under the same key.

use heapless::{Deque, Vec};

use crate::frame::{self, Decoder, FrameCounters};
use crate::manifest::{Manifest, SignedManifest};
use crate::message::{
    Ack, Block, BlockRequest, DecodeError, Hello, Message, Offer, Policy, Reason, UpdateState,
    UpdateStatus,
};
use crate::record::RecordKey;
use crate::{MAX_MESSAGE, device::RETRY_MAX_MS, device::RETRY_MS};

/// Boot epochs of a device that a session keeps acknowledgements of. One more replaces the oldest,
/// at the price of some duplicates.
const EPOCHS: usize = 4;
/// Block requests that wait for [`ServerSession::poll_transmit`].
const REQUESTS: usize = 16;

/// What a device said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It booted, or the session started over.
    Hello(Hello),
    /// A record to store under the device and this key, and then to report as committed. May come
    /// any number of times.
    Record {
        /// Epoch and number.
        key: RecordKey,
        /// For [`crate::Record::decode`].
        bytes: &'a [u8],
    },
    /// It asks for a block. The session answers by itself in [`ServerSession::poll_transmit`].
    BlockRequest(BlockRequest),
    /// Its update changed its state, or the server asked.
    UpdateStatus(UpdateStatus),
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransmitError {
    /// `out` is too small; it needs this many bytes.
    BufferTooSmall(usize),
    /// The image given is not as long as the manifest of the offer says.
    WrongImage {
        /// Length that the manifest says.
        expected: u32,
    },
}

/// What a session has seen; all counts saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Of the frames received.
    pub frames: FrameCounters,
    /// Messages of an unknown type or version, skipped.
    pub unknown: u32,
    /// Messages that could not be read, skipped.
    pub malformed: u32,
    /// Messages that make no sense here: those of a server, requests for a block that is not on
    /// offer, records of an unknown stream.
    pub unexpected: u32,
    /// Records that came again after they had been committed.
    pub duplicates: u32,
    /// Blocks sent.
    pub blocks_sent: u32,
}

/// Which records of an epoch are committed.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    epoch: u32,
    /// Everything below.
    cumulative: u32,
    /// Bit `i`: `cumulative + 1 + i`.
    bitmap: u64,
    /// The device is to be told.
    due: bool,
}

impl Epoch {
    fn holds(&self, sequence: u32) -> bool {
        match sequence.checked_sub(self.cumulative) {
            None => true,
            Some(0) => false,
            Some(ahead) => self.bitmap.checked_shr(ahead - 1).unwrap_or(0) & 1 == 1,
        }
    }

    /// Notes a record; one too far ahead is left to be sent again.
    fn add(&mut self, sequence: u32) {
        match sequence.checked_sub(self.cumulative) {
            None => {}
            Some(0) => self.advance(sequence.saturating_add(1)),
            Some(ahead) => self.bitmap |= 1u64.checked_shl(ahead - 1).unwrap_or(0),
        }
    }

    /// Everything below `base` is done with.
    fn advance(&mut self, base: u32) {
        while self.cumulative < base {
            let step = base - self.cumulative;
            // The bitmap's first bit is the record after the missing one.
            self.bitmap = self.bitmap.checked_shr(step - 1).unwrap_or(0);
            let next = self.bitmap & 1 == 1;
            self.bitmap >>= 1;
            self.cumulative = base;
            if !next {
                return;
            }
            // The record at `base` itself is stored, and maybe more behind it.
            let run = self.bitmap.trailing_ones();
            self.bitmap = self.bitmap.checked_shr(run + 1).unwrap_or(0);
            self.cumulative = base.saturating_add(run).saturating_add(1);
        }
    }
}

/// A release on offer.
#[derive(Clone, Copy, Debug)]
struct Offered {
    signed: SignedManifest,
    manifest: Manifest,
    due: u64,
    retry: u64,
    /// The device has said its last word on it.
    settled: bool,
}

/// The server's side of the protocol with one device. About 5 KB, with the receive buffer.
#[derive(Debug)]
pub struct ServerSession {
    decoder: Decoder<[u8; frame::RECEIVE_BUFFER]>,
    core: Core,
}

#[derive(Debug)]
struct Core {
    counters: Counters,
    policy: Policy,
    policy_due: Option<u64>,
    policy_retry: u64,
    hello: Option<Hello>,
    epochs: Vec<Epoch, EPOCHS>,
    offer: Option<Offered>,
    requests: Deque<u32, REQUESTS>,
}

impl Default for ServerSession {
    fn default() -> Self {
        Self::new(Policy::default())
    }
}

impl ServerSession {
    /// A session that knows nothing of its device yet, and asks it for a hello.
    pub fn new(policy: Policy) -> Self {
        Self {
            decoder: Decoder::new([0; frame::RECEIVE_BUFFER]),
            core: Core {
                counters: Counters::default(),
                policy,
                policy_due: Some(0),
                policy_retry: RETRY_MS,
                hello: None,
                epochs: Vec::new(),
                offer: None,
                requests: Deque::new(),
            },
        }
    }

    /// Takes bytes from the link, any number of them, and reports what they say, in order.
    pub fn on_bytes(&mut self, now: u64, bytes: &[u8], mut on_event: impl FnMut(Event<'_>)) {
        for &byte in bytes {
            let Some(mut payload) = self.decoder.push(byte) else {
                continue;
            };
            // Encryption will be undone here.
            while let Some(message) = Message::decode(&mut payload) {
                self.core.on_message(now, message, &mut on_event);
            }
        }
    }

    /// The record is durably stored (now or before): it may be acknowledged.
    pub fn committed(&mut self, key: RecordKey) {
        if let Some(epoch) = self.core.epochs.iter_mut().find(|e| e.epoch == key.epoch) {
            epoch.add(key.sequence);
            epoch.due = true;
        }
    }

    /// Changes the policy of this device; its `epoch` is filled in. It is sent once: one that is lost
    /// is made up for after the device's next hello, or by setting it again.
    pub fn set_policy(&mut self, policy: Policy) {
        self.core.policy = policy;
        self.core.policy_due = Some(0);
    }

    /// Offers a release, or none. The offer is repeated until the device has confirmed, failed or
    /// refused it. The same release again changes nothing.
    pub fn set_offer(&mut self, signed: Option<(&SignedManifest, &Manifest)>) {
        let Some((signed, manifest)) = signed else {
            self.core.offer = None;
            return;
        };
        if self.core.offer.is_some_and(|offer| offer.signed == *signed) {
            return;
        }
        self.core.requests.clear();
        self.core.offer = Some(Offered {
            signed: *signed,
            manifest: *manifest,
            due: 0,
            retry: RETRY_MS,
            settled: false,
        });
        if let Some(hello) = self.core.hello {
            self.core.compare(&hello);
        }
    }

    /// The device's last hello in this session.
    pub fn hello(&self) -> Option<&Hello> {
        self.core.hello.as_ref()
    }

    /// What was seen since the session began.
    pub fn counters(&self) -> Counters {
        Counters {
            frames: self.decoder.counters(),
            ..self.core.counters
        }
    }

    /// Writes the next frame to send to the start of `out` ([`frame::MAX_FRAME`] bytes) and returns
    /// its length, 0 for nothing to send now. To be called until it returns 0. `image` is the image
    /// of the current offer, or empty when there is none.
    ///
    /// # Errors
    /// See [`TransmitError`]; what could not be sent is dropped and asked for again by the device.
    pub fn poll_transmit(
        &mut self,
        now: u64,
        image: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TransmitError> {
        let Some(message) = self.core.next_message(now, image)? else {
            return Ok(0);
        };
        let mut scratch = [0; MAX_MESSAGE];
        let too_small = TransmitError::BufferTooSmall(frame::MAX_FRAME);
        let len = message.encode(&mut scratch).map_err(|_| too_small)?;
        // Encryption will be done here.
        frame::encode(scratch.get(..len).unwrap_or(&[]), out).map_err(|_| too_small)
    }
}

impl Core {
    fn on_message(
        &mut self,
        now: u64,
        message: Result<Message<'_>, DecodeError>,
        on_event: &mut impl FnMut(Event<'_>),
    ) {
        let count = |n: &mut u32| *n = n.saturating_add(1);
        let message = match message {
            Ok(message) => message,
            Err(DecodeError::Unknown { .. }) => return count(&mut self.counters.unknown),
            Err(_) => return count(&mut self.counters.malformed),
        };
        if self.hello.is_none() && self.policy_due.is_none() {
            self.policy_due = Some(now);
        }
        match message {
            Message::Hello(hello) => {
                self.hello = Some(hello);
                self.policy_due = Some(now);
                self.requests.clear();
                self.compare(&hello);
                on_event(Event::Hello(hello));
            }
            Message::Records(header, records) if header.stream == 0 => {
                let Some(epoch) = self.epoch(header.epoch, header.base) else {
                    return;
                };
                epoch.advance(header.base);
                let epoch = *epoch;
                for record in records {
                    if epoch.holds(record.sequence) {
                        count(&mut self.counters.duplicates);
                        continue;
                    }
                    on_event(Event::Record {
                        key: RecordKey {
                            epoch: header.epoch,
                            sequence: record.sequence,
                        },
                        bytes: record.bytes,
                    });
                }
                // Where all of them were known, the last acknowledgement was lost.
                if let Some(epoch) = self.epoch(header.epoch, header.base) {
                    epoch.due |= records.clone().any(|record| epoch.holds(record.sequence));
                }
            }
            Message::BlockRequest(request) => {
                let known = self.offer.as_mut().filter(|offer| {
                    offer.manifest.image_hash == request.hash
                        && request.index < offer.manifest.blocks()
                });
                let Some(offer) = known else {
                    return count(&mut self.counters.unexpected);
                };
                offer.retry = RETRY_MAX_MS;
                offer.due = now.saturating_add(offer.retry);
                if !self.requests.iter().any(|index| *index == request.index) {
                    // With the queue full, the device asks again.
                    let _ = self.requests.push_back(request.index);
                }
                on_event(Event::BlockRequest(request));
            }
            Message::UpdateStatus(status) => {
                self.on_status(now, &status);
                on_event(Event::UpdateStatus(status));
            }
            _ => count(&mut self.counters.unexpected),
        }
    }

    /// Where the offer stands for a device that has just said hello.
    fn compare(&mut self, hello: &Hello) {
        if let Some(offer) = self.offer.as_mut() {
            let same = hello.model_version == offer.manifest.version
                && hello.model_hash == offer.manifest.image_hash;
            offer.settled = same && !hello.trial;
            offer.due = 0;
            offer.retry = RETRY_MS;
        }
    }

    fn on_status(&mut self, now: u64, status: &UpdateStatus) {
        let Some(offer) = self.offer.as_mut() else {
            return;
        };
        let ours = status.version == offer.manifest.version;
        let unreadable = status.version == 0 && status.state == UpdateState::Refused;
        if !ours && !unreadable {
            return;
        }
        offer.settled = match status.state {
            UpdateState::Confirmed | UpdateState::Failed => true,
            UpdateState::Refused => status.reason != Reason::Busy,
            _ => false,
        };
        // It was heard; asked again now and then how it goes.
        offer.retry = RETRY_MAX_MS;
        offer.due = now.saturating_add(offer.retry);
    }

    /// The acknowledgements of an epoch, made anew where they are not known any more.
    fn epoch(&mut self, epoch: u32, base: u32) -> Option<&mut Epoch> {
        if !self.epochs.iter().any(|known| known.epoch == epoch) {
            if self.epochs.is_full() {
                let oldest = self.epochs.iter().enumerate().min_by_key(|(_, e)| e.epoch);
                let (index, _) = oldest?;
                self.epochs.swap_remove(index);
            }
            let new = Epoch {
                epoch,
                cumulative: base,
                bitmap: 0,
                due: false,
            };
            self.epochs.push(new).ok()?;
        }
        self.epochs.iter_mut().find(|known| known.epoch == epoch)
    }

    fn next_message<'m>(
        &'m mut self,
        now: u64,
        image: &'m [u8],
    ) -> Result<Option<Message<'m>>, TransmitError> {
        if self.policy_due.is_some_and(|due| now >= due) {
            // Without a hello, the epoch 0 asks for one, again and again.
            let epoch = self.hello.map_or(0, |hello| hello.epoch);
            self.policy_due = None;
            if epoch == 0 {
                self.policy_due = Some(now.saturating_add(self.policy_retry));
                self.policy_retry = self.policy_retry.saturating_mul(2).min(RETRY_MAX_MS);
            }
            return Ok(Some(Message::Policy(Policy {
                epoch,
                ..self.policy
            })));
        }
        if let Some(epoch) = self.epochs.iter_mut().find(|epoch| epoch.due) {
            epoch.due = false;
            return Ok(Some(Message::Ack(Ack {
                epoch: epoch.epoch,
                stream: 0,
                cumulative: epoch.cumulative,
                bitmap: epoch.bitmap,
            })));
        }
        if self.hello.is_none() {
            return Ok(None);
        }
        let Some(offer) = self.offer.as_mut() else {
            return Ok(None);
        };
        if !offer.settled && now >= offer.due {
            offer.due = now.saturating_add(offer.retry);
            offer.retry = offer.retry.saturating_mul(2).min(RETRY_MAX_MS);
            return Ok(Some(Message::Offer(Offer {
                manifest: offer.signed.bytes(),
                signature: offer.signed.signature(),
            })));
        }
        let Some(index) = self.requests.pop_front() else {
            return Ok(None);
        };
        let expected = offer.manifest.image_len;
        if image.len() != expected as usize {
            return Err(TransmitError::WrongImage { expected });
        }
        let from = index.saturating_mul(offer.manifest.block_len);
        let end = from.saturating_add(offer.manifest.block_len).min(expected);
        let hash = offer.manifest.image_hash.first_chunk::<8>();
        let bytes = image.get(from as usize..end as usize);
        self.counters.blocks_sent = self.counters.blocks_sent.saturating_add(1);
        Ok(hash.zip(bytes).map(|(hash, bytes)| {
            Message::Block(Block {
                hash: *hash,
                index,
                bytes,
            })
        }))
    }
}
