//! Two model slots, and the journal that is the one atomic record of which runs.
//!
//! ```text
//! Empty ──offer──► Receiving ──hash, load, self-test──► Verified ──reboot──► Trial ──► Confirmed
//!                      │                                                       │
//!                      └──────────────────────► Failed ◄───────────────────────┘
//! ```
//!
//! **Invariants.** The slot of the confirmed model is never erased or written while it is the
//! confirmed one. A slot becomes the confirmed one by a single journal entry. Whatever is cut, the
//! newest valid entry is either the one before or the one after a change, and both describe slots as
//! they are. A trial is counted in the journal before the model on trial runs.
//!
//! Blocks are stored strictly in order. Each is announced in the journal before its first word is
//! programmed and counted after its last: at boot, an announced block means that its erase sector
//! may be torn, and this sector alone is fetched again.

mod boot;
mod journal;

use embedded_storage::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};

use crate::entry::{self, UNIT};
use crate::manifest::{Manifest, ManifestError, image_hash};
use crate::message::Reason;
use crate::storage::MappedFlash;
pub use boot::{Boot, Running, boot, provision};
use journal::Journal;

/// Boots that a model on trial gets to be confirmed. Many, because a cut of the power, which is not
/// the model's fault, cannot be told from a crash, which is.
pub const TRIAL_BOOTS: u8 = 24;
/// Times that a whole image with the wrong hash is fetched again before the release fails.
pub const FETCH_ATTEMPTS: u8 = 3;
/// Failed versions that a device remembers.
const FAILED: usize = 8;

/// Which slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlotIndex {
    /// `slots[0]`.
    A,
    /// `slots[1]`.
    B,
}

impl SlotIndex {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            SlotIndex::A => SlotIndex::B,
            SlotIndex::B => SlotIndex::A,
        }
    }

    /// 0 or 1.
    pub fn index(self) -> usize {
        match self {
            SlotIndex::A => 0,
            SlotIndex::B => 1,
        }
    }
}

/// An image in a slot, as its manifest described it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Version counter of its release.
    pub version: u32,
    /// SHA-256 over all its bytes.
    pub hash: [u8; 32],
    /// Its length in bytes.
    pub len: u32,
}

/// How far a release has come on its way to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Blocks are being stored.
    Receiving,
    /// Whole, hashed, loaded and self-tested.
    Verified,
    /// Ran at least once, or was about to.
    Trial,
}

/// A release on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// How far.
    pub phase: Phase,
    /// The image.
    pub image: Image,
    /// Length of a block in bytes.
    pub block_len: u32,
    /// Blocks stored, from the first.
    pub stored: u32,
    /// Block `stored` may be half written.
    pub(crate) writing: bool,
    /// Whole images received with the wrong hash.
    pub(crate) attempts: u8,
    /// Boots on trial.
    pub trial_boots: u8,
}

impl Candidate {
    /// Blocks in the image.
    pub fn blocks(&self) -> u32 {
        self.image.len.div_ceil(self.block_len.max(1))
    }
}

/// All that the journal says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    active: Option<(SlotIndex, Image)>,
    candidate: Option<Candidate>,
    /// Newest first, 0 for none.
    failed: [u32; FAILED],
    last_failure: Option<(u32, Reason)>,
}

/// Why slots or journal could not be read or changed. `E` is the error of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotError<E> {
    /// The flash failed.
    Flash(E),
    /// The journal has fewer than two erase sectors, or a slot is shorter than its image; this many
    /// bytes are needed.
    PartitionTooSmall(usize),
    /// Not possible in this phase of the update.
    Phase,
    /// The journal has been written four billion times.
    Exhausted,
}

impl<E> From<E> for SlotError<E> {
    fn from(error: E) -> Self {
        SlotError::Flash(error)
    }
}

/// What the journal says, in memory. Every change goes to flash first.
#[derive(Debug)]
pub struct Slots {
    journal: Journal,
}

