//! NOR flash for the tests, stricter than most chips.
//!
//! It panics when a word is programmed twice between erases, also where the first time was cut and
//! the word still reads as erased. Power is a budget of bytes shared by all partitions: where it
//! ends, the word being programmed or the range being erased holds anything, and every further
//! operation fails until power is back.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

use crate::storage::MappedFlash;

/// A small seeded generator (SplitMix64).
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0..n, n at least 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.word() % n
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.word() as u8).collect()
    }
}

/// What all partitions of a device share.
#[derive(Debug)]
pub struct Power {
    /// Bytes that may still be programmed or erased.
    budget: Cell<u64>,
    off: Cell<bool>,
    /// Bytes programmed and erased so far.
    pub traffic: Cell<u64>,
    /// The next operation fails half-way, but power stays on.
    pub fail_next: Cell<bool>,
    /// Words may be programmed twice: for flash whose content was made up.
    pub lenient: Cell<bool>,
    rng: RefCell<Rng>,
}

impl Power {
    pub fn new(seed: u64) -> Rc<Self> {
        Rc::new(Self {
            budget: Cell::new(u64::MAX),
            off: Cell::new(false),
            traffic: Cell::new(0),
            fail_next: Cell::new(false),
            lenient: Cell::new(false),
            rng: RefCell::new(Rng(seed)),
        })
    }

    /// Power is back, for this many bytes.
    pub fn restore(&self, budget: u64) {
        self.budget.set(budget);
        self.off.set(false);
    }

    pub fn is_off(&self) -> bool {
        self.off.get()
    }

    /// Whether one more byte may be changed.
    fn spend(&self) -> bool {
        if self.budget.get() == 0 {
            self.off.set(true);
            return false;
        }
        self.budget.set(self.budget.get() - 1);
        self.traffic.set(self.traffic.get() + 1);
        true
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MockError {
    PowerOff,
    Failed,
    Kind(NorFlashErrorKind),
}

impl NorFlashError for MockError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            MockError::Kind(kind) => *kind,
            _ => NorFlashErrorKind::Other,
        }
    }
}

/// Flash with words of `W` and sectors of `E` bytes.
#[derive(Debug)]
pub struct MockFlash<const W: usize, const E: usize> {
    pub data: Vec<u8>,
    /// Per word.
    programmed: Vec<bool>,
    power: Rc<Power>,
}

impl<const W: usize, const E: usize> MockFlash<W, E> {
    pub fn new(sectors: usize, power: &Rc<Power>) -> Self {
        Self {
            data: vec![0xFF; sectors * E],
            programmed: vec![false; sectors * E / W],
            power: power.clone(),
        }
    }

    /// Anything may be in it; all has to be erased before it is written.
    pub fn garbage(sectors: usize, power: &Rc<Power>, rng: &mut Rng) -> Self {
        Self {
            data: rng.bytes(sectors * E),
            programmed: vec![true; sectors * E / W],
            power: power.clone(),
        }
    }

    /// Becomes a copy of other flash.
    pub fn clone_from_flash(&mut self, other: &Self) {
        self.data.clone_from(&other.data);
        self.programmed.clone_from(&other.programmed);
    }

    fn ready(&self) -> Result<(), MockError> {
        if self.power.is_off() {
            return Err(MockError::PowerOff);
        }
        Ok(())
    }

    /// Leaves a word as a cut leaves it: old, new, or bits of both, or noise.
    fn tear(&mut self, word: usize, new: &[u8]) {
        let mut rng = self.power.rng.borrow_mut();
        let mode = rng.below(4);
        for (old, new) in self.data[word * W..][..W].iter_mut().zip(new) {
            let noise = rng.word() as u8;
            *old = match mode {
                0 => *old,
                1 => *new,
                2 => *old & (*new | noise),
                _ => noise,
            };
        }
    }
}

impl<const W: usize, const E: usize> ErrorType for MockFlash<W, E> {
    type Error = MockError;
}

impl<const W: usize, const E: usize> ReadNorFlash for MockFlash<W, E> {
    // The coarsest that is supported, so that reads are proven to be aligned.
    const READ_SIZE: usize = W;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), MockError> {
        self.ready()?;
        check_read(self, offset, bytes.len()).map_err(MockError::Kind)?;
        bytes.copy_from_slice(&self.data[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.data.len()
    }
}

impl<const W: usize, const E: usize> NorFlash for MockFlash<W, E> {
    const WRITE_SIZE: usize = W;
    const ERASE_SIZE: usize = E;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), MockError> {
        self.ready()?;
        check_erase(self, from, to).map_err(MockError::Kind)?;
        let (from, to) = (from as usize, to as usize);
        // As if programmed until the erase is over: an unfinished one gives nothing to write to.
        self.programmed[from / W..to / W].fill(true);
        let failed = self.power.fail_next.take();
        for _ in from..to {
            if failed || !self.power.spend() {
                let mut rng = self.power.rng.borrow_mut();
                let mode = rng.below(3);
                for byte in &mut self.data[from..to] {
                    *byte = match (mode, rng.below(3)) {
                        (0, _) | (1, 0) => *byte,
                        (1, _) => 0xFF,
                        (_, 0) => *byte,
                        (_, 1) => 0xFF,
                        _ => rng.word() as u8,
                    };
                }
                return Err(if failed {
                    MockError::Failed
                } else {
                    MockError::PowerOff
                });
            }
        }
        self.data[from..to].fill(0xFF);
        self.programmed[from / W..to / W].fill(false);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), MockError> {
        self.ready()?;
        check_write(self, offset, bytes.len()).map_err(MockError::Kind)?;
        let first = offset as usize / W;
        for (word, bytes) in (first..).zip(bytes.chunks_exact(W)) {
            let again = self.programmed[word] && !self.power.lenient.get();
            assert!(!again, "word {word} programmed twice");
            self.programmed[word] = true;
            for _ in 0..W {
                let failed = self.power.fail_next.take();
                if failed || !self.power.spend() {
                    self.tear(word, bytes);
                    return Err(if failed {
                        MockError::Failed
                    } else {
                        MockError::PowerOff
                    });
                }
            }
            self.data[word * W..][..W].copy_from_slice(bytes);
        }
        Ok(())
    }
}

impl<const W: usize, const E: usize> MappedFlash for MockFlash<W, E> {
    fn mapped(&self) -> &[u8] {
        &self.data
    }
}
