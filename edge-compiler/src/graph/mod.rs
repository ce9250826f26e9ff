//! The graph: quantised tensors and the operators between them, in the order of execution.
//!
//! All activations are int8 with one scale and zero point per tensor; weights are int8 and
//! symmetric (zero point 0), with one scale per output channel or one for all; biases are int32 in
//! units of `input scale * weight scale`. This is the TFLite quantisation specification.

mod check;
mod error;
mod hash;
mod recurrent;
#[cfg(test)]
mod tests;

pub use error::GraphError;
pub use recurrent::{Lstm, LstmGate, Svdf};

use serde::{Deserialize, Serialize};

/// Index of a tensor in [`Graph::tensors`].
pub type TensorId = usize;

/// A network. [`Graph::check`] says whether it is well formed; the
/// other methods and the passes expect that it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// Every activation, the input included.
    pub tensors: Vec<Tensor>,
    /// In the order of execution: an operator stands behind those whose outputs it reads.
    pub operators: Vec<Operator>,
    /// The tensor that the caller fills.
    pub input: TensorId,
    /// The tensor that the caller reads.
    pub output: TensorId,
    /// Tensors that the caller fills besides `input`.
    #[serde(default)]
    pub further_inputs: Vec<TensorId>,
    /// Tensors that the caller reads besides `output`.
    #[serde(default)]
    pub further_outputs: Vec<TensorId>,
}

/// An int8 tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// For people; not part of the image, nor of [`Graph::hash`].
    pub name: String,
    /// Batch (always 1), height, width, channels; each 1..=65535.
    pub shape: [usize; 4],
    /// `real = scale * (q - zero_point)`; finite and above zero.
    pub scale: f32,
    /// -128..=127.
    pub zero_point: i32,
    /// What it is for.
    #[serde(default)]
    pub role: Role,
}

/// What a tensor is for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Role {
    /// Written by an operator or the caller, read by operators or the caller.
    #[default]
    Activation,
    /// Its values, row-major; see [`OperatorKind::may_read_constants`].
    Constant(Vec<i8>),
    /// Kept between runs by the recurrent operator that names it; starts at the zero point.
    State {
        /// Whether its elements have 16 bits.
        wide: bool,
    },
}

impl Role {
    /// Whether it is [`Role::Activation`].
    pub fn is_activation(&self) -> bool {
        *self == Self::Activation
    }
}

impl Tensor {
    /// An activation.
    pub fn activation(
        name: impl Into<String>,
        shape: [usize; 4],
        scale: f32,
        zero_point: i32,
    ) -> Self {
        Self {
            name: name.into(),
            shape,
            scale,
            zero_point,
            role: Role::Activation,
        }
    }

    /// Bytes of one element.
    pub fn element_bytes(&self) -> usize {
        match self.role {
            Role::State { wide: true } => 2,
            _ => 1,
        }
    }

    /// Elements, which are also its bytes in the arena; saturating.
    pub fn len(&self) -> usize {
        self.shape
            .iter()
            .fold(1, |n: usize, &d| n.saturating_mul(d))
    }

    /// Whether a dimension is zero, which [`Graph::check`] refuses.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operator {
    /// What it does, with its constants.
    pub kind: OperatorKind,
    /// The tensors it reads, states included: one, or more where [`OperatorKind`] says so.
    pub inputs: Vec<TensorId>,
    /// The tensor it writes; nothing else writes it, except that several copies and fills may
    /// write parts of one.
    pub output: TensorId,
    /// The operator of an imported model that it stems from; not part of [`Graph::hash`].
    #[serde(default)]
    pub source: Option<usize>,
}

impl Operator {
    /// An operator of one input that stems from no imported model.
    pub fn new(kind: OperatorKind, input: TensorId, output: TensorId) -> Self {
        Self {
            kind,
            inputs: vec![input],
            output,
            source: None,
        }
    }
}

