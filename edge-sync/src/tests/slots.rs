//! Slots and journal: at every cut the old or the new model, whole.

use std::rc::Rc;
use std::vec::Vec;

use super::manifest::manifest;
use crate::manifest::ManifestError;
use crate::message::Reason;
use crate::mock::{MockError, MockFlash, Power, Rng};
use crate::slots::{self, Boot, FETCH_ATTEMPTS, Phase, SlotError, SlotIndex, TRIAL_BOOTS};
use crate::storage::MappedFlash;

type Result<T> = core::result::Result<T, SlotError<MockError>>;

struct Device<const W: usize, const E: usize> {
    slots: [MockFlash<W, E>; 2],
    journal: MockFlash<W, E>,
    power: Rc<Power>,
    /// Blocks stored, over all boots.
    stores: u32,
}

const SLOT: usize = 8;

impl<const W: usize, const E: usize> Device<W, E> {
    fn new(image: &[u8], journal_sectors: usize, seed: u64) -> Self {
        let power = Power::new(seed);
        let mut rng = Rng(seed);
        let mut device = Self {
            slots: [
                MockFlash::garbage(SLOT, &power, &mut rng),
                MockFlash::garbage(SLOT, &power, &mut rng),
            ],
            journal: MockFlash::garbage(journal_sectors, &power, &mut rng),
            power,
            stores: 0,
        };
        let [a, _] = &mut device.slots;
        slots::provision(&mut device.journal, a, image, 1).unwrap();
        device
    }

    fn boot(&mut self) -> Result<Boot> {
        let [a, b] = &self.slots;
        slots::boot(&mut self.journal, [a, b])
    }

    /// The bytes of the model that runs; their hash is checked against the journal's.
    fn running(&self, boot: &Boot) -> Vec<u8> {
        let running = boot.running.expect("a model runs");
        let bytes = &self.slots[running.slot.index()].mapped()[..running.image.len as usize];
        assert_eq!(crate::manifest::image_hash(bytes), running.image.hash);
        bytes.to_vec()
    }

    /// One boot in which an update to `image` goes as far as it can. True when it is confirmed.
    fn update(&mut self, version: u32, image: &[u8], block: u32) -> Result<bool> {
        let mut boot = self.boot()?;
        if let Some(running) = boot.running {
            if running.trial {
                boot.slots.confirm(&mut self.journal)?;
                return Ok(true);
            }
            if running.image.version == version {
                return Ok(true);
            }
        }
        let runs = boot.running.is_some();
        let spare = &mut self.slots[boot.spare().index()];
        let manifest = manifest(version, image, block);
        let known = boot.slots.candidate();
        if known.is_none_or(|candidate| candidate.image.version != version) {
            boot.slots.check(&manifest, runs, spare).unwrap();
            boot.slots.begin(&mut self.journal, &manifest)?;
        }
        while let Some(candidate) = boot.slots.candidate()
            && candidate.stored < candidate.blocks()
        {
            let from = (candidate.stored * block) as usize;
            let bytes = &image[from..image.len().min(from + block as usize)];
            self.stores += 1;
            boot.slots.store_block(&mut self.journal, spare, bytes)?;
        }
        assert!(boot.slots.check_image(&mut self.journal, spare)?);
        boot.slots.verified(&mut self.journal)?;
        Ok(false)
    }
}

fn images() -> (Vec<u8>, Vec<u8>) {
    let mut rng = Rng(9);
    let (mut old, mut new) = (rng.bytes(700), rng.bytes(900));
    // Erased-looking runs are part of real images.
    old[100..300].fill(0xFF);
    new[250..600].fill(0xFF);
    (old, new)
}

fn cut_everywhere<const W: usize, const E: usize>(journal_sectors: usize, block: u32) {
    let (old, new) = images();
    let blocks = new.len().div_ceil(block as usize) as u32;
    let per_sector = (E as u32).div_ceil(block);
    let mut cut = 0;
    loop {
        let mut device = Device::<W, E>::new(&old, journal_sectors, cut);
        device.power.restore(cut);
        let mut confirmed = false;
        for _ in 0..3 {
            match device.update(2, &new, block) {
                Ok(done) => confirmed |= done,
                Err(_) => break,
            }
        }
        let finished = !device.power.is_off();
        let mut rng = Rng(cut);
        // A few more cuts in a row, each time looking at what runs.
        let mut cuts = 1;
        for budget in [rng.below(40), rng.below(300), rng.below(1500)] {
            device.power.restore(budget);
            if let Ok(boot) = device.boot() {
                let bytes = device.running(&boot);
                assert!(bytes == old || bytes == new, "cut {cut}");
                assert!(!confirmed || bytes == new, "cut {cut}: went back");
                confirmed |= matches!(device.update(2, &new, block), Ok(true));
                cuts += 1;
            }
        }
        device.power.restore(u64::MAX);
        let boot = device.boot().unwrap();
        let bytes = device.running(&boot);
        assert!(bytes == old || bytes == new, "cut {cut}");
        assert!(!boot.damaged && boot.fallen_back.is_none(), "cut {cut}");
        let mut boots = 0;
        while !device.update(2, &new, block).unwrap() {
            boots += 1;
            assert!(boots < 3, "cut {cut}");
        }
        let boot = device.boot().unwrap();
        assert_eq!(device.running(&boot), new);
        assert_eq!(boot.slots.confirmed().unwrap().version, 2);
        // A cut costs the blocks of one erase sector at most, and the block being written.
        assert!(
            device.stores <= blocks + cuts * (per_sector + 1),
            "cut {cut}"
        );
        if finished {
            break;
        }
        cut += 1;
    }
    assert!(cut > 2_000, "only {cut} bytes of traffic");
}

