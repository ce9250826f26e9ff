//! What a recurrent operator keeps from one inference to the next: 16-bit values, little-endian, in
//! the bytes of the arena.

use core::cell::Cell;

/// 16-bit values over bytes, two each.
#[derive(Clone, Copy, Debug)]
pub struct State16<'a>(pub &'a [Cell<i8>]);

impl State16<'_> {
    /// One value; zero beyond the end.
    pub fn get(&self, index: usize) -> i16 {
        let [low, high] = self
            .bytes(index)
            .map_or([0, 0], |bytes| bytes.map(|byte| byte.get().cast_unsigned()));
        i16::from_le_bytes([low, high])
    }

    /// Writes one value; nothing beyond the end.
    pub fn set(&self, index: usize, value: i16) {
        if let Some(bytes) = self.bytes(index) {
            for (cell, byte) in bytes.iter().zip(value.to_le_bytes()) {
                cell.set(byte.cast_signed());
            }
        }
    }

    fn bytes(&self, index: usize) -> Option<[&Cell<i8>; 2]> {
        let start = index.checked_mul(2)?;
        Some([self.0.get(start)?, self.0.get(start.checked_add(1)?)?])
    }
}