/// What an operator does. Shapes are given for `input -> output`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OperatorKind {
    /// `y = W x + b` on the flattened input: any shape of `n` elements -> `[1,1,1,o]`.
    FullyConnected {
        /// `[o][n]`.
        weights: Weights,
        /// Fused into the requantisation.
        activation: Activation,
        /// How the int32 sum becomes int8.
        rounding: RoundingMode,
    },
    /// 2-D convolution: `[1,h,w,c] -> [1,h',w',o]`, see [`crate::shape::output_len`].
    Conv2d {
        /// OHWI: `[o][kernel h][kernel w][c]`.
        weights: Weights,
        /// Height, width; each at least 1.
        kernel: [usize; 2],
        /// Vertical, horizontal; each at least 1.
        stride: [usize; 2],
        /// Outside the input lies its zero point.
        padding: Padding,
        /// Vertical, horizontal; each at least 1.
        dilation: [usize; 2],
        /// Fused into the requantisation.
        activation: Activation,
        /// How the int32 sum becomes int8.
        rounding: RoundingMode,
    },
    /// Depthwise convolution: `[1,h,w,c] -> [1,h',w',o]` with `o` a multiple of `c`; output
    /// channel `i` sees input channel `i / (o / c)`.
    DepthwiseConv2d {
        /// `[o][kernel h][kernel w]`.
        weights: Weights,
        /// Height, width; each at least 1.
        kernel: [usize; 2],
        /// Vertical, horizontal; each at least 1.
        stride: [usize; 2],
        /// Outside the input lies its zero point.
        padding: Padding,
        /// Vertical, horizontal; each at least 1.
        dilation: [usize; 2],
        /// Fused into the requantisation.
        activation: Activation,
        /// How the int32 sum becomes int8.
        rounding: RoundingMode,
    },
    /// Transposed convolution: `[1,h,w,c] -> [1,h',w',o]`; the output's shape is given.
    TransposeConv {
        /// `[o][kernel h][kernel w][c]`.
        weights: Weights,
        /// Height, width; each at least 1.
        kernel: [usize; 2],
        /// Vertical, horizontal; each at least 1.
        stride: [usize; 2],
        /// Rows above and columns left of the output that are cut off.
        padding: [usize; 2],
        /// Fused into the requantisation.
        activation: Activation,
        /// How the int32 sum becomes int8.
        rounding: RoundingMode,
    },
    /// Greatest value of each pool: `[1,h,w,c] -> [1,h',w',c]`, same quantisation on both sides.
    /// Padded places do not take part.
    MaxPool2d {
        /// Height, width of the pool; each at least 1.
        kernel: [usize; 2],
        /// Vertical, horizontal; each at least 1.
        stride: [usize; 2],
        /// Which pools may reach over the border.
        padding: Padding,
        /// Applied to the result.
        #[serde(default)]
        activation: Activation,
    },
    /// Rounded mean of each pool, halves away from zero; otherwise as [`Self::MaxPool2d`].
    AveragePool2d {
        /// Height, width of the pool; each at least 1.
        kernel: [usize; 2],
        /// Vertical, horizontal; each at least 1.
        stride: [usize; 2],
        /// Which pools may reach over the border.
        padding: Padding,
        /// Applied to the result.
        activation: Activation,
    },
    /// `a + b` or `a - b` of two inputs; a dimension of 1 is broadcast.
    Add {
        /// Whether the second input is subtracted.
        subtract: bool,
        /// Applied to the result.
        activation: Activation,
    },
    /// `a * b` of two inputs; a dimension of 1 is broadcast.
    Mul {
        /// Applied to the result.
        activation: Activation,
    },
    /// `x` where it is not negative, otherwise `x` times the second input; that is broadcast.
    Prelu,
    /// Any function of one element: entry `q + 128` is the output for the input `q`.
    Lookup {
        /// 256 entries.
        table: Vec<i8>,
        /// The function, for people.
        function: String,
    },
    /// Copies elements: for every index `i` below `sizes`,
    /// `output[output_start + i · output_strides] = input[input_start + i · input_strides]`. What
    /// the output holds elsewhere stays. Same quantisation on both sides; the input may be a
    /// constant.
    Copy {
        /// How the elements are found.
        copy: StridedCopy,
        /// What it is for, for people: `TRANSPOSE`, `CONCATENATION`, ...
        purpose: String,
    },
    /// Sets the whole output to a value; the input is not read.
    Fill {
        /// The value.
        value: i8,
    },
    /// Rounded mean over `reduce` in `[outer][reduce][inner] -> [outer][inner]`.
    Mean {
        /// Elements before the dimensions that vanish.
        outer: usize,
        /// Elements of the dimensions that vanish.
        reduce: usize,
        /// Elements behind them.
        inner: usize,
    },
    /// `[1,h,w,c] -> [1,h',w',c]`: output pixel `(y, x)` is input pixel `(rows[y], columns[x])`.
    ResizeNearest {
        /// One for each output row.
        rows: Vec<u16>,
        /// One for each output column.
        columns: Vec<u16>,
    },
    /// `[1,h,w,c] -> [1,h',w',c]`, in TFLite's fixed-point arithmetic.
    ResizeBilinear {
        /// Whether the corner pixels' centres coincide.
        align_corners: bool,
        /// Whether pixels have their centre at one half.
        half_pixel_centers: bool,
    },
    /// The same bytes in another shape of as many elements; same quantisation on both sides.
    Reshape,
    /// Over the channels at each place, in TFLite's fixed-point arithmetic; shape unchanged. The
    /// output's scale is 1/256 and its zero point -128.
    Softmax {
        /// Factor of the exponent; above zero.
        beta: f32,
    },
    /// A stand-alone clamp; shape and quantisation unchanged. [`crate::passes::fuse_activations`]
    /// merges it into the operator before it where it can.
    Activation(Activation),
    /// A long short-term memory over the pixels in their order: `[1,h,w,c] -> [1,h,w,cells]`. The
    /// second input is the hidden state (int8, `cells` elements), the third the cell state (wide, as
    /// many, a power of two as its scale); both are its own.
    Lstm(Box<Lstm>),
    /// A rank-1 filter over time, one step: any shape of `n` elements -> any of `units`. The second
    /// input is its state, wide, `[1,1,filters,memory]`. No activation: LiteRT ignores it.
    Svdf(Box<Svdf>),
}

