//! What a session does with messages and time; [`super::DeviceSession`] adds the frames.

use embedded_storage::nor_flash::NorFlash;

use super::{Counters, MESSAGES_IN_FLIGHT, RETRY_MAX_MS, SessionError, update::Update};
use crate::log::Cursor;
use crate::manifest::Identity;
use crate::message::{
    self, ACK_WINDOW, Ack, DecodeError, EncodeError, Hello, Message, Policy, RecordsHeader,
};
use crate::record::RecordKey;
use crate::storage::{MappedFlash, Storage};

#[derive(Debug)]
pub struct Engine<'b> {
    pub identity: Identity,
    pub epoch: u32,
    /// Where messages are put together.
    pub scratch: &'b mut [u8],
    pub counters: Counters,
    pub policy: Policy,
    /// The server knows this epoch.
    pub welcomed: bool,
    pub hello_due: u64,
    /// Time until the next retry in ms.
    pub retry: u64,
    /// What [`Self::retry`] starts from: [`RETRY_MS`] and a little more, different on every device.
    pub retry_first: u64,

    /// Records before it were sent; `None`: none that wait.
    pub sent: Option<Cursor>,
    /// `Records` messages since the last acknowledgement.
    pub unanswered: u8,
    /// When to send again what is sent and not acknowledged.
    pub records_due: u64,
    /// The highest key that was sent.
    pub last_sent: Option<RecordKey>,
    /// Floor for which a hole in the acknowledgements was already filled.
    pub filled: Option<RecordKey>,

    pub update: Update,
}

impl Engine<'_> {
    pub fn on_message<F: MappedFlash, L: NorFlash<Error = F::Error>>(
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
    pub fn settle<F: MappedFlash, L: NorFlash<Error = F::Error>>(
        &mut self,
        storage: &mut Storage<'_, F, L>,
    ) -> Result<(), SessionError<F::Error>> {
        self.update.settle(self.welcomed, storage)
    }

    /// Puts the next message to send into the scratch; 0 for none.
    pub fn next_message<F: MappedFlash, L: NorFlash<Error = F::Error>>(
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
        } else if self.last_sent >= Some(storage.log.floor()) && now >= self.records_due {
            self.unanswered = 0;
            self.sent = None;
            self.again();
            self.records_due = now.saturating_add(self.retry);
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
                    self.last_sent = self.last_sent.max(Some(found.key));
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
