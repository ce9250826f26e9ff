//! The log against a model of what it promised, with power cut at every byte.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::vec::Vec;

use crate::log::{Log, LogError};
use crate::mock::{MockError, MockFlash, Power, Rng};
use crate::record::RecordKey;

type Flash = MockFlash<16, 256>;

/// What the log has promised.
#[derive(Default)]
struct Model {
    /// Appended with `Ok`, or seen after a boot.
    kept: BTreeMap<RecordKey, Vec<u8>>,
    /// Acknowledged: may be gone.
    acknowledged: BTreeMap<RecordKey, Vec<u8>>,
    /// Appended without `Ok`: each may be there once, whole.
    doubtful: Vec<(u32, Vec<u8>)>,
    epoch: u32,
}

impl Model {
    /// Everything that the log hands out must be known, and everything kept must be handed out.
    fn check<const W: usize, const E: usize>(&mut self, log: &mut Log<&mut MockFlash<W, E>>) {
        let found = records(log);
        assert!(found.is_sorted_by(|a, b| a.0 < b.0), "out of order");
        for (key, bytes) in &found {
            let known = self.kept.get(key).or(self.acknowledged.get(key));
            if let Some(known) = known {
                assert_eq!(known, bytes, "{key:?} changed");
                continue;
            }
            let doubtful = |(epoch, tried): &(u32, Vec<u8>)| *epoch == key.epoch && tried == bytes;
            let index = self.doubtful.iter().position(doubtful);
            self.doubtful
                .remove(index.expect("a record that was never appended"));
            self.kept.insert(*key, bytes.clone());
        }
        for key in self.kept.keys() {
            assert!(found.iter().any(|(k, _)| k == key), "{key:?} was lost");
        }
    }

    fn acknowledge(&mut self, is: impl Fn(&RecordKey) -> bool) {
        let done: Vec<_> = self.kept.keys().filter(|key| is(key)).copied().collect();
        for key in done {
            let bytes = self.kept.remove(&key).unwrap();
            self.acknowledged.insert(key, bytes);
        }
    }
}

fn records<const W: usize, const E: usize>(
    log: &mut Log<&mut MockFlash<W, E>>,
) -> Vec<(RecordKey, Vec<u8>)> {
    let mut found = Vec::new();
    let mut cursor = log.oldest();
    while let Some(entry) = log.next(&mut cursor).unwrap() {
        let mut bytes = std::vec![0; entry.len];
        log.read(&entry, &mut bytes).unwrap();
        found.push((entry.key, bytes));
    }
    found
}

/// One boot: opens, checks against the model, then does random things until power goes.
fn live<const W: usize, const E: usize>(
    flash: &mut MockFlash<W, E>,
    power: &Rc<Power>,
    model: &mut Model,
    rng: &mut Rng,
    steps: u32,
    transient: bool,
) {
    let Ok(mut log) = Log::open(flash) else {
        assert!(power.is_off());
        return;
    };
    assert!(log.epoch() > model.epoch, "epochs grow");
    model.epoch = log.epoch();
    model.check(&mut log);
    for _ in 0..steps {
        if transient && rng.below(10) == 0 {
            power.fail_next.set(true);
        }
        if rng.below(4) > 0 {
            let len = 1 + rng.below(log.max_record().min(90) as u64) as usize;
            // Long runs of 0xFF look like erased flash.
            let bytes = match rng.below(4) {
                0 => std::vec![0xFF; len],
                _ => rng.bytes(len),
            };
            match log.append(&bytes) {
                Ok(key) => {
                    assert_eq!(key.epoch, model.epoch);
                    assert_eq!(model.kept.insert(key, bytes), None);
                }
                Err(LogError::Full) => assert!(log.usage().pending > 0),
                Err(LogError::Flash(_)) => model.doubtful.push((model.epoch, bytes)),
                Err(error) => panic!("{error:?}"),
            }
        } else {
            let floor = log.floor();
            let cumulative = floor.sequence + rng.below(4) as u32;
            let bitmap = rng.word() & rng.word();
            // Only what exists counts.
            let is = |key: &RecordKey| {
                key.epoch == floor.epoch
                    && (key.sequence < cumulative
                        || key
                            .sequence
                            .checked_sub(cumulative + 1)
                            .is_some_and(|i| i < 64 && bitmap >> i & 1 == 1))
            };
            let result = log.acknowledge(floor.epoch, cumulative, bitmap);
            model.acknowledge(is);
            assert!(result.is_ok() || power.is_off());
        }
        power.fail_next.set(false);
        if power.is_off() {
            return;
        }
        model.check_alive(&mut log);
    }
}

