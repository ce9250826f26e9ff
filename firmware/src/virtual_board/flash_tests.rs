use super::flash::*;
use edge_sync::MappedFlash;
use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind, ReadNorFlash};
use std::vec;
use std::vec::Vec;

#[test]
fn it_is_blank_aligned_and_made_of_whole_sectors() {
    let mut flash = SimFlash::new(5000, &Power::new(1));
    assert_eq!(flash.capacity(), 8192);
    assert_eq!(flash.mapped().len(), 8192);
    assert_eq!(flash.mapped().as_ptr().align_offset(16), 0);
    assert!(flash.mapped().iter().all(|&byte| byte == 0xFF));
    let mut bytes = [0; 3];
    flash.read(8189, &mut bytes).unwrap();
    assert_eq!(bytes, [0xFF; 3]);
}

#[test]
fn words_are_written_once_until_their_sector_is_erased() {
    let mut flash = SimFlash::new(2 * SECTOR, &Power::new(1));
    flash.write(4, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    assert_eq!(
        flash.write(8, &[5, 6, 7, 0]),
        Err(SimFlashError::NotErased(8))
    );
    flash.write(4, &[0xFF; 8]).unwrap();
    assert_eq!(flash.mapped()[4..12], [1, 2, 3, 4, 5, 6, 7, 8]);
    flash.erase(SECTOR as u32, 2 * SECTOR as u32).unwrap();
    assert_eq!(flash.mapped()[4], 1);
    flash.erase(0, SECTOR as u32).unwrap();
    flash.write(4, &[9; 4]).unwrap();
    assert_eq!(flash.mapped()[..9], [255, 255, 255, 255, 9, 9, 9, 9, 255]);
}

#[test]
fn what_is_unaligned_or_outside_is_refused() {
    let mut flash = SimFlash::new(SECTOR, &Power::new(1));
    let access = |kind| Err(SimFlashError::Access(kind));
    assert_eq!(
        flash.write(2, &[0; 4]),
        access(NorFlashErrorKind::NotAligned)
    );
    assert_eq!(
        flash.write(0, &[0; 3]),
        access(NorFlashErrorKind::NotAligned)
    );
    assert_eq!(
        flash.write(4096, &[0; 4]),
        access(NorFlashErrorKind::OutOfBounds)
    );
    assert_eq!(flash.erase(0, 100), access(NorFlashErrorKind::NotAligned));
    assert_eq!(flash.erase(0, 8192), access(NorFlashErrorKind::OutOfBounds));
    assert_eq!(
        flash.read(4095, &mut [0; 2]),
        access(NorFlashErrorKind::OutOfBounds)
    );
}

#[test]
fn a_cut_tears_the_word_in_progress_and_nothing_else() {
    for seed in 0..200 {
        let power = Power::new(seed);
        let mut flash = SimFlash::new(SECTOR, &power);
        let mut other = SimFlash::new(SECTOR, &power);
        let data: Vec<u8> = (0..16).map(|i| i * 3).collect();
        power.cut_after(6);
        assert_eq!(flash.write(0, &data), Err(SimFlashError::NoPower));
        assert_eq!(flash.mapped()[..4], data[..4]);
        for (torn, new) in flash.mapped()[4..8].iter().zip(&data[4..8]) {
            assert_eq!(torn & new, *new, "a bit was cleared that should stay set");
        }
        assert!(flash.mapped()[8..].iter().all(|&byte| byte == 0xFF));
        // Everything on that supply is dead until the power is back.
        assert_eq!(other.write(0, &data), Err(SimFlashError::NoPower));
        assert_eq!(other.erase(0, SECTOR as u32), Err(SimFlashError::NoPower));
        assert_eq!(flash.read(0, &mut [0; 4]), Err(SimFlashError::NoPower));
        power.on();
        other.write(0, &data).unwrap();
    }
}

#[test]
fn torn_words_differ_with_the_seed() {
    let torn = |seed| {
        let power = Power::new(seed);
        let mut flash = SimFlash::new(SECTOR, &power);
        power.cut_after(0);
        flash.write(0, &[0; 4]).unwrap_err();
        flash.mapped()[..4].to_vec()
    };
    assert_eq!(torn(3), torn(3));
    assert_ne!(torn(3), torn(4));
}

#[test]
fn a_cut_erasure_leaves_a_mixture() {
    let power = Power::new(5);
    let mut flash = SimFlash::new(3 * SECTOR, &power);
    flash.write(0, &vec![0x5A; 3 * SECTOR]).unwrap();
    power.cut_after(ERASE_TRAFFIC + 1);
    assert_eq!(
        flash.erase(0, 3 * SECTOR as u32),
        Err(SimFlashError::NoPower)
    );
    let words = |sector: usize| flash.mapped()[sector * SECTOR..][..SECTOR].chunks(4);
    assert!(words(0).all(|word| word == [0xFF; 4]));
    assert!(words(2).all(|word| word == [0x5A; 4]));
    let old = words(1).filter(|word| *word == [0x5A; 4]).count();
    let new = words(1).filter(|word| *word == [0xFF; 4]).count();
    assert!(old > 100 && new > 100 && old + new < 1000, "{old} {new}");
}

#[test]
fn traffic_counts_bytes_and_erasures() {
    let power = Power::new(1);
    let mut flash = SimFlash::new(2 * SECTOR, &power);
    flash.write(0, &[0; 12]).unwrap();
    flash.erase(0, 2 * SECTOR as u32).unwrap();
    assert_eq!(power.traffic(), 12 + 2 * ERASE_TRAFFIC);
}
