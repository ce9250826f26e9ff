//! Simulated NOR flash, and the power that can fail under it.
#![allow(
    clippy::indexing_slicing,
    reason = "never on a device; an index out of range is a fault of the simulation and must show"
)]

use std::boxed::Box;
use std::sync::Arc;
use std::sync::Mutex;
use std::vec;

use edge_sync::MappedFlash;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

/// Bytes of a word, the unit of writing.
pub const WORD: usize = 4;
/// Bytes of a sector, the unit of erasing.
pub const SECTOR: usize = 4096;
/// What the erasure of a sector counts in flash traffic. Below [`SECTOR`], so that a cut drawn
/// uniformly over the traffic of an update falls into words as well as into erasures.
pub const ERASE_TRAFFIC: u64 = 256;
/// Alignment of the mapped bytes.
const ALIGNMENT: usize = 16;

/// The power of one board. Clones are the same supply: all partitions of a board share one, so
/// that a cut stops them together.
///
/// Power can be cut after an amount of flash *traffic*: each byte written counts 1, each sector
/// erased [`ERASE_TRAFFIC`]. The word or sector in progress is then left torn.
#[derive(Clone, Debug)]
pub struct Power(Arc<Mutex<Supply>>);

#[derive(Debug)]
struct Supply {
    on: bool,
    /// Traffic so far.
    traffic: u64,
    /// Traffic at which the power fails.
    cut_at: Option<u64>,
    /// State of the generator that decides how words and sectors tear.
    random: u64,
}

impl Power {
    /// Power that is on. `seed` decides how words and sectors tear.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Supply {
            on: true,
            traffic: 0,
            cut_at: None,
            random: seed,
        })))
    }

    /// The supply; a poisoned lock only means that some test thread panicked elsewhere.
    fn supply(&self) -> std::sync::MutexGuard<'_, Supply> {
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// Lets the power fail once `traffic` more has passed: 0 tears the very next word or sector.
    pub fn cut_after(&self, traffic: u64) {
        let mut supply = self.supply();
        supply.cut_at = Some(supply.traffic.saturating_add(traffic));
    }

    /// Flash traffic since the board was made.
    pub fn traffic(&self) -> u64 {
        self.supply().traffic
    }

    /// Whether flash still answers.
    pub fn is_on(&self) -> bool {
        self.supply().on
    }

    /// Turns the power off now, between two operations.
    pub fn off(&self) {
        self.supply().on = false;
    }

    /// Turns the power on, with no cut ahead.
    pub fn on(&self) {
        let mut supply = self.supply();
        supply.on = true;
        supply.cut_at = None;
    }
}

impl Supply {
    /// Takes `traffic` from the supply; `false` if the power fails within it.
    fn draw(&mut self, traffic: u64) -> bool {
        if let Some(cut_at) = self.cut_at
            && self.traffic.saturating_add(traffic) > cut_at
        {
            self.on = false;
            return false;
        }
        self.traffic = self.traffic.saturating_add(traffic);
        true
    }

    /// The next random number (SplitMix64).
    fn random(&mut self) -> u64 {
        crate::selection::random(&mut self.random)
    }
}

/// What simulated flash refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SimFlashError {
    /// Offset or length is not a multiple of the word or sector, or lies outside.
    Access(NorFlashErrorKind),
    /// The word at this offset was written before: it must be erased first.
    NotErased(u32),
    /// There is no power (any more).
    NoPower,
}

impl NorFlashError for SimFlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Access(kind) => *kind,
            Self::NotErased(_) | Self::NoPower => NorFlashErrorKind::Other,
        }
    }
}

/// A partition of simulated NOR flash, memory-mapped and blank at first.
///
/// It keeps the rules of `embedded-storage`: words of [`WORD`] bytes are written once, sectors of
/// [`SECTOR`] bytes are erased to 0xFF. Writing a word again is an error here even where it would
/// only clear bits (0xFF over anything is allowed: it changes nothing), because flash with error
/// correction refuses it. When the power fails, a random part of the bits of the word in progress
/// has changed; a sector being erased is left as a random mixture of old and erased words and of
/// words in between.
#[derive(Debug)]
pub struct SimFlash {
    /// The partition starts at `start`, where memory is aligned for a model image.
    memory: Box<[u8]>,
    start: usize,
    capacity: usize,
    power: Power,
}

impl SimFlash {
    /// A blank partition of `capacity` bytes, rounded up to whole sectors.
    pub fn new(capacity: usize, power: &Power) -> Self {
        let capacity = capacity.next_multiple_of(SECTOR);
        let memory = vec![0xFF; capacity + ALIGNMENT].into_boxed_slice();
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        Self {
            memory,
            start,
            capacity,
            power: power.clone(),
        }
    }

    /// The power it hangs on.
    pub fn power(&self) -> &Power {
        &self.power
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.capacity]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.capacity]
    }
}

impl ErrorType for SimFlash {
    type Error = SimFlashError;
}

impl ReadNorFlash for SimFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len()).map_err(SimFlashError::Access)?;
        if !self.power.is_on() {
            return Err(SimFlashError::NoPower);
        }
        let offset = offset as usize;
        bytes.copy_from_slice(&self.bytes()[offset..offset + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

impl NorFlash for SimFlash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to).map_err(SimFlashError::Access)?;
        let power = self.power.clone();
        let mut supply = power.supply();
        if !supply.on {
            return Err(SimFlashError::NoPower);
        }
        let sectors = &mut self.bytes_mut()[from as usize..to as usize];
        for sector in sectors.chunks_exact_mut(SECTOR) {
            if supply.draw(ERASE_TRAFFIC) {
                sector.fill(0xFF);
                continue;
            }
            for word in sector.chunks_exact_mut(WORD) {
                let random = supply.random();
                match random >> 62 {
                    0 => {}
                    1 => word
                        .iter_mut()
                        .zip(random.to_le_bytes())
                        .for_each(|(byte, set)| *byte |= set),
                    _ => word.fill(0xFF),
                }
            }
            return Err(SimFlashError::NoPower);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len()).map_err(SimFlashError::Access)?;
        let power = self.power.clone();
        let mut supply = power.supply();
        if !supply.on {
            return Err(SimFlashError::NoPower);
        }
        let start = offset as usize;
        let target = &mut self.bytes_mut()[start..start + bytes.len()];
        let words = target
            .chunks_exact_mut(WORD)
            .zip(bytes.chunks_exact(WORD))
            .enumerate();
        for (index, (word, new)) in words {
            let blank = word.iter().all(|&byte| byte == 0xFF);
            if !blank && new.iter().any(|&byte| byte != 0xFF) {
                return Err(SimFlashError::NotErased(offset + (index * WORD) as u32));
            }
            if !supply.draw(WORD as u64) {
                // A torn word: of the bits to clear, some are.
                let random = supply.random().to_le_bytes();
                for ((byte, &new), keep) in word.iter_mut().zip(new).zip(random) {
                    *byte &= new | keep;
                }
                return Err(SimFlashError::NoPower);
            }
            for (byte, &new) in word.iter_mut().zip(new) {
                *byte &= new;
            }
        }
        Ok(())
    }
}

impl MappedFlash for SimFlash {
    fn mapped(&self) -> &[u8] {
        self.bytes()
    }
}