impl Model {
    /// While the log is open: exactly what is kept, except that a failed append may not show up.
    fn check_alive<const W: usize, const E: usize>(&self, log: &mut Log<&mut MockFlash<W, E>>) {
        let found = records(log);
        for key in self.kept.keys() {
            assert!(found.iter().any(|(k, _)| k == key), "{key:?} was lost");
        }
        for (key, bytes) in &found {
            let again = self.acknowledged.get(key);
            let doubtful = self.doubtful.iter().any(|(_, tried)| tried == bytes);
            let known = self.kept.get(key).or(again);
            assert!(known == Some(bytes) || doubtful, "{key:?} is not known");
        }
    }
}

#[test]
fn power_cut_at_every_byte() {
    // The same life is led again and again, and cut one byte later each time; after it come a few
    // boots that are cut as well.
    let life = |cut: u64| {
        let power = Power::new(cut);
        let mut flash = Flash::new(4, &power);
        let mut model = Model::default();
        let mut rng = Rng(1);
        power.restore(cut);
        for steps in [12, 25, 0, 30] {
            if power.is_off() {
                break;
            }
            live(&mut flash, &power, &mut model, &mut rng, steps, false);
        }
        let finished = !power.is_off();
        let mut rng = Rng(cut);
        for _ in 0..3 {
            power.restore(rng.below(500));
            live(&mut flash, &power, &mut model, &mut rng, 5, false);
        }
        power.restore(u64::MAX);
        live(&mut flash, &power, &mut model, &mut rng, 10, false);
        finished
    };
    let mut cut = 0;
    while !life(cut) {
        cut += 1;
    }
    assert!(cut > 4_000, "only {cut} bytes of traffic");
}

fn random_lives<const W: usize, const E: usize>(seeds: u64, sectors: usize, transient: bool) {
    for seed in 0..seeds {
        let power = Power::new(seed);
        let mut rng = Rng(seed);
        let mut flash = if seed % 2 == 0 {
            MockFlash::<W, E>::new(sectors, &power)
        } else {
            MockFlash::<W, E>::garbage(sectors, &power, &mut rng)
        };
        let mut model = Model::default();
        for _ in 0..12 {
            power.restore(rng.below(6 * E as u64));
            live(&mut flash, &power, &mut model, &mut rng, 40, transient);
        }
        power.restore(u64::MAX);
        live(&mut flash, &power, &mut model, &mut rng, 20, transient);
    }
}

#[test]
fn random_cuts_in_flash_of_every_shape() {
    random_lives::<1, 256>(100, 2, false);
    random_lives::<4, 256>(100, 3, false);
    random_lives::<8, 512>(100, 5, false);
    random_lives::<16, 128>(100, 19, false);
}

#[test]
fn failed_operations_without_a_reboot() {
    random_lives::<4, 256>(200, 4, true);
    random_lives::<16, 512>(100, 8, true);
}

