//! Why a `.tflite` file is refused.

use flatbuffers::InvalidFlatbuffer;

/// Why a `.tflite` file is refused. `tensor` and `operator` are indices in its subgraph, `name` is
/// the tensor's name or the operator's kind.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TfliteError {
    /// The identifier is missing.
    #[error(
        "this is not a .tflite file (bytes 4 to 7 are not `TFL3`): convert the model to TensorFlow \
         Lite first"
    )]
    NotTflite,
    /// Another version of the schema.
    #[error(
        "the file has version {found} of the TensorFlow Lite schema, 3 is read: convert the model \
         again with a current converter"
    )]
    Version {
        /// What the file says.
        found: u32,
    },
    /// Offsets lead out of the file, or a file claims far more than it holds.
    #[error("the file is damaged at {place} ({reason}): copy or convert it again")]
    Damaged {
        /// What was being read, such as `tensor 3`.
        place: String,
        /// What the check found.
        reason: String,
    },
    /// Something that every model has is left out.
    #[error("the file has no {what}: convert the model again")]
    Missing {
        /// What is left out.
        what: &'static str,
    },
    /// An index that leads nowhere.
    #[error(
        "{place} refers to {what} {index}, but the file has {count}: the file is damaged, copy or \
         convert it again"
    )]
    Index {
        /// What holds the index, such as `operator 2 (CONV_2D)`.
        place: String,
        /// What is indexed, such as `tensor`.
        what: &'static str,
        /// The index.
        index: i64,
        /// How many there are.
        count: usize,
    },
    /// An operator that executes another subgraph.
    #[error(
        "operator {operator} ({name}) executes another of the file's {subgraphs} subgraphs: \
         convert the model without control flow (no tf.cond, tf.while_loop or resource \
         initialisers)"
    )]
    CallsSubgraph {
        /// The operator.
        operator: usize,
        /// Its kind.
        name: String,
        /// Subgraphs in the file.
        subgraphs: usize,
    },
    /// A signature that starts at another subgraph than the first.
    #[error(
        "signature `{signature}` is an entry point of its own (subgraph {subgraph}): convert the \
         model with one signature only"
    )]
    SecondEntryPoint {
        /// The signature's key.
        signature: String,
        /// Where it starts.
        subgraph: u32,
    },
    /// Constants outside the flatbuffer.
    #[error(
        "tensor {tensor} (`{name}`) keeps its data outside the flatbuffer, which is not supported: \
         convert the model into one file without external buffers"
    )]
    ExternalBuffer {
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: String,
    },
    /// A sparse tensor.
    #[error(
        "tensor {tensor} (`{name}`) is stored sparse, which is not supported: convert the model \
         without the sparsity optimisation, so that its weights are stored dense"
    )]
    Sparse {
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: String,
    },
    /// A union of quantisation details, which overrides scales and zero points.
    #[error(
        "tensor {tensor} (`{name}`) is quantised by a scheme of its own (details {details}), not by \
         scales and zero points: quantise the model with full-integer post-training quantisation"
    )]
    QuantizationDetails {
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: String,
        /// The schema's number of the scheme: 1 custom, 2 blockwise, 3 multi-axis.
        details: u8,
    },
    /// Scales and zero points in different numbers.
    #[error(
        "tensor {tensor} (`{name}`) has {scales} scales but {zero_points} zero points: convert the \
         model again"
    )]
    QuantizationLengths {
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: String,
        /// How many scales.
        scales: usize,
        /// How many zero points.
        zero_points: usize,
    },
    /// A size that only run time would tell.
    #[error(
        "tensor {tensor} (`{name}`) has the shape {shape:?} with unknown (-1) dimensions besides \
         the batch: fix the shape of the model's inputs before converting it"
    )]
    DynamicShape {
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: String,
        /// Its shape with -1 for what is unknown.
        shape: Vec<i32>,
    },
    /// More elements than this machine can address.
    #[error("tensor {tensor} (`{name}`) has the shape {shape:?}, which is too large to exist")]
    TooLarge {
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A constant whose bytes do not match its shape.
    #[error(
        "tensor {tensor} (`{name}`) is a constant of {found} bytes, its shape and type need \
         {needed}: the file is damaged, copy or convert it again"
    )]
    DataLength {
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: String,
        /// Bytes in the file.
        found: usize,
        /// Bytes that the shape needs.
        needed: usize,
    },
    /// The options of another operator, or none.
    #[error(
        "operator {operator} ({name}) has options of type {found} instead of {expected}: the file \
         is damaged, copy or convert it again"
    )]
    OptionsType {
        /// The operator.
        operator: usize,
        /// Its kind.
        name: String,
        /// The schema's number of the options that it has; 0 for none.
        found: u8,
        /// The schema's number of the options that it should have.
        expected: u8,
    },
    /// An option outside its range.
    #[error(
        "operator {operator} ({name}) has {option} {value}, which has no meaning: convert the model \
         again with a current converter"
    )]
    OptionValue {
        /// The operator.
        operator: usize,
        /// Its kind.
        name: String,
        /// The schema's name of the option.
        option: &'static str,
        /// Its value.
        value: i32,
    },
}

impl TfliteError {
    /// Damage found at `place`.
    pub(super) fn damaged(place: impl Into<String>, found: InvalidFlatbuffer) -> Self {
        // The first line says what is wrong, the others trace fields that `place` already names.
        let report = found.to_string();
        let reason = report.lines().next().unwrap_or_default();
        Self::Damaged {
            place: place.into(),
            reason: reason.trim_end_matches('.').to_owned(),
        }
    }
}
