//! Why a model cannot be lowered.

use std::fmt;

use crate::graph::GraphError;
use crate::import::tflite::TfliteError;

/// Why a model cannot be imported.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] TfliteError),
    /// Everything in the model that has no counterpart here, in the order of execution.
    #[error("{} not supported:{}{}", parts(.0), lines(.0), advice(.0))]
    Unsupported(Vec<Unsupported>),
    /// The model contradicts itself: its shapes do not follow from each other.
    #[error("the model is not well formed: {0}")]
    Graph(#[from] GraphError),
}

/// One thing that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Index of the operator; `None` for the model's inputs and outputs.
    pub operator: Option<usize>,
    /// The operator's name, or `input` or `output`.
    pub name: String,
    /// Name of the tensor that the operator writes.
    pub location: String,
    /// What about it is unsupported.
    pub reason: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operator,
            name,
            location,
            reason,
        } = self;
        match operator {
            Some(index) => write!(f, "operator {index} ({name}) at `{location}`: {reason}"),
            None => write!(f, "the model's {name} `{location}`: {reason}"),
        }
    }
}

fn parts(all: &[Unsupported]) -> String {
    match all.len() {
        1 => "1 part is".into(),
        n => format!("{n} parts are"),
    }
}

/// What to do about a model that is not quantised as is needed.
fn advice(all: &[Unsupported]) -> &'static str {
    if all.iter().any(|one| one.reason.contains("not Int8")) {
        "\nActivations must be int8: convert with full-integer quantisation (in TensorFlow a \
         representative dataset and `TFLITE_BUILTINS_INT8`)"
    } else {
        ""
    }
}

fn lines(all: &[Unsupported]) -> String {
    all.iter().map(|one| format!("\n  {one}")).collect()
}
