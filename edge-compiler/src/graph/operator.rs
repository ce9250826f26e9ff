//! What an operator is, and what all kinds of operators can be asked.

use serde::{Deserialize, Serialize};

use super::{
    Activation, Lstm, Padding, RoundingMode, SlidingWindow, StridedCopy, Svdf, TensorId, Weights,
};

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
    /// The operator of an imported model that it stems from; not part of [`super::Graph::hash`].
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

/// A window that slides over an image, with its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Convolution {
    /// In the order that the operator says.
    pub weights: Weights,
    /// Height, width; each at least 1.
    pub kernel: [usize; 2],
    /// Vertical, horizontal; each at least 1.
    pub stride: [usize; 2],
    /// Outside the input lies its zero point.
    pub padding: Padding,
    /// Vertical, horizontal; each at least 1.
    pub dilation: [usize; 2],
    /// Fused into the requantisation.
    pub activation: Activation,
    /// How the int32 sum becomes int8.
    pub rounding: RoundingMode,
}

impl Convolution {
    /// How it slides.
    pub fn window(&self) -> SlidingWindow {
        SlidingWindow {
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
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
    /// 2-D convolution: `[1,h,w,c] -> [1,h',w',o]`, see [`crate::shape::output_len`]. Weights are OHWI:
    /// `[o][kernel h][kernel w][c]`.
    Conv2d(Convolution),
    /// Depthwise convolution: `[1,h,w,c] -> [1,h',w',o]` with `o` a multiple of `c`; output
    /// channel `i` sees input channel `i / (o / c)`. Weights are `[o][kernel h][kernel w]`.
    DepthwiseConv2d(Convolution),
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
            Self::Conv2d(_) => "CONV_2D",
            Self::DepthwiseConv2d(_) => "DEPTHWISE_CONV_2D",
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
            | Self::Conv2d(Convolution { weights, .. })
            | Self::DepthwiseConv2d(Convolution { weights, .. })
            | Self::TransposeConv { weights, .. } => Some(weights),
            _ => None,
        }
    }

    /// The activation fused into it, where it can have one.
    pub fn activation(&self) -> Option<Activation> {
        match self {
            Self::FullyConnected { activation, .. }
            | Self::Conv2d(Convolution { activation, .. })
            | Self::DepthwiseConv2d(Convolution { activation, .. })
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
        match self {
            Self::Conv2d(convolution) | Self::DepthwiseConv2d(convolution) => {
                Some(convolution.window())
            }
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
                kernel: *kernel,
                stride: *stride,
                padding: *padding,
                dilation: [1, 1],
            }),
            Self::TransposeConv { kernel, stride, .. } => Some(SlidingWindow {
                kernel: *kernel,
                stride: *stride,
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
