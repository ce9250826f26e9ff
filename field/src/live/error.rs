//! Why a loop ends early.

use edge_compiler::{CompileError, TargetError};
use edge_runtime::LoadError;
use edge_sync::device::TRIAL_INFERENCES;
use emulator::EmulatorError;
use fleet::{
    EnrolError, LabelError, ReleaseError, RetrainError, StoreError, UnknownDevice, WatchError,
};
use host_trainer::evaluate::EvaluateError;
use host_trainer::gas::GasError;
use host_trainer::source::SourceError;
use host_trainer::train::TrainError;

use crate::member::MemberError;

/// Why a loop ends early. Each part says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each variant is named after the part that failed and shows its error"
)]
pub enum LoopError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Gas(#[from] GasError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    #[error("the image does not load: {0}")]
    Load(LoadError),
    #[error(transparent)]
    Emulator(#[from] EmulatorError),
    #[error(transparent)]
    Member(#[from] MemberError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    #[error(transparent)]
    UnknownDevice(#[from] UnknownDevice),
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error(transparent)]
    Label(#[from] LabelError),
    #[error(transparent)]
    Retrain(#[from] RetrainError),
    #[error("no folder for the fleet's database: {0}")]
    Folder(std::io::Error),
    #[error("no runtime for the server: {0}")]
    Runtime(std::io::Error),
    #[error("device {device} never settled: {reason}")]
    NeverSettled { device: u64, reason: String },
    #[error(
        "`windows_per_round` is {windows}, must be at least {TRIAL_INFERENCES}: a model on trial \
         has to answer that many windows before the next update"
    )]
    TooFewWindows { windows: u32 },
    #[error("recorded data drifts by itself: leave --no-change to the built-in recipe")]
    ChangesByItself,
}
