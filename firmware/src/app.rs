//! The application: one model, one sensor, one link.

use edge_runtime::{FeatureError, Model, kernels};
use edge_sync::device::SessionError;
use edge_sync::manifest::Identity;
use edge_sync::record::Event;
use edge_sync::slots::{Running, SlotIndex};
use edge_sync::{DeviceSession, Log, MappedFlash, Partitions, Record, Storage};
use zerocopy::IntoBytes;

use crate::memory::Buffers;
use crate::sensor::Sensor;

mod engine;
mod recorder;
mod settle;
mod types;

use engine::{Engine, Limits, Parts};
use recorder::Recorder;
use settle::settle;
pub use types::{BootError, Counters, DeviceConfig, Stage, Step, StepError};

/// The application. It borrows the board's flash and memory, runs its model where it lies in flash,
/// and is driven by calls: [`App::step`] for windows, [`App::on_link`] and [`App::poll_link`] for
/// the link, [`App::end_round`] now and then. Nothing in it waits. It takes about 1.4 KB itself;
/// all that is larger lies in [`Buffers`].
///
/// **Updates.** A received image is checked in the spare slot before it counts: loaded, its demands
/// compared with this board's memory, and its self-test run. The self-test takes the arena of the
/// running model, which is free between two windows as no model keeps state there: a board needs
/// no second arena. All of that is repeated when it boots on trial, because flash may have changed
/// meanwhile; a model that then fails is given up at once and the confirmed one runs in the same
/// boot.
#[derive(Debug)]
pub struct App<'a, S, F: MappedFlash> {
    sensor: S,
    session: DeviceSession<'a>,
    spare: &'a mut F,
    journal: &'a mut F,
    recorder: Recorder<'a, &'a mut F>,
    arena: &'a mut [i8],
    limits: Limits,
    engine: Option<Engine<'a>>,
    counters: Counters,
    /// Reads and windows that failed since the last event that said so.
    faults: u32,
    link_faults: u32,
}

impl<'a, S: Sensor, F: MappedFlash> App<'a, S, F> {
    /// Starts: opens the log with a new boot epoch, settles what the last boot left of an update,
    /// and loads the model to run. Without a model that can run, the device still syncs, so that it
    /// can be given one.
    ///
    /// # Errors
    /// [`BootError`] where log or journal cannot be read or written; booting again is safe.
    pub fn boot(
        partitions: &'a mut Partitions<F>,
        buffers: Buffers<'a>,
        config: &DeviceConfig,
        sensor: S,
    ) -> Result<Self, BootError<F::Error>> {
        let limits = Limits::of(&buffers);
        let Buffers {
            window,
            scratch,
            features,
            arena,
            counts,
            pool,
            record,
            receive,
            transmit,
        } = buffers;
        let Partitions {
            slots: [a, b],
            journal,
            log,
        } = partitions;
        let log = Log::open(log)?;
        let epoch = log.epoch();
        let boot = settle(journal, [&*a, &*b], &limits, arena)?;
        let (spare, active): (_, &'a F) = match boot.spare() {
            SlotIndex::A => (a, b),
            SlotIndex::B => (b, a),
        };
        let parts = Parts {
            window,
            scratch,
            features,
            counts,
            pool,
        };
        // Different for each device and boot, and the same when a simulation is repeated.
        let seed = config.device_id.rotate_left(32) ^ u64::from(epoch);
        let running = boot.running;
        let engine = running
            .and_then(|running| active.mapped().get(..running.image.len as usize))
            .and_then(|image| Model::load(image).ok())
            .and_then(|model| Engine::new(model, parts, seed));
        let identity = Identity {
            device_id: config.device_id,
            hardware_id: config.hardware_id,
            firmware_version: config.firmware_version,
            kernel_set: kernels::supported(kernels::native()),
            arena_bytes: u32::try_from(limits.arena).unwrap_or(u32::MAX),
            public_key: config.public_key,
        };
        let mut session = DeviceSession::new(identity, boot, epoch, receive, transmit);
        // `settle` leaves no model running whose self-test fails.
        session.self_tested(true);
        let mut app = Self {
            sensor,
            session,
            spare,
            journal,
            recorder: Recorder::new(log, record),
            arena,
            limits,
            engine,
            counters: Counters::default(),
            faults: 0,
            link_faults: 0,
        };
        app.recorder.record(&Record::Event(Event::Booted {
            firmware_version: config.firmware_version,
            model: running.map_or(0, |running| running.image.version),
            trial: running.is_some_and(|running| running.trial),
        }));
        app.log_update_changes();
        Ok(app)
    }

