//! The session of a device: says hello, sends records until they are acknowledged, fetches updates.
//!
//! Driven by [`DeviceSession::on_bytes`] and [`DeviceSession::poll_transmit`] alone. What is not
//! answered is sent again after [`RETRY_MS`], doubled up to [`RETRY_MAX_MS`] while the server is
//! silent; then the session starts over with a hello.
//!
//! An update needs the firmware three times: when [`DeviceSession::needs_validation`] gives an
//! image, it loads it from the spare slot, runs its self-test and answers with
//! [`DeviceSession::validated`]; when [`DeviceSession::wants_reboot`], it reboots; and while a model
//! is on trial, it reports [`DeviceSession::self_tested`] and each [`DeviceSession::inferred`].

mod update;

use embedded_storage::nor_flash::NorFlash;

use crate::MAX_MESSAGE;
use crate::frame::{self, Decoder, FrameCounters};
use crate::log::{Cursor, LogError};
use crate::manifest::Identity;
use crate::message::{
    self, ACK_WINDOW, Ack, DecodeError, EncodeError, Hello, Message, Policy, RecordsHeader,
    UpdateStatus,
};
use crate::record::RecordKey;
use crate::slots::{Boot, Image, Running, SlotError, Slots};
use crate::storage::{MappedFlash, Storage};

/// First time after which what is not answered is sent again, in ms.
pub const RETRY_MS: u64 = 1_000;
/// Longest such time, in ms.
pub const RETRY_MAX_MS: u64 = 16_000;
/// Inferences that a model on trial has to do before it is confirmed.
pub const TRIAL_INFERENCES: u32 = 16;
/// Blocks asked for and not yet received.
const BLOCKS_IN_FLIGHT: u32 = 4;
/// `Records` messages sent and not yet acknowledged.
const MESSAGES_IN_FLIGHT: u8 = 8;

/// Why a session could not do it. The session stays usable: what failed is tried again when the
/// server repeats itself, or at the next poll. `E` is the error of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError<E> {
    /// The log.
    Log(LogError<E>),
    /// Slots or journal.
    Slots(SlotError<E>),
    /// A buffer is too small for the message to send; it needs this many bytes.
    BufferTooSmall(usize),
}

impl<E> From<LogError<E>> for SessionError<E> {
    fn from(error: LogError<E>) -> Self {
        SessionError::Log(error)
    }
}

impl<E> From<SlotError<E>> for SessionError<E> {
    fn from(error: SlotError<E>) -> Self {
        SessionError::Slots(error)
    }
}

impl<E> From<EncodeError> for SessionError<E> {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::BufferTooSmall(needed) | EncodeError::TooLong(needed) => {
                SessionError::BufferTooSmall(needed)
            }
        }
    }
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
    /// Messages that make no sense here: those of a device, blocks that were not asked for.
    pub unexpected: u32,
    /// Times that something was sent again because no answer came.
    pub retries: u32,
    /// Blocks stored.
    pub blocks_stored: u32,
}

/// The device's side of the protocol, from one boot to the next.
#[derive(Debug)]
pub struct DeviceSession<'b> {
    decoder: Decoder<&'b mut [u8]>,
    core: Core<'b>,
}

#[derive(Debug)]
struct Core<'b> {
    identity: Identity,
    epoch: u32,
    /// Where messages are put together.
    scratch: &'b mut [u8],
    counters: Counters,
    policy: Policy,
    /// The server knows this epoch.
    welcomed: bool,
    hello_due: u64,
    /// Time until the next retry in ms.
    retry: u64,
    /// What [`Self::retry`] starts from: [`RETRY_MS`] and a little more, different on every device.
    retry_first: u64,

    /// Records before it were sent; `None`: none that wait.
    sent: Option<Cursor>,
    /// `Records` messages since the last acknowledgement.
    unanswered: u8,
    records_due: u64,
    /// Floor for which a hole in the acknowledgements was already filled.
    filled: Option<RecordKey>,

    update: update::Update,
}

