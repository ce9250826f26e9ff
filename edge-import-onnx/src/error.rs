//! Why a model cannot be imported.

use edge_compiler::import::lower::{ImportError, Unsupported};

/// Why an ONNX model cannot be imported.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file is no ONNX model, or contradicts itself.
    #[error("the ONNX file cannot be read: {0}")]
    Read(String),
    /// Everything in the model that has no counterpart here, in the order of execution.
    #[error("the model has {} unsupported parts:{}", .0.len(), lines(.0))]
    Unsupported(Vec<Unsupported>),
    /// The shapes of the model's tensors do not follow from its inputs.
    #[error("the shapes of the model's tensors cannot be inferred: {0}")]
    Shapes(String),
    /// The samples do not fit the model, or it does not run on them.
    #[error("the model cannot be calibrated: {0}")]
    Calibration(String),
    /// The graph that follows from the model is not well formed.
    #[error(transparent)]
    Graph(ImportError),
}

/// The end of the reason why a tensor without a scale is refused.
pub(crate) const NO_SAMPLES: &str = "there are no samples to calibrate it with";

impl OnnxError {
    /// Whether the model has tensors without scales that [`crate::Calibration`] would give them.
    #[must_use]
    pub fn lacks_samples(&self) -> bool {
        let lacks = |one: &Unsupported| one.reason.ends_with(NO_SAMPLES);
        matches!(self, Self::Unsupported(all) if all.iter().any(lacks))
    }
}

fn lines(all: &[Unsupported]) -> String {
    all.iter().map(|one| format!("\n  {one}")).collect()
}
