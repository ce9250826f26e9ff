//! Frames on a byte stream: `0x00, COBS(payload ++ CRC-32(payload) LE), 0x00`.
//!
//! The zero in front costs one byte and saves a frame: when a sender dies in the middle of a frame,
//! the next one is not glued to the rest of it. Two zeros in a row are no error.

use cobs::{CobsEncoder, DecodeResult, DecoderState};

use crate::CRC;

/// Length of the CRC in bytes.
const CRC_LEN: usize = 4;

/// Length of the longest frame around `payload` bytes, both delimiters included.
pub const fn max_frame_len(payload: usize) -> usize {
    cobs::max_encoding_length(payload + CRC_LEN) + 2
}

/// Length of the longest frame that carries [`crate::MAX_MESSAGE`] bytes: a transmit buffer of this
/// size is always enough.
pub const MAX_FRAME: usize = max_frame_len(crate::MAX_MESSAGE);

/// Length of the receive buffer that a [`Decoder`] needs for [`crate::MAX_MESSAGE`] bytes.
pub const RECEIVE_BUFFER: usize = crate::MAX_MESSAGE + CRC_LEN;

/// Why a frame was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The buffer for the frame is too small; it needs up to this many bytes.
    BufferTooSmall(usize),
}

/// Writes `payload` as one frame to the start of `out` and returns its length.
///
/// # Errors
/// [`FrameError::BufferTooSmall`] when `out` has no room; what it holds is then meaningless.
pub fn encode(payload: &[u8], out: &mut [u8]) -> Result<usize, FrameError> {
    let too_small = FrameError::BufferTooSmall(max_frame_len(payload.len()));
    if out.len() < max_frame_len(payload.len()) {
        return Err(too_small);
    }
    let (first, rest) = out.split_first_mut().ok_or(too_small)?;
    *first = 0;
    let mut encoder = CobsEncoder::new(rest);
    encoder.push(payload).map_err(|_| too_small)?;
    let crc = CRC.checksum(payload).to_le_bytes();
    encoder.push(&crc).map_err(|_| too_small)?;
    let len = encoder.finalize();
    *rest.get_mut(len).ok_or(too_small)? = 0;
    Ok(len + 2)
}

/// What a [`Decoder`] has seen so far; all counts saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounters {
    /// Frames handed out.
    pub good: u32,
    /// Frames whose CRC did not match, or which were too short to hold one.
    pub corrupt: u32,
    /// Frames that did not fit in the buffer.
    pub oversize: u32,
}

/// Finds the frames in a stream of bytes, one byte at a time.
///
/// `B` is the receive buffer: an array, a vector or a `&mut [u8]`, of the longest payload plus four
/// bytes. Garbage, torn and oversize frames are counted and cost at most the frame they are in: the
/// next delimiter starts afresh.
#[derive(Debug)]
pub struct Decoder<B> {
    buffer: B,
    cobs: DecoderState,
    len: usize,
    overflow: bool,
    counters: FrameCounters,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Decoder<B> {
    /// A decoder at the start of a frame.
    pub fn new(buffer: B) -> Self {
        Self {
            buffer,
            cobs: DecoderState::default(),
            len: 0,
            overflow: false,
            counters: FrameCounters::default(),
        }
    }

    /// Takes the next byte of the stream; returns the payload of the frame that it completes.
    pub fn push(&mut self, byte: u8) -> Option<&[u8]> {
        if byte == 0 {
            return self.delimiter();
        }
        // Zeros never reach the state machine, so the only results are "more" and a data byte.
        if let Ok(DecodeResult::DataContinue(data)) = self.cobs.feed(byte) {
            match self.buffer.as_mut().get_mut(self.len) {
                Some(place) => {
                    *place = data;
                    self.len += 1;
                }
                None => self.overflow = true,
            }
        }
        None
    }

    /// Ends the current frame.
    fn delimiter(&mut self) -> Option<&[u8]> {
        let idle = matches!(self.cobs, DecoderState::Idle);
        // A frame may only end where a run of COBS ends.
        let whole = matches!(self.cobs.feed(0), Ok(DecodeResult::DataComplete));
        let (len, overflow) = (self.len, self.overflow);
        self.cobs = DecoderState::default();
        self.len = 0;
        self.overflow = false;
        if idle {
            return None;
        }
        if overflow {
            self.counters.oversize = self.counters.oversize.saturating_add(1);
            return None;
        }
        let received = self.buffer.as_ref().get(..len).unwrap_or(&[]);
        if let Some((payload, crc)) = received.split_last_chunk::<CRC_LEN>()
            && whole
            && CRC.checksum(payload) == u32::from_le_bytes(*crc)
        {
            self.counters.good = self.counters.good.saturating_add(1);
            return Some(payload);
        }
        self.counters.corrupt = self.counters.corrupt.saturating_add(1);
        None
    }

    /// What was seen since the decoder was made.
    pub fn counters(&self) -> FrameCounters {
        self.counters
    }
}
