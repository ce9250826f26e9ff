//! The memory that a board declares for the application: nothing else is large.

use crate::selection::{Place, PoolMemory};
use edge_runtime::Arena;
use edge_runtime::format::BINS;

/// The memory of one [`App`](crate::App), borrowed from the board. What the slices hold at first
/// does not matter. A model that needs more than one of them has is refused, so each is as long as
/// the greatest model that the board shall ever run; [`Memory`] declares them all at once.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// Samples of one window.
    pub window: &'b mut [f32],
    /// Scratch of the feature pipeline: [`scratch_len`].
    pub scratch: &'b mut [f32],
    /// Quantised features of one window.
    pub features: &'b mut [i8],
    /// The model's arena, on a 16-byte boundary. It also serves the self-test of a model that is
    /// about to replace the running one, so it is as large as the larger of the two.
    pub arena: &'b mut [i8],
    /// The monitor's counts: [`counts_len`].
    pub counts: &'b mut [u16],
    /// The selection pool: as many windows as shall come home from one round, and one more.
    pub pool: PoolMemory<'b>,
    /// One record on its way to the log: [`RECORD_LEN`], or less where windows are short.
    pub record: &'b mut [u8],
    /// One message as it arrives: [`RECEIVE_LEN`], or a block of an update and 64 where memory is
    /// short.
    pub receive: &'b mut [u8],
    /// One message to be sent: [`TRANSMIT_LEN`], or the longest record and 32 where memory is
    /// short.
    pub transmit: &'b mut [u8],
}

/// Length of [`Buffers::record`] that is always enough, in bytes.
pub const RECORD_LEN: usize = edge_sync::MAX_RECORD;
/// Length of [`Buffers::receive`] that is always enough, in bytes.
pub const RECEIVE_LEN: usize = edge_sync::frame::RECEIVE_BUFFER;
/// Length of [`Buffers::transmit`] that is always enough, in bytes.
pub const TRANSMIT_LEN: usize = edge_sync::MAX_MESSAGE;
/// Length of the frame that [`App::poll_link`](crate::App::poll_link) writes at most, in bytes.
pub const FRAME_LEN: usize = edge_sync::frame::MAX_FRAME;

/// `f32` values of scratch that are enough for windows of up to `window` samples and `features`
/// features.
pub const fn scratch_len(window: usize, features: usize) -> usize {
    window + features
}

/// Counts of a monitor of `features` features and `classes` classes.
pub const fn counts_len(features: usize, classes: usize) -> usize {
    features * BINS + BINS + classes + 1
}

/// All of [`Buffers`] as one value, for a `static` on a board.
///
/// `WINDOW`: samples of the longest window. `FEATURES`: the most features, at most `2 * WINDOW`.
/// `COUNTS`: [`counts_len`] of the most features and classes. `ARENA`: bytes of arena. `POOL`:
/// windows in the selection pool, one of them always free. Bytes in all, [`Memory::BYTES`]:
/// `4 * WINDOW * (POOL + 3) + FEATURES * (POOL + 1) + 2 * COUNTS + ARENA + 24 * POOL`, and about
/// 13,000 for records and messages.
#[repr(C, align(16))]
pub struct Memory<
    const WINDOW: usize,
    const FEATURES: usize,
    const COUNTS: usize,
    const ARENA: usize,
    const POOL: usize,
> {
    arena: Arena<ARENA>,
    window: [f32; WINDOW],
    /// A pipeline that transforms has no more features than samples, and one that does not needs
    /// room for its features only: two windows are enough.
    scratch: [[f32; WINDOW]; 2],
    features: [i8; FEATURES],
    counts: [u16; COUNTS],
    places: [Place; POOL],
    pool_samples: [[f32; WINDOW]; POOL],
    pool_features: [[i8; FEATURES]; POOL],
    record: [u8; RECORD_LEN],
    receive: [u8; RECEIVE_LEN],
    transmit: [u8; TRANSMIT_LEN],
}

impl<
    const WINDOW: usize,
    const FEATURES: usize,
    const COUNTS: usize,
    const ARENA: usize,
    const POOL: usize,
> Memory<WINDOW, FEATURES, COUNTS, ARENA, POOL>
{
    /// What it takes of the board's RAM.
    pub const BYTES: usize = size_of::<Self>();

    /// All zero, so that a `static` of it costs no flash.
    pub const fn new() -> Self {
        Self {
            arena: Arena::new(),
            window: [0.0; WINDOW],
            scratch: [[0.0; WINDOW]; 2],
            features: [0; FEATURES],
            counts: [0; COUNTS],
            places: [Place::EMPTY; POOL],
            pool_samples: [[0.0; WINDOW]; POOL],
            pool_features: [[0; FEATURES]; POOL],
            record: [0; RECORD_LEN],
            receive: [0; RECEIVE_LEN],
            transmit: [0; TRANSMIT_LEN],
        }
    }

    /// The parts, for [`App::boot`](crate::App::boot).
    pub const fn buffers(&mut self) -> Buffers<'_> {
        Buffers {
            window: &mut self.window,
            scratch: self.scratch.as_flattened_mut(),
            features: &mut self.features,
            arena: self.arena.as_mut_slice(),
            counts: &mut self.counts,
            pool: PoolMemory {
                places: &mut self.places,
                samples: self.pool_samples.as_flattened_mut(),
                features: self.pool_features.as_flattened_mut(),
            },
            record: &mut self.record,
            receive: &mut self.receive,
            transmit: &mut self.transmit,
        }
    }
}

impl<
    const WINDOW: usize,
    const FEATURES: usize,
    const COUNTS: usize,
    const ARENA: usize,
    const POOL: usize,
> Default for Memory<WINDOW, FEATURES, COUNTS, ARENA, POOL>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<
    const WINDOW: usize,
    const FEATURES: usize,
    const COUNTS: usize,
    const ARENA: usize,
    const POOL: usize,
> core::fmt::Debug for Memory<WINDOW, FEATURES, COUNTS, ARENA, POOL>
{
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Memory({} bytes)", Self::BYTES)
    }
}