#[test]
fn power_cut_at_every_byte_of_an_update() {
    cut_everywhere::<4, 256>(2, 64);
    cut_everywhere::<16, 512>(3, 128);
}

#[test]
fn power_cut_at_every_byte_with_blocks_of_a_sector_and_more() {
    cut_everywhere::<8, 512>(2, 512);
    cut_everywhere::<1, 256>(2, 512);
}

#[test]
fn many_releases_with_cuts_failures_and_several_reboots_in_a_row() {
    for seed in 0..150 {
        let mut rng = Rng(seed);
        let mut image = rng.bytes(500);
        let mut device = Device::<4, 256>::new(&image, 2 + (seed % 3) as usize, seed);
        for release in 2..8 {
            let len = 1 + rng.below(SLOT as u64 * 256) as usize;
            let next = rng.bytes(len);
            let mut confirmed = false;
            while !confirmed {
                device.power.restore(rng.below(4000));
                if rng.below(4) == 0 {
                    device.power.fail_next.set(true);
                }
                confirmed = device.update(release, &next, 64).unwrap_or(false);
                device.power.fail_next.set(false);
                let off = device.power.is_off();
                device.power.restore(u64::MAX);
                if off {
                    // Looking must not change what runs, so look at a copy of the flash.
                    let running = device.peek();
                    assert!(running == image || running == next, "seed {seed}");
                }
            }
            image = next;
            let boot = device.boot().unwrap();
            assert_eq!(device.running(&boot), image);
            assert_eq!(boot.slots.confirmed().unwrap().version, release);
        }
    }
}

impl Device<4, 256> {
    /// What a boot would run, without booting.
    fn peek(&self) -> Vec<u8> {
        let mut journal = MockFlash::<4, 256>::new(0, &self.power);
        journal.clone_from_flash(&self.journal);
        let [a, b] = &self.slots;
        let boot = slots::boot(&mut journal, [a, b]).unwrap();
        self.running(&boot)
    }
}

#[test]
fn a_trial_ends_after_too_many_boots_and_the_version_is_remembered() {
    let (old, new) = images();
    let mut device = Device::<4, 256>::new(&old, 2, 0);
    assert_eq!(device.update(2, &new, 64), Ok(false));
    for _ in 0..TRIAL_BOOTS {
        let boot = device.boot().unwrap();
        assert!(boot.running.unwrap().trial);
        assert_eq!(boot.active(), Some(SlotIndex::B));
        assert_eq!(boot.spare(), SlotIndex::A);
        assert_eq!(device.running(&boot), new);
    }
    let boot = device.boot().unwrap();
    assert_eq!(boot.fallen_back, Some((2, Reason::TrialBoots)));
    assert_eq!(device.running(&boot), old);
    assert!(boot.slots.has_failed(2));
    assert_eq!(boot.slots.last_failure(), Some((2, Reason::TrialBoots)));
    let spare = &device.slots[boot.spare().index()];
    let check = |version| boot.slots.check(&manifest(version, &new, 64), true, spare);
    assert_eq!(check(2), Err(ManifestError::KnownFailed));
    assert_eq!(check(3), Ok(()));
    assert_eq!(device.boot().unwrap().fallen_back, None);
}

#[test]
fn an_image_that_rots_before_its_trial_is_not_run() {
    let (old, new) = images();
    let mut device = Device::<4, 256>::new(&old, 2, 0);
    assert_eq!(device.update(2, &new, 64), Ok(false));
    device.slots[1].data[450] ^= 1;
    let boot = device.boot().unwrap();
    assert_eq!(boot.fallen_back, Some((2, Reason::Hash)));
    assert_eq!(device.running(&boot), old);
}

#[test]
fn a_damaged_confirmed_model_is_not_run_and_is_told() {
    let (old, new) = images();
    let mut device = Device::<4, 256>::new(&old, 2, 0);
    device.slots[0].data[0] ^= 1;
    let mut boot = device.boot().unwrap();
    assert!(boot.damaged);
    assert_eq!(boot.running, None);
    assert_eq!(boot.spare(), SlotIndex::B);
    // It can still be updated.
    let manifest = manifest(2, &new, 512);
    boot.slots.begin(&mut device.journal, &manifest).unwrap();
    for block in new.chunks(512) {
        let [_, spare] = &mut device.slots;
        boot.slots
            .store_block(&mut device.journal, spare, block)
            .unwrap();
    }
    boot.slots.verified(&mut device.journal).unwrap();
    let boot = device.boot().unwrap();
    assert_eq!(device.running(&boot), new);
}

