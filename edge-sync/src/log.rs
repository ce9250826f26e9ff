//! The durable ring of records in flash.
//!
//! **Promise:** a record whose [`Log::append`] returned `Ok` is handed out, whole and in order,
//! after any number of power cuts, until it is acknowledged. The record being appended at a cut is
//! there whole or not at all. An acknowledged record may be handed out again after a reboot.
//!
//! **Layout.** The partition is cut into at most eight segments of one or more erase sectors. A
//! segment starts with a header entry (number, epoch, oldest live segment, the segment it replaces,
//! lowest unacknowledged key) and holds record entries (see `PROTOCOL.md`). Segments are ordered by
//! their number, not by their place.
//!
//! **Why every boot starts a new segment.** After a cut, a word that reads as erased may yet have
//! been half programmed, and NOR flash does not allow to program it again. Nothing in flash can tell
//! such a word from a fresh one, so [`Log::open`] never writes behind old entries: it erases a spare
//! segment, copies the newest segment's live records into it, and then writes its header, which
//! replaces the old segment and makes the new boot epoch durable in one step. The price is one erase
//! per boot and one segment that is always spare.

mod recovery;

use embedded_storage::nor_flash::NorFlash;

use crate::entry::{self, Entry, UNIT};
use crate::record::RecordKey;

/// Most segments of a partition.
const SEGMENTS: usize = 8;
/// Kind of the entry at the start of a segment.
const SEGMENT: u16 = 0x5347;
/// Kind of a record's entry.
const RECORD: u16 = 0x5243;
/// Length of the header's payload.
const HEADER_LEN: usize = 16;
/// Where the first record of a segment lies.
const FIRST: u32 = (UNIT + HEADER_LEN) as u32;

/// Why the log did not do it. `E` is the error of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogError<E> {
    /// The flash failed.
    Flash(E),
    /// No room until the server acknowledges more: this record is not logged.
    Full,
    /// The record is longer than a segment can hold, or empty; at most this many bytes.
    TooLarge(usize),
    /// The partition has fewer than two erase sectors; it needs this many bytes.
    PartitionTooSmall(usize),
    /// The buffer is too small for the record; it needs this many bytes.
    BufferTooSmall(usize),
    /// Epochs, segments or sequence numbers have run out (after four billion).
    Exhausted,
}

impl<E> From<E> for LogError<E> {
    fn from(error: E) -> Self {
        LogError::Flash(error)
    }
}

/// A place in the log, behind some record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Number of the segment.
    segment: u32,
    /// From the start of the segment.
    offset: u32,
}

/// A record in the log.
#[derive(Clone, Copy, Debug)]
pub struct LogEntry {
    /// Its key.
    pub key: RecordKey,
    /// Its length in bytes.
    pub len: usize,
    entry: Entry,
    /// In front of it.
    place: Cursor,
}

/// How full the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Records that wait for their acknowledgement (those acknowledged out of order count, too).
    pub pending: u32,
    /// Segments in use.
    pub segments: u8,
    /// Segments that may be in use at once; [`LogError::Full`] comes when the last is full.
    pub segments_max: u8,
    /// Bytes in a segment.
    pub segment_bytes: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    /// From its header; 0 when it has none that is valid.
    number: u32,
    /// Holds records that wait, or is the one being written.
    live: bool,
}

/// What a segment's header says.
#[derive(Clone, Copy, Debug)]
struct Header {
    number: u32,
    epoch: u32,
    /// Segments with a lower number are dead.
    tail: u32,
    /// This segment is dead: its live records were copied here.
    replaces: u32,
    /// Every lower key was acknowledged.
    floor: RecordKey,
}

