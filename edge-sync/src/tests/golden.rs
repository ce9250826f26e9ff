//! The bytes of every message and record version ever shipped. They never change: what is stored
//! in a device's log, or sent by a device in the field, has to be read for ever.

use std::vec::Vec;

use crate::manifest::{DOMAIN, Manifest, sign};
use crate::message::{
    Ack, Block, BlockRequest, DecodeError, Hello, Message, Offer, Policy, Reason, RecordItem,
    RecordsHeader, RecordsWriter, Selection, UpdateState, UpdateStatus,
};
use crate::record::{Event, Record, RecordError};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |p: &[u8]| u8::from_str_radix(core::str::from_utf8(p).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn check_message(message: Message<'_>, bytes: &str) {
    let bytes = hex(bytes);
    let mut out = [0; 256];
    let len = message.encode(&mut out).unwrap();
    assert_eq!(&out[..len], bytes, "{message:?}");
    let mut rest = &bytes[..];
    assert_eq!(Message::decode(&mut rest), Some(Ok(message)));
    assert_eq!(rest, []);
}

#[test]
fn messages_version_1() {
    let mut hash = [0; 32];
    hash[0] = 0xAB;
    hash[31] = 0xCD;
    let hash_hex = std::format!("AB{}CD", "00".repeat(30));
    check_message(
        Message::Hello(Hello {
            device_id: 300,
            epoch: 7,
            hardware_id: 386,
            firmware_version: 1,
            kernel_set: 0x80,
            model_version: 2,
            model_hash: hash,
            trial: true,
        }),
        &std::format!("01 01 2A00  AC02 07 8203 01 8001 02 {hash_hex} 01"),
    );
    check_message(
        Message::BlockRequest(BlockRequest { hash, index: 129 }),
        &std::format!("03 01 2200  {hash_hex} 8101"),
    );
    check_message(
        Message::UpdateStatus(UpdateStatus {
            version: 3,
            state: UpdateState::Failed,
            reason: Reason::SelfTest,
        }),
        "04 01 0300  03 04 0E",
    );
    check_message(
        Message::Policy(Policy {
            epoch: 7,
            sample_permille: 100,
            sample_max: 5,
            selection: Selection::Random,
        }),
        "41 01 0400  07 64 05 01",
    );
    check_message(
        Message::Ack(Ack {
            epoch: 7,
            stream: 0,
            cumulative: 200,
            bitmap: 5,
        }),
        "42 01 0500  07 00 C801 05",
    );
    check_message(
        Message::Offer(Offer {
            manifest: &[1, 2, 3],
            signature: &[9; 4],
        }),
        "43 01 0900  03 010203 04 09090909",
    );
    check_message(
        Message::Block(Block {
            hash: [1, 2, 3, 4, 5, 6, 7, 8],
            index: 3,
            bytes: &[0xAA, 0xBB],
        }),
        "44 01 0C00  0102030405060708 03 02 AABB",
    );
}

#[test]
fn records_message_version_1() {
    let mut header = RecordsHeader {
        epoch: 7,
        stream: 0,
        base: 300,
        count: 0,
    };
    let mut out = [0; 64];
    let mut writer = RecordsWriter::new(&mut header, &mut out).unwrap();
    writer.record(300, 2).unwrap().copy_from_slice(&[1, 2]);
    writer.record(302, 1).unwrap().copy_from_slice(&[3]);
    let len = writer.finish().unwrap();
    let bytes = hex("02 01 0E00  07 00 AC02 02  AC02 02 0102  AE02 01 03");
    assert_eq!(&out[..len], bytes);
    let mut rest = &bytes[..];
    let Some(Ok(message)) = Message::decode(&mut rest) else {
        panic!("not read");
    };
    let Message::Records(found, items) = message else {
        panic!("another message");
    };
    assert_eq!(found, RecordsHeader { count: 2, ..header });
    let item = |sequence, bytes| RecordItem { sequence, bytes };
    assert!(items.eq([item(300, &[1, 2][..]), item(302, &[3][..])]));
    check_message(
        message,
        "02 01 0E00  07 00 AC02 02  AC02 02 0102  AE02 01 03",
    );
}

fn check_record(record: Record<'_>, bytes: &str) {
    let bytes = hex(bytes);
    let mut out = [0; 64];
    assert_eq!(record.encode(&mut out), Ok(bytes.len()));
    assert_eq!(&out[..bytes.len()], bytes, "{record:?}");
    assert_eq!(Record::decode(&bytes), Ok(record));
    let needed = Err(RecordError::BufferTooSmall(bytes.len()));
    assert_eq!(record.encode(&mut out[..bytes.len() - 1]), needed);
    assert_eq!(
        Record::decode(&bytes[..bytes.len() - 1]),
        Err(RecordError::Malformed)
    );
}

#[test]
fn records_version_1() {
    check_record(
        Record::Inference {
            window: 1000,
            model: 2,
            class: 3,
            confidence: 250,
            novelty: 17,
        },
        "01 01  E807 02 03 FA 11",
    );
    check_record(
        Record::Statistics {
            model: 2,
            windows: 128,
            offset: 0,
            total: 2,
            counts: &[1, 0, 2, 0],
        },
        "02 01  02 8001 00 02 04 01000200",
    );
    check_record(
        Record::Sample {
            window: 5,
            model: 2,
            class: 1,
            confidence: 9,
            score: 300,
            samples: &[0, 0, 128, 63],
        },
        "03 01  05 02 01 09 AC02 04 0000803F",
    );
    check_record(
        Record::Event(Event::Booted {
            firmware_version: 1,
            model: 2,
            trial: true,
        }),
        "04 01  00 01 02 01",
    );
    check_record(
        Record::Event(Event::Update {
            version: 2,
            state: UpdateState::Refused,
            reason: Reason::Signature,
        }),
        "04 01  01 02 05 02",
    );
    check_record(Record::Event(Event::Dropped { records: 9 }), "04 01  02 09");
    check_record(
        Record::Event(Event::SensorFault { count: 300 }),
        "04 01  03 AC02",
    );
    let unknown = |kind, version| Err(RecordError::Unknown { kind, version });
    assert_eq!(Record::decode(&[9, 1, 0]), unknown(9, 1));
    assert_eq!(Record::decode(&[1, 2, 0]), unknown(1, 2));
    assert_eq!(Record::decode(&[1]), Err(RecordError::Malformed));
}

#[test]
fn manifest_version_1() {
    let manifest = Manifest {
        version: 3,
        hardware_id: 386,
        image_hash: [0x11; 32],
        image_len: 5000,
        block_len: 1024,
        arena_bytes: 4096,
        kernel_set: 5,
        firmware_min: 1,
        firmware_max: u32::MAX,
    };
    let signed = sign(&super::manifest::key(), &manifest);
    let hash = "11".repeat(32);
    let bytes = hex(&std::format!(
        "03 8203 {hash} 8827 8008 8020 05 01 FFFFFFFF0F"
    ));
    assert_eq!(signed.bytes(), bytes);
    // Ed25519 is deterministic: the signature is as fixed as the bytes.
    assert_eq!(signed.signature()[..8], hex(SIGNATURE_START)[..]);
    assert_eq!(DOMAIN.len(), 26);
}

/// Of the manifest above under the key of 32 bytes 0x07.
const SIGNATURE_START: &str = "9A44E1CA3D8AEBE1";

#[test]
fn what_is_not_known_is_skipped() {
    // An unknown type, an unknown version, then a message that is known.
    let bytes = hex("7F 01 0200 FFFF  41 02 0100 00  04 01 0300 03 04 0E  05");
    let mut rest = &bytes[..];
    let unknown = |kind, version| Some(Err(DecodeError::Unknown { kind, version }));
    assert_eq!(Message::decode(&mut rest), unknown(0x7F, 1));
    assert_eq!(Message::decode(&mut rest), unknown(0x41, 2));
    assert!(matches!(
        Message::decode(&mut rest),
        Some(Ok(Message::UpdateStatus(_)))
    ));
    assert_eq!(Message::decode(&mut rest), Some(Err(DecodeError::Torn)));
    assert_eq!(Message::decode(&mut rest), None);
}