/// Whether the image lies whole in the flash.
fn holds<F: MappedFlash>(flash: &F, image: &Image) -> bool {
    let bytes = flash.mapped().get(..image.len as usize);
    bytes.is_some_and(|bytes| image_hash(bytes) == image.hash)
}

impl Slots {
    /// The confirmed model.
    pub fn confirmed(&self) -> Option<Image> {
        self.journal.state.active.map(|(_, image)| image)
    }

    /// The release on its way.
    pub fn candidate(&self) -> Option<Candidate> {
        self.journal.state.candidate
    }

    /// The last release that failed here, and why.
    pub fn last_failure(&self) -> Option<(u32, Reason)> {
        self.journal.state.last_failure
    }

    /// Whether this version has failed here.
    pub fn has_failed(&self, version: u32) -> bool {
        version != 0 && self.journal.state.failed.contains(&version)
    }

    /// The slot that a release goes to: the one without the confirmed model.
    pub fn candidate_slot(&self) -> SlotIndex {
        match self.journal.state.active {
            Some((slot, _)) => slot.other(),
            None => SlotIndex::A,
        }
    }

    /// Ends a trial without success; the confirmed model runs from the next boot.
    ///
    /// # Errors
    /// [`SlotError::Phase`] when nothing is on trial, [`SlotError::Flash`].
    pub fn fail_trial<F: NorFlash>(
        &mut self,
        journal: &mut F,
        reason: Reason,
    ) -> Result<(), SlotError<F::Error>> {
        self.in_phase(Phase::Trial)?;
        self.fail(journal, reason)
    }

    /// The candidate, if it is in `phase`.
    fn in_phase<E>(&self, phase: Phase) -> Result<Candidate, SlotError<E>> {
        self.candidate()
            .filter(|candidate| candidate.phase == phase)
            .ok_or(SlotError::Phase)
    }

    /// Whether a release may be fetched into `spare`, as far as versions and flash say. While no
    /// model `runs`, the confirmed release itself may be fetched again.
    pub(crate) fn check<F: NorFlash>(
        &self,
        manifest: &Manifest,
        runs: bool,
        spare: &F,
    ) -> Result<(), ManifestError> {
        let image = self.confirmed();
        let confirmed = image.map_or(0, |image| image.version);
        let repairs = !runs
            && manifest.version == confirmed
            && image.is_some_and(|image| image.hash == manifest.image_hash);
        if manifest.version <= confirmed && !repairs {
            return Err(ManifestError::Version { confirmed });
        }
        if self.has_failed(manifest.version) {
            return Err(ManifestError::KnownFailed);
        }
        if manifest.image_len as usize > spare.capacity() / F::ERASE_SIZE * F::ERASE_SIZE {
            return Err(ManifestError::ImageTooLarge {
                needed: manifest.image_len,
            });
        }
        let block = manifest.block_len as usize;
        let whole =
            block.is_multiple_of(F::ERASE_SIZE) || F::ERASE_SIZE.is_multiple_of(block.max(1));
        if block == 0 || !block.is_multiple_of(UNIT) || !whole {
            return Err(ManifestError::BlockLength);
        }
        Ok(())
    }

    /// Starts to fetch a release that was checked.
    pub(crate) fn begin<F: NorFlash>(
        &mut self,
        journal: &mut F,
        manifest: &Manifest,
    ) -> Result<(), SlotError<F::Error>> {
        let mut state = self.journal.state;
        state.candidate = Some(Candidate {
            phase: Phase::Receiving,
            image: Image {
                version: manifest.version,
                hash: manifest.image_hash,
                len: manifest.image_len,
            },
            block_len: manifest.block_len,
            stored: 0,
            writing: false,
            attempts: 0,
            trial_boots: 0,
        });
        self.journal.write(journal, state)
    }

