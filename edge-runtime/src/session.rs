//! Runs a model in an arena that the caller owns.

use crate::format::ALIGNMENT;
use crate::format::storage;
use crate::kernels;
use crate::model::{Model, TensorInfo};
use crate::operator::Call;
use crate::self_test;
use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{Ordering, compiler_fence};

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
        let mut session = Self {
            model: *model,
            arena,
        };
        session.reset_state();
        Ok(session)
    }

    /// Forgets what recurrent operators remember of earlier runs, as a new session does.
    pub fn reset_state(&mut self) {
        for record in self.model.tensors {
            if record.storage == storage::STATE {
                let tensor = TensorInfo::of(record);
                let zero = if tensor.is_wide { 0 } else { tensor.zero_point };
                for value in self.arena.get_mut(range(&tensor)).unwrap_or_default() {
                    *value = zero as i8; // -128..=127
                    // Keeps the compiler from linking `memset`, 230 bytes, for this alone.
                    compiler_fence(Ordering::SeqCst);
                }
            }
        }
    }

    /// The model that it runs.
    pub fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// The first input tensor, row-major NHWC. A run may overwrite it: write all of it before each
    /// run.
    pub fn input_mut(&mut self) -> &mut [i8] {
        let range = range(&self.model.input());
        self.arena.get_mut(range).unwrap_or_default()
    }

    /// An input tensor by its place in [`Model::inputs`]; empty where there is none.
    pub fn input_at_mut(&mut self, index: usize) -> &mut [i8] {
        let input = self.model.inputs().nth(index).unwrap_or_default();
        self.arena.get_mut(range(&input)).unwrap_or_default()
    }

    /// An output tensor by its place in [`Model::outputs`]; empty where there is none.
    pub fn output_at(&self, index: usize) -> &[i8] {
        let output = self.model.outputs().nth(index).unwrap_or_default();
        self.arena.get(range(&output)).unwrap_or_default()
    }

    /// One inference.
    pub fn run(&mut self) {
        self.run_traced(|_, _| {});
    }

    /// One inference that shows the output of each operator as soon as it is there: its index and
    /// its elements, row-major NHWC.
    pub fn run_traced(&mut self, mut trace: impl FnMut(usize, &[i8])) {
        let model = self.model;
        for (index, record) in model.operators.iter().enumerate() {
            let call = Call {
                record,
                tensors: model.tensors,
                constants: model.constants,
                arena_bytes: model.header.arena_bytes,
                arena: Cell::from_mut(&mut *self.arena).as_slice_of_cells(),
            };
            // `Model::load` found a kernel for every record.
            if let Some(kernel) = kernels::find(model.kernels, record.opcode, record.packing) {
                (kernel.run)(&call);
            }
            let output = model.tensor(record.output);
            trace(index, self.arena.get(range(&output)).unwrap_or_default());
        }
    }

    /// The first output tensor, row-major NHWC, as the last run left it.
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
    let bytes = tensor
        .len
        .saturating_mul(if tensor.is_wide { 2 } else { 1 });
    tensor.arena_offset..tensor.arena_offset.saturating_add(bytes)
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