impl<'b> DeviceSession<'b> {
    /// A session for this boot. `epoch` is [`crate::Log::epoch`].
    ///
    /// `receive` holds one message of the server: [`frame::RECEIVE_BUFFER`] bytes, or a block and 64
    /// more where memory is short. `scratch` holds one message to send: [`MAX_MESSAGE`] bytes, or
    /// the longest record that is ever appended and [`message::RECORDS_OVERHEAD`].
    pub fn new(
        identity: Identity,
        boot: Boot,
        epoch: u32,
        receive: &'b mut [u8],
        scratch: &'b mut [u8],
    ) -> Self {
        // A fleet that comes back at once must not stay in step.
        let jitter = identity.device_id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
        let retry_first = RETRY_MS.saturating_add(jitter);
        Self {
            decoder: Decoder::new(receive),
            core: Core {
                identity,
                epoch,
                scratch,
                counters: Counters::default(),
                policy: Policy::default(),
                welcomed: false,
                hello_due: 0,
                retry: retry_first,
                retry_first,
                sent: None,
                unanswered: 0,
                records_due: 0,
                filled: None,
                update: update::Update::new(boot),
            },
        }
    }

    /// Takes bytes from the link, any number of them.
    ///
    /// # Errors
    /// The first error of the messages in `bytes`; all of them are handled in any case.
    pub fn on_bytes<F: MappedFlash, L: NorFlash<Error = F::Error>>(
        &mut self,
        now: u64,
        bytes: &[u8],
        storage: &mut Storage<'_, F, L>,
    ) -> Result<(), SessionError<F::Error>> {
        let mut result = Ok(());
        for &byte in bytes {
            let Some(mut payload) = self.decoder.push(byte) else {
                continue;
            };
            // Encryption will be undone here.
            while let Some(message) = Message::decode(&mut payload) {
                result = result.and(self.core.on_message(now, message, storage));
            }
        }
        result.and(self.core.settle(storage))
    }

    /// Writes the next frame to send to the start of `out` and returns its length, 0 for nothing to
    /// send now. To be called until it returns 0, and again after [`Self::on_bytes`], after a
    /// record was appended, and as time goes by. `out` is [`frame::MAX_FRAME`] bytes long (or what
    /// [`frame::max_frame_len`] says for a shorter scratch).
    ///
    /// # Errors
    /// [`SessionError::BufferTooSmall`], or what the log or the journal said.
    pub fn poll_transmit<F: MappedFlash, L: NorFlash<Error = F::Error>>(
        &mut self,
        now: u64,
        storage: &mut Storage<'_, F, L>,
        out: &mut [u8],
    ) -> Result<usize, SessionError<F::Error>> {
        self.core.settle(storage)?;
        // What has no room in `out` must not count as sent.
        let needed = frame::max_frame_len(self.core.scratch.len().min(MAX_MESSAGE));
        if out.len() < needed {
            return Err(SessionError::BufferTooSmall(needed));
        }
        let len = self.core.next_message(now, storage)?;
        if len == 0 {
            return Ok(0);
        }
        // Encryption will be done here.
        let message = self.core.scratch.get(..len).unwrap_or(&[]);
        frame::encode(message, out).map_err(|_| SessionError::BufferTooSmall(needed))
    }

    /// The image in the spare slot, when it is whole and waits to be loaded and self-tested.
    pub fn needs_validation(&self) -> Option<Image> {
        self.core.update.needs_validation()
    }

    /// The firmware's answer to [`Self::needs_validation`]: `Ok` when `Model::load` takes the image
    /// and its self-test gives what it should. Without a pending question nothing happens.
    ///
    /// # Errors
    /// [`SessionError::Slots`]; ask [`Self::needs_validation`] again.
    pub fn validated<F: MappedFlash, L: NorFlash<Error = F::Error>>(
        &mut self,
        storage: &mut Storage<'_, F, L>,
        verdict: Result<(), message::Reason>,
    ) -> Result<(), SessionError<F::Error>> {
        self.core.update.validated(storage.journal, verdict)
    }