impl OperatorKind {
    /// Name in messages and reports.
    pub fn name(&self) -> &str {
        match self {
            Self::FullyConnected { .. } => "FULLY_CONNECTED",
            Self::Conv2d { .. } => "CONV_2D",
            Self::DepthwiseConv2d { .. } => "DEPTHWISE_CONV_2D",
            Self::TransposeConv { .. } => "TRANSPOSE_CONV",
            Self::MaxPool2d { .. } => "MAX_POOL_2D",
            Self::AveragePool2d { .. } => "AVERAGE_POOL_2D",
            Self::Add {
                subtract: false, ..
            } => "ADD",
            Self::Add { subtract: true, .. } => "SUB",
            Self::Mul { .. } => "MUL",
            Self::Prelu => "PRELU",
            Self::Lookup { function, .. } => function,
            Self::Copy { purpose, .. } => purpose,
            Self::Fill { .. } => "FILL",
            Self::Mean { .. } => "MEAN",
            Self::ResizeNearest { .. } => "RESIZE_NEAREST_NEIGHBOR",
            Self::ResizeBilinear { .. } => "RESIZE_BILINEAR",
            Self::Reshape => "RESHAPE",
            Self::Softmax { .. } => "SOFTMAX",
            Self::Activation(_) => "CLAMP",
            Self::Lstm(_) => "UNIDIRECTIONAL_SEQUENCE_LSTM",
            Self::Svdf(_) => "SVDF",
        }
    }

    /// The constants, where the operator has any.
    pub fn weights(&self) -> Option<&Weights> {
        match self {
            Self::FullyConnected { weights, .. }
            | Self::Conv2d { weights, .. }
            | Self::DepthwiseConv2d { weights, .. }
            | Self::TransposeConv { weights, .. } => Some(weights),
            _ => None,
        }
    }

    /// The activation fused into it, where it can have one.
    pub fn activation(&self) -> Option<Activation> {
        match self {
            Self::FullyConnected { activation, .. }
            | Self::Conv2d { activation, .. }
            | Self::DepthwiseConv2d { activation, .. }
            | Self::TransposeConv { activation, .. }
            | Self::MaxPool2d { activation, .. }
            | Self::AveragePool2d { activation, .. }
            | Self::Add { activation, .. }
            | Self::Mul { activation }
            | Self::Activation(activation) => Some(*activation),
            _ => None,
        }
    }

