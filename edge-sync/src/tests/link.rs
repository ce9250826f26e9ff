//! Both sessions over a bad link, with reboots on both sides.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use super::manifest::{identity, key, manifest};
use crate::device::{DeviceSession, SessionError};
use crate::frame::{MAX_FRAME, RECEIVE_BUFFER};
use crate::log::{Log, LogError};
use crate::manifest::{Manifest, SignedManifest, sign};
use crate::message::{Policy, Reason, Selection, UpdateState};
use crate::mock::{MockError, MockFlash, Power, Rng};
use crate::record::{Record, RecordKey};
use crate::server::{Event, ServerSession};
use crate::slots::{self, TRIAL_BOOTS};
use crate::storage::{MappedFlash, Partitions, Storage};
use crate::{MAX_MESSAGE, MAX_RECORD};

type Flash = MockFlash<4, 256>;
const BLOCK: u32 = 64;

/// One direction of a line: each frame may be lost, doubled, corrupted or overtaken.
struct Line {
    /// Out of a hundred, each.
    bad: u64,
    frames: VecDeque<Vec<u8>>,
}

impl Line {
    fn send(&mut self, frame: &[u8], rng: &mut Rng) {
        if rng.below(100) < self.bad {
            return;
        }
        let mut frame = frame.to_vec();
        if rng.below(100) < self.bad {
            let at = rng.below(frame.len() as u64) as usize;
            frame[at] ^= 1 << rng.below(8);
        }
        if rng.below(100) < self.bad {
            self.frames.push_back(frame.clone());
        }
        if rng.below(100) < self.bad {
            let at = rng.below(self.frames.len() as u64 + 1) as usize;
            self.frames.insert(at, frame);
        } else {
            self.frames.push_back(frame);
        }
    }
}

struct Server {
    session: ServerSession,
    /// Received, not yet committed.
    batch: Vec<(RecordKey, Vec<u8>)>,
    /// The database.
    stored: BTreeMap<RecordKey, Vec<u8>>,
    image: Vec<u8>,
    release: (SignedManifest, Manifest),
    /// Indices of all block requests.
    requests: Vec<u32>,
    states: BTreeSet<(u32, u8, u8)>,
}

const POLICY: Policy = Policy {
    epoch: 0,
    sample_permille: 100,
    sample_max: 7,
    selection: Selection::Random,
};

impl Server {
    fn new(version: u32, image: &[u8]) -> Self {
        let manifest = manifest(version, image, BLOCK);
        let mut server = Self {
            session: ServerSession::new(POLICY),
            batch: Vec::new(),
            stored: BTreeMap::new(),
            image: image.to_vec(),
            release: (sign(&key(), &manifest), manifest),
            requests: Vec::new(),
            states: BTreeSet::new(),
        };
        server.restart();
        server
    }

    /// Killed and started again: only the database stays.
    fn restart(&mut self) {
        self.batch.clear();
        self.session = ServerSession::new(POLICY);
        let (signed, manifest) = &self.release;
        self.session.set_offer(Some((signed, manifest)));
    }

    fn receive(&mut self, now: u64, bytes: &[u8]) {
        self.session.on_bytes(now, bytes, |event| match event {
            Event::Record { key, bytes } => self.batch.push((key, bytes.to_vec())),
            Event::BlockRequest(request) => self.requests.push(request.index),
            Event::UpdateStatus(status) => {
                let (state, reason) = (status.state as u8, status.reason as u8);
                self.states.insert((status.version, state, reason));
            }
            Event::Hello(hello) => assert_eq!(hello.device_id, identity().device_id),
        });
    }

    fn commit(&mut self) {
        for (key, bytes) in self.batch.drain(..) {
            let known = self.stored.entry(key).or_insert_with(|| bytes.clone());
            assert_eq!(*known, bytes, "two records with one key");
            self.session.committed(key);
        }
    }
}

struct World {
    flash: Partitions<Flash>,
    power: Rc<Power>,
    server: Server,
    up: Line,
    down: Line,
    now: u64,
    rng: Rng,
    /// Every record that the log took.
    ledger: BTreeMap<RecordKey, Vec<u8>>,
    /// Tried when the flash failed.
    doubtful: Vec<Vec<u8>>,
    blocks_stored: u32,
    verdict: Result<(), Reason>,
    self_test: bool,
}

