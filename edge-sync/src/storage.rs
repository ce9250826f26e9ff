//! What the state machines ask of a board's flash.

use embedded_storage::nor_flash::NorFlash;

use crate::log::Log;

/// NOR flash that is also readable as memory, so that a model runs where it lies.
///
/// The first mapped byte is byte 0 of the partition and lies on a 16-byte boundary.
pub trait MappedFlash: NorFlash {
    /// The whole partition, `capacity()` bytes, as they are now.
    fn mapped(&self) -> &[u8];
}

impl<T: MappedFlash> MappedFlash for &mut T {
    fn mapped(&self) -> &[u8] {
        T::mapped(self)
    }
}

/// The four flash partitions of a device.
///
/// Sizes: a slot holds the largest image the device may get; the journal has at least two erase
/// sectors; the log at least two, better eight or more (see [`crate::log`]).
#[derive(Debug)]
pub struct Partitions<F> {
    /// Model slots A and B.
    pub slots: [F; 2],
    /// The journal of [`crate::slots`].
    pub journal: F,
    /// The ring of [`crate::log`].
    pub log: F,
}

/// What a session may change in flash while a model runs from the active slot.
///
/// `F` is the board's flash; `L` the flash below the log, usually `&mut F`.
pub struct Storage<'s, F: MappedFlash, L: NorFlash<Error = F::Error>> {
    /// The slot that does *not* hold the running model: [`crate::slots::Boot::spare`].
    pub spare: &'s mut F,
    /// The journal.
    pub journal: &'s mut F,
    /// The opened log.
    pub log: &'s mut Log<L>,
}