/// The log. Owns its flash, which may be a `&mut` borrow.
#[derive(Debug)]
pub struct Log<F> {
    flash: F,
    segment_len: u32,
    /// Segments of the partition: 2..=8.
    count: usize,
    segments: [Segment; SEGMENTS],
    /// Index of the segment being written.
    head: usize,
    /// Where the next entry goes, from the start of the head.
    write: u32,
    /// A write to the head failed: nothing more goes there.
    sealed: bool,
    epoch: u32,
    next_sequence: u32,
    /// Every lower key is acknowledged.
    floor: RecordKey,
    /// Bit `i`: `floor.sequence + i` is acknowledged.
    acknowledged: u64,
    /// In front of the record at `floor`.
    oldest: Cursor,
    pending: u32,
}

impl<F: NorFlash> Log<F> {
    /// Recovers the log and starts the next boot epoch, durably. A partition without a valid
    /// header is taken as new.
    ///
    /// # Errors
    /// [`LogError::PartitionTooSmall`], [`LogError::Exhausted`] or [`LogError::Flash`]. Opening
    /// again after an error is safe.
    pub fn open(flash: F) -> Result<Self, LogError<F::Error>> {
        const { entry::check_geometry::<F>() };
        let mut sectors = flash.capacity() / F::ERASE_SIZE;
        if sectors < 2 {
            return Err(LogError::PartitionTooSmall(2 * F::ERASE_SIZE));
        }
        let mut segment_len = F::ERASE_SIZE;
        while sectors > SEGMENTS {
            sectors /= 2;
            segment_len *= 2;
        }
        let mut log = Self {
            flash,
            segment_len: u32::try_from(segment_len).map_err(|_| LogError::Exhausted)?,
            count: sectors,
            segments: [Segment::default(); SEGMENTS],
            head: 0,
            write: FIRST,
            sealed: false,
            epoch: 1,
            next_sequence: 0,
            floor: RecordKey {
                epoch: 1,
                sequence: 0,
            },
            acknowledged: 0,
            oldest: Cursor {
                segment: 1,
                offset: FIRST,
            },
            pending: 0,
        };
        log.recover()?;
        Ok(log)
    }

    /// Adds a record, durably. `bytes` is one encoded record, at least one byte long.
    ///
    /// # Errors
    /// On every error the record is not logged; its number is used up when the flash failed, because
    /// the record may be there after all when the log is opened next.
    pub fn append(&mut self, bytes: &[u8]) -> Result<RecordKey, LogError<F::Error>> {
        let max = self.max_record();
        if bytes.is_empty() || bytes.len() > max {
            return Err(LogError::TooLarge(max));
        }
        let size = entry::size(bytes.len());
        if self.sealed || self.segment_len - self.write < size {
            self.next_segment()?;
        }
        let key = self.next_key();
        self.next_sequence = key.sequence.checked_add(1).ok_or(LogError::Exhausted)?;
        let at = self.base(self.head) + self.write;
        let numbers = [key.epoch, key.sequence];
        if let Err(error) = entry::write(&mut self.flash, at, RECORD, numbers, bytes) {
            self.sealed = true;
            if self.floor == key {
                // Nothing waits, and nothing under this number ever will.
                self.floor = self.next_key();
                self.acknowledged >>= 1;
            }
            return Err(LogError::Flash(error));
        }
        self.write += size;
        self.pending = self.pending.saturating_add(1);
        Ok(key)
    }

    /// The boot epoch of every record appended now.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The longest record in bytes that [`Self::append`] takes.
    pub fn max_record(&self) -> usize {
        let room = (self.segment_len - FIRST) as usize;
        room.saturating_sub(UNIT).min(crate::MAX_RECORD)
    }

    /// How full it is.
    pub fn usage(&self) -> Usage {
        Usage {
            pending: self.pending,
            segments: self.segments.iter().filter(|s| s.live).count() as u8,
            segments_max: (self.count - 1) as u8,
            segment_bytes: self.segment_len,
        }
    }

    /// Key below which everything is acknowledged: the oldest record that waits, or the next one to
    /// be appended.
    pub fn floor(&self) -> RecordKey {
        self.floor
    }

