//! A model with the memory it runs in, and whether a model suits this device at all.

use edge_runtime::{FeatureError, Model, Monitor, Session, monitor};
use edge_sync::message::{Policy, Reason};

use super::Stage;
use crate::memory::Buffers;
use crate::selection::{Candidate, Pool};

/// What the board's memory allows a model.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    window: usize,
    scratch: usize,
    features: usize,
    counts: usize,
    pub arena: usize,
}

impl Limits {
    pub fn of(buffers: &Buffers<'_>) -> Self {
        Self {
            window: buffers.window.len(),
            scratch: buffers.scratch.len(),
            features: buffers.features.len(),
            counts: buffers.counts.len(),
            arena: buffers.arena.len(),
        }
    }

    fn admit(&self, model: &Model<'_>) -> Result<(), Reason> {
        let pipeline = model.features();
        if model.arena_bytes() > self.arena {
            return Err(Reason::ArenaTooLarge);
        }
        let fits = pipeline.window <= self.window
            && pipeline.scratch_len() <= self.scratch
            && pipeline.feature_len() <= self.features
            && Monitor::len(model.drift_reference()) <= self.counts;
        if fits { Ok(()) } else { Err(Reason::Load) }
    }

    /// Whether `image` can run here: it loads, the memory is enough, and its self-test gives what
    /// it should. Overwrites the arena.
    pub fn check(&self, image: &[u8], arena: &mut [i8]) -> Result<(), Reason> {
        let model = Model::load(image).map_err(|_| Reason::Load)?;
        self.admit(&model)?;
        let mut session = Session::new(&model, arena).map_err(|_| Reason::ArenaTooLarge)?;
        if session.self_test() {
            Ok(())
        } else {
            Err(Reason::SelfTest)
        }
    }
}

/// What one window gave.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub candidate: Candidate,
    pub novelty: u8,
}

/// The running model. The arena is not part of it: between two windows it serves other models.
#[derive(Debug)]
pub struct Engine<'a> {
    pub model: Model<'a>,
    pub monitor: Monitor<'a, 'a>,
    pub pool: Pool<'a>,
    /// Exactly one window.
    pub window: &'a mut [f32],
    scratch: &'a mut [f32],
    /// Exactly the features of one window.
    pub features: &'a mut [i8],
    /// Windows since the last end of a round.
    pub windows: u32,
}

/// The slices of [`Buffers`] that an engine keeps.
pub struct Parts<'a> {
    pub window: &'a mut [f32],
    pub scratch: &'a mut [f32],
    pub features: &'a mut [i8],
    pub counts: &'a mut [u16],
    pub pool: crate::selection::PoolMemory<'a>,
}

impl<'a> Engine<'a> {
    /// `None` where the memory is not enough after all, which [`Limits::check`] has excluded.
    pub fn new(model: Model<'a>, parts: Parts<'a>, seed: u64) -> Option<Self> {
        let pipeline = model.features();
        let features = parts.features.get_mut(..pipeline.feature_len())?;
        Some(Self {
            monitor: Monitor::new(model.drift_reference(), parts.counts).ok()?,
            pool: Pool::new(
                parts.pool,
                pipeline.window,
                features.len(),
                Policy::default().selection,
                seed,
            ),
            window: parts.window.get_mut(..pipeline.window)?,
            scratch: parts.scratch,
            features,
            windows: 0,
            model,
        })
    }

    /// The model alone; `None` where `input` has not its length.
    pub fn run<'s>(&self, input: &[i8], arena: &'s mut [i8]) -> Option<&'s [i8]> {
        let output = self.model.output();
        let mut session = Session::new(&self.model, arena).ok()?;
        if input.len() != session.input_mut().len() {
            return None;
        }
        for (to, from) in session.input_mut().iter_mut().zip(input) {
            *to = *from;
        }
        session.run();
        arena.get(output.arena_offset..)?.get(..output.len)
    }

    /// Features, inference, statistics and the pool, for the window that was just sensed. The
    /// output stays in the arena.
    pub fn infer(
        &mut self,
        number: u32,
        arena: &mut [i8],
        observe: &mut dyn FnMut(Stage),
    ) -> Result<Answer, FeatureError> {
        let pipeline = self.model.features();
        pipeline.run(self.window, self.scratch, self.features)?;
        observe(Stage::Extracted);
        let no_memory = FeatureError::Unsupported;
        let mut session = Session::new(&self.model, arena).map_err(|_| no_memory)?;
        for (input, feature) in session.input_mut().iter_mut().zip(&*self.features) {
            *input = *feature;
        }
        session.run();
        observe(Stage::Inferred);
        let output = session.output();
        let (class, top) = monitor::top(output).unwrap_or((0, i8::MIN));
        let candidate = Candidate {
            window: number,
            class: u8::try_from(class).unwrap_or(u8::MAX),
            confidence: top.cast_unsigned() ^ 0x80,
        };
        self.monitor.record(self.features, output);
        self.pool.offer(candidate, self.window, self.features);
        self.windows = self.windows.saturating_add(1);
        Ok(Answer {
            candidate,
            novelty: self.monitor.novelty(self.features),
        })
    }

    /// The output of the last window.
    pub fn output<'o>(&self, arena: &'o [i8]) -> &'o [i8] {
        let output = self.model.output();
        let end = output.arena_offset.saturating_add(output.len);
        arena.get(output.arena_offset..end).unwrap_or_default()
    }
}
