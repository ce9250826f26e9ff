//! What the factory does once.

use edge_sync::Partitions;
use edge_sync::slots::{self, SlotError};
use embedded_storage::nor_flash::NorFlash;

/// Makes a device new: erases log and journal, and makes `image` (the bytes of a compiled model) the
/// confirmed model of version `version` in the first slot. Updates must have a higher version. Works
/// on any flash, on the board as well as on a file that a host tool fills. An image that the device
/// cannot run is no error here: the device boots without a model then.
///
/// # Errors
/// [`SlotError::PartitionTooSmall`] where the image does not fit, with the bytes needed, or the
/// flash's own error. A device left half provisioned can be provisioned again.
pub fn provision<F: NorFlash>(
    partitions: &mut Partitions<F>,
    image: &[u8],
    version: u32,
) -> Result<(), SlotError<F::Error>> {
    let log = &mut partitions.log;
    let whole = log.capacity() / F::ERASE_SIZE * F::ERASE_SIZE;
    log.erase(0, u32::try_from(whole).unwrap_or(u32::MAX))?;
    let [first, _] = &mut partitions.slots;
    slots::provision(&mut partitions.journal, first, image, version)
}