    /// Gives up the release that is being fetched or is on trial, whatever it is doing.
    ///
    /// # Errors
    /// [`SessionError::Slots`] when there is none, or the flash failed.
    pub fn fail_update<F: MappedFlash, L: NorFlash<Error = F::Error>>(
        &mut self,
        storage: &mut Storage<'_, F, L>,
        reason: message::Reason,
    ) -> Result<(), SessionError<F::Error>> {
        self.core.update.fail(storage.journal, reason)
    }

    /// Another model is to run: the device reboots when it can. Until then, nothing is written to
    /// either slot.
    pub fn wants_reboot(&self) -> bool {
        self.core.update.wants_reboot
    }

    /// The firmware ran the self-test of the model on trial. A failed one ends the trial.
    pub fn self_tested(&mut self, passed: bool) {
        self.core.update.self_test = Some(passed);
    }

    /// The model on trial gave a finite result in time.
    pub fn inferred(&mut self) {
        self.core.update.inferences = self.core.update.inferences.saturating_add(1);
    }

    /// The next change of an update's state, to be logged as an [`crate::record::Event`]. At most
    /// four wait; the oldest goes first.
    pub fn take_update_change(&mut self) -> Option<UpdateStatus> {
        self.core.update.changes.pop_front()
    }

    /// The server's last word on samples; none are wanted before the first.
    pub fn policy(&self) -> Policy {
        self.core.policy
    }

    /// The server has answered in this boot, and not fallen silent since.
    pub fn is_connected(&self) -> bool {
        self.core.welcomed
    }

    /// The model that runs. Its `trial` turns false when it is confirmed.
    pub fn running(&self) -> Option<Running> {
        self.core.update.running
    }

    /// What the journal says about models and releases.
    pub fn slots(&self) -> &Slots {
        &self.core.update.slots
    }

    /// What was seen since boot.
    pub fn counters(&self) -> Counters {
        Counters {
            frames: self.decoder.counters(),
            ..self.core.counters
        }
    }
}

