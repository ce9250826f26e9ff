//! The journal: entries with a growing number in two or more erase sectors.
//!
//! A sector starts with a snapshot of the whole state; shorter progress entries and further
//! snapshots follow. The newest valid entry wins. The first write after a boot, and the one after a
//! failed write, goes to the next sector, freshly erased: behind old entries there may be words
//! that were half programmed and yet read as erased, and those must not be programmed again. The
//! sector with the newest valid entry is never the one that is erased.

use embedded_storage::nor_flash::NorFlash;

use super::{Candidate, SlotError, State};
use crate::entry::{self, Entry};

/// Kind of an entry with the whole state.
const SNAPSHOT: u16 = 0x5353;
/// Kind of an entry that changes `stored` and `writing` of the candidate only.
const PROGRESS: u16 = 0x5350;
/// Room for an encoded [`State`].
const STATE_LEN: usize = 240;

/// The newest state, and where the next entry goes.
#[derive(Debug)]
pub struct Journal {
    /// What is in flash.
    pub state: State,
    /// Number of the newest entry.
    serial: u32,
    /// Sector of the newest entry.
    sector: u32,
    /// From the start of the journal; `None`: to the start of the next sector.
    write: Option<u32>,
}

impl Journal {
    /// Finds the newest valid entry. An empty or foreign journal gives the default state.
    pub fn open<F: NorFlash>(flash: &mut F) -> Result<Self, SlotError<F::Error>> {
        const { entry::check_geometry::<F>() };
        if flash.capacity() / F::ERASE_SIZE < 2 {
            return Err(SlotError::PartitionTooSmall(2 * F::ERASE_SIZE));
        }
        let mut journal = Self {
            state: State::default(),
            serial: 0,
            sector: 0,
            write: None,
        };
        let erase = F::ERASE_SIZE as u32;
        for sector in 0..sectors(flash) {
            let mut at = sector * erase;
            // Nothing is valid in a sector unless it starts with a snapshot.
            let mut state = None;
            while let Some(found) = entry::read(flash, at, (sector + 1) * erase)? {
                state = apply(flash, state, &found)?;
                let Some(state) = state else { break };
                if found.a > journal.serial {
                    journal.serial = found.a;
                    journal.sector = sector;
                    journal.state = state;
                }
                at += found.size();
            }
        }
        journal.state.candidate = journal.state.candidate.map(|candidate| {
            if candidate.writing {
                candidate.without_torn_sector(erase)
            } else {
                candidate
            }
        });
        Ok(journal)
    }

    /// Makes `state` the newest entry, and then the state in memory.
    pub fn write<F: NorFlash>(
        &mut self,
        flash: &mut F,
        state: State,
    ) -> Result<(), SlotError<F::Error>> {
        let mut buffer = [0; STATE_LEN];
        let serial = self.serial.checked_add(1).ok_or(SlotError::Exhausted)?;
        let mut kind = PROGRESS;
        let mut payload: &[u8] = &[];
        let progress = progress(&self.state, &state);
        let erase = F::ERASE_SIZE as u32;
        let end = (self.sector + 1) * erase;
        // Snapshots are written where progress entries do not do, or where a sector starts.
        let fits = |len| {
            self.write.filter(|at| {
                end.checked_sub(*at)
                    .is_some_and(|room| room >= entry::size(len))
            })
        };
        let mut place = fits(0);
        if progress.is_none() || place.is_none() {
            kind = SNAPSHOT;
            payload = postcard::to_slice(&state, &mut buffer)
                .map_err(|_| SlotError::PartitionTooSmall(STATE_LEN))?;
            place = fits(payload.len());
        }
        let (sector, at) = match place {
            Some(at) => (self.sector, at),
            None => {
                let sector = (self.sector + 1) % sectors(flash).max(1);
                self.write = None;
                flash.erase(sector * erase, (sector + 1) * erase)?;
                (sector, sector * erase)
            }
        };
        let numbers = [serial, progress.unwrap_or(0)];
        // A failed write is never continued behind, and its number never used again.
        self.write = None;
        self.serial = serial;
        entry::write(flash, at, kind, numbers, payload)?;
        self.write = Some(at + entry::size(payload.len()));
        self.sector = sector;
        self.state = state;
        Ok(())
    }
}

fn sectors<F: NorFlash>(flash: &F) -> u32 {
    (flash.capacity() / F::ERASE_SIZE) as u32
}

/// The word of a progress entry, if it is enough to get from `old` to `new`: blocks stored, and in
/// the highest bit whether the next is being written.
fn progress(old: &State, new: &State) -> Option<u32> {
    let (from, to) = (old.candidate?, new.candidate?);
    let same = State {
        candidate: Some(Candidate {
            stored: to.stored,
            writing: to.writing,
            ..from
        }),
        ..*old
    };
    (same == *new && to.stored < 1 << 31).then_some(to.stored | u32::from(to.writing) << 31)
}

/// The state after an entry; `None` when it makes no sense there.
fn apply<F: NorFlash>(
    flash: &mut F,
    state: Option<State>,
    found: &Entry,
) -> Result<Option<State>, SlotError<F::Error>> {
    match found.kind {
        SNAPSHOT => {
            let mut buffer = [0; STATE_LEN];
            let Some(payload) = buffer.get_mut(..found.len) else {
                return Ok(None);
            };
            entry::payload(flash, found, payload)?;
            Ok(postcard::from_bytes(payload).ok())
        }
        PROGRESS => Ok(state.and_then(|state| {
            let candidate = Candidate {
                stored: found.b & !(1 << 31),
                writing: found.b >> 31 == 1,
                ..state.candidate?
            };
            Some(State {
                candidate: Some(candidate),
                ..state
            })
        })),
        _ => Ok(None),
    }
}