/// When a boot ends.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    Ticks(u64),
    /// After one more block.
    Block,
    /// Records all acknowledged and the update over.
    Done,
}

impl World {
    fn new(seed: u64, bad: u64) -> Self {
        let power = Power::new(seed);
        let mut rng = Rng(seed);
        let (old, new) = (rng.bytes(700), rng.bytes(1000));
        let mut flash = Partitions {
            slots: [Flash::new(8, &power), Flash::new(8, &power)],
            journal: Flash::new(2, &power),
            log: Flash::new(64, &power),
        };
        let [a, _] = &mut flash.slots;
        slots::provision(&mut flash.journal, a, &old, 1).unwrap();
        let line = || Line {
            bad,
            frames: VecDeque::new(),
        };
        Self {
            flash,
            power,
            server: Server::new(2, &new),
            up: line(),
            down: line(),
            now: 0,
            rng,
            ledger: BTreeMap::new(),
            doubtful: Vec::new(),
            blocks_stored: 0,
            verdict: Ok(()),
            self_test: true,
        }
    }

    /// One boot of the device. False when it ended because the power went or the model wants it.
    fn boot(&mut self, until: Until, records: bool) -> bool {
        let [a, b] = &mut self.flash.slots;
        let Ok(boot) = slots::boot(&mut self.flash.journal, [a, b]) else {
            return false;
        };
        let (running, spare) = match boot.spare() {
            slots::SlotIndex::A => (&*b, a),
            slots::SlotIndex::B => (&*a, b),
        };
        let model = boot.running.expect("a model runs");
        let image = &running.mapped()[..model.image.len as usize];
        assert_eq!(crate::manifest::image_hash(image), model.image.hash);
        let Ok(mut log) = Log::open(&mut self.flash.log) else {
            return false;
        };
        let (mut receive, mut scratch) = (vec![0; RECEIVE_BUFFER], vec![0; MAX_MESSAGE]);
        let mut out = vec![0; MAX_FRAME];
        let epoch = log.epoch();
        let mut session = DeviceSession::new(identity(), boot, epoch, &mut receive, &mut scratch);
        let end = match until {
            Until::Ticks(ticks) => self.now + 100 * ticks,
            _ => self.now + 3_000_000,
        };
        // Long enough for the last words to get through.
        let linger = self.now + 70_000;
        while self.now < end {
            self.now += 100;
            let mut storage = Storage {
                spare: &mut *spare,
                journal: &mut self.flash.journal,
                log: &mut log,
            };
            if records && self.rng.below(3) == 0 {
                let len = self.rng.below(120) as usize;
                let bytes = self.rng.bytes(len + 1);
                match storage.log.append(&bytes) {
                    Ok(key) => assert_eq!(self.ledger.insert(key, bytes), None),
                    Err(LogError::Full) => {}
                    Err(_) => self.doubtful.push(bytes),
                }
            }
            if self.rng.below(8) == 0 {
                self.server.commit();
            }
            let fine = |result: Result<(), SessionError<MockError>>| {
                assert!(result.is_ok() || self.power.is_off(), "{result:?}");
            };
            while let Some(frame) = self.down.frames.pop_front() {
                fine(session.on_bytes(self.now, &frame, &mut storage));
                if until == Until::Block && session.counters().blocks_stored > 0 {
                    // What else is on the line is lost.
                    self.down.frames.clear();
                }
            }
            if session.needs_validation().is_some() {
                fine(session.validated(&mut storage, self.verdict));
            }
            session.self_tested(self.self_test);
            session.inferred();
            if !self.power.is_off() {
                while let Ok(len) = session.poll_transmit(self.now, &mut storage, &mut out)
                    && len > 0
                {
                    self.up.send(&out[..len], &mut self.rng);
                }
            }
            let before = self.server.requests.len();
            while let Some(frame) = self.up.frames.pop_front() {
                self.server.receive(self.now, &frame);
            }
            if self.up.bad == 0
                && let Some(candidate) = session.slots().candidate()
            {
                let asked = &self.server.requests[before..];
                assert!(asked.iter().all(|index| *index >= candidate.stored));
            }
            let Server {
                session: server,
                image,
                ..
            } = &mut self.server;
            while let Ok(len) = server.poll_transmit(self.now, image, &mut out)
                && len > 0
            {
                self.down.send(&out[..len], &mut self.rng);
            }
            let stored = session.counters().blocks_stored;
            let done = storage.log.usage().pending == 0
                && session.slots().candidate().is_none()
                && session.is_connected()
                && !session.wants_reboot();
            let over = match until {
                Until::Ticks(_) => false,
                Until::Block => stored > 0,
                Until::Done => done && self.now > linger,
            };
            if self.power.is_off() || session.wants_reboot() || over {
                self.blocks_stored += stored;
                return over;
            }
        }
        self.blocks_stored += session.counters().blocks_stored;
        until != Until::Done
    }

