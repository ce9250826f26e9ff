//! The device's session, message by message.

use std::vec;
use std::vec::Vec;

use super::manifest::{identity, key, manifest};
use crate::MAX_MESSAGE;
use crate::device::{DeviceSession, RETRY_MAX_MS, SessionError, TRIAL_INFERENCES};
use crate::frame::{self, Decoder, MAX_FRAME, RECEIVE_BUFFER};
use crate::log::Log;
use crate::manifest::sign;
use crate::message::{Ack, Block, Message, Offer, Policy, Reason, UpdateState, UpdateStatus};
use crate::mock::{MockFlash, Power};
use crate::slots::{self, Phase, SlotIndex};
use crate::storage::Storage;

type Flash = MockFlash<4, 256>;

/// A device in its first boot, with model 5, and a function that gives its session to a test.
fn with_device(
    scratch: usize,
    test: impl FnOnce(&mut DeviceSession<'_>, &mut Storage<'_, Flash, &mut Flash>),
) {
    let (mut slots, mut journal) = provisioned();
    boot(&mut slots, &mut journal, scratch, test);
}

/// Slots and journal of a device that has left the factory with model 5.
fn provisioned() -> ([Flash; 2], Flash) {
    let power = Power::new(0);
    let mut slots = [Flash::new(8, &power), Flash::new(8, &power)];
    let mut journal = Flash::new(2, &power);
    slots::provision(&mut journal, &mut slots[0], &[5; 100], 5).unwrap();
    (slots, journal)
}

/// One boot, with an empty log.
fn boot<T>(
    slots: &mut [Flash; 2],
    journal: &mut Flash,
    scratch: usize,
    test: impl FnOnce(&mut DeviceSession<'_>, &mut Storage<'_, Flash, &mut Flash>) -> T,
) -> T {
    let mut log_flash = Flash::new(64, &Power::new(0));
    let [a, b] = slots;
    let boot = slots::boot(journal, [a, b]).unwrap();
    let spare = match boot.spare() {
        SlotIndex::A => a,
        SlotIndex::B => b,
    };
    let mut log = Log::open(&mut log_flash).unwrap();
    let (mut receive, mut scratch) = (vec![0; RECEIVE_BUFFER], vec![0; scratch]);
    let mut session = DeviceSession::new(identity(), boot, 1, &mut receive, &mut scratch);
    let mut storage = Storage {
        spare,
        journal,
        log: &mut log,
    };
    test(&mut session, &mut storage)
}

fn hear(
    session: &mut DeviceSession<'_>,
    storage: &mut Storage<'_, Flash, &mut Flash>,
    now: u64,
    message: Message<'_>,
) {
    let mut payload = [0; 512];
    let len = message.encode(&mut payload).unwrap();
    let mut frame = [0; 600];
    let len = frame::encode(&payload[..len], &mut frame).unwrap();
    session.on_bytes(now, &frame[..len], storage).unwrap();
}

/// Everything that it has to say now; for each message, `each` makes something of it.
fn say<T>(
    session: &mut DeviceSession<'_>,
    storage: &mut Storage<'_, Flash, &mut Flash>,
    now: u64,
    each: impl Fn(Message<'_>) -> T,
) -> Vec<T> {
    let mut out = vec![0; MAX_FRAME];
    let mut decoder = Decoder::new(vec![0; RECEIVE_BUFFER]);
    let mut said = Vec::new();
    loop {
        let len = session.poll_transmit(now, storage, &mut out).unwrap();
        if len == 0 {
            return said;
        }
        for &byte in &out[..len] {
            if let Some(mut payload) = decoder.push(byte) {
                said.push(each(Message::decode(&mut payload).unwrap().unwrap()));
            }
        }
    }
}

fn welcome() -> Message<'static> {
    Message::Policy(Policy {
        epoch: 1,
        ..Policy::default()
    })
}

fn status(message: Message<'_>) -> Option<UpdateStatus> {
    match message {
        Message::UpdateStatus(status) => Some(status),
        _ => None,
    }
}

fn sequences(message: Message<'_>) -> Vec<u32> {
    match message {
        Message::Records(_, records) => records.map(|record| record.sequence).collect(),
        _ => panic!("not records"),
    }
}

#[test]
fn offers_are_answered_by_what_they_are() {
    let refused = |version, reason| (version, UpdateState::Refused, reason);
    let cases = [
        // The model that it has, and older ones.
        (5, &[5; 100], (5, UpdateState::Confirmed, Reason::None)),
        (5, &[6; 100], refused(5, Reason::Version)),
        (4, &[4; 100], refused(4, Reason::Version)),
        (6, &[6; 100], (6, UpdateState::Receiving, Reason::None)),
    ];
    for (version, image, (v, state, reason)) in cases {
        with_device(MAX_MESSAGE, |session, storage| {
            hear(session, storage, 0, welcome());
            say(session, storage, 0, status);
            let signed = sign(&key(), &manifest(version, image, 64));
            let offer = Message::Offer(Offer {
                manifest: signed.bytes(),
                signature: signed.signature(),
            });
            hear(session, storage, 0, offer);
            let expected = UpdateStatus {
                version: v,
                state,
                reason,
            };
            assert_eq!(say(session, storage, 0, status)[0], Some(expected));
            // Again: answered again, but no news for the log.
            let changes = std::iter::from_fn(|| session.take_update_change()).count();
            assert_eq!(changes, usize::from(state != UpdateState::Confirmed));
            hear(session, storage, 0, offer);
            assert_eq!(say(session, storage, 0, status)[0], Some(expected));
            assert_eq!(session.take_update_change(), None);
        });
    }
}