#[test]
fn a_full_log_says_so_and_takes_more_once_acknowledged() {
    let power = Power::new(0);
    for sectors in 2..20 {
        let mut flash = Flash::new(sectors, &power);
        let mut log = Log::open(&mut flash).unwrap();
        for _ in 0..5 {
            let mut keys = Vec::new();
            let full = loop {
                match log.append(&[1; 40]) {
                    Ok(key) => keys.push(key),
                    Err(error) => break error,
                }
            };
            assert_eq!(full, LogError::Full);
            assert_eq!(log.usage().pending as usize, keys.len());
            assert_eq!(log.usage().segments, log.usage().segments_max);
            let last = keys.last().unwrap();
            log.acknowledge(last.epoch, last.sequence + 1, 0).unwrap();
            assert_eq!(log.usage().pending, 0);
        }
    }
}

#[test]
fn bad_geometry_and_bad_lengths_are_typed() {
    let power = Power::new(0);
    let mut small = Flash::new(1, &power);
    assert_eq!(
        Log::open(&mut small).err(),
        Some(LogError::PartitionTooSmall(512))
    );
    let mut flash = Flash::new(3, &power);
    let mut log = Log::open(&mut flash).unwrap();
    let max = log.max_record();
    assert_eq!(max, 256 - 48);
    assert_eq!(log.append(&[]), Err(LogError::TooLarge(max)));
    assert_eq!(log.append(&[0; 300]), Err(LogError::TooLarge(max)));
    let key = log.append(&[3; 208]).unwrap();
    let mut cursor = log.oldest();
    let entry = log.next(&mut cursor).unwrap().unwrap();
    assert_eq!(entry.key, key);
    assert_eq!(
        log.read(&entry, &mut [0; 207]),
        Err(LogError::BufferTooSmall(208))
    );
}

#[test]
fn a_wrong_acknowledgement_never_reaches_records_to_come() {
    let power = Power::new(0);
    let mut flash = Flash::new(4, &power);
    let mut log = Log::open(&mut flash).unwrap();
    for (cumulative, bitmap) in [(0, u64::MAX), (500, u64::MAX), (u32::MAX, u64::MAX)] {
        log.append(b"before").unwrap();
        log.acknowledge(log.epoch(), cumulative, bitmap).unwrap();
        let key = log.append(b"after").unwrap();
        assert!(records(&mut log).contains(&(key, b"after".to_vec())));
    }
    log.acknowledge(log.epoch() + 1, u32::MAX, 0).unwrap();
    assert!(!records(&mut log).is_empty());
}

#[test]
fn what_was_acknowledged_before_the_last_segment_began_stays_away() {
    let power = Power::new(0);
    let mut flash = Flash::new(6, &power);
    let mut log = Log::open(&mut flash).unwrap();
    // Three records fill a segment of 256 bytes; the tenth starts the fourth one, whose header
    // says that six are acknowledged.
    let keys: Vec<_> = (0..9).map(|i| log.append(&[i; 40]).unwrap()).collect();
    log.acknowledge(1, 6, 0).unwrap();
    let last = log.append(&[9; 40]).unwrap();
    let mut log = Log::open(&mut flash).unwrap();
    let found: Vec<_> = records(&mut log).into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, [keys[6], keys[7], keys[8], last]);
    // This one is only in memory: it comes back, in no more segments than there were.
    log.acknowledge(1, 9, 0).unwrap();
    assert_eq!((log.usage().pending, log.usage().segments), (1, 1));
    let mut log = Log::open(&mut flash).unwrap();
    assert_eq!((log.usage().pending, log.usage().segments), (4, 2));
    log.acknowledge(1, 10, 0).unwrap();
    assert_eq!((log.usage().pending, log.usage().segments), (0, 1));
}

#[test]
fn mock_power_goes_where_it_should() {
    use embedded_storage::nor_flash::NorFlash;
    let power = Power::new(0);
    let mut flash = Flash::new(2, &power);
    power.restore(20);
    assert_eq!(flash.write(0, &[0; 32]), Err(MockError::PowerOff));
    assert_eq!(&flash.data[..16], &[0; 16]);
    assert_eq!(flash.write(64, &[0; 16]), Err(MockError::PowerOff));
    power.restore(u64::MAX);
    assert_eq!(flash.write(64, &[0; 16]), Ok(()));
}