    /// Stores block `candidate.stored`. Erases the sectors that begin in it first, so that the
    /// spare slot is erased only as far as it is filled.
    pub(crate) fn store_block<F: NorFlash>(
        &mut self,
        journal: &mut F,
        spare: &mut F,
        bytes: &[u8],
    ) -> Result<(), SlotError<F::Error>> {
        let candidate = self.in_phase(Phase::Receiving)?;
        let from = candidate.stored.saturating_mul(candidate.block_len);
        let end = from.saturating_add(candidate.block_len);
        let erase = F::ERASE_SIZE as u32;
        let (first, last) = (from.next_multiple_of(erase), end.next_multiple_of(erase));
        let capacity = spare.capacity() as u32;
        let mut state = self.journal.state;
        state.candidate = Some(Candidate {
            writing: true,
            ..candidate
        });
        self.journal.write(journal, state)?;
        let mut store = || {
            let last = last.min(capacity / erase * erase);
            if first < last {
                spare.erase(first, last)?;
            }
            entry::write_padded(spare, from, bytes)?;
            state.candidate = Some(Candidate {
                stored: candidate.stored.saturating_add(1),
                writing: false,
                ..candidate
            });
            self.journal.write(journal, state)
        };
        let result = store();
        if result.is_err() {
            // What the words hold now is unknown: as after a cut, the sector is fetched again.
            self.journal.state.candidate = Some(candidate.without_torn_sector(erase));
        }
        result
    }

    /// After the last block: whether the spare slot holds the image. If not, it is fetched again,
    /// or the release fails.
    pub(crate) fn check_image<F: MappedFlash>(
        &mut self,
        journal: &mut F,
        spare: &F,
    ) -> Result<bool, SlotError<F::Error>> {
        let candidate = self.in_phase(Phase::Receiving)?;
        if holds(spare, &candidate.image) {
            return Ok(true);
        }
        if candidate.attempts.saturating_add(1) >= FETCH_ATTEMPTS {
            self.fail(journal, Reason::Hash)?;
            return Ok(false);
        }
        let mut state = self.journal.state;
        state.candidate = Some(Candidate {
            stored: 0,
            attempts: candidate.attempts.saturating_add(1),
            ..candidate
        });
        self.journal.write(journal, state)?;
        Ok(false)
    }

    /// The image is whole, loads and passes its self-test: it runs from the next boot.
    pub(crate) fn verified<F: NorFlash>(
        &mut self,
        journal: &mut F,
    ) -> Result<(), SlotError<F::Error>> {
        let candidate = self.in_phase(Phase::Receiving)?;
        let mut state = self.journal.state;
        state.candidate = Some(Candidate {
            phase: Phase::Verified,
            ..candidate
        });
        self.journal.write(journal, state)
    }

    /// The model on trial is the confirmed one from now on.
    pub(crate) fn confirm<F: NorFlash>(
        &mut self,
        journal: &mut F,
    ) -> Result<(), SlotError<F::Error>> {
        let candidate = self.in_phase(Phase::Trial)?;
        let mut state = self.journal.state;
        state.active = Some((self.candidate_slot(), candidate.image));
        state.candidate = None;
        self.journal.write(journal, state)
    }

    /// Gives the candidate up, and remembers it.
    pub(crate) fn fail<F: NorFlash>(
        &mut self,
        journal: &mut F,
        reason: Reason,
    ) -> Result<(), SlotError<F::Error>> {
        let candidate = self.candidate().ok_or(SlotError::Phase)?;
        let version = candidate.image.version;
        let mut state = self.journal.state;
        if !self.has_failed(version) {
            state.failed.rotate_right(1);
            if let Some(first) = state.failed.first_mut() {
                *first = version;
            }
        }
        state.last_failure = Some((version, reason));
        state.candidate = None;
        self.journal.write(journal, state)
    }
}

impl Candidate {
    /// As after a cut while a block was written: back to the first block of its erase sector.
    fn without_torn_sector(self, erase: u32) -> Self {
        let at = self.stored.saturating_mul(self.block_len);
        let sector = at - at.checked_rem(erase).unwrap_or(0);
        Self {
            stored: sector.checked_div(self.block_len).unwrap_or(0),
            writing: false,
            ..self
        }
    }
}
