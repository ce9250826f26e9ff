//! The coroutine that is a board: flash, memory, and the application while there is power.

use std::boxed::Box;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::vec;
use std::vec::Vec;

use edge_sync::Partitions;

use super::flash::{SimFlash, SimFlashError};
use super::{QueueSensor, VirtualApp, VirtualBoardConfig, lock};
use crate::selection::{Place, PoolMemory};
use crate::{App, BootError, Buffers, RECEIVE_LEN, RECORD_LEN, TRANSMIT_LEN};
use crate::{counts_len, scratch_len};

/// What a board's coroutine is told to do next.
pub enum Command {
    /// Turn on.
    Boot,
    /// Run this on the application.
    With(Box<dyn FnOnce(&mut VirtualApp<'_>) + Send>),
    /// Drop the application, as a loss of power does.
    Off,
}

/// How a boot ended, `None` before the first.
pub type BootOutcome = Option<Result<(), BootError<SimFlashError>>>;

#[derive(Default)]
pub struct Mailbox {
    pub command: Mutex<Option<Command>>,
    pub booted: Mutex<BootOutcome>,
}

impl Mailbox {
    async fn next(&self) -> Command {
        poll_fn(|_| {
            lock(&self.command)
                .take()
                .map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// Everything that a board is between its manufacture and its end. It ends when it is dropped.
pub async fn life(
    config: VirtualBoardConfig,
    mut partitions: Partitions<SimFlash>,
    sensor: QueueSensor,
    mailbox: Arc<Mailbox>,
) {
    let mut memory = HostMemory::new(&config);
    loop {
        while !matches!(mailbox.next().await, Command::Boot) {}
        let app = App::boot(
            &mut partitions,
            memory.buffers(),
            &config.device,
            sensor.clone(),
        );
        let mut app = match app {
            Ok(app) => {
                *lock(&mailbox.booted) = Some(Ok(()));
                app
            }
            Err(error) => {
                *lock(&mailbox.booted) = Some(Err(error));
                continue;
            }
        };
        while let Command::With(work) = mailbox.next().await {
            work(&mut app);
        }
        *lock(&mailbox.booted) = None;
    }
}

/// The memory of one board, on the heap.
struct HostMemory {
    window: Vec<f32>,
    scratch: Vec<f32>,
    features: Vec<i8>,
    arena: Vec<i8>,
    counts: Vec<u16>,
    places: Vec<Place>,
    pool_samples: Vec<f32>,
    pool_features: Vec<i8>,
    record: Vec<u8>,
    receive: Vec<u8>,
    transmit: Vec<u8>,
}

impl HostMemory {
    fn new(config: &VirtualBoardConfig) -> Self {
        Self {
            window: vec![0.0; config.window],
            scratch: vec![0.0; scratch_len(config.window, config.features)],
            features: vec![0; config.features],
            arena: vec![0; config.arena_bytes + 15],
            counts: vec![0; counts_len(config.features, config.classes)],
            places: vec![Place::EMPTY; config.pool],
            pool_samples: vec![0.0; config.pool * config.window],
            pool_features: vec![0; config.pool * config.features],
            record: vec![0; RECORD_LEN],
            receive: vec![0; RECEIVE_LEN],
            transmit: vec![0; TRANSMIT_LEN],
        }
    }

    fn buffers(&mut self) -> Buffers<'_> {
        let start = self.arena.as_ptr().align_offset(16);
        let arena = self.arena.get_mut(start..).unwrap_or_default();
        Buffers {
            window: &mut self.window,
            scratch: &mut self.scratch,
            features: &mut self.features,
            arena,
            counts: &mut self.counts,
            pool: PoolMemory {
                places: &mut self.places,
                samples: &mut self.pool_samples,
                features: &mut self.pool_features,
            },
            record: &mut self.record,
            receive: &mut self.receive,
            transmit: &mut self.transmit,
        }
    }
}
