//! A board in a host process: the firmware over simulated flash, a queue for a sensor, and a
//! power supply that can fail. Thousands fit into one process.
//!
//! The application borrows its board's flash for as long as it runs, and the board outlives many
//! runs of it. So that both can live in one value, a board is a coroutine: an `async` block that
//! owns flash and memory and, while powered, the application that borrows them. It is polled by
//! [`VirtualBoard`]'s own methods, never by an executor, and each poll runs one command to its end.

use std::boxed::Box;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};
use std::vec;
use std::vec::Vec;

use crate::{App, BootError, DeviceConfig, FRAME_LEN, StepError, provision};
use edge_sync::Partitions;

pub mod flash;
#[cfg(test)]
mod flash_tests;
mod life;
mod sensor;

use flash::{Power, SimFlash, SimFlashError};
use life::{Command, Mailbox, life};
pub use sensor::{QueueSensor, WrongLength};

/// The application as it runs on a virtual board.
pub type VirtualApp<'a> = App<'a, QueueSensor, SimFlash>;

/// How large a virtual board is, and who it is.
#[derive(Clone, Copy, Debug)]
pub struct VirtualBoardConfig {
    /// The device: its identity and whose updates it takes.
    pub device: DeviceConfig,
    /// Seed of everything random about the board: how words tear when the power fails.
    pub seed: u64,
    /// Bytes of each of the two model slots.
    pub slot_bytes: usize,
    /// Bytes of the log of records.
    pub log_bytes: usize,
    /// Bytes of the journal.
    pub journal_bytes: usize,
    /// Longest window of a model, in samples.
    pub window: usize,
    /// Most features of a model.
    pub features: usize,
    /// Greatest number of classes.
    pub classes: usize,
    /// Bytes of arena.
    pub arena_bytes: usize,
    /// Windows that the selection pool holds, one of them always free.
    pub pool: usize,
}

impl VirtualBoardConfig {
    /// A small board: slots of 96 KiB, a log of 256 KiB, a journal of 8 KiB, windows of up to 512
    /// samples and 512 features, 16 classes, an arena of 32 KiB, and 48 windows in the pool.
    pub fn new(device: DeviceConfig) -> Self {
        Self {
            device,
            seed: device.device_id,
            slot_bytes: 96 << 10,
            log_bytes: 256 << 10,
            journal_bytes: 8 << 10,
            window: 512,
            features: 512,
            classes: 16,
            arena_bytes: 32 << 10,
            pool: 48,
        }
    }
}

/// One window as the device saw and answered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// Boot epoch, which with `window` names the window.
    pub epoch: u32,
    /// Number of the window in that epoch.
    pub window: u32,
    /// Class that the model answered.
    pub class: u8,
    /// Its output, 0..=255 (the int8 value plus 128).
    pub confidence: u8,
    /// Quantised features, the input of the model.
    pub features: Vec<i8>,
    /// Output of the model, one value for each class.
    pub output: Vec<i8>,
}

/// A lock that a panic elsewhere cannot spoil: what it guards is always whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// A board in this process. Made powered and booted.
pub struct VirtualBoard {
    config: VirtualBoardConfig,
    power: Power,
    sensor: QueueSensor,
    mailbox: Arc<Mailbox>,
    life: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl core::fmt::Debug for VirtualBoard {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VirtualBoard")
            .field("config", &self.config)
            .field("power", &self.power)
            .finish_non_exhaustive()
    }
}

impl VirtualBoard {
    /// A powered board that has just been provisioned with a first image of some version, and
    /// booted. Without an image it runs no model until the server gives it one.
    ///
    /// # Errors
    /// [`BootError`] where the sizes in `config` do not suit the board's own needs or the image. An
    /// image that does not load is no error: the board then runs without a model.
    pub fn new(
        config: VirtualBoardConfig,
        first_image: Option<(&[u8], u32)>,
    ) -> Result<Self, BootError<SimFlashError>> {
        let power = Power::new(config.seed);
        let mut partitions = Partitions {
            slots: [
                SimFlash::new(config.slot_bytes, &power),
                SimFlash::new(config.slot_bytes, &power),
            ],
            journal: SimFlash::new(config.journal_bytes, &power),
            log: SimFlash::new(config.log_bytes, &power),
        };
        if let Some((image, version)) = first_image {
            provision(&mut partitions, image, version)?;
        }
        let sensor = QueueSensor::default();
        let mailbox = Arc::new(Mailbox::default());
        let life = Box::pin(life(config, partitions, sensor.clone(), mailbox.clone()));
        let mut board = Self {
            config,
            power,
            sensor,
            mailbox,
            life,
        };
        board.reboot()?;
        Ok(board)
    }

    /// How large it is, and who.
    pub fn config(&self) -> &VirtualBoardConfig {
        &self.config
    }