impl Core<'_> {
    fn on_message<F: MappedFlash, L: NorFlash<Error = F::Error>>(
        &mut self,
        now: u64,
        message: Result<Message<'_>, DecodeError>,
        storage: &mut Storage<'_, F, L>,
    ) -> Result<(), SessionError<F::Error>> {
        let count = |n: &mut u32| *n = n.saturating_add(1);
        let message = match message {
            Ok(message) => message,
            Err(DecodeError::Unknown { .. }) => {
                count(&mut self.counters.unknown);
                return Ok(());
            }
            Err(_) => {
                count(&mut self.counters.malformed);
                return Ok(());
            }
        };
        self.retry = self.retry_first;
        match message {
            Message::Policy(policy) if policy.epoch == self.epoch => {
                self.policy = policy;
                if !self.welcomed {
                    self.welcomed = true;
                    self.sent = None;
                    self.unanswered = 0;
                    self.update.welcomed();
                }
                Ok(())
            }
            Message::Policy(_) => {
                self.welcomed = false;
                self.hello_due = now;
                Ok(())
            }
            Message::Ack(ack) => self.on_ack(now, &ack, storage),
            Message::Offer(offer) => self.update.on_offer(&offer, &self.identity, storage),
            Message::Block(block) => {
                if self.update.on_block(&block, storage)? {
                    count(&mut self.counters.blocks_stored);
                } else {
                    count(&mut self.counters.unexpected);
                }
                Ok(())
            }
            _ => {
                count(&mut self.counters.unexpected);
                Ok(())
            }
        }
    }

    fn on_ack<F: MappedFlash, L: NorFlash<Error = F::Error>>(
        &mut self,
        now: u64,
        ack: &Ack,
        storage: &mut Storage<'_, F, L>,
    ) -> Result<(), SessionError<F::Error>> {
        if ack.stream != 0 {
            return Ok(());
        }
        storage
            .log
            .acknowledge(ack.epoch, ack.cumulative, ack.bitmap)?;
        self.unanswered = 0;
        self.records_due = now.saturating_add(self.retry);
        let floor = storage.log.floor();
        if ack.bitmap != 0 && ack.epoch == floor.epoch && self.filled != Some(floor) {
            // Later records arrived: what is missing was lost. Sent again once, then by time.
            self.filled = Some(floor);
            self.sent = None;
        }
        Ok(())
    }

    /// What time and the firmware have made due in the update.
    fn settle<F: MappedFlash, L: NorFlash<Error = F::Error>>(
        &mut self,
        storage: &mut Storage<'_, F, L>,
    ) -> Result<(), SessionError<F::Error>> {
        self.update.settle(self.welcomed, storage)
    }

    /// Puts the next message to send into the scratch; 0 for none.
    fn next_message<F: MappedFlash, L: NorFlash<Error = F::Error>>(
        &mut self,
        now: u64,
        storage: &mut Storage<'_, F, L>,
    ) -> Result<usize, SessionError<F::Error>> {
        if !self.welcomed {
            if now < self.hello_due {
                return Ok(0);
            }
            let len = self.hello().encode(self.scratch)?;
            self.hello_due = now.saturating_add(self.retry);
            self.back_off();
            return Ok(len);
        }
        if let Some(status) = self.update.status {
            let len = Message::UpdateStatus(status).encode(self.scratch)?;
            self.update.status = None;
            return Ok(len);
        }
        if self.update.blocks_late(now) {
            self.again();
        } else if self.unanswered > 0 && now >= self.records_due {
            self.unanswered = 0;
            self.sent = None;
            self.again();
        }
        if !self.welcomed {
            return self.next_message(now, storage);
        }
        if let Some(request) = self.update.next_request(now.saturating_add(self.retry)) {
            return Ok(Message::BlockRequest(request).encode(self.scratch)?);
        }
        if self.unanswered >= MESSAGES_IN_FLIGHT {
            return Ok(0);
        }
        let len = self.records(storage)?;
        if len > 0 {
            self.unanswered = self.unanswered.saturating_add(1);
            self.records_due = now.saturating_add(self.retry);
        }
        Ok(len)
    }

    fn hello(&self) -> Message<'static> {
        let running = self.update.running;
        Message::Hello(Hello {
            device_id: self.identity.device_id,
            epoch: self.epoch,
            hardware_id: self.identity.hardware_id,
            firmware_version: self.identity.firmware_version,
            kernel_set: self.identity.kernel_set,
            model_version: running.map_or(0, |running| running.image.version),
            model_hash: running.map_or([0; 32], |running| running.image.hash),
            trial: running.is_some_and(|running| running.trial),
        })
    }

    fn back_off(&mut self) {
        self.retry = self.retry.saturating_mul(2).min(RETRY_MAX_MS);
    }

    /// No answer came in time; after too long a silence the session starts over.
    fn again(&mut self) {
        self.counters.retries = self.counters.retries.saturating_add(1);
        self.back_off();
        if self.retry == RETRY_MAX_MS {
            self.welcomed = false;
            self.hello_due = 0;
        }
    }

    /// As many unsent records of the oldest epoch as fit.
    fn records<F: MappedFlash, L: NorFlash<Error = F::Error>>(
        &mut self,
        storage: &mut Storage<'_, F, L>,
    ) -> Result<usize, SessionError<F::Error>> {
        let floor = storage.log.floor();
        let mut cursor = self.sent.unwrap_or(storage.log.oldest());
        let mut header = RecordsHeader {
            epoch: floor.epoch,
            stream: 0,
            base: floor.sequence,
            count: 0,
        };
        let mut message = message::RecordsWriter::new(&mut header, self.scratch)?;
        loop {
            let before = cursor;
            let Some(found) = storage.log.next(&mut cursor)? else {
                break;
            };
            let ahead = found.key.sequence.saturating_sub(floor.sequence);
            if found.key.epoch != floor.epoch || ahead >= ACK_WINDOW {
                cursor = before;
                break;
            }
            let first = message.is_empty();
            match message.record(found.key.sequence, found.len) {
                Ok(place) => {
                    storage.log.read(&found, place)?;
                }
                Err(EncodeError::BufferTooSmall(needed)) if first => {
                    return Err(SessionError::BufferTooSmall(needed));
                }
                Err(_) => {
                    cursor = before;
                    break;
                }
            }
        }
        let len = if message.is_empty() {
            0
        } else {
            message.finish()?
        };
        self.sent = Some(cursor);
        Ok(len)
    }
}