    /// In front of the oldest record that waits.
    pub fn oldest(&self) -> Cursor {
        self.oldest
    }

    /// The next record that waits for its acknowledgement, and moves `cursor` behind it. A cursor
    /// stays good while records are appended and acknowledged.
    ///
    /// # Errors
    /// [`LogError::Flash`].
    pub fn next(&mut self, cursor: &mut Cursor) -> Result<Option<LogEntry>, LogError<F::Error>> {
        while let Some(found) = self.walk(cursor)? {
            if found.key >= self.floor && !self.is_acknowledged(found.key) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Copies a record to the start of `out` and returns it.
    ///
    /// # Errors
    /// [`LogError::BufferTooSmall`] or [`LogError::Flash`].
    pub fn read<'o>(
        &mut self,
        found: &LogEntry,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], LogError<F::Error>> {
        let out = out
            .get_mut(..found.len)
            .ok_or(LogError::BufferTooSmall(found.len))?;
        entry::payload(&mut self.flash, &found.entry, out)?;
        Ok(out)
    }

    /// Takes the server's word that all records of `epoch` below `cumulative` are stored, and
    /// `cumulative + 1 + i` for every bit `i` of `bitmap`. Anything but the epoch of
    /// [`Self::floor`] is ignored: older ones are done, newer ones come later.
    ///
    /// # Errors
    /// [`LogError::Flash`]; the acknowledgement is then partly or not taken.
    pub fn acknowledge(
        &mut self,
        epoch: u32,
        cumulative: u32,
        bitmap: u64,
    ) -> Result<(), LogError<F::Error>> {
        if epoch != self.floor.epoch {
            return Ok(());
        }
        for bit in 0..u64::BITS {
            let sequence = self.floor.sequence.saturating_add(bit);
            if epoch == self.epoch && sequence >= self.next_sequence {
                // A wrong acknowledgement must not reach records that are yet to be written.
                break;
            }
            let ahead = sequence.checked_sub(cumulative);
            // `ahead` 0 is the one record that the acknowledgement says is missing.
            let stored = match ahead.map(|ahead| ahead.checked_sub(1)) {
                None => true,
                Some(None) => false,
                Some(Some(i)) => bitmap.checked_shr(i).unwrap_or(0) & 1 == 1,
            };
            self.acknowledged |= u64::from(stored) << bit;
        }
        let mut cursor = self.oldest;
        while let Some(found) = self.walk(&mut cursor)? {
            if found.key < self.floor {
                continue;
            }
            let below = found.key.epoch == epoch && found.key.sequence < cumulative;
            if !below && !self.is_acknowledged(found.key) {
                self.move_floor(found.key, found.place);
                return Ok(());
            }
            self.pending = self.pending.saturating_sub(1);
        }
        let end = Cursor {
            segment: self.number(self.head),
            offset: self.write,
        };
        self.move_floor(self.next_key(), end);
        Ok(())
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    fn is_acknowledged(&self, key: RecordKey) -> bool {
        if key.epoch != self.floor.epoch {
            return key.epoch < self.floor.epoch;
        }
        match key.sequence.checked_sub(self.floor.sequence) {
            None => true,
            Some(ahead) => self.acknowledged.checked_shr(ahead).unwrap_or(0) & 1 == 1,
        }
    }

    fn next_key(&self) -> RecordKey {
        RecordKey {
            epoch: self.epoch,
            sequence: self.next_sequence,
        }
    }

    /// Everything below `to` is acknowledged; segments before `oldest` are done with.
    fn move_floor(&mut self, to: RecordKey, oldest: Cursor) {
        let shift = to.sequence.checked_sub(self.floor.sequence);
        self.acknowledged = match shift {
            Some(shift) if to.epoch == self.floor.epoch => {
                self.acknowledged.checked_shr(shift).unwrap_or(0)
            }
            _ => 0,
        };
        self.floor = to;
        self.oldest = oldest;
        for segment in self.segments.iter_mut() {
            segment.live &= segment.number >= oldest.segment;
        }
    }

    fn number(&self, index: usize) -> u32 {
        self.segments.get(index).map_or(0, |s| s.number)
    }

    fn base(&self, index: usize) -> u32 {
        (index as u32).saturating_mul(self.segment_len)
    }

    /// The live segment with the lowest number from `number` on: its index and number.
    fn live_from(&self, number: u32) -> Option<(usize, u32)> {
        let live = self.segments.iter().enumerate().filter(|(_, s)| s.live);
        live.map(|(index, s)| (index, s.number))
            .filter(|&(_, n)| n >= number)
            .min_by_key(|&(_, n)| n)
    }

    /// The next record entry at or behind `cursor`, acknowledged or not.
    fn walk(&mut self, cursor: &mut Cursor) -> Result<Option<LogEntry>, LogError<F::Error>> {
        while let Some((index, number)) = self.live_from(cursor.segment) {
            if number != cursor.segment {
                *cursor = Cursor {
                    segment: number,
                    offset: FIRST,
                };
            }
            let base = self.base(index);
            let end = if index == self.head {
                self.write
            } else {
                self.segment_len
            };
            match entry::read(&mut self.flash, base + cursor.offset, base + end)? {
                Some(entry) if entry.kind == RECORD => {
                    let place = *cursor;
                    cursor.offset += entry.size();
                    return Ok(Some(LogEntry {
                        key: RecordKey {
                            epoch: entry.a,
                            sequence: entry.b,
                        },
                        len: entry.len,
                        entry,
                        place,
                    }));
                }
                _ if index == self.head => return Ok(None),
                // The first thing that is no record ends a segment.
                _ => {
                    *cursor = Cursor {
                        segment: number.saturating_add(1),
                        offset: FIRST,
                    }
                }
            }
        }
        Ok(None)
    }

    /// Starts a segment for more records.
    fn next_segment(&mut self) -> Result<(), LogError<F::Error>> {
        let head = self.number(self.head);
        // With nothing waiting, the head itself is done with.
        let tail = if self.floor == self.next_key() {
            head.checked_add(1).ok_or(LogError::Exhausted)?
        } else {
            self.oldest.segment
        };
        let live = self.segments.iter().filter(|s| s.live && s.number >= tail);
        // One segment stays spare for the next boot.
        if live.count() + 1 >= self.count {
            return Err(LogError::Full);
        }
        let index = self.erase_spare()?;
        let header = Header {
            number: head.checked_add(1).ok_or(LogError::Exhausted)?,
            epoch: self.epoch,
            tail,
            replaces: 0,
            floor: self.floor,
        };
        self.write_header(index, &header)?;
        // Only now: had the flash failed, records would still go to the old head.
        for segment in self.segments.iter_mut() {
            segment.live &= segment.number >= tail;
        }
        self.enter(index, header.number, FIRST);
        Ok(())
    }

    /// Makes a segment the one being written.
    fn enter(&mut self, index: usize, number: u32, write: u32) {
        if let Some(segment) = self.segments.get_mut(index) {
            *segment = Segment { number, live: true };
        }
        self.head = index;
        self.write = write;
        self.sealed = false;
    }

    /// Erases a dead segment. The lowest number goes first, so that what replaced a dead segment
    /// outlives it: an old copy never comes back to life.
    fn erase_spare(&mut self) -> Result<usize, LogError<F::Error>> {
        let (index, segment) = self
            .segments
            .iter_mut()
            .enumerate()
            .take(self.count)
            .filter(|(_, s)| !s.live)
            .min_by_key(|(_, s)| s.number)
            .ok_or(LogError::Full)?;
        segment.number = 0;
        let from = self.base(index);
        self.flash
            .erase(from, from.saturating_add(self.segment_len))?;
        Ok(index)
    }
}
