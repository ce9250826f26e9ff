//! What a boot makes of slots and journal; the factory setting.

use embedded_storage::nor_flash::NorFlash;

use super::journal::Journal;
use super::{Candidate, Image, Phase, SlotError, SlotIndex, Slots, State, TRIAL_BOOTS, holds};
use crate::entry;
use crate::manifest::image_hash;
use crate::message::Reason;
use crate::storage::MappedFlash;

/// The model to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Where it lies, from byte 0 of the slot.
    pub slot: SlotIndex,
    /// What it is; its hash was checked.
    pub image: Image,
    /// On trial: falls back unless it is confirmed.
    pub trial: bool,
}

/// What a boot found.
#[derive(Debug)]
pub struct Boot {
    /// The journal's state, for the session or for [`Slots::fail_trial`].
    pub slots: Slots,
    /// The model to run; `None` when there is none yet, or none whole.
    pub running: Option<Running>,
    /// A trial that ended at this boot, with its version.
    pub fallen_back: Option<(u32, Reason)>,
    /// The confirmed model does not have its hash any more: the flash is worn or was written by
    /// something else.
    pub damaged: bool,
}

impl Boot {
    /// Slot of the model to run.
    pub fn active(&self) -> Option<SlotIndex> {
        self.running.map(|running| running.slot)
    }

    /// The slot that may be written while the model runs.
    pub fn spare(&self) -> SlotIndex {
        match self.running {
            Some(running) => running.slot.other(),
            None => self.slots.candidate_slot(),
        }
    }
}

/// Reads the journal, settles what the last boot left, and says which model runs.
///
/// A verified release goes on trial here; the trial is counted before it is reported. Hashes one or
/// both images, which takes a moment on a small device.
///
/// # Errors
/// [`SlotError`]. Booting again after an error is safe.
pub fn boot<F: MappedFlash>(journal: &mut F, slots: [&F; 2]) -> Result<Boot, SlotError<F::Error>> {
    let mut slots_state = Slots {
        journal: Journal::open(journal)?,
    };
    let mut fallen_back = None;
    let whole = |slot: SlotIndex, image: &Image| {
        let [a, b] = slots;
        let flash = match slot {
            SlotIndex::A => a,
            SlotIndex::B => b,
        };
        holds(flash, image)
    };
    let mut running = None;
    if let Some(candidate) = slots_state.candidate()
        && candidate.phase != Phase::Receiving
    {
        let slot = slots_state.candidate_slot();
        let failure = if candidate.trial_boots >= TRIAL_BOOTS {
            Some(Reason::TrialBoots)
        } else if !whole(slot, &candidate.image) {
            Some(Reason::Hash)
        } else {
            None
        };
        match failure {
            Some(reason) => {
                slots_state.fail(journal, reason)?;
                fallen_back = Some((candidate.image.version, reason));
            }
            None => {
                let mut state = slots_state.journal.state;
                state.candidate = Some(Candidate {
                    phase: Phase::Trial,
                    trial_boots: candidate.trial_boots.saturating_add(1),
                    ..candidate
                });
                slots_state.journal.write(journal, state)?;
                running = Some(Running {
                    slot,
                    image: candidate.image,
                    trial: true,
                });
            }
        }
    }
    let mut damaged = false;
    if running.is_none()
        && let Some((slot, image)) = slots_state.journal.state.active
    {
        damaged = !whole(slot, &image);
        if !damaged {
            running = Some(Running {
                slot,
                image,
                trial: false,
            });
        }
    }
    Ok(Boot {
        slots: slots_state,
        running,
        fallen_back,
        damaged,
    })
}

/// Factory setting: writes `image` into `slot_a` as the confirmed model of a device whose journal
/// is empty or to be forgotten.
///
/// # Errors
/// [`SlotError::PartitionTooSmall`] or [`SlotError::Flash`].
pub fn provision<F: NorFlash>(
    journal: &mut F,
    slot_a: &mut F,
    image: &[u8],
    version: u32,
) -> Result<(), SlotError<F::Error>> {
    const { entry::check_geometry::<F>() };
    let sectors = image.len().div_ceil(F::ERASE_SIZE) * F::ERASE_SIZE;
    let len = u32::try_from(image.len()).map_err(|_| SlotError::PartitionTooSmall(sectors))?;
    if sectors > slot_a.capacity() {
        return Err(SlotError::PartitionTooSmall(sectors));
    }
    journal.erase(0, journal.capacity() as u32)?;
    slot_a.erase(0, sectors as u32)?;
    entry::write_padded(slot_a, 0, image)?;
    let mut state = State::default();
    let image = Image {
        version,
        hash: image_hash(image),
        len,
    };
    state.active = Some((SlotIndex::A, image));
    Journal::open(journal)?.write(journal, state)
}
