//! What can be wrong with a package.

use edge_runtime::LoadError;

use crate::graph::RoundingMode;
use crate::package::PackageError;
use crate::proofs::ProofError;

/// Why a package cannot be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The package is not sound.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// Something may overflow, or the target has no room.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Scales that the rounding mode cannot express.
    #[error(
        "{operator}: channel {channel} needs the multiplier {real:e} (input scale * weight scale \
         / output scale), which {rounding:?} cannot express: check the scales"
    )]
    Multiplier {
        /// The operator.
        operator: String,
        /// Output channel.
        channel: usize,
        /// The multiplier.
        real: f64,
        /// The rounding mode.
        rounding: RoundingMode,
    },
    /// A softmax whose input scale is too small to tell any two values apart.
    #[error("{operator} reads scale {scale:e}: a softmax needs more than 2^-26")]
    SoftmaxScale {
        /// The operator.
        operator: String,
        /// Scale of its input.
        scale: f32,
    },
    /// Scales or sizes that the operator's arithmetic cannot express.
    #[error(
        "{operator} has scales or sizes that its integer arithmetic cannot express: check the \
         quantisation of its inputs and output"
    )]
    Scales {
        /// The operator.
        operator: String,
    },
    /// A number that has 32 bits in an image.
    #[error("the model has {found} {what}, an image can say at most {}", u32::MAX)]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
    },
    /// The runtime refuses the finished image: a fault in this compiler, please report it.
    #[error("the runtime refuses the image just written, a fault in the compiler: {0}")]
    Refused(LoadError),
}
