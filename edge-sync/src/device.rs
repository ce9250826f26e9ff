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

mod engine;
mod update;

use embedded_storage::nor_flash::NorFlash;

use crate::MAX_MESSAGE;
use crate::frame::{self, Decoder, FrameCounters};
use crate::log::LogError;
use crate::manifest::Identity;
use crate::message::{self, EncodeError, Message, Policy, UpdateStatus};
use crate::slots::{Boot, Image, Running, SlotError, Slots};
use crate::storage::{MappedFlash, Storage};
use engine::Engine;

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
    engine: Engine<'b>,
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
            engine: Engine {
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
                last_sent: None,
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
                result = result.and(self.engine.on_message(now, message, storage));
            }
        }
        result.and(self.engine.settle(storage))
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
        self.engine.settle(storage)?;
        // What has no room in `out` must not count as sent.
        let needed = frame::max_frame_len(self.engine.scratch.len().min(MAX_MESSAGE));
        if out.len() < needed {
            return Err(SessionError::BufferTooSmall(needed));
        }
        let len = self.engine.next_message(now, storage)?;
        if len == 0 {
            return Ok(0);
        }
        // Encryption will be done here.
        let message = self.engine.scratch.get(..len).unwrap_or(&[]);
        frame::encode(message, out).map_err(|_| SessionError::BufferTooSmall(needed))
    }

    /// The image in the spare slot, when it is whole and waits to be loaded and self-tested.
    pub fn needs_validation(&self) -> Option<Image> {
        self.engine.update.needs_validation()
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
        self.engine.update.validated(storage.journal, verdict)
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
        self.engine.update.fail(storage.journal, reason)
    }

    /// Another model is to run: the device reboots when it can. Until then, nothing is written to
    /// either slot.
    pub fn wants_reboot(&self) -> bool {
        self.engine.update.wants_reboot
    }

    /// The firmware ran the self-test of the model on trial. A failed one ends the trial.
    pub fn self_tested(&mut self, passed: bool) {
        self.engine.update.self_test = Some(passed);
    }

    /// The model on trial gave a finite result in time.
    pub fn inferred(&mut self) {
        self.engine.update.inferences = self.engine.update.inferences.saturating_add(1);
    }

    /// The next change of an update's state, to be logged as an [`crate::record::Event`]. At most
    /// four wait; the oldest goes first.
    pub fn take_update_change(&mut self) -> Option<UpdateStatus> {
        self.engine.update.changes.pop_front()
    }

    /// The server's last word on samples; none are wanted before the first.
    pub fn policy(&self) -> Policy {
        self.engine.policy
    }

    /// The server has answered in this boot, and not fallen silent since.
    pub fn is_connected(&self) -> bool {
        self.engine.welcomed
    }

    /// The model that runs. Its `trial` turns false when it is confirmed.
    pub fn running(&self) -> Option<Running> {
        self.engine.update.running
    }

    /// What the journal says about models and releases.
    pub fn slots(&self) -> &Slots {
        &self.engine.update.slots
    }

    /// What was seen since boot.
    pub fn counters(&self) -> Counters {
        Counters {
            frames: self.decoder.counters(),
            ..self.engine.counters
        }
    }
}
