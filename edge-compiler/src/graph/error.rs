//! Why a graph is refused.

use edge_runtime::kernels::reference::softmax::MAX_CHANNELS;

/// Why a graph is refused. Operators and tensors are given by index; `operator` fields hold
/// `operator 3 (CONV_2D)`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// There is nothing to execute.
    #[error("the graph has no operators: give it at least one between its input and output")]
    Empty,
    /// The graph's output is its input.
    #[error("the graph's output is its input: an operator must write the output")]
    OutputIsInput,
    /// More tensors or operators than an image holds.
    #[error("the graph has {found} {what}, an image holds at most {most}: split the model")]
    TooMany {
        /// "tensors" or "operators".
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// An index beyond `Graph::tensors`.
    #[error("{place} names tensor {tensor}, but the graph has {tensors} tensors")]
    NoSuchTensor {
        /// The operator, or "the graph's input" or "the graph's output".
        place: String,
        /// The index.
        tensor: usize,
        /// Tensors in the graph.
        tensors: usize,
    },
    /// Batch other than 1, a dimension of zero or above 65535, or more than 2^31 - 1 elements.
    #[error(
        "tensor {tensor} has shape {shape:?}: the batch must be 1, each dimension 1..=65535, \
         and the product below 2^31"
    )]
    BadShape {
        /// The tensor.
        tensor: usize,
        /// Its shape.
        shape: [usize; 4],
    },
    /// A scale that is not finite and above zero, or a zero point outside int8.
    #[error(
        "tensor {tensor} has scale {scale} and zero point {zero_point}: the scale must be a \
         normal number above zero and the zero point in -128..=127"
    )]
    BadQuantisation {
        /// The tensor.
        tensor: usize,
        /// Its scale.
        scale: f32,
        /// Its zero point.
        zero_point: i32,
    },
    /// An operator with too few or too many inputs.
    #[error("{operator} has {found} inputs, it needs {needed}")]
    InputCount {
        /// The operator.
        operator: String,
        /// How many it has.
        found: usize,
        /// How many it needs.
        needed: usize,
    },
    /// A constant or a state where an activation is needed.
    #[error(
        "{place} names tensor {tensor}, which is a constant or a state: it needs an activation"
    )]
    BadRole {
        /// The operator, or "the graph's input".
        place: String,
        /// The tensor.
        tensor: usize,
    },
    /// A copy or a table that reaches outside its tensors.
    #[error("{operator} reaches outside its input or output: check its sizes, strides and tables")]
    CopyOutside {
        /// The operator.
        operator: String,
    },
    /// A tensor is read before anything wrote it.
    #[error(
        "{place} reads tensor {tensor}, which nothing before it writes: put the operators in the \
         order of execution"
    )]
    ReadBeforeWritten {
        /// The operator, or "the graph's output".
        place: String,
        /// The tensor.
        tensor: usize,
    },
    /// A tensor has two writers, or a part is written after it was read, or the graph's input has one.
    #[error(
        "{operator} writes tensor {tensor}, which is already written, or read before its last part \
         was there: give it its own output, or write all parts first"
    )]
    WrittenTwice {
        /// The second writer.
        operator: String,
        /// The tensor.
        tensor: usize,
    },
    /// Kernel, stride or dilation is zero or above 65535, or no whole kernel fits the input.
    #[error(
        "{operator} moves a kernel {kernel:?} by {stride:?} with dilation {dilation:?} over input \
         {input:?}: each must be 1..=65535 and, with VALID padding, the kernel must fit"
    )]
    BadWindow {
        /// The operator.
        operator: String,
        /// Shape of its input.
        input: [usize; 4],
        /// Height, width.
        kernel: [usize; 2],
        /// Vertical, horizontal.
        stride: [usize; 2],
        /// Vertical, horizontal.
        dilation: [usize; 2],
    },
    /// The output tensor has not the shape that the operator gives.
    #[error("{operator} gives shape {expected:?}, but its output tensor has {found:?}")]
    OutputShape {
        /// The operator.
        operator: String,
        /// What it gives.
        expected: [usize; 4],
        /// What the tensor says.
        found: [usize; 4],
    },
    /// A list of constants has the wrong length.
    #[error("{operator} has {found} {what}, it needs {expected}")]
    ConstantCount {
        /// The operator.
        operator: String,
        /// "weights", "weight scales (or 1)" or "biases".
        what: &'static str,
        /// How many it needs.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// A weight scale that is not a normal number above zero.
    #[error(
        "{operator} has weight scale {scale} for output channel {channel}: it must be a normal number above zero"
    )]
    BadWeightScale {
        /// The operator.
        operator: String,
        /// Output channel.
        channel: usize,
        /// The scale.
        scale: f32,
    },
    /// Input and output must share scale and zero point, and do not.
    #[error(
        "{operator} keeps its input's quantisation, but its output has another scale or zero point"
    )]
    QuantisationChanged {
        /// The operator.
        operator: String,
    },
    /// A softmax whose output has not scale 1/256 and zero point -128.
    #[error(
        "{operator} writes scale {scale} and zero point {zero_point}: softmax gives scale 1/256 and zero point -128"
    )]
    SoftmaxOutput {
        /// The operator.
        operator: String,
        /// Scale of the output.
        scale: f32,
        /// Zero point of the output.
        zero_point: i32,
    },
    /// A softmax over more channels than its arithmetic carries.
    #[error("{operator} spans {channels} channels, its arithmetic carries at most {MAX_CHANNELS}")]
    SoftmaxChannels {
        /// The operator.
        operator: String,
        /// Its channels.
        channels: usize,
    },
    /// An activation whose clamp is empty on this quantisation.
    #[error(
        "{operator} clamps to {low}..={high}, which is empty: the output's scale cannot hold the activation's range"
    )]
    EmptyClamp {
        /// The operator.
        operator: String,
        /// Lowest value.
        low: i8,
        /// Highest value.
        high: i8,
    },
}
