//! Runs an image on this machine over raw rows of int8, and traces it operator by operator.
//!
//! A row is one of each of the model's input tensors, one after the other in the model's order, a
//! byte an element, row-major NHWC. Output rows have the same form.

use edge_runtime::format::storage;
use edge_runtime::{Model, Session};

use crate::aligned::AlignedBytes;
use crate::source::Source;

/// What recurrent operators remember at the start of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing: each row stands for itself.
    #[default]
    Reset,
    /// What the row before left: the rows are one sequence.
    Keep,
}

/// The output of one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its index in the image.
    pub operator: usize,
    /// Index and name by which it is known: those of the imported model's operator that it stems
    /// from, otherwise its own.
    pub name: (usize, String),
    /// Its elements, row-major NHWC.
    pub output: Vec<i8>,
}

impl Trace {
    /// `NN_OPERATOR.i8`, the name of its file. Where several operators stem from one of the imported
    /// model, they have one name, and the last of them has that operator's output; of an operator
    /// with several outputs each has a name with its number, `NN_SPLIT_0.i8`.
    pub fn file_name(&self) -> String {
        let (index, name) = &self.name;
        // Names come from a file: nothing of theirs may lead into another folder.
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        format!("{index:02}_{name}.i8")
    }
}

/// Why rows cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// No rows, or a part of one at the end.
    #[error("{found} bytes are not a whole number of rows of {row} bytes")]
    Length {
        /// Bytes of a row: of all inputs together.
        row: usize,
        /// Bytes that there are.
        found: usize,
    },
}

/// Bytes of an input row: all input tensors.
pub fn row_bytes(model: &Model<'_>) -> usize {
    model.inputs().map(|tensor| tensor.len).sum()
}

/// Whether a run leaves something behind that changes the next.
pub fn has_state(model: &Model<'_>) -> bool {
    model
        .tensors()
        .any(|tensor| tensor.storage == storage::STATE)
}

/// Cuts bytes into rows.
///
/// # Errors
/// [`RowError::Length`]
pub fn rows(model: &Model<'_>, bytes: &[u8]) -> Result<Vec<Vec<i8>>, RowError> {
    let (row, found) = (row_bytes(model), bytes.len());
    if found == 0 || !found.is_multiple_of(row) {
        return Err(RowError::Length { row, found });
    }
    let signed = |row: &[u8]| row.iter().map(|byte| byte.cast_signed()).collect();
    Ok(bytes.chunks_exact(row).map(signed).collect())
}

/// The output rows of a model for its input rows, each of [`row_bytes`] elements (of a shorter one
/// the rest is what the last run left there).
pub fn outputs(model: &Model<'_>, rows: &[Vec<i8>], state: State) -> Vec<Vec<i8>> {
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut outputs = Vec::with_capacity(rows.len());
    // The arena has the size and alignment that the model asked for.
    if let Ok(mut session) = Session::new(model, arena.as_i8_mut()) {
        for row in rows {
            if state == State::Reset {
                session.reset_state();
            }
            fill(&mut session, row);
            session.run();
            let count = model.outputs().count();
            let output = (0..count).flat_map(|index| session.output_at(index));
            outputs.push(output.copied().collect());
        }
    }
    outputs
}

/// The output of every operator on one row, in the order of execution, from reset states.
pub fn trace(model: &Model<'_>, row: &[i8]) -> Vec<Trace> {
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut outputs = Vec::with_capacity(model.operators().len());
    if let Ok(mut session) = Session::new(model, arena.as_i8_mut()) {
        fill(&mut session, row);
        session.run_traced(|_, output| outputs.push(output.to_vec()));
    }
    named(model, outputs)
}

/// Puts names to the outputs of a model's operators, which may come from a board.
pub fn named(model: &Model<'_>, outputs: impl IntoIterator<Item = Vec<i8>>) -> Vec<Trace> {
    let source = Source::of(model).unwrap_or_default();
    let name = |index: usize| match source.operator(index) {
        Some((index, name)) => (index, name.to_owned()),
        None => {
            let operator = model.operators().get(index);
            let name = operator.and_then(|o| edge_runtime::kernels::operator_name(o.opcode));
            (index, name.unwrap_or("UNKNOWN").to_owned())
        }
    };
    let outputs = outputs.into_iter().enumerate();
    outputs
        .map(|(operator, output)| Trace {
            operator,
            name: name(operator),
            output,
        })
        .collect()
}

fn fill(session: &mut Session<'_, '_>, row: &[i8]) {
    let mut rest = row;
    for index in 0..session.model().inputs().count() {
        let input = session.input_at_mut(index);
        for (to, from) in input.iter_mut().zip(rest) {
            *to = *from;
        }
        rest = rest.get(input.len()..).unwrap_or_default();
    }
}
