//! Frames of the sensor port, host side.

use edge_sync::frame::{self, Decoder};
use firmware::emulated::{FromBoard, Refusal, StepTrace, ToBoard};

use crate::emulator::Step;

/// Room for any message: a row of [`edge_sync::MAX_MESSAGE`] bytes is the longest.
const PAYLOAD: usize = edge_sync::MAX_MESSAGE;

/// A message for the board that booted with `epoch`, as it goes over the wire.
///
/// A row that is longer than the board could take becomes a frame that the board refuses.
pub fn frame(epoch: u32, message: &ToBoard<'_>) -> Vec<u8> {
    let mut payload = vec![0; PAYLOAD];
    let len = match postcard::to_slice(&(epoch, message), &mut payload) {
        Ok(used) => used.len(),
        // Too long a row: any row of the wrong length gets the same answer.
        Err(_) => postcard::to_slice(&(epoch, ToBoard::Row(&[])), &mut payload)
            .map_or(0, |used| used.len()),
    };
    payload.truncate(len);
    let mut frame = vec![0; frame::max_frame_len(len)];
    let len = frame::encode(&payload, &mut frame).unwrap_or(0);
    frame.truncate(len);
    frame
}

/// Finds the board's messages in what its port sent.
pub struct Receiver {
    decoder: Decoder<Vec<u8>>,
    waiting: std::collections::VecDeque<u8>,
}

impl Receiver {
    /// Nothing received yet.
    pub fn new() -> Self {
        Receiver {
            decoder: Decoder::new(vec![0; frame::RECEIVE_BUFFER]),
            waiting: Default::default(),
        }
    }

    /// Takes bytes as they arrive.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend(bytes);
    }

    /// Hands the next whole message to `take`; `false` when there is none yet.
    pub fn next(&mut self, take: &mut impl FnMut(&FromBoard<'_>)) -> bool {
        while let Some(byte) = self.waiting.pop_front() {
            if let Some(payload) = self.decoder.push(byte)
                && let Ok(message) = postcard::from_bytes(payload)
            {
                take(&message);
                return true;
            }
        }
        false
    }
}

impl From<&StepTrace<'_>> for Step {
    fn from(trace: &StepTrace<'_>) -> Self {
        let signed = |bytes: &[u8]| bytes.iter().map(|byte| byte.cast_signed()).collect();
        Step {
            epoch: trace.epoch,
            window: trace.window,
            class: trace.class,
            confidence: trace.confidence,
            features: signed(trace.features),
            output: signed(trace.output),
            instructions_features: trace.instructions_features,
            instructions_model: trace.instructions_model,
        }
    }
}

/// A refusal in words.
pub fn explain(refusal: Refusal) -> String {
    match refusal {
        Refusal::Length { needed } => format!("the model takes {needed} values"),
        Refusal::NotFinite => "a sample or a feature is not finite".into(),
        Refusal::NoModel => "it has no model that it could run".into(),
        Refusal::Unknown => "its firmware does not know such a message; build it again".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_the_wire(message: &FromBoard<'_>) -> Vec<u8> {
        let mut payload = [0; 256];
        let payload = postcard::to_slice(message, &mut payload).unwrap();
        let mut frame = vec![0; frame::max_frame_len(payload.len())];
        let len = frame::encode(payload, &mut frame).unwrap();
        frame.truncate(len);
        frame
    }

    fn counts(bytes: &[u8]) -> Vec<u32> {
        let mut receiver = Receiver::new();
        receiver.push(bytes);
        let mut seen = Vec::new();
        while receiver.next(&mut |message| match message {
            FromBoard::Counted(count) => seen.push(*count),
            other => panic!("{other:?}"),
        }) {}
        seen
    }

    #[test]
    fn a_frame_that_was_cut_by_a_restart_costs_only_itself() {
        let [one, two] = [1, 2].map(|count| on_the_wire(&FromBoard::Counted(count)));
        for cut in 0..one.len() - 1 {
            let stream = [&one[..cut], &two[..], &one[..]].concat();
            assert_eq!(counts(&stream), [2, 1], "cut after {cut} bytes");
        }
    }

    #[test]
    fn the_longest_row_arrives_whole() {
        let row: Vec<u8> = (0..4096u32).map(|i| (i % 251) as u8).collect();
        let mut decoder = Decoder::new([0; frame::RECEIVE_BUFFER]);
        let wire = frame(7, &ToBoard::Row(&row));
        let mut rows = 0;
        for byte in wire {
            if let Some(payload) = decoder.push(byte) {
                let (epoch, message) = postcard::from_bytes::<(u32, ToBoard<'_>)>(payload).unwrap();
                assert_eq!((epoch, message), (7, ToBoard::Row(&row)));
                rows += 1;
            }
        }
        assert_eq!(rows, 1);
    }
}