    /// Lets the device run, through its reboots, until everything has come home.
    fn finish(&mut self) {
        self.power.restore(u64::MAX);
        for _ in 0..4 {
            if self.boot(Until::Done, false) {
                return;
            }
        }
        panic!("does not come to an end");
    }

    /// Everything that the log took is in the database, exactly once, and nothing else.
    fn check(&mut self) {
        self.server.commit();
        for (key, bytes) in &self.ledger {
            assert_eq!(self.server.stored.get(key), Some(bytes), "{key:?} was lost");
        }
        for (key, bytes) in &self.server.stored {
            let known = self.ledger.get(key) == Some(bytes);
            assert!(
                known || self.doubtful.contains(bytes),
                "{key:?} is not known"
            );
        }
    }

    fn confirmed(&mut self) -> u32 {
        let [a, b] = &self.flash.slots;
        let boot = slots::boot(&mut self.flash.journal, [a, b]).unwrap();
        assert!(!boot.running.unwrap().trial);
        boot.running.unwrap().image.version
    }
}

#[test]
fn everything_comes_home_over_a_bad_link_with_reboots_on_both_sides() {
    let mut retried = 0;
    for (seed, bad) in (0..12).map(|i| (i, [5, 10, 20][i as usize % 3])) {
        let mut world = World::new(seed, bad);
        for _ in 0..12 {
            let cut = match world.rng.below(2) {
                0 => u64::MAX,
                _ => world.rng.below(6000),
            };
            world.power.restore(cut);
            let ticks = world.rng.below(300);
            world.boot(Until::Ticks(ticks), true);
            if world.rng.below(3) == 0 {
                world.server.restart();
            }
        }
        world.finish();
        world.check();
        assert!(world.ledger.len() > 100);
        assert_eq!(world.confirmed(), 2, "seed {seed}");
        retried += world.server.session.counters().duplicates;
        let states: Vec<u8> = world.server.states.iter().map(|s| s.1).collect();
        assert!(states.contains(&(UpdateState::Confirmed as u8)));
    }
    assert!(retried > 0, "the link was not bad");
}

#[test]
fn an_update_resumes_after_a_reboot_at_every_block() {
    let mut world = World::new(1, 0);
    let blocks = world.server.release.1.blocks();
    for stored in 1..=blocks {
        world.boot(Until::Block, true);
        assert_eq!(world.blocks_stored, stored);
    }
    world.finish();
    world.check();
    assert_eq!(world.confirmed(), 2);
    // Each block was stored once, and none was asked for after it was (see `World::boot`).
    assert_eq!(world.blocks_stored, blocks);
}

#[test]
fn an_update_resumes_after_a_cut_at_any_byte() {
    for seed in 0..40 {
        let mut world = World::new(seed, 0);
        for _ in 0..TRIAL_BOOTS - 1 {
            let budget = world.rng.below(7_000);
            world.power.restore(budget);
            world.boot(Until::Ticks(200), true);
        }
        world.finish();
        world.check();
        assert_eq!(world.confirmed(), 2, "seed {seed}");
    }
}

#[test]
fn an_image_that_does_not_load_is_given_up_and_told() {
    let mut world = World::new(3, 5);
    world.verdict = Err(Reason::Load);
    world.finish();
    assert_eq!(world.confirmed(), 1);
    let failed = (2, UpdateState::Failed as u8, Reason::Load as u8);
    assert!(world.server.states.contains(&failed));
    // And not fetched again, however often it is offered.
    let blocks = world.blocks_stored;
    world.server.restart();
    world.finish();
    assert_eq!(world.blocks_stored, blocks);
}

