//! Runs a model in an arena that the caller owns.

use crate::format::ALIGNMENT;
use crate::kernels;
use crate::model::{Model, TensorInfo};
use crate::self_test;
use core::fmt;

/// A model and the memory it runs in.
#[derive(Debug)]
pub struct Session<'m, 'a> {
    model: Model<'m>,
    /// Exactly [`Model::arena_bytes`] long.
    arena: &'a mut [i8],
}

/// Why an arena cannot serve a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArenaError {
    /// The arena is too short.
    TooSmall {
        /// Bytes that the model needs.
        needed: usize,
    },
    /// The arena does not start on a 16-byte boundary; [`Arena`] always does.
    Misaligned,
}

impl fmt::Display for ArenaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { needed } => write!(f, "the model needs an arena of {needed} bytes"),
            Self::Misaligned => f.write_str("the arena does not start on a 16-byte boundary"),
        }
    }
}

impl core::error::Error for ArenaError {}

impl<'m, 'a> Session<'m, 'a> {
    /// Binds a model to an arena of at least [`Model::arena_bytes`] that starts on a 16-byte
    /// boundary. What the arena holds does not matter.
    ///
    /// # Errors
    ///
    /// [`ArenaError`]: too small (with the size needed) or misaligned.
    pub fn new(model: &Model<'m>, arena: &'a mut [i8]) -> Result<Self, ArenaError> {
        if !arena.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return Err(ArenaError::Misaligned);
        }
        let needed = model.arena_bytes();
        let arena = arena
            .get_mut(..needed)
            .ok_or(ArenaError::TooSmall { needed })?;
        Ok(Self {
            model: *model,
            arena,
        })
    }

    /// The model that it runs.
    pub fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// The input tensor, row-major NHWC. A run may overwrite it: write all of it before each run.
    pub fn input_mut(&mut self) -> &mut [i8] {
        let range = range(&self.model.input());
        self.arena.get_mut(range).unwrap_or_default()
    }

    /// One inference.
    pub fn run(&mut self) {
        self.run_traced(|_, _| {});
    }

    /// One inference that shows the output of each operator as soon as it is there: its index and
    /// its elements, row-major NHWC.
    pub fn run_traced(&mut self, mut trace: impl FnMut(usize, &[i8])) {
        for (index, operator) in self.model.operators().iter().enumerate() {
            kernels::execute(&self.model, operator, self.arena);
            let output = self.model.tensor(operator.output);
            trace(index, self.arena.get(range(&output)).unwrap_or_default());
        }
    }

    /// The output tensor, row-major NHWC, as the last run left it.
    pub fn output(&self) -> &[i8] {
        self.arena
            .get(range(&self.model.output()))
            .unwrap_or_default()
    }

    /// Runs the self-test of the image; true if the outputs are what the compiler expected.
    /// Overwrites input and output.
    pub fn self_test(&mut self) -> bool {
        let record = self.model.self_test();
        self_test::digest(self, record.seed, record.rounds) == record.expected
    }
}

/// The bytes of a tensor in the arena.
fn range(tensor: &TensorInfo) -> core::ops::Range<usize> {
    tensor.arena_offset..tensor.arena_offset.saturating_add(tensor.len)
}

/// `N` bytes on a 16-byte boundary, for [`Session::new`].
#[repr(C, align(16))]
#[derive(Clone, Debug)]
pub struct Arena<const N: usize>([i8; N]);

impl<const N: usize> Arena<N> {
    /// All zero.
    pub const fn new() -> Self {
        Self([0; N])
    }

    /// The bytes.
    pub const fn as_mut_slice(&mut self) -> &mut [i8] {
        &mut self.0
    }
}

impl<const N: usize> Default for Arena<N> {
    fn default() -> Self {
        Self::new()
    }
}