    /// The window that it slides over its input, where it has one.
    pub fn window(&self) -> Option<SlidingWindow> {
        match *self {
            Self::Conv2d {
                kernel,
                stride,
                padding,
                dilation,
                ..
            }
            | Self::DepthwiseConv2d {
                kernel,
                stride,
                padding,
                dilation,
                ..
            } => Some(SlidingWindow {
                kernel,
                stride,
                padding,
                dilation,
            }),
            Self::MaxPool2d {
                kernel,
                stride,
                padding,
                ..
            }
            | Self::AveragePool2d {
                kernel,
                stride,
                padding,
                ..
            } => Some(SlidingWindow {
                kernel,
                stride,
                padding,
                dilation: [1, 1],
            }),
            Self::TransposeConv { kernel, stride, .. } => Some(SlidingWindow {
                kernel,
                stride,
                padding: Padding::Valid,
                dilation: [1, 1],
            }),
            _ => None,
        }
    }

    /// Tensors that it reads.
    pub fn input_count(&self) -> usize {
        match self {
            Self::Add { .. } | Self::Mul { .. } | Self::Prelu | Self::Svdf(_) => 2,
            Self::Lstm(_) => 3,
            Self::Fill { .. } => 0,
            _ => 1,
        }
    }

    /// Inputs, the last ones, that are states of its own.
    pub fn state_count(&self) -> usize {
        match self {
            Self::Lstm(_) => 2,
            Self::Svdf(_) => 1,
            _ => 0,
        }
    }

    /// Whether its inputs may be constants.
    pub fn may_read_constants(&self) -> bool {
        matches!(
            self,
            Self::Add { .. } | Self::Mul { .. } | Self::Prelu | Self::Copy { .. }
        )
    }

    /// Whether it may write only a part of its output, which then has several writers.
    pub fn writes_a_part(&self) -> bool {
        matches!(self, Self::Copy { .. } | Self::Fill { .. })
    }
}

/// A window that slides over an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindow {
    /// Height, width.
    pub kernel: [usize; 2],
    /// Vertical, horizontal.
    pub stride: [usize; 2],
    /// How positions outside the input are treated.
    pub padding: Padding,
    /// Vertical, horizontal.
    pub dilation: [usize; 2],
}

impl SlidingWindow {
    /// Rows above and columns left of the input. A window that does not fit, which no checked
    /// graph has, has none.
    pub fn before(&self, input: &Tensor) -> [u16; 2] {
        let Self {
            kernel,
            stride,
            padding,
            dilation,
        } = *self;
        let plane = crate::shape::output_plane(padding, input.shape, kernel, stride, dilation);
        plane.map_or([0; 2], |(_, before)| before.map(|n| n as u16))
    }

    /// As the runtime has it.
    pub fn on(&self, input: &Tensor, output: &Tensor) -> edge_runtime::kernels::reference::Window {
        let hwc = |tensor: &Tensor| [tensor.shape[1], tensor.shape[2], tensor.shape[3]];
        edge_runtime::kernels::reference::Window {
            input: hwc(input),
            output: hwc(output),
            kernel: self.kernel,
            stride: self.stride,
            padding: self.before(input).map(usize::from),
            dilation: self.dilation,
        }
    }
}

/// Dimensions of a [`StridedCopy`].
pub const COPY_RANK: usize = edge_runtime::format::COPY_RANK;

/// See [`OperatorKind::Copy`]. Unused dimensions have size 1, outermost first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StridedCopy {
    /// Elements along each dimension.
    pub sizes: [usize; COPY_RANK],
    /// Elements from one to the next in the input.
    pub input_strides: [isize; COPY_RANK],
    /// Elements from one to the next in the output.
    pub output_strides: [isize; COPY_RANK],
    /// The first element read.
    pub input_start: usize,
    /// The first element written.
    pub output_start: usize,
}