    /// One window, if the sensor has one: sense, features, inference, statistics, log. `None` where
    /// no window is ready yet or no model runs. `now_ms` is the board's clock; nothing depends on
    /// it yet.
    ///
    /// # Errors
    /// [`StepError`]: the window was passed over and counted, the next call goes on. Faults come
    /// home as one event a round.
    pub fn step(&mut self, now_ms: u64) -> Result<Option<Step<'_>>, StepError<S::Error>> {
        self.step_observed(now_ms, &mut |_| {})
    }

    /// [`App::step`] that says when it passes each [`Stage`]. A window that is passed over may
    /// not reach all of them.
    ///
    /// # Errors
    /// As [`App::step`].
    pub fn step_observed(
        &mut self,
        _now_ms: u64,
        observe: &mut dyn FnMut(Stage),
    ) -> Result<Option<Step<'_>>, StepError<S::Error>> {
        let Some(engine) = &mut self.engine else {
            return Ok(None);
        };
        match self.sensor.read(engine.window) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => {
                count(&mut self.counters.sensor_faults);
                count(&mut self.faults);
                return Err(StepError::Sensor(error));
            }
        }
        observe(Stage::Sensed);
        engine.pool.set_selection(self.session.policy().selection);
        let window = self.counters.windows;
        let answer = match engine.infer(window, self.arena, observe) {
            Ok(answer) => answer,
            Err(error) => {
                count(&mut self.faults);
                if error == FeatureError::NotFinite {
                    count(&mut self.counters.not_finite);
                    return Err(StepError::NotFinite);
                }
                return Err(StepError::Features(error));
            }
        };
        count(&mut self.counters.windows);
        self.session.inferred();
        let model = version(self.session.running());
        self.recorder.record(&Record::Inference {
            window,
            model,
            class: answer.candidate.class,
            confidence: answer.candidate.confidence,
            novelty: answer.novelty,
        });
        Ok(Some(Step {
            epoch: self.recorder.log.epoch(),
            window,
            class: answer.candidate.class,
            confidence: answer.candidate.confidence,
            novelty: answer.novelty,
            features: engine.features,
            output: engine.output(self.arena),
        }))
    }

    /// Ends a round of windows: the statistics since the last round go into the log, and the raw
    /// samples that the server's policy allows: at most `sample_permille` thousandths of the
    /// windows, rounded down, at most `sample_max`, and at most what the pool holds. A round has at
    /// most 65,535 windows; beyond that its counts saturate.
    ///
    /// Statistics for which the log has no room stay and are logged with those of the next round;
    /// samples are dropped, and counted.
    pub fn end_round(&mut self) {
        if self.faults > 0 {
            let event = Event::SensorFault { count: self.faults };
            if self.recorder.try_record(&Record::Event(event)) {
                self.faults = 0;
            }
        }
        let Some(engine) = &mut self.engine else {
            return;
        };
        let model = version(self.session.running());
        if self.recorder.statistics(engine.monitor.counts(), model) {
            engine.monitor.reset();
        }
        let policy = self.session.policy();
        let share = u64::from(engine.windows) * u64::from(policy.sample_permille) / 1000;
        let most = share.min(u64::from(policy.sample_max));
        engine
            .pool
            .reduce(usize::try_from(most).unwrap_or(usize::MAX));
        for (candidate, score, samples) in engine.pool.windows() {
            self.recorder.record(&Record::Sample {
                window: candidate.window,
                model,
                class: candidate.class,
                confidence: candidate.confidence,
                score,
                samples: samples.as_bytes(),
            });
        }
        engine.pool.clear();
        engine.windows = 0;
    }

    /// Runs the model alone on an input that is quantised already, one element for each feature:
    /// no statistics, no record. For tools that try a model on a board. `None` without a model or
    /// with an input of another length.
    pub fn infer(&mut self, input: &[i8]) -> Option<&[i8]> {
        let engine = self.engine.as_ref()?;
        engine.run(input, self.arena)
    }

    /// Takes bytes that arrived on the link, any number of them.
    pub fn on_link(&mut self, now_ms: u64, bytes: &[u8]) {
        let (session, mut storage) = self.link();
        let result = session.on_bytes(now_ms, bytes, &mut storage);
        self.after_link(result);
    }

    /// Writes the next frame to send to the start of `out` ([`FRAME_LEN`](crate::FRAME_LEN) bytes)
    /// and returns its length; 0 where there is nothing to send now. To be called until it returns
    /// 0, and again after every other call and as time goes by.
    pub fn poll_link(&mut self, now_ms: u64, out: &mut [u8]) -> usize {
        let (session, mut storage) = self.link();
        let result = session.poll_transmit(now_ms, &mut storage, out);
        let (len, result) = match result {
            Ok(len) => (len, Ok(())),
            Err(error) => (0, Err(error)),
        };
        self.after_link(result);
        len
    }

    fn link(&mut self) -> (&mut DeviceSession<'a>, Storage<'_, F, &'a mut F>) {
        let storage = Storage {
            spare: self.spare,
            journal: self.journal,
            log: &mut self.recorder.log,
        };
        (&mut self.session, storage)
    }

    /// What the session asks of the firmware after each of its turns.
    fn after_link(&mut self, result: Result<(), SessionError<F::Error>>) {
        // The session tries again by itself.
        if result.is_err() {
            count(&mut self.link_faults);
        }
        if let Some(image) = self.session.needs_validation() {
            let bytes = self.spare.mapped().get(..image.len as usize);
            let verdict = self.limits.check(bytes.unwrap_or_default(), self.arena);
            let (session, mut storage) = self.link();
            if session.validated(&mut storage, verdict).is_err() {
                count(&mut self.link_faults);
            }
        }
        self.log_update_changes();
    }

    fn log_update_changes(&mut self) {
        while let Some(status) = self.session.take_update_change() {
            self.recorder.record(&Record::Event(Event::Update {
                version: status.version,
                state: status.state,
                reason: status.reason,
            }));
        }
    }

    /// Another model waits for a reboot (a new one, or the old one after a failed trial). The board
    /// reboots when it suits it, best after [`App::poll_link`] has nothing more to send.
    pub fn wants_reboot(&self) -> bool {
        self.session.wants_reboot()
    }

    /// The running model; `None` without one.
    pub fn model(&self) -> Option<&Model<'a>> {
        self.engine.as_ref().map(|engine| &engine.model)
    }

    /// Version counter of the running model; `None` without one.
    pub fn model_version(&self) -> Option<u32> {
        self.session.running().map(|running| running.image.version)
    }

    /// SHA-256 over all bytes of the running image, as in its manifest; `None` without one.
    pub fn model_hash(&self) -> Option<[u8; 32]> {
        self.session.running().map(|running| running.image.hash)
    }

    /// Whether the running model is on trial, not yet confirmed.
    pub fn is_on_trial(&self) -> bool {
        self.session.running().is_some_and(|running| running.trial)
    }

    /// Boot epoch: part of the key of every record.
    pub fn epoch(&self) -> u32 {
        self.recorder.log.epoch()
    }

    /// What was seen since boot.
    pub fn counters(&self) -> Counters {
        Counters {
            dropped: self.recorder.dropped,
            flash_faults: self.recorder.flash_faults.saturating_add(self.link_faults),
            ..self.counters
        }
    }

    /// The session with the server, to look at.
    pub fn session(&self) -> &DeviceSession<'a> {
        &self.session
    }

    /// Records that wait for the server's acknowledgement.
    pub fn pending_records(&self) -> u32 {
        self.recorder.log.usage().pending
    }

    /// The sensor.
    pub fn sensor_mut(&mut self) -> &mut S {
        &mut self.sensor
    }
}

fn version(running: Option<Running>) -> u32 {
    running.map_or(0, |running| running.image.version)
}

fn count(n: &mut u32) {
    *n = n.saturating_add(1);
}
