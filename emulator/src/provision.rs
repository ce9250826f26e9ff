//! The flash file of a board as it leaves the factory.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::Path,
};

use edge_sync::{MappedFlash, slots};
use firmware::{
    emulated::{
        FACTORY, FLASH_LEN, FactoryRecord, JOURNAL, JOURNAL_LEN, LOG, LOG_LEN, SECTOR, SLOT_LEN,
        SLOTS,
    },
    virtual_board::flash::{Power, SimFlash},
};

use crate::error::EmulatorError;

/// What the factory puts on a board.
#[derive(Clone, Copy, Debug)]
pub struct Factory<'a> {
    /// Identity towards the server.
    pub device_id: u64,
    /// Ed25519 public key that verifies the manifests of updates.
    pub public_key: [u8; 32],
    /// The first model, if it has one.
    pub image: Option<&'a [u8]>,
    /// Version counter of that model.
    pub version: u32,
}

/// Creates the file, or replaces its whole content.
pub fn write_flash(path: &Path, factory: &Factory<'_>) -> Result<(), EmulatorError> {
    let power = Power::new(0);
    let mut slot = SimFlash::new(SLOT_LEN, &power);
    let mut journal = SimFlash::new(JOURNAL_LEN, &power);
    if let Some(image) = factory.image {
        if image.len() > SLOT_LEN {
            return Err(EmulatorError::ImageTooLarge {
                len: image.len(),
                capacity: SLOT_LEN,
            });
        }
        slots::provision(&mut journal, &mut slot, image, factory.version)
            .map_err(|error| EmulatorError::Provision(format!("{error:?}")))?;
    }
    let record = FactoryRecord {
        device_id: factory.device_id,
        public_key: factory.public_key,
    };
    let mut factory_sector = vec![0xFF; SECTOR];
    factory_sector[..FactoryRecord::LEN].copy_from_slice(&record.to_bytes());

    let parts: [(usize, &[u8]); 5] = [
        (SLOTS[0], slot.mapped()),
        (SLOTS[1], &vec![0xFF; SLOT_LEN]),
        (JOURNAL, journal.mapped()),
        (LOG, &vec![0xFF; LOG_LEN]),
        (FACTORY, &factory_sector),
    ];
    create(path, &parts).map_err(|source| EmulatorError::Io {
        what: "cannot write the flash file",
        path: path.into(),
        source,
    })
}

fn create(path: &Path, parts: &[(usize, &[u8])]) -> io::Result<()> {
    let mut file = File::create(path)?;
    // Sparse: the rest of the 16 MB is never read.
    file.set_len(FLASH_LEN as u64)?;
    for (offset, bytes) in parts {
        file.seek(SeekFrom::Start(*offset as u64))?;
        file.write_all(bytes)?;
    }
    Ok(())
}