impl StridedCopy {
    /// The least and the greatest element that is read, and written; `None` for a size of 0 or
    /// a place before the first element.
    pub fn reach(&self) -> Option<[(usize, usize); 2]> {
        let reach = |start: usize, strides: &[isize; COPY_RANK]| {
            let (mut least, mut greatest) = (start, start);
            for (&size, &stride) in self.sizes.iter().zip(strides) {
                let way = stride.checked_mul(isize::try_from(size.checked_sub(1)?).ok()?)?;
                if way < 0 {
                    least = least.checked_add_signed(way)?;
                } else {
                    greatest = greatest.checked_add_signed(way)?;
                }
            }
            Some((least, greatest))
        };
        Some([
            reach(self.input_start, &self.input_strides)?,
            reach(self.output_start, &self.output_strides)?,
        ])
    }

    /// Elements that it copies; saturating.
    pub fn elements(&self) -> usize {
        self.sizes
            .iter()
            .fold(1, |n: usize, &d| n.saturating_mul(d))
    }
}

/// Constants of an operator with `o` output channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Symmetric int8; the order is given where they are used, output channels outermost.
    pub values: Vec<i8>,
    /// One for each output channel, or a single one for all; finite and above zero.
    pub scales: Vec<f32>,
    /// One for each output channel, in units of `input scale * weight scale`.
    pub bias: Vec<i32>,
}

impl Weights {
    /// Scale of one output channel; 0 where there is none.
    pub fn scale(&self, channel: usize) -> f32 {
        match self.scales.as_slice() {
            [one] => *one,
            many => many.get(channel).copied().unwrap_or(0.0),
        }
    }
}

/// A clamp in real values, applied to the quantised output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// Nothing but the range of int8.
    #[default]
    None,
    /// At least 0.
    Relu,
    /// 0..=6.
    Relu6,
    /// -1..=1.
    ReluN1To1,
}

impl Activation {
    /// Lowest and highest quantised output, as TFLite computes them: `zero_point + round(x/scale)`,
    /// the quotient in f32, half away from zero, within -128..=127.
    pub fn range(self, scale: f32, zero_point: i32) -> (i8, i8) {
        // `as i32` saturates, so that a tiny scale gives the bound of int8, not nonsense.
        let quantise = |x: f32| {
            zero_point
                .saturating_add((x / scale).round() as i32)
                .clamp(-128, 127) as i8
        };
        match self {
            Self::None => (i8::MIN, i8::MAX),
            Self::Relu => (quantise(0.0), i8::MAX),
            Self::Relu6 => (quantise(0.0), quantise(6.0)),
            Self::ReluN1To1 => (quantise(-1.0), quantise(1.0)),
        }
    }
}

/// How positions outside the input are treated, exactly as in TFLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Padding {
    /// `ceil(input / stride)` outputs; the odd padded row or column lies below or to the right.
    Same,
    /// Only whole kernels.
    Valid,
    /// As many rows and columns as stated, then only whole kernels.
    Explicit {
        /// Above, left.
        before: [usize; 2],
        /// Below, right.
        after: [usize; 2],
    },
}

/// How an int32 accumulator becomes int8: see `edge_runtime::format::rounding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoundingMode {
    /// Two roundings, as TFLite's convolution and TensorFlow Lite Micro throughout.
    Double,
    /// One rounding, as LiteRT's reference for fully connected layers.
    Single,
    /// One rounding of a 32-bit high product: the cheapest; for models trained here.
    High32,
}

impl Graph {
    /// A graph of one input and one output.
    pub fn new(
        tensors: Vec<Tensor>,
        operators: Vec<Operator>,
        input: TensorId,
        output: TensorId,
    ) -> Self {
        Self {
            tensors,
            operators,
            input,
            output,
            further_inputs: Vec::new(),
            further_outputs: Vec::new(),
        }
    }

    /// Whether the graph is well formed: indices, order, shapes, quantisation, lengths.
    ///
    /// # Errors
    /// The first fault found, naming the operator or tensor.
    pub fn check(&self) -> Result<(), GraphError> {
        check::check(self)
    }

    /// Multiply-accumulate operations of one inference, padded ones included; saturating. Zero for
    /// operators whose tensors do not exist.
    pub fn macs(&self) -> u64 {
        self.operators
            .iter()
            .map(|operator| self.operator_macs(operator))
            .fold(0, u64::saturating_add)
    }

