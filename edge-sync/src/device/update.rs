//! The device's part of an update.

use embedded_storage::nor_flash::NorFlash;
use heapless::Deque;

use super::{BLOCKS_IN_FLIGHT, SessionError, TRIAL_INFERENCES};
use crate::manifest::{self, Identity};
use crate::message::{Block, BlockRequest, Offer, Reason, UpdateState, UpdateStatus};
use crate::slots::{Boot, Candidate, Image, Phase, Running, Slots};
use crate::storage::{MappedFlash, Storage};

#[derive(Debug)]
pub struct Update {
    pub slots: Slots,
    pub running: Option<Running>,
    pub wants_reboot: bool,
    /// To be sent.
    pub status: Option<UpdateStatus>,
    /// To be logged.
    pub changes: Deque<UpdateStatus, 4>,
    last_change: Option<UpdateStatus>,
    pub self_test: Option<bool>,
    pub inferences: u32,
    /// Blocks below were asked for.
    requested: u32,
    /// Value of `stored` at which a gap was already answered with new requests.
    gap: Option<u32>,
    blocks_due: u64,
    /// The whole image has its hash: the firmware is to load and test it.
    hashed: bool,
}

impl Update {
    pub fn new(boot: Boot) -> Self {
        let mut update = Self {
            running: boot.running,
            slots: boot.slots,
            wants_reboot: false,
            status: None,
            changes: Deque::new(),
            last_change: None,
            self_test: None,
            inferences: 0,
            requested: 0,
            gap: None,
            blocks_due: 0,
            hashed: false,
        };
        update.rewind();
        if let Some((version, reason)) = boot.fallen_back {
            update.change(version, UpdateState::Failed, reason);
        }
        update
    }

    /// The candidate while its blocks are fetched.
    fn receiving(&self) -> Option<Candidate> {
        let candidate = self.slots.candidate()?;
        // While a model runs from the slot of the candidate (a trial that has just failed), that
        // slot is not the spare one: nothing is written before the reboot.
        let spare = self
            .running
            .is_none_or(|running| running.slot != self.slots.candidate_slot());
        (candidate.phase == Phase::Receiving && spare && !self.wants_reboot).then_some(candidate)
    }

    /// Asks again for everything that is not stored.
    fn rewind(&mut self) {
        self.requested = self.slots.candidate().map_or(0, |c| c.stored);
    }

    pub fn needs_validation(&self) -> Option<Image> {
        self.receiving()
            .filter(|_| self.hashed)
            .map(|candidate| candidate.image)
    }

    /// Notes a change to be sent and logged.
    fn change(&mut self, version: u32, state: UpdateState, reason: Reason) {
        let status = UpdateStatus {
            version,
            state,
            reason,
        };
        self.status = Some(status);
        // The server repeats its offers; that is no news.
        if self.last_change.replace(status) == Some(status) {
            return;
        }
        if self.changes.is_full() {
            self.changes.pop_front();
        }
        // There is room now.
        let _ = self.changes.push_back(status);
    }

    /// The server has just come: it hears how things stand.
    pub fn welcomed(&mut self) {
        self.rewind();
        if self.status.is_none() {
            self.status = self.standing();
        }
    }

    /// How things stand with the newest release that this device knows.
    fn standing(&self) -> Option<UpdateStatus> {
        if let Some(candidate) = self.slots.candidate() {
            let state = match candidate.phase {
                Phase::Receiving => UpdateState::Receiving,
                Phase::Verified => UpdateState::Verified,
                Phase::Trial => UpdateState::Trial,
            };
            return Some(UpdateStatus {
                version: candidate.image.version,
                state,
                reason: Reason::None,
            });
        }
        let confirmed = self.slots.confirmed().map_or(0, |image| image.version);
        // A confirmed model that cannot run is not told as such: the server would not offer it again.
        let runs = self.running.is_some_and(|running| !running.trial);
        match self.slots.last_failure() {
            Some((version, reason)) if version > confirmed || (version == confirmed && !runs) => {
                Some(UpdateStatus {
                    version,
                    state: UpdateState::Failed,
                    reason,
                })
            }
            _ if confirmed > 0 && runs => Some(UpdateStatus {
                version: confirmed,
                state: UpdateState::Confirmed,
                reason: Reason::None,
            }),
            _ => None,
        }
    }

    pub fn on_offer<F: MappedFlash, L: NorFlash<Error = F::Error>>(
        &mut self,
        offer: &Offer<'_>,
        identity: &Identity,
        storage: &mut Storage<'_, F, L>,
    ) -> Result<(), SessionError<F::Error>> {
        let manifest = match manifest::verify(offer.manifest, offer.signature, &identity.public_key)
        {
            Ok(manifest) => manifest,
            Err(error) => {
                self.change(0, UpdateState::Refused, error.into());
                return Ok(());
            }
        };
        let same =
            |image: Image| image.version == manifest.version && image.hash == manifest.image_hash;
        let candidate = self.slots.candidate();
        let runs = self.running.is_some();
        if candidate.is_some_and(|candidate| same(candidate.image))
            || (candidate.is_none() && runs && self.slots.confirmed().is_some_and(same))
        {
            self.status = self.standing();
            return Ok(());
        }
        if self.slots.has_failed(manifest.version) {
            let reason = match self.slots.last_failure() {
                Some((version, reason)) if version == manifest.version => reason,
                _ => Reason::KnownFailed,
            };
            self.status = Some(UpdateStatus {
                version: manifest.version,
                state: UpdateState::Failed,
                reason,
            });
            return Ok(());
        }
        let suits = manifest
            .check(identity)
            .and_then(|()| self.slots.check(&manifest, runs, storage.spare));
        let refusal = match suits {
            Err(error) => Some(error.into()),
            Ok(()) => self.busy(manifest.version).then_some(Reason::Busy),
        };
        if let Some(reason) = refusal {
            self.change(manifest.version, UpdateState::Refused, reason);
            return Ok(());
        }
        self.slots.begin(storage.journal, &manifest)?;
        self.requested = 0;
        self.gap = None;
        self.hashed = false;
        self.change(manifest.version, UpdateState::Receiving, Reason::None);
        Ok(())
    }