#[test]
fn a_damaged_model_is_fetched_again_and_runs() {
    let (mut slots, mut journal) = provisioned();
    slots[0].data[3] ^= 1;
    let image = [5; 100];
    let release = manifest(5, &image, 64);
    let offer = |session: &mut DeviceSession<'_>,
                 storage: &mut Storage<'_, Flash, &mut Flash>,
                 manifest| {
        let signed = sign(&key(), &manifest);
        let offer = Message::Offer(Offer {
            manifest: signed.bytes(),
            signature: signed.signature(),
        });
        hear(session, storage, 0, offer);
        let said = say(session, storage, 0, status)[0].unwrap();
        (said.version, said.state, said.reason)
    };
    boot(&mut slots, &mut journal, MAX_MESSAGE, |session, storage| {
        assert_eq!(session.running(), None);
        hear(session, storage, 0, welcome());
        // It does not claim to have the release, or the server would not offer it.
        assert_eq!(say(session, storage, 0, status), []);
        let refused = |version| (version, UpdateState::Refused, Reason::Version);
        assert_eq!(
            offer(session, storage, manifest(4, &[4; 100], 64)),
            refused(4)
        );
        assert_eq!(
            offer(session, storage, manifest(5, &[6; 100], 64)),
            refused(5)
        );
        let receiving = (5, UpdateState::Receiving, Reason::None);
        assert_eq!(offer(session, storage, release), receiving);
        for (index, bytes) in (0..).zip(image.chunks(64)) {
            let hash = *release.image_hash.first_chunk().unwrap();
            hear(
                session,
                storage,
                0,
                Message::Block(Block { hash, index, bytes }),
            );
        }
        assert!(session.needs_validation().is_some());
        session.validated(storage, Ok(())).unwrap();
        assert!(session.wants_reboot());
    });
    boot(&mut slots, &mut journal, MAX_MESSAGE, |session, storage| {
        let running = session.running().unwrap();
        assert_eq!((running.slot, running.trial), (SlotIndex::B, true));
        hear(session, storage, 0, welcome());
        session.self_tested(true);
        (0..TRIAL_INFERENCES).for_each(|_| session.inferred());
        say(session, storage, 0, status);
        assert!(!session.running().unwrap().trial);
        let confirmed = (5, UpdateState::Confirmed, Reason::None);
        assert_eq!(offer(session, storage, release), confirmed);
    });
}

#[test]
fn a_damaged_model_that_fails_again_is_told_as_failed() {
    let (mut slots, mut journal) = provisioned();
    slots[0].data[3] ^= 1;
    let failed = Some(UpdateStatus {
        version: 5,
        state: UpdateState::Failed,
        reason: Reason::Load,
    });
    boot(&mut slots, &mut journal, MAX_MESSAGE, |session, storage| {
        let signed = sign(&key(), &manifest(5, &[5; 100], 64));
        let offer = Message::Offer(Offer {
            manifest: signed.bytes(),
            signature: signed.signature(),
        });
        hear(session, storage, 0, welcome());
        hear(session, storage, 0, offer);
        session.fail_update(storage, Reason::Load).unwrap();
        say(session, storage, 0, status);
        hear(session, storage, 0, offer);
        assert_eq!(say(session, storage, 0, status)[0], failed);
    });
    boot(&mut slots, &mut journal, MAX_MESSAGE, |session, storage| {
        hear(session, storage, 0, welcome());
        assert_eq!(say(session, storage, 0, status)[0], failed);
    });
}

#[test]
fn only_a_newer_release_replaces_one_that_is_received() {
    with_device(MAX_MESSAGE, |session, storage| {
        hear(session, storage, 0, welcome());
        let mut offer = |version, storage: &mut Storage<'_, Flash, &mut Flash>| {
            let signed = sign(&key(), &manifest(version, &[version as u8; 100], 64));
            let offer = Message::Offer(Offer {
                manifest: signed.bytes(),
                signature: signed.signature(),
            });
            hear(session, storage, 0, offer);
            let candidate = session.slots().candidate().unwrap();
            assert_eq!(candidate.phase, Phase::Receiving);
            let last = std::iter::from_fn(|| session.take_update_change()).last();
            (candidate.image.version, last.unwrap().reason)
        };
        assert_eq!(offer(7, storage), (7, Reason::None));
        assert_eq!(offer(6, storage), (7, Reason::Busy));
        assert_eq!(offer(8, storage), (8, Reason::None));
    });
}