#[test]
fn a_damaged_confirmed_model_is_repaired_after_a_cut_at_any_byte() {
    let (old, _) = images();
    let mut cut = 0;
    loop {
        let mut device = Device::<4, 256>::new(&old, 2, cut);
        device.slots[0].data[0] ^= 1;
        let damaged = device.slots[0].data.clone();
        device.power.restore(cut);
        for _ in 0..2 {
            if device.update(1, &old, 64).is_err() {
                break;
            }
        }
        let finished = !device.power.is_off();
        device.power.restore(u64::MAX);
        let mut boots = 0;
        while !device.update(1, &old, 64).unwrap() {
            boots += 1;
            assert!(boots < 3, "cut {cut}");
        }
        let boot = device.boot().unwrap();
        assert_eq!(device.running(&boot), old);
        assert_eq!(boot.active(), Some(SlotIndex::B));
        assert!(!boot.damaged && boot.fallen_back.is_none(), "cut {cut}");
        // Until the end it was the confirmed one, and so it was not written.
        assert_eq!(device.slots[0].data, damaged);
        if finished {
            break;
        }
        cut += 1;
    }
    assert!(cut > 1_500, "only {cut} bytes of traffic");
}

#[test]
fn a_wrong_image_is_fetched_again_and_then_given_up() {
    let (old, new) = images();
    let mut device = Device::<4, 256>::new(&old, 2, 0);
    let mut boot = device.boot().unwrap();
    let manifest = manifest(2, &new, 512);
    boot.slots.begin(&mut device.journal, &manifest).unwrap();
    let [_, spare] = &mut device.slots;
    for attempt in 1..=FETCH_ATTEMPTS {
        for block in [&[0; 512][..], &new[512..]] {
            boot.slots
                .store_block(&mut device.journal, spare, block)
                .unwrap();
        }
        let whole = boot.slots.check_image(&mut device.journal, spare);
        assert_eq!(whole, Ok(false));
        let candidate = boot.slots.candidate();
        assert_eq!(candidate.is_none(), attempt == FETCH_ATTEMPTS);
        assert!(candidate.is_none_or(|candidate| candidate.stored == 0));
    }
    assert_eq!(boot.slots.last_failure(), Some((2, Reason::Hash)));
}

#[test]
fn releases_that_do_not_suit_the_slot_are_refused() {
    let (old, new) = images();
    let mut device = Device::<4, 256>::new(&old, 2, 0);
    let boot = device.boot().unwrap();
    let [_, spare] = &device.slots;
    let check = |version, len: u32, block| {
        let mut manifest = manifest(version, &new, block);
        manifest.image_len = len;
        boot.slots.check(&manifest, true, spare)
    };
    assert_eq!(check(2, 2048, 64), Ok(()));
    let needed = 2049;
    assert_eq!(
        check(2, 2049, 64),
        Err(ManifestError::ImageTooLarge { needed })
    );
    assert_eq!(
        check(1, 900, 64),
        Err(ManifestError::Version { confirmed: 1 })
    );
    for block in [0, 8, 48, 96, 384, 1000] {
        assert_eq!(check(2, 900, block), Err(ManifestError::BlockLength));
    }
    for block in [16, 128, 256, 512] {
        assert_eq!(check(2, 900, block), Ok(()));
    }
}

#[test]
fn steps_out_of_order_are_typed() {
    let (old, _) = images();
    let mut device = Device::<4, 256>::new(&old, 2, 0);
    let mut boot = device.boot().unwrap();
    let Device { slots, journal, .. } = &mut device;
    let [_, spare] = slots;
    let phase = Err(SlotError::Phase);
    assert_eq!(boot.slots.store_block(journal, spare, &[0; 64]), phase);
    assert_eq!(boot.slots.verified(journal), phase);
    assert_eq!(boot.slots.confirm(journal), phase);
    assert_eq!(boot.slots.fail_trial(journal, Reason::Load), phase);
}

#[test]
fn partitions_that_are_too_small_are_typed() {
    let power = Power::new(0);
    let mut journal = MockFlash::<4, 256>::new(1, &power);
    let mut slot = MockFlash::<4, 256>::new(2, &power);
    let needed = Err(SlotError::PartitionTooSmall(512));
    assert_eq!(
        slots::provision(&mut journal, &mut slot, &[1; 16], 1),
        needed
    );
    let needed = Err(SlotError::PartitionTooSmall(768));
    assert_eq!(
        slots::provision(&mut journal, &mut slot, &[1; 513], 1),
        needed
    );
    // Nothing was ever written: no model, and a place for the first one.
    let mut journal = MockFlash::<4, 256>::new(2, &power);
    let boot = slots::boot(&mut journal, [&slot, &slot]).unwrap();
    assert_eq!((boot.active(), boot.spare()), (None, SlotIndex::A));
    assert!(!boot.damaged);
    assert_eq!(boot.slots.candidate().map(|c| c.phase), None::<Phase>);
}