    /// Whether a release has to wait: only a newer one may replace one that is being received.
    fn busy(&self, version: u32) -> bool {
        let running_there = self
            .running
            .is_some_and(|running| running.slot == self.slots.candidate_slot());
        let replaces = self.slots.candidate().is_none_or(|candidate| {
            candidate.phase == Phase::Receiving && candidate.image.version < version
        });
        self.wants_reboot || running_there || !replaces
    }

    /// Whether the block was stored.
    pub fn on_block<F: MappedFlash, L: NorFlash<Error = F::Error>>(
        &mut self,
        block: &Block<'_>,
        storage: &mut Storage<'_, F, L>,
    ) -> Result<bool, SessionError<F::Error>> {
        let Some(candidate) = self.receiving() else {
            return Ok(false);
        };
        if !candidate.image.hash.starts_with(&block.hash) || candidate.stored >= candidate.blocks()
        {
            return Ok(false);
        }
        if block.index != candidate.stored {
            if block.index > candidate.stored && self.gap != Some(candidate.stored) {
                // A later block came first: the one before it was lost. Asked for once more now,
                // then by time.
                self.gap = Some(candidate.stored);
                self.rewind();
            }
            return Ok(false);
        }
        let from = candidate.stored.saturating_mul(candidate.block_len);
        let len = candidate
            .image
            .len
            .saturating_sub(from)
            .min(candidate.block_len);
        if block.bytes.len() != len as usize {
            return Ok(false);
        }
        let result = self
            .slots
            .store_block(storage.journal, storage.spare, block.bytes);
        if let Err(error) = result {
            self.rewind();
            return Err(error.into());
        }
        self.gap = None;
        let stored = candidate.stored.saturating_add(1);
        self.requested = self.requested.max(stored);
        Ok(true)
    }

    /// Whether blocks were asked for and none came in time; they are asked for again.
    pub fn blocks_late(&mut self, now: u64) -> bool {
        let late = self.receiving().is_some_and(|candidate| {
            self.requested > candidate.stored && candidate.stored < candidate.blocks()
        }) && now >= self.blocks_due;
        if late {
            self.gap = None;
            self.rewind();
        }
        late
    }

    /// The next block to ask for; an answer is expected by `due`.
    pub fn next_request(&mut self, due: u64) -> Option<BlockRequest> {
        let candidate = self.receiving()?;
        let end = candidate.stored.saturating_add(BLOCKS_IN_FLIGHT);
        let index = self.requested;
        if index >= end.min(candidate.blocks()) {
            return None;
        }
        self.requested = index.saturating_add(1);
        self.blocks_due = due;
        Some(BlockRequest {
            hash: candidate.image.hash,
            index,
        })
    }

    /// Hashes an image that is complete, and ends a trial that is decided.
    pub fn settle<F: MappedFlash, L: NorFlash<Error = F::Error>>(
        &mut self,
        connected: bool,
        storage: &mut Storage<'_, F, L>,
    ) -> Result<(), SessionError<F::Error>> {
        if let Some(candidate) = self.receiving()
            && candidate.stored >= candidate.blocks()
            && !self.hashed
        {
            self.hashed = self.slots.check_image(storage.journal, storage.spare)?;
            if !self.hashed {
                self.rewind();
                if self.slots.candidate().is_none() {
                    self.change(candidate.image.version, UpdateState::Failed, Reason::Hash);
                }
            }
        }
        let Some(running) = self.running.filter(|running| running.trial) else {
            return Ok(());
        };
        let version = running.image.version;
        match self.self_test {
            // `wants_reboot`: this trial is over.
            _ if self.wants_reboot => {}
            Some(false) => self.fail(storage.journal, Reason::SelfTest)?,
            Some(true) if connected && self.inferences >= TRIAL_INFERENCES => {
                self.slots.confirm(storage.journal)?;
                self.running = Some(Running {
                    trial: false,
                    ..running
                });
                self.change(version, UpdateState::Confirmed, Reason::None);
            }
            _ => {}
        }
        Ok(())
    }

    pub fn validated<F: MappedFlash>(
        &mut self,
        journal: &mut F,
        verdict: Result<(), Reason>,
    ) -> Result<(), SessionError<F::Error>> {
        let Some(image) = self.needs_validation() else {
            return Ok(());
        };
        match verdict {
            Ok(()) => {
                self.slots.verified(journal)?;
                self.wants_reboot = true;
                self.change(image.version, UpdateState::Verified, Reason::None);
            }
            Err(reason) => self.fail(journal, reason)?,
        }
        self.hashed = false;
        Ok(())
    }

    pub fn fail<F: MappedFlash>(
        &mut self,
        journal: &mut F,
        reason: Reason,
    ) -> Result<(), SessionError<F::Error>> {
        let version = self.slots.candidate().map_or(0, |c| c.image.version);
        self.slots.fail(journal, reason)?;
        self.hashed = false;
        // A model on trial still runs: the confirmed one comes back with a reboot.
        self.wants_reboot = self.running.is_some_and(|running| running.trial);
        self.change(version, UpdateState::Failed, reason);
        Ok(())
    }
}
