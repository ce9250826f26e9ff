//! The server's bookkeeping, message by message.

use std::vec;
use std::vec::Vec;

use crate::frame::{self, Decoder, MAX_FRAME};
use crate::message::{Ack, Hello, Message, Policy, RecordsHeader, RecordsWriter};
use crate::record::RecordKey;
use crate::server::{Event, ServerSession, TransmitError};

fn framed(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; MAX_FRAME];
    let len = frame::encode(payload, &mut out).unwrap();
    out.truncate(len);
    out
}

fn records(epoch: u32, base: u32, sequences: &[u32]) -> Vec<u8> {
    let mut header = RecordsHeader {
        epoch,
        stream: 0,
        base,
        count: 0,
    };
    let mut out = [0; 512];
    let mut writer = RecordsWriter::new(&mut header, &mut out).unwrap();
    for sequence in sequences {
        writer.record(*sequence, 1).unwrap()[0] = *sequence as u8;
    }
    let len = writer.finish().unwrap();
    framed(&out[..len])
}

/// Numbers of the records that were reported.
fn receive(server: &mut ServerSession, bytes: &[u8]) -> Vec<u32> {
    let mut found = Vec::new();
    server.on_bytes(0, bytes, |event| {
        if let Event::Record { key, bytes } = event {
            assert_eq!(bytes, [key.sequence as u8]);
            found.push(key.sequence);
        }
    });
    found
}

fn commit(server: &mut ServerSession, epoch: u32, sequences: &[u32]) {
    for &sequence in sequences {
        server.committed(RecordKey { epoch, sequence });
    }
}

/// All acknowledgements that wait: epoch, cumulative, bitmap.
fn acks(server: &mut ServerSession) -> Vec<(u32, u32, u64)> {
    let mut out = vec![0; MAX_FRAME];
    let mut found = Vec::new();
    let mut decoder = Decoder::new(vec![0; 5000]);
    while let Ok(len) = server.poll_transmit(0, &[], &mut out)
        && len > 0
    {
        for &byte in &out[..len] {
            let Some(mut payload) = decoder.push(byte) else {
                continue;
            };
            if let Some(Ok(Message::Ack(Ack {
                epoch,
                cumulative,
                bitmap,
                ..
            }))) = Message::decode(&mut payload)
            {
                found.push((epoch, cumulative, bitmap));
            }
        }
    }
    found
}

#[test]
fn nothing_is_acknowledged_before_it_is_committed() {
    let mut server = ServerSession::default();
    assert_eq!(receive(&mut server, &records(1, 0, &[0, 1, 2])), [0, 1, 2]);
    assert_eq!(acks(&mut server), []);
    // Not committed: the same again is reported again.
    assert_eq!(receive(&mut server, &records(1, 0, &[0, 1, 2])), [0, 1, 2]);
    assert_eq!(acks(&mut server), []);
    commit(&mut server, 1, &[0, 1]);
    assert_eq!(acks(&mut server), [(1, 2, 0)]);
    assert_eq!(acks(&mut server), []);
    // Committed: only what is missing is reported, and the acknowledgement repeated.
    assert_eq!(receive(&mut server, &records(1, 0, &[0, 1, 2])), [2]);
    assert_eq!(server.counters().duplicates, 2);
    assert_eq!(acks(&mut server), [(1, 2, 0)]);
}

#[test]
fn holes_show_in_the_bitmap_and_close() {
    let mut server = ServerSession::default();
    receive(&mut server, &records(1, 0, &[1, 2, 4, 63, 64]));
    commit(&mut server, 1, &[4, 2, 1]);
    assert_eq!(acks(&mut server), [(1, 0, 0b1011)]);
    // 64 is bit 63; 65 would be one too far, and waits to be sent again.
    commit(&mut server, 1, &[64, 65]);
    assert_eq!(acks(&mut server), [(1, 0, 0b1011 | 1 << 63)]);
    commit(&mut server, 1, &[0]);
    assert_eq!(acks(&mut server), [(1, 3, 1 | 1 << 60)]);
    commit(&mut server, 1, &[3]);
    assert_eq!(acks(&mut server), [(1, 5, 1 << 58)]);
}

#[test]
fn base_passes_over_numbers_that_never_were_records() {
    let mut server = ServerSession::default();
    receive(&mut server, &records(1, 0, &[0]));
    commit(&mut server, 1, &[0]);
    assert_eq!(acks(&mut server), [(1, 1, 0)]);
    // 1 was used up by a failed write. As long as the device has 0, the hole stays.
    receive(&mut server, &records(1, 0, &[2, 3, 5]));
    commit(&mut server, 1, &[2, 3, 5]);
    assert_eq!(acks(&mut server), [(1, 1, 0b1011)]);
    receive(&mut server, &records(1, 2, &[2]));
    assert_eq!(acks(&mut server), [(1, 4, 1)]);
    // A fresh session starts from the base.
    let mut server = ServerSession::default();
    receive(&mut server, &records(1, 500, &[500, 501]));
    commit(&mut server, 1, &[500, 501]);
    assert_eq!(acks(&mut server), [(1, 502, 0)]);
}

#[test]
fn more_epochs_than_it_keeps_cost_only_duplicates() {
    let mut server = ServerSession::default();
    for epoch in 1..=10 {
        assert_eq!(receive(&mut server, &records(epoch, 7, &[7])), [7]);
        commit(&mut server, epoch, &[7]);
        assert_eq!(acks(&mut server), [(epoch, 8, 0)]);
    }
    assert_eq!(receive(&mut server, &records(1, 7, &[7])), [7]);
    commit(&mut server, 99, &[7]);
    assert_eq!(acks(&mut server), []);
}

#[test]
fn a_session_asks_for_a_hello_until_it_has_one() {
    let mut server = ServerSession::default();
    let mut out = vec![0; MAX_FRAME];
    let policy = |epoch| {
        let message = Message::Policy(Policy {
            epoch,
            ..Policy::default()
        });
        let mut bytes = [0; 64];
        let len = message.encode(&mut bytes).unwrap();
        framed(&bytes[..len])
    };
    let mut asked = Vec::new();
    for now in 0..20_000 {
        let len = server.poll_transmit(now, &[], &mut out).unwrap();
        if len > 0 {
            assert_eq!(out[..len], policy(0));
            asked.push(now);
        }
    }
    assert_eq!(asked, [0, 1_000, 3_000, 7_000, 15_000]);
    let hello = Hello {
        device_id: 1,
        epoch: 4,
        hardware_id: 0,
        firmware_version: 0,
        kernel_set: 0,
        model_version: 0,
        model_hash: [0; 32],
        trial: false,
    };
    let mut bytes = [0; 128];
    let len = Message::Hello(hello).encode(&mut bytes).unwrap();
    server.on_bytes(20_000, &framed(&bytes[..len]), |event| {
        assert_eq!(event, Event::Hello(hello));
    });
    assert_eq!(server.hello(), Some(&hello));
    let len = server.poll_transmit(20_000, &[], &mut out).unwrap();
    assert_eq!(out[..len], policy(4));
    assert_eq!(server.poll_transmit(90_000, &[], &mut out), Ok(0));
}

#[test]
fn a_short_buffer_is_typed() {
    let mut server = ServerSession::default();
    assert_eq!(
        server.poll_transmit(0, &[], &mut [0; 4]),
        Err(TransmitError::BufferTooSmall(MAX_FRAME))
    );
}
