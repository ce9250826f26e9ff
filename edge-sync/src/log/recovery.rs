//! Segment headers, and what a boot makes of a partition.

use embedded_storage::nor_flash::NorFlash;

use super::{Cursor, FIRST, HEADER_LEN, Header, Log, LogError, RECORD, SEGMENT, SEGMENTS};
use crate::entry::{self, UNIT};
use crate::record::RecordKey;

impl<F: NorFlash> Log<F> {
    pub(super) fn write_header(
        &mut self,
        index: usize,
        header: &Header,
    ) -> Result<(), LogError<F::Error>> {
        let words = [
            header.tail,
            header.replaces,
            header.floor.epoch,
            header.floor.sequence,
        ];
        let mut payload = [0; HEADER_LEN];
        for (to, word) in payload.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        let at = self.base(index);
        let numbers = [header.number, header.epoch];
        entry::write(&mut self.flash, at, SEGMENT, numbers, &payload)?;
        Ok(())
    }

    fn read_header(&mut self, index: usize) -> Result<Option<Header>, LogError<F::Error>> {
        let at = self.base(index);
        let Some(entry) = entry::read(&mut self.flash, at, at + self.segment_len)? else {
            return Ok(None);
        };
        if entry.kind != SEGMENT || entry.len != HEADER_LEN || entry.a == 0 {
            return Ok(None);
        }
        let mut payload = [0; HEADER_LEN];
        entry::payload(&mut self.flash, &entry, &mut payload)?;
        let mut words = payload
            .as_chunks()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word));
        let mut word = || words.next().unwrap_or(0);
        Ok(Some(Header {
            number: entry.a,
            epoch: entry.b,
            tail: word(),
            replaces: word(),
            floor: RecordKey {
                epoch: word(),
                sequence: word(),
            },
        }))
    }

    /// Finds what is live, and starts this boot's segment with a copy of the newest one.
    pub(super) fn recover(&mut self) -> Result<(), LogError<F::Error>> {
        let mut newest: Option<Header> = None;
        let mut replaced = [0; SEGMENTS];
        for (index, replaces) in (0..self.count).zip(replaced.iter_mut()) {
            let Some(header) = self.read_header(index)? else {
                continue;
            };
            *replaces = header.replaces;
            if let Some(segment) = self.segments.get_mut(index) {
                segment.number = header.number;
            }
            if newest.is_none_or(|newest| newest.number < header.number) {
                newest = Some(header);
                self.head = index;
            }
        }
        let Some(newest) = newest else {
            let first = Header {
                number: 1,
                epoch: self.epoch,
                tail: 1,
                replaces: 0,
                floor: self.floor,
            };
            let index = self.erase_spare()?;
            self.write_header(index, &first)?;
            self.enter(index, first.number, FIRST);
            return Ok(());
        };
        for segment in self.segments.iter_mut() {
            segment.live = segment.number != 0
                && segment.number >= newest.tail
                && !replaced.contains(&segment.number);
        }
        self.epoch = newest.epoch.checked_add(1).ok_or(LogError::Exhausted)?;
        self.floor = newest.floor;
        self.write = self.segment_len;
        self.count_pending(newest.tail)?;

        let old = self.base(self.head);
        let index = self.erase_spare()?;
        let new = self.base(index);
        let write = self.copy_live(old, new)?;
        let header = Header {
            number: newest.number.checked_add(1).ok_or(LogError::Exhausted)?,
            epoch: self.epoch,
            tail: newest.number.min(self.oldest.segment),
            replaces: newest.number,
            floor: self.floor,
        };
        self.write_header(index, &header)?;
        if let Some(segment) = self.segments.get_mut(self.head) {
            segment.live = false;
        }
        self.enter(index, header.number, write);
        if self.oldest.segment == newest.number {
            self.oldest = Cursor {
                segment: header.number,
                offset: FIRST,
            };
        }
        Ok(())
    }

    /// Walks everything: sets the floor, the cursor in front of it and the number of records.
    fn count_pending(&mut self, tail: u32) -> Result<(), LogError<F::Error>> {
        let mut cursor = Cursor {
            segment: tail,
            offset: FIRST,
        };
        let mut first = None;
        while let Some(found) = self.walk(&mut cursor)? {
            if found.key >= self.floor {
                first.get_or_insert((found.key, found.place));
                self.pending = self.pending.saturating_add(1);
            }
        }
        let end = Cursor {
            segment: self.number(self.head),
            offset: FIRST,
        };
        let (floor, oldest) = first.unwrap_or((self.next_key(), end));
        self.move_floor(floor, oldest);
        Ok(())
    }

    /// Copies the records at or above the floor from one segment to another; returns where the next
    /// entry goes in the new one.
    fn copy_live(&mut self, old: u32, new: u32) -> Result<u32, LogError<F::Error>> {
        let mut to = FIRST;
        let mut from = FIRST;
        while let Some(found) = entry::read(&mut self.flash, old + from, old + self.segment_len)? {
            let size = found.size();
            if found.kind == RECORD
                && (RecordKey {
                    epoch: found.a,
                    sequence: found.b,
                }) >= self.floor
            {
                for offset in (0..size).step_by(UNIT) {
                    let mut unit = [0; UNIT];
                    self.flash.read(old + from + offset, &mut unit)?;
                    self.flash.write(new + to + offset, &unit)?;
                }
                to += size;
            }
            from += size;
        }
        Ok(to)
    }
}
