//! Entries in flash, shared by the log and the journal.
//!
//! An entry is a header of 16 bytes (`len u16, kind u16, a u32, b u32, crc u32`, little-endian),
//! `len` bytes of payload, and 0xFF up to the next multiple of 16. The CRC covers the first twelve
//! bytes and the payload, so that a torn write is never taken for an entry. Everything lies on
//! multiples of 16, which suits every write size up to 16, and no word is programmed twice.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use crate::CRC;

/// Alignment and granularity of entries in bytes, and the length of their header.
pub const UNIT: usize = 16;

/// What is in flash besides the payload.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What sort of entry; never 0 or 0xFFFF.
    pub kind: u16,
    /// First number.
    pub a: u32,
    /// Second number.
    pub b: u32,
    /// Length of the payload in bytes.
    pub len: usize,
    /// Where the entry begins.
    pub at: u32,
}

impl Entry {
    /// Bytes that the entry takes in flash.
    pub fn size(&self) -> u32 {
        size(self.len)
    }
}

/// Bytes that an entry with a payload of `len` takes in flash; at most `u32::MAX` for absurd ones.
pub fn size(len: usize) -> u32 {
    let bytes = len.saturating_add(2 * UNIT - 1) / UNIT * UNIT;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Fails the build where entries do not suit the flash.
pub const fn check_geometry<F: NorFlash>() {
    assert!(F::WRITE_SIZE > 0 && UNIT.is_multiple_of(F::WRITE_SIZE));
    assert!(F::READ_SIZE > 0 && UNIT.is_multiple_of(F::READ_SIZE));
    assert!(F::ERASE_SIZE >= 2 * UNIT && F::ERASE_SIZE.is_multiple_of(UNIT));
}

/// Programs an entry at `at` (a multiple of 16, erased up to the end of the entry).
pub fn write<F: NorFlash>(
    flash: &mut F,
    at: u32,
    kind: u16,
    [a, b]: [u32; 2],
    payload: &[u8],
) -> Result<(), F::Error> {
    let mut head = [0; UNIT];
    fill(&mut head, 0, &(payload.len() as u16).to_le_bytes());
    fill(&mut head, 2, &kind.to_le_bytes());
    fill(&mut head, 4, &a.to_le_bytes());
    fill(&mut head, 8, &b.to_le_bytes());
    let mut digest = CRC.digest();
    digest.update(head.split_at(12).0);
    digest.update(payload);
    fill(&mut head, 12, &digest.finalize().to_le_bytes());
    flash.write(at, &head)?;
    let at = at.saturating_add(UNIT as u32);
    write_padded(flash, at, payload)
}

/// Programs `bytes` and 0xFF up to the next multiple of 16.
pub fn write_padded<F: NorFlash>(flash: &mut F, at: u32, bytes: &[u8]) -> Result<(), F::Error> {
    let (whole, tail) = bytes.split_at(bytes.len() / UNIT * UNIT);
    if !whole.is_empty() {
        flash.write(at, whole)?;
    }
    if !tail.is_empty() {
        let mut last = [0xFF; UNIT];
        fill(&mut last, 0, tail);
        flash.write(at.saturating_add(whole.len() as u32), &last)?;
    }
    Ok(())
}

/// The whole entry at `at` that ends at or before `end`, if there is one.
pub fn read<F: ReadNorFlash>(flash: &mut F, at: u32, end: u32) -> Result<Option<Entry>, F::Error> {
    if end.checked_sub(at).is_none_or(|room| room < UNIT as u32) {
        return Ok(None);
    }
    let mut head = [0; UNIT];
    flash.read(at, &mut head)?;
    let [
        l0,
        l1,
        k0,
        k1,
        a0,
        a1,
        a2,
        a3,
        b0,
        b1,
        b2,
        b3,
        c0,
        c1,
        c2,
        c3,
    ] = head;
    let entry = Entry {
        kind: u16::from_le_bytes([k0, k1]),
        a: u32::from_le_bytes([a0, a1, a2, a3]),
        b: u32::from_le_bytes([b0, b1, b2, b3]),
        len: u16::from_le_bytes([l0, l1]).into(),
        at,
    };
    if entry.kind == 0 || entry.kind == u16::MAX || entry.size() > end - at {
        return Ok(None);
    }
    let mut digest = CRC.digest();
    digest.update(head.split_at(12).0);
    chunks(flash, &entry, |chunk| digest.update(chunk))?;
    Ok((digest.finalize() == u32::from_le_bytes([c0, c1, c2, c3])).then_some(entry))
}

/// Copies the payload to the start of `out` (at least `entry.len` bytes long).
pub fn payload<F: ReadNorFlash>(
    flash: &mut F,
    entry: &Entry,
    out: &mut [u8],
) -> Result<(), F::Error> {
    let mut at = 0;
    chunks(flash, entry, |chunk| {
        fill(out, at, chunk);
        at += chunk.len();
    })
}

/// Hands out the payload in pieces of up to 64 bytes.
fn chunks<F: ReadNorFlash>(
    flash: &mut F,
    entry: &Entry,
    mut each: impl FnMut(&[u8]),
) -> Result<(), F::Error> {
    let mut buffer = [0; 4 * UNIT];
    let mut at = entry.at.saturating_add(UNIT as u32);
    let mut left = entry.len;
    while left > 0 {
        let len = left.min(buffer.len());
        let Some(read) = buffer.get_mut(..len.next_multiple_of(UNIT)) else {
            break;
        };
        flash.read(at, read)?;
        each(read.get(..len).unwrap_or(read));
        at = at.saturating_add(read.len() as u32);
        left -= len;
    }
    Ok(())
}

/// Copies `bytes` into `out` from `at`; what would lie outside is left out.
fn fill(out: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in out.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}