    /// The share of one operator.
    pub fn operator_macs(&self, operator: &Operator) -> u64 {
        let Some(output) = self.tensors.get(operator.output) else {
            return 0;
        };
        match &operator.kind {
            OperatorKind::FullyConnected { weights, .. } => weights.values.len() as u64,
            OperatorKind::Conv2d { weights, .. }
            | OperatorKind::DepthwiseConv2d { weights, .. } => {
                let places = output.shape[1].saturating_mul(output.shape[2]);
                (weights.values.len() as u64).saturating_mul(places as u64)
            }
            OperatorKind::TransposeConv { weights, .. } => {
                let input = operator.inputs.first().and_then(|&i| self.tensors.get(i));
                let places = input.map_or(0, |t| t.shape[1].saturating_mul(t.shape[2]));
                (weights.values.len() as u64).saturating_mul(places as u64)
            }
            OperatorKind::Lstm(lstm) => {
                let steps = output.shape[1].saturating_mul(output.shape[2]);
                let weights = lstm
                    .gates()
                    .into_iter()
                    .map(|gate| (gate.input_weights.len() + gate.recurrent_weights.len()) as u64);
                weights
                    .fold(0, u64::saturating_add)
                    .saturating_mul(steps as u64)
            }
            OperatorKind::Svdf(svdf) => {
                (svdf.feature_weights.len() + svdf.time_weights.len()) as u64
            }
            _ => 0,
        }
    }

    /// Steps of one inference as the runtime counts them, which refuses more than 2^32 - 1:
    /// multiply-accumulate operations, comparisons of pools and elements of the rest; saturating.
    pub fn work(&self) -> u64 {
        self.operators
            .iter()
            .map(|o| self.operator_work(o))
            .fold(0, u64::saturating_add)
    }

    fn operator_work(&self, operator: &Operator) -> u64 {
        let elements = self
            .tensors
            .get(operator.output)
            .map_or(0, |t| t.len() as u64);
        match &operator.kind {
            OperatorKind::FullyConnected { .. }
            | OperatorKind::Conv2d { .. }
            | OperatorKind::DepthwiseConv2d { .. }
            | OperatorKind::TransposeConv { .. }
            | OperatorKind::Lstm(_)
            | OperatorKind::Svdf(_) => self.operator_macs(operator),
            OperatorKind::MaxPool2d { kernel, .. } | OperatorKind::AveragePool2d { kernel, .. } => {
                kernel
                    .iter()
                    .fold(elements, |work, &n| work.saturating_mul(n as u64))
            }
            OperatorKind::Softmax { .. } => elements.saturating_mul(2),
            OperatorKind::Mean { reduce, .. } => elements.saturating_mul(*reduce as u64),
            OperatorKind::Copy { copy, .. } => copy.elements() as u64,
            OperatorKind::ResizeBilinear { .. } => elements.saturating_mul(4),
            OperatorKind::Reshape
            | OperatorKind::Activation(_)
            | OperatorKind::Add { .. }
            | OperatorKind::Mul { .. }
            | OperatorKind::Prelu
            | OperatorKind::Lookup { .. }
            | OperatorKind::Fill { .. }
            | OperatorKind::ResizeNearest { .. } => elements,
        }
    }

    /// SHA-256 of the graph in its canonical form, the same for every target: all that decides its
    /// outputs, and no names.
    pub fn hash(&self) -> [u8; 32] {
        hash::hash(self)
    }

    /// All tensors that the caller fills.
    pub fn inputs(&self) -> impl Iterator<Item = TensorId> {
        std::iter::once(self.input).chain(self.further_inputs.iter().copied())
    }

    /// All tensors that the caller reads.
    pub fn outputs(&self) -> impl Iterator<Item = TensorId> {
        std::iter::once(self.output).chain(self.further_outputs.iter().copied())
    }

    /// "operator 3 (CONV_2D)", for messages.
    pub(crate) fn describe(&self, operator: usize) -> String {
        match self.operators.get(operator) {
            Some(found) => format!("operator {operator} ({})", found.kind.name()),
            None => format!("operator {operator}"),
        }
    }
}
