//! Why an image is refused.

use core::fmt;

/// Why [`crate::Model::load`] refused an image: the first fault it met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// The slice does not start on a 16-byte boundary.
    Misaligned,
    /// The slice is shorter than the image (or than a header).
    Truncated {
        /// Bytes needed.
        needed: usize,
    },
    /// Not a model image: the first four bytes are others.
    Magic,
    /// An image of a version that this runtime does not read.
    Version {
        /// Its major version.
        major: u16,
        /// Its minor version.
        minor: u16,
    },
    /// The length in the header is no length of an image.
    Length,
    /// The content is not what the hash was made of: damaged in storage or transfer.
    Hash,
    /// A reserved field of the header is not zero.
    Reserved,
    /// A section lies outside the image, is not aligned, or has not the length of its content.
    Section(Part),
    /// The image has a section that the program was compiled without, see [`crate::kernels::cases`].
    Unsupported(Part),
    /// A section that should be UTF-8 is not.
    Text(Part),
    /// A tensor is inconsistent.
    Tensor {
        /// Its index.
        index: usize,
        /// What is wrong.
        fault: TensorFault,
    },
    /// An operator is inconsistent.
    Operator {
        /// Its index.
        index: usize,
        /// What is wrong.
        fault: OperatorFault,
    },
    /// The image needs kernels that this runtime does not have.
    Kernels {
        /// Their bits, see [`crate::format::kernel_set`].
        missing: u32,
    },
    /// The kernel set of the header is not that of the operators.
    KernelSet {
        /// The bits of the operators.
        needed: u32,
    },
    /// One inference would take more than 2^32 steps.
    Work,
    /// The header states another number of multiply-accumulate operations than the operators do.
    Macs {
        /// That of the operators.
        expected: u32,
    },
    /// The feature pipeline is inconsistent.
    Features {
        /// What is wrong.
        fault: FeatureFault,
    },
    /// Not one non-empty label, ended by a newline, for each element of the output.
    Labels {
        /// Labels needed.
        expected: usize,
    },
    /// The drift reference is inconsistent.
    Drift {
        /// What is wrong.
        fault: DriftFault,
    },
    /// The self-test has a zero seed, no rounds or more than eight.
    SelfTest,
}

/// A section of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Tensor records, and the tensors that the header names as input and output.
    Tensors,
    /// Operator records: 1 to 1024 of them.
    Operators,
    /// Weights, biases, multipliers, shifts.
    Constants,
    /// Feature pipeline.
    Features,
    /// Labels.
    Labels,
    /// Drift reference.
    Drift,
    /// Self-test.
    SelfTest,
    /// Metadata.
    Metadata,
}

/// What is wrong with a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorFault {
    /// A batch other than 1, an empty tensor, or a length that is not the product of the shape.
    Shape,
    /// An unknown element type or storage, or one that does not go with the other.
    Element,
    /// NaN, infinite, zero or negative.
    Scale,
    /// Not an `i8`.
    ZeroPoint,
    /// Not aligned, or not inside the arena or the constants.
    Arena,
    /// It shares bytes with a state.
    State,
}

/// What is wrong with an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperatorFault {
    /// An opcode that this runtime does not know.
    Opcode,
    /// A packing that this runtime does not know.
    Packing,
    /// A case that the kernels at hand were not compiled for, see [`crate::kernels::cases`].
    Cases,
    /// A rounding mode that does not exist, or one where nothing is requantised.
    Rounding,
    /// A field that is reserved, or that this operator does not use, is not at its neutral value.
    Unused,
    /// An input or output that does not exist, is missing, one too many, or lives where this
    /// operator cannot use it.
    Tensors,
    /// The output's shape does not follow from input, kernel, stride, padding and dilation.
    Geometry,
    /// Scale or zero point of input and output do not fit together.
    Quantisation,
    /// `clamp_min` above `clamp_max`.
    Clamp,
    /// Weights outside the constants, not aligned, or not as long as the shapes say.
    Weights,
    /// Biases, multipliers or shifts outside the constants or not aligned.
    Channels,
    /// A negative multiplier.
    Multiplier,
    /// A shift outside the range of the rounding mode.
    Shift,
    /// Parameters of a softmax out of range, or more channels than its arithmetic carries.
    Softmax,
    /// Parameters of another operator out of range.
    Parameters,
    /// Scratch outside the arena or not aligned.
    Scratch,
    /// More than 2^32 steps.
    Work,
    /// Output or scratch overlap an input, each other or a state other than this operator may.
    Overlap,
    /// The input was never written, or was overwritten before this operator reads it.
    Clobbered,
    /// The output is the model's input, or is written by an earlier operator too.
    WrittenTwice,
    /// Operators after the one that writes the model's output destroy it, or none writes it.
    /// Reported for the last operator.
    OutputLost,
}

/// What is wrong with the feature pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeatureFault {
    /// An unknown kind.
    Kind,
    /// Window, bands, length and sample rate do not fit the kind or each other.
    Settings,
    /// Not as many features as the input tensor has elements.
    Length,
    /// An offset that is not finite, or a gain that is zero or not finite.
    Values,
}

/// What is wrong with the drift reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriftFault {
    /// Neither no features nor as many as the input tensor has elements.
    Features,
    /// Not as many classes as the output has elements.
    Classes,
    /// Edges that do not ascend, or whose sixteenth byte is not zero.
    Edges,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned => f.write_str("the image does not start on a 16-byte boundary"),
            Self::Truncated { needed } => write!(f, "the image is cut off: it has {needed} bytes"),
            Self::Magic => f.write_str("not a model image"),
            Self::Version { major, minor } => {
                write!(f, "images of version {major}.{minor} are not read here")
            }
            Self::Length => f.write_str("the length in the header is impossible"),
            Self::Hash => f.write_str("the hash does not match: the image is damaged"),
            Self::Reserved => f.write_str("a reserved field of the header is not zero"),
            Self::Unsupported(part) => {
                write!(f, "the program was compiled for images without {part:?}")
            }
            Self::Section(part) => write!(f, "section {part:?} is misplaced or has a wrong length"),
            Self::Text(part) => write!(f, "section {part:?} is not UTF-8"),
            Self::Tensor { index, fault } => write!(f, "tensor {index}: {fault:?}"),
            Self::Operator { index, fault } => write!(f, "operator {index}: {fault:?}"),
            Self::Kernels { missing } => write!(f, "kernels are missing: bits {missing:#x}"),
            Self::KernelSet { needed } => {
                write!(
                    f,
                    "the kernel set should be {needed:#x} for these operators"
                )
            }
            Self::Work => f.write_str("one inference would take more than 2^32 steps"),
            Self::Macs { expected } => {
                write!(
                    f,
                    "the operators have {expected} multiplications, the header differs"
                )
            }
            Self::Features { fault } => write!(f, "feature pipeline: {fault:?}"),
            Self::Labels { expected } => write!(f, "{expected} labels are needed"),
            Self::Drift { fault } => write!(f, "drift reference: {fault:?}"),
            Self::SelfTest => f.write_str("the self-test has impossible settings"),
        }
    }
}

impl core::error::Error for LoadError {}