    /// Its power: cuts within flash traffic are arranged here.
    pub fn power(&self) -> &Power {
        &self.power
    }

    /// Whether an application runs on it.
    pub fn is_running(&self) -> bool {
        self.power.is_on() && matches!(*lock(&self.mailbox.booted), Some(Ok(())))
    }

    /// Turns the power off between two operations. What is not in flash is lost, queued windows
    /// included.
    pub fn kill(&mut self) {
        self.power.off();
        self.tell(Command::Off);
        self.sensor.clear();
    }

    /// Turns the power off, if it is on, and on again; boots.
    ///
    /// # Errors
    /// As [`App::boot`]. The board is then off.
    pub fn reboot(&mut self) -> Result<(), BootError<SimFlashError>> {
        self.boot(None)
    }

    /// [`Self::reboot`], with the power failing after some flash traffic (see
    /// [`Power::cut_after`]), in the boot or later. A cut may also come so late in the boot that it
    /// ends well and yet no application runs: [`Self::is_running`] tells.
    ///
    /// # Errors
    /// As [`App::boot`]. The board is then off.
    pub fn reboot_with_cut(&mut self, traffic: u64) -> Result<(), BootError<SimFlashError>> {
        self.boot(Some(traffic))
    }

    fn boot(&mut self, cut: Option<u64>) -> Result<(), BootError<SimFlashError>> {
        self.tell(Command::Off);
        self.power.on();
        if let Some(traffic) = cut {
            self.power.cut_after(traffic);
        }
        self.tell(Command::Boot);
        let outcome = *lock(&self.mailbox.booted);
        if !self.power.is_on() {
            self.kill();
        }
        outcome.unwrap_or(Ok(()))
    }

    /// Runs `work` on the application; `None` where none runs, or where the power failed meanwhile.
    pub fn with<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut VirtualApp<'_>) -> R + Send + 'static,
    ) -> Option<R> {
        if !self.is_running() {
            return None;
        }
        let answer = Arc::new(Mutex::new(None));
        let place = answer.clone();
        self.tell(Command::With(Box::new(move |app| {
            *lock(&place) = Some(work(app));
        })));
        let answer = lock(&answer).take();
        if !self.power.is_on() {
            self.kill();
            return None;
        }
        answer
    }

    /// One command to its end: the coroutine waits for nothing but commands.
    fn tell(&mut self, command: Command) {
        *lock(&self.mailbox.command) = Some(command);
        let mut context = Context::from_waker(Waker::noop());
        // It never ends, so it is never polled after its end.
        let _ = self.life.as_mut().poll(&mut context);
    }

    /// Puts a window of raw samples before the sensor. A board that is off misses it.
    pub fn push_window(&mut self, samples: &[f32]) {
        if self.is_running() {
            self.sensor.push(samples);
        }
    }

    /// Windows that wait to be sensed.
    pub fn queued(&self) -> usize {
        self.sensor.len()
    }

    /// Goes on to the next window that can be answered; `None` where none waits or no model runs.
    /// Windows that are not finite or too short are counted and passed over, as on any board.
    pub fn step(&mut self, now_ms: u64) -> Option<StepReport> {
        loop {
            let outcome = self.with(move |app| {
                app.step(now_ms).map(|step| {
                    step.map(|step| StepReport {
                        epoch: step.epoch,
                        window: step.window,
                        class: step.class,
                        confidence: step.confidence,
                        features: step.features.to_vec(),
                        output: step.output.to_vec(),
                    })
                })
            })?;
            match outcome {
                Ok(report) => return report,
                Err(StepError::NotFinite | StepError::Sensor(_)) => {}
                Err(_) => return None,
            }
        }
    }

    /// Ends a round, see [`App::end_round`].
    pub fn end_round(&mut self) {
        self.with(|app| app.end_round());
    }

    /// Bytes that arrived on the link.
    pub fn on_link(&mut self, now_ms: u64, bytes: &[u8]) {
        let bytes = bytes.to_vec();
        self.with(move |app| app.on_link(now_ms, &bytes));
    }

    /// The next frame to send; `None` where there is nothing to send.
    pub fn poll_link(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        self.with(move |app| {
            let mut frame = vec![0; FRAME_LEN];
            let len = app.poll_link(now_ms, &mut frame);
            frame.truncate(len);
            (len > 0).then_some(frame)
        })?
    }

    /// Whether a new model waits for [`Self::reboot`].
    pub fn wants_reboot(&mut self) -> bool {
        self.with(|app| app.wants_reboot()).unwrap_or(false)
    }

    /// Version of the running model; `None` without one.
    pub fn model_version(&mut self) -> Option<u32> {
        self.with(|app| app.model_version())?
    }

    /// Hash of the running model; `None` without one.
    pub fn model_hash(&mut self) -> Option<[u8; 32]> {
        self.with(|app| app.model_hash())?
    }
}