#[test]
fn a_failed_self_test_on_trial_brings_the_old_model_back() {
    let mut world = World::new(4, 5);
    world.self_test = false;
    world.finish();
    assert_eq!(world.confirmed(), 1);
    let failed = (2, UpdateState::Failed as u8, Reason::SelfTest as u8);
    assert!(world.server.states.contains(&failed));
}

#[test]
fn an_image_that_is_not_the_signed_one_is_given_up() {
    let mut world = World::new(5, 0);
    world.server.image[10] ^= 1;
    world.finish();
    assert_eq!(world.confirmed(), 1);
    let failed = (2, UpdateState::Failed as u8, Reason::Hash as u8);
    assert!(world.server.states.contains(&failed));
}

#[test]
fn a_tampered_offer_is_refused_before_anything_is_erased() {
    let mut world = World::new(6, 0);
    let (signed, _) = world.server.release;
    let mut bytes = signed.bytes().to_vec();
    bytes[0] += 1;
    world.server.release.0 = SignedManifest::from_parts(&bytes, *signed.signature()).unwrap();
    world.server.restart();
    let before = world.flash.slots[1].data.clone();
    world.finish();
    assert_eq!(world.confirmed(), 1);
    assert_eq!(world.flash.slots[1].data, before);
    let refused = (0, UpdateState::Refused as u8, Reason::Signature as u8);
    assert!(world.server.states.contains(&refused));
    assert_eq!(world.server.requests, [0; 0]);
}

#[test]
fn the_longest_record_and_the_policy_arrive() {
    let power = Power::new(0);
    let mut slots = [
        MockFlash::<4, 4096>::new(2, &power),
        MockFlash::new(2, &power),
    ];
    let mut journal = MockFlash::<4, 4096>::new(2, &power);
    let mut log_flash = MockFlash::<4, 4096>::new(64, &power);
    let [a, b] = &mut slots;
    slots::provision(&mut journal, a, &[1; 100], 1).unwrap();
    let boot = slots::boot(&mut journal, [a, b]).unwrap();
    let mut log = Log::open(&mut log_flash).unwrap();
    assert_eq!(log.max_record(), MAX_RECORD);
    let (mut receive, mut scratch) = (vec![0; RECEIVE_BUFFER], vec![0; MAX_MESSAGE]);
    let mut out = vec![0; MAX_FRAME];
    let mut device = DeviceSession::new(identity(), boot, 1, &mut receive, &mut scratch);
    let mut server = ServerSession::new(POLICY);
    let mut storage = Storage {
        spare: b,
        journal: &mut journal,
        log: &mut log,
    };
    let samples = vec![0xAB; 1024 * 4];
    let sample = Record::Sample {
        window: u32::MAX,
        model: u32::MAX,
        class: 255,
        confidence: 255,
        score: u16::MAX,
        samples: &samples,
    };
    let mut bytes = vec![0; MAX_RECORD];
    let len = sample.encode(&mut bytes).unwrap();
    let mut expected = Vec::new();
    for record in [&bytes[..len], &bytes[..], b"x"] {
        expected.push((storage.log.append(record).unwrap(), record.to_vec()));
    }
    let mut found = Vec::new();
    for now in 0..10 {
        while let Ok(len) = device.poll_transmit(now, &mut storage, &mut out)
            && len > 0
        {
            server.on_bytes(now, &out[..len], |event| {
                if let Event::Record { key, bytes } = event {
                    found.push((key, bytes.to_vec()));
                }
            });
        }
        while let Ok(len) = server.poll_transmit(now, &[], &mut out)
            && len > 0
        {
            device.on_bytes(now, &out[..len], &mut storage).unwrap();
        }
    }
    assert_eq!(found, expected);
    assert_eq!(device.policy(), Policy { epoch: 1, ..POLICY });
    for (key, _) in found {
        server.committed(key);
    }
    let len = server.poll_transmit(10, &[], &mut out).unwrap();
    device.on_bytes(10, &out[..len], &mut storage).unwrap();
    assert_eq!(storage.log.usage().pending, 0);
}
