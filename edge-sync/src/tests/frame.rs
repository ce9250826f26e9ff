//! Frames: round trips, and what a bad line does to them.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use crate::frame::{Decoder, FrameError, MAX_FRAME, RECEIVE_BUFFER, encode, max_frame_len};
use crate::{MAX_MESSAGE, mock::Rng};

fn framed(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0xAA; max_frame_len(payload.len())];
    let len = encode(payload, &mut out).unwrap();
    out.truncate(len);
    out
}

fn all(decoder: &mut Decoder<Vec<u8>>, bytes: &[u8]) -> Vec<Vec<u8>> {
    let push = |byte: &u8| decoder.push(*byte).map(<[u8]>::to_vec);
    bytes.iter().filter_map(push).collect()
}

#[test]
fn golden() {
    let bytes = framed(&[0x11, 0x00, 0x22]);
    // The CRC-32 of 11 00 22 is 0x37C551B1, as zlib computes it.
    assert_eq!(bytes, GOLDEN);
}

const GOLDEN: [u8; 10] = [0x00, 0x02, 0x11, 0x06, 0x22, 0xB1, 0x51, 0xC5, 0x37, 0x00];

#[test]
fn the_longest_message_fits() {
    // No zeros: the worst case of COBS.
    let payload = vec![0x55; MAX_MESSAGE];
    let bytes = framed(&payload);
    assert!(bytes.len() <= MAX_FRAME);
    assert!(!bytes[1..bytes.len() - 1].contains(&0));
    let mut decoder = Decoder::new(vec![0; RECEIVE_BUFFER]);
    assert_eq!(all(&mut decoder, &bytes), [payload]);
}

#[test]
fn a_short_buffer_is_refused_with_the_length_needed() {
    let mut out = [0; 16];
    let needed = max_frame_len(3);
    assert_eq!(
        encode(&[1, 2, 3], &mut out[..needed - 1]),
        Err(FrameError::BufferTooSmall(needed))
    );
}

#[test]
fn oversize_frames_are_counted_and_skipped() {
    let mut decoder = Decoder::new(vec![0; 8]);
    let mut bytes = framed(&[7; 100]);
    bytes.extend(framed(&[1, 2, 3, 4]));
    assert_eq!(all(&mut decoder, &bytes), [vec![1, 2, 3, 4]]);
    assert_eq!(decoder.counters().oversize, 1);
    assert_eq!(decoder.counters().good, 1);
}

#[test]
fn a_torn_frame_costs_only_itself() {
    let first = framed(b"the first frame");
    let second = framed(b"the second frame");
    for cut in 0..first.len() - 1 {
        let mut decoder = Decoder::new(vec![0; 64]);
        let mut bytes = first[..cut].to_vec();
        bytes.extend(&second);
        assert_eq!(all(&mut decoder, &bytes), [b"the second frame".to_vec()]);
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let payload = b"a message with a zero \0 in it";
    let bytes = framed(payload);
    for bit in 0..bytes.len() * 8 {
        let mut broken = bytes.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        broken.push(0);
        let mut decoder = Decoder::new(vec![0; 64]);
        let found = all(&mut decoder, &broken);
        // A flip in a delimiter may leave the frame whole.
        assert!(found.is_empty() || found == [payload.to_vec()], "bit {bit}");
        let inside = bit >= 8 && bit < (bytes.len() - 1) * 8;
        assert!(!inside || found.is_empty(), "bit {bit}");
    }
}

proptest! {
    #[test]
    fn frames_survive_garbage_around_them(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..8),
        garbage in prop::collection::vec(any::<u8>(), 0..300),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng(seed);
        let mut decoder = Decoder::new(vec![0; 700]);
        let mut bytes = Vec::new();
        for payload in &payloads {
            if rng.below(2) == 0 {
                bytes.extend(&garbage);
            }
            bytes.extend(framed(payload));
        }
        prop_assert_eq!(all(&mut decoder, &bytes), payloads);
    }
}