#[test]
fn hello_backs_off_and_comes_back_after_silence() {
    with_device(MAX_MESSAGE, |session, storage| {
        let is_hello = |message: Message<'_>| matches!(message, Message::Hello(_));
        let mut times = Vec::new();
        for now in 0..20_000 {
            if !say(session, storage, now, is_hello).is_empty() {
                times.push(now);
            }
        }
        let first = times[1];
        assert!((1_000..1_256).contains(&first));
        let doubled = [0, 1, 3, 7, 15].map(|n| n * first);
        assert_eq!(times, doubled);
        // Welcomed, then nothing: records are sent again a few times, then it says hello.
        hear(session, storage, 20_000, welcome());
        storage.log.append(b"record").unwrap();
        assert!(session.is_connected());
        let mut hello = None;
        for now in (20_000..80_000).step_by(10) {
            if say(session, storage, now, is_hello).contains(&true) {
                hello.get_or_insert(now);
            }
        }
        assert!(!session.is_connected());
        assert!((20_000 + RETRY_MAX_MS / 2..60_000).contains(&hello.unwrap()));
        assert!(session.counters().retries > 2);
        // A policy of another epoch asks for a hello.
        hear(session, storage, 90_000, welcome());
        assert!(session.is_connected());
        hear(session, storage, 90_000, Message::Policy(Policy::default()));
        assert_eq!(say(session, storage, 90_000, is_hello), [true]);
    });
}

#[test]
fn records_stay_within_the_window_and_holes_are_filled() {
    // Short messages, so that eight of them do not hold the whole window.
    with_device(100, |session, storage| {
        hear(session, storage, 0, welcome());
        say(session, storage, 0, status);
        for i in 0..100 {
            storage.log.append(&[i]).unwrap();
        }
        let sent = say(session, storage, 0, sequences);
        assert!(sent.len() <= 8);
        let sent = sent.concat();
        assert_eq!(sent, (0..64).collect::<Vec<u32>>());
        assert_eq!(say(session, storage, 500, sequences), [[0; 0]; 0]);
        // 3 was lost: it and what is new goes out at once.
        let ack = Message::Ack(Ack {
            epoch: 1,
            stream: 0,
            cumulative: 3,
            bitmap: 0b111,
        });
        hear(session, storage, 500, ack);
        let sent = say(session, storage, 500, sequences).concat();
        let expected: Vec<u32> = [3].into_iter().chain(7..67).collect();
        assert_eq!(sent, expected);
        // The same acknowledgement again is no reason to send again.
        hear(session, storage, 500, ack);
        assert_eq!(say(session, storage, 500, sequences), [[0; 0]; 0]);
        // Time is.
        let sent = say(session, storage, 3_000, sequences).concat();
        assert_eq!(sent, expected);
    });
}

#[test]
fn a_lost_block_is_asked_for_as_soon_as_a_later_one_shows_it() {
    with_device(MAX_MESSAGE, |session, storage| {
        let image = [6; 400];
        let manifest = manifest(6, &image, 64);
        let signed = sign(&key(), &manifest);
        hear(session, storage, 0, welcome());
        let offer = Message::Offer(Offer {
            manifest: signed.bytes(),
            signature: signed.signature(),
        });
        hear(session, storage, 0, offer);
        let asked = |message: Message<'_>| match message {
            Message::BlockRequest(request) => Some(request.index),
            _ => None,
        };
        let block = |index| {
            Message::Block(Block {
                hash: *manifest.image_hash.first_chunk().unwrap(),
                index,
                bytes: &image[..64],
            })
        };
        let mut after = |heard: Option<u32>, now| -> Vec<u32> {
            if let Some(index) = heard {
                hear(session, storage, now, block(index));
            }
            let said = say(session, storage, now, asked);
            said.into_iter().flatten().collect()
        };
        assert_eq!(after(None, 0), [0, 1, 2, 3]);
        assert_eq!(after(Some(0), 0), [4]);
        // Block 1 was lost; once is enough for the two that follow it.
        assert_eq!(after(Some(2), 0), [1, 2, 3, 4]);
        assert_eq!(after(Some(3), 0), [0; 0]);
        assert_eq!(after(Some(1), 0), [5]);
        // Nothing more comes: time asks for what is missing.
        assert_eq!(after(None, 900), [0; 0]);
        assert_eq!(after(None, 1_300), [2, 3, 4, 5]);
        assert_eq!(session.counters().blocks_stored, 2);
    });
}

#[test]
fn short_buffers_are_typed() {
    with_device(60, |session, storage| {
        let mut out = vec![0; MAX_FRAME];
        let needed = frame::max_frame_len(60);
        assert_eq!(
            session.poll_transmit(0, storage, &mut out[..needed - 1]),
            Err(SessionError::BufferTooSmall(needed))
        );
        hear(session, storage, 0, welcome());
        say(session, storage, 0, status);
        storage.log.append(&[1; 80]).unwrap();
        assert_eq!(
            session.poll_transmit(0, storage, &mut out),
            Err(SessionError::BufferTooSmall(90))
        );
    });
}
