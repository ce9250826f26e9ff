//! Anything may come off the wire or out of flash. Nothing panics; what is not ours is counted.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::manifest::{identity, key, manifest};
use crate::device::DeviceSession;
use crate::frame::{MAX_FRAME, RECEIVE_BUFFER, encode};
use crate::log::Log;
use crate::manifest::{sign, verify};
use crate::message::Message;
use crate::mock::{MockFlash, Power, Rng};
use crate::record::Record;
use crate::server::ServerSession;
use crate::slots;
use crate::storage::Storage;
use crate::{CRC, MAX_MESSAGE};

type Flash = MockFlash<4, 256>;

/// Messages with a proper envelope and random bodies, so that the bodies are reached; as frames.
fn stream(rng: &mut Rng) -> Vec<u8> {
    const KINDS: [u8; 9] = [1, 2, 3, 4, 0x41, 0x42, 0x43, 0x44, 0x99];
    let mut payload = Vec::new();
    for _ in 0..=rng.below(3) {
        let kind = KINDS[rng.below(9) as usize];
        let len = rng.below(90) as usize;
        let body: Vec<u8> = match rng.below(2) {
            // Small numbers make plausible bodies.
            0 => (0..len).map(|_| rng.below(4) as u8).collect(),
            _ => rng.bytes(len),
        };
        payload.extend([kind, 1, len as u8, 0]);
        payload.extend(body);
    }
    if rng.below(4) == 0 {
        payload = rng.bytes(payload.len());
    }
    let mut frame = vec![0; MAX_FRAME];
    let len = encode(&payload, &mut frame).unwrap();
    frame.truncate(len);
    frame
}

#[test]
fn sessions_survive_any_message() {
    let power = Power::new(0);
    let mut slots = [Flash::new(8, &power), Flash::new(8, &power)];
    let mut journal = Flash::new(2, &power);
    let mut log_flash = Flash::new(16, &power);
    let [a, b] = &mut slots;
    slots::provision(&mut journal, a, &[1; 100], 1).unwrap();
    let boot = slots::boot(&mut journal, [a, b]).unwrap();
    let before = a.data.clone();
    let mut log = Log::open(&mut log_flash).unwrap();
    let (mut receive, mut scratch) = (vec![0; RECEIVE_BUFFER], vec![0; MAX_MESSAGE]);
    let mut out = vec![0; MAX_FRAME];
    let mut device = DeviceSession::new(identity(), boot, 1, &mut receive, &mut scratch);
    let mut server = ServerSession::default();
    let image = [7; 1000];
    let release = manifest(2, &image, 64);
    let signed = sign(&key(), &release);
    server.set_offer(Some((&signed, &release)));
    let mut storage = Storage {
        spare: b,
        journal: &mut journal,
        log: &mut log,
    };
    let mut rng = Rng(1);
    for now in 0..20_000 {
        let bytes = stream(&mut rng);
        let _ = storage.log.append(&bytes[..bytes.len().min(40)]);
        device.on_bytes(now * 50, &bytes, &mut storage).unwrap();
        device
            .poll_transmit(now * 50, &mut storage, &mut out)
            .unwrap();
        server.on_bytes(now * 50, &bytes, |_| {});
        server.poll_transmit(now * 50, &image, &mut out).unwrap();
    }
    // Nothing unsigned changes which model runs.
    assert!(device.slots().candidate().is_none());
    assert_eq!(a.data, before);
    let counters = device.counters();
    assert!(counters.unknown > 0 && counters.malformed > 0 && counters.unexpected > 0);
    assert_eq!(counters.frames.corrupt, 0);
}

/// Flash full of noise, and of entries with valid CRCs and random content.
fn hostile_flash(rng: &mut Rng, power: &std::rc::Rc<Power>, sectors: usize) -> Flash {
    let mut flash = Flash::garbage(sectors, power, rng);
    for sector in 0..sectors {
        let mut at = sector * 256;
        let end = at + 256;
        while at + 64 <= end && rng.below(8) > 0 {
            let kinds = [0x5347u16, 0x5243, 0x5353, 0x5350];
            let kind = kinds[rng.below(4) as usize];
            let len = [0, 16, 16, 5, 60][rng.below(5) as usize] as usize;
            let mut head = Vec::new();
            head.extend((len as u16).to_le_bytes());
            head.extend(kind.to_le_bytes());
            let number = |rng: &mut Rng| match rng.below(6) {
                0 => u32::MAX,
                _ => rng.below(5) as u32,
            };
            head.extend(number(rng).to_le_bytes());
            head.extend(number(rng).to_le_bytes());
            let body: Vec<u8> = (0..len).map(|_| rng.below(3) as u8).collect();
            let mut all = head.clone();
            all.extend(&body);
            head.extend(CRC.checksum(&all).to_le_bytes());
            head.extend(&body);
            let size = head.len().next_multiple_of(16).min(end - at);
            head.resize(size, 0xFF);
            flash.data[at..at + size].copy_from_slice(&head);
            at += size;
        }
    }
    flash
}

#[test]
fn log_and_journal_survive_any_flash() {
    let power = Power::new(0);
    power.lenient.set(true);
    let (mut opened, mut booted) = (0, 0);
    for seed in 0..4_000 {
        let mut rng = Rng(seed);
        let sectors = 2 + rng.below(8) as usize;
        let mut flash = hostile_flash(&mut rng, &power, sectors);
        for _ in 0..3 {
            let Ok(mut log) = Log::open(&mut flash) else {
                continue;
            };
            opened += 1;
            let mut cursor = log.oldest();
            while let Ok(Some(entry)) = log.next(&mut cursor) {
                log.read(&entry, &mut [0; 300]).unwrap();
            }
            let _ = log.append(b"record");
            let floor = log.floor();
            let _ = log.acknowledge(floor.epoch, u32::MAX, rng.word());
            let _ = log.append(&[1; 100]);
        }
        let mut journal = hostile_flash(&mut rng, &power, sectors);
        let mut spare = Flash::new(4, &power);
        let other = Flash::new(4, &power);
        for _ in 0..3 {
            let Ok(mut boot) = slots::boot(&mut journal, [&spare, &other]) else {
                continue;
            };
            booted += 1;
            assert_eq!(boot.running, None, "no image has this hash");
            let _ = boot.slots.store_block(&mut journal, &mut spare, &[1; 16]);
            let _ = boot.slots.check_image(&mut journal, &spare);
            let _ = boot
                .slots
                .fail_trial(&mut journal, crate::message::Reason::Load);
        }
    }
    assert!(opened > 4_000 && booted > 4_000, "{opened} {booted}");
}

proptest! {
    #[test]
    fn decoders_take_anything(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut rest = &bytes[..];
        let mut last = rest.len() + 1;
        while let Some(message) = Message::decode(&mut rest) {
            // Always moves on, so that a loop over a frame ends.
            prop_assert!(rest.len() < last);
            last = rest.len();
            if let Ok(Message::Records(header, items)) = message {
                prop_assert_eq!(items.count(), usize::from(header.count));
            }
        }
        if let Ok(record) = Record::decode(&bytes) {
            let mut out = vec![0; 500];
            prop_assert!(record.encode(&mut out).is_ok());
        }
        prop_assert!(verify(&bytes, &[0; 64], &identity().public_key).is_err());
    }
}
