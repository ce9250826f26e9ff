//! The parameters of operators.

use super::model::ElementType;
use crate::graph::Padding;

/// An operator's kind and its parameters. What an operator takes from constant tensors (paddings,
/// permutations, new shapes, ...) is among its inputs, not here.
#[derive(Clone, Debug, PartialEq)]
pub enum Options {
    /// `ADD`, with broadcasting.
    Add(AddSub),
    /// `AVERAGE_POOL_2D`.
    AveragePool2d(Pool2d),
    /// `BATCH_TO_SPACE_ND`: block shape and crops are inputs.
    BatchToSpaceNd,
    /// `CONCATENATION`.
    Concatenation {
        /// Along which dimension; negative from the last.
        axis: i32,
        /// What follows.
        activation: FusedActivation,
    },
    /// `CONV_2D`.
    Conv2d(Conv2d),
    /// `DEPTHWISE_CONV_2D`.
    DepthwiseConv2d(DepthwiseConv2d),
    /// `DEQUANTIZE`: integers to real numbers.
    Dequantize,
    /// `EXPAND_DIMS`: the axis is an input.
    ExpandDims,
    /// `FULLY_CONNECTED`.
    FullyConnected(FullyConnected),
    /// `HARD_SWISH`.
    HardSwish,
    /// `LEAKY_RELU`.
    LeakyRelu {
        /// The slope below zero.
        alpha: f32,
    },
    /// `LOGISTIC`, the sigmoid.
    Logistic,
    /// `MAX_POOL_2D`.
    MaxPool2d(Pool2d),
    /// `MEAN`: the axes are an input.
    Mean {
        /// Whether reduced dimensions stay, as 1.
        keep_dims: bool,
    },
    /// `MUL`, with broadcasting.
    Mul {
        /// What follows.
        activation: FusedActivation,
    },
    /// `PACK`: stacks its inputs along a new dimension.
    Pack {
        /// How many inputs.
        values_count: i32,
        /// Where the new dimension stands; negative from the last.
        axis: i32,
    },
    /// `PAD` with the zero point: the widths are an input.
    Pad,
    /// `PADV2`: the widths and the value are inputs.
    PadV2,
    /// `PRELU`: the slopes are an input.
    Prelu,
    /// `QUANTIZE`: real numbers to integers, or from one quantisation to another.
    Quantize,
    /// `RELU`.
    Relu,
    /// `RELU6`.
    Relu6,
    /// `RELU_N1_TO_1`: clamps to -1..=1.
    ReluN1To1,
    /// `RESHAPE`.
    Reshape {
        /// The shape with at most one -1; an input may replace it, and the output's shape tells it
        /// as well. `None` where the options leave it out.
        new_shape: Option<Vec<i32>>,
    },
    /// `RESIZE_BILINEAR`: the size is an input.
    ResizeBilinear(Resize),
    /// `RESIZE_NEAREST_NEIGHBOR`: the size is an input.
    ResizeNearestNeighbor(Resize),
    /// `SLICE`: begin and size are inputs.
    Slice,
    /// `SOFTMAX` over the last dimension.
    Softmax {
        /// Factor of the exponents.
        beta: f32,
    },
    /// `SPACE_TO_BATCH_ND`: block shape and paddings are inputs.
    SpaceToBatchNd,
    /// `SPLIT` into equal parts: the axis is input 0.
    Split {
        /// How many outputs.
        num_splits: i32,
    },
    /// `SPLIT_V`: sizes and axis are inputs.
    SplitV {
        /// How many outputs.
        num_splits: i32,
    },
    /// `SQUEEZE`.
    Squeeze {
        /// Dimensions of 1 to remove, negative from the last; all of them if empty.
        squeeze_dims: Vec<i32>,
    },
    /// `STRIDED_SLICE`: begin, end and strides are inputs.
    StridedSlice(StridedSlice),
    /// `SUB`, with broadcasting.
    Sub(AddSub),
    /// `SVDF`.
    Svdf(Svdf),
    /// `TANH`.
    Tanh,
    /// `TRANSPOSE`: the permutation is an input.
    Transpose,
    /// `TRANSPOSE_CONV`: the output's shape is input 0.
    TransposeConv(TransposeConv),
    /// `UNIDIRECTIONAL_SEQUENCE_LSTM`.
    UnidirectionalSequenceLstm(UnidirectionalSequenceLstm),
    /// `UNPACK`: takes a dimension apart.
    Unpack {
        /// How many outputs.
        num: i32,
        /// Which dimension; negative from the last.
        axis: i32,
    },
    /// Any other operator; its options were not read.
    Unsupported {
        /// TFLite's name of it, or the custom operator's own.
        name: String,
    },
}

/// The schema's enum `ActivationFunctionType`: what an operator applies to its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FusedActivation {
    /// Nothing.
    None,
    /// `max(x, 0)`.
    Relu,
    /// Clamps to -1..=1.
    ReluN1To1,
    /// Clamps to 0..=6.
    Relu6,
    /// The hyperbolic tangent.
    Tanh,
    /// 1 for negative numbers, else 0.
    SignBit,
}

/// Options of `CONV_2D`. Strides and dilations are at least 1.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the schema's names
pub struct Conv2d {
    pub padding: Padding,
    pub stride_w: usize,
    pub stride_h: usize,
    pub activation: FusedActivation,
    pub dilation_w: usize,
    pub dilation_h: usize,
    /// The type of bias and accumulator where the file fixes it.
    pub quantized_bias_type: Option<ElementType>,
}

/// Options of `DEPTHWISE_CONV_2D`. Strides and dilations are at least 1.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the schema's names
pub struct DepthwiseConv2d {
    pub padding: Padding,
    pub stride_w: usize,
    pub stride_h: usize,
    /// Outputs of each input channel. Redundant: the shapes of input and weights tell it, and
    /// newer kernels ignore this field.
    pub depth_multiplier: i32,
    pub activation: FusedActivation,
    pub dilation_w: usize,
    pub dilation_h: usize,
}

/// Options of both pools. Strides and filter sizes are at least 1.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the schema's names
pub struct Pool2d {
    pub padding: Padding,
    pub stride_w: usize,
    pub stride_h: usize,
    pub filter_width: usize,
    pub filter_height: usize,
    pub activation: FusedActivation,
}

/// Options of `FULLY_CONNECTED`.
#[derive(Clone, Debug, PartialEq)]
pub struct FullyConnected {
    /// What follows.
    pub activation: FusedActivation,
    /// Whether the weights are in the order `SHUFFLED4x16INT8` instead of `[output][input]`.
    pub shuffled_weights: bool,
    /// Whether the output keeps all but the last of the input's dimensions.
    pub keep_num_dims: bool,
    /// Quantises a real input at run time (hybrid models only).
    pub asymmetric_quantize_inputs: bool,
    /// The type of bias and accumulator where the file fixes it.
    pub quantized_bias_type: Option<ElementType>,
}

/// Options of `ADD` and `SUB`.
#[derive(Clone, Debug, PartialEq)]
pub struct AddSub {
    /// What follows.
    pub activation: FusedActivation,
    /// For int16 only: whether scales are powers of two.
    pub pot_scale_int16: bool,
}

/// Options of both resizing operators.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// Whether the corners' pixel centres map onto each other.
    pub align_corners: bool,
    /// Whether pixel centres lie at halves.
    pub half_pixel_centers: bool,
}

/// Options of `STRIDED_SLICE`. Bit i of a mask concerns dimension i.
#[derive(Clone, Debug, PartialEq)]
pub struct StridedSlice {
    /// Begins at the first element whatever the begin says.
    pub begin_mask: i32,
    /// Ends behind the last element whatever the end says.
    pub end_mask: i32,
    /// As many whole dimensions as are left.
    pub ellipsis_mask: i32,
    /// Inserts a dimension of 1.
    pub new_axis_mask: i32,
    /// Takes one element and removes the dimension.
    pub shrink_axis_mask: i32,
    /// Whether the ends count from the begins.
    pub offset: bool,
}

/// Options of `SVDF`.
#[derive(Clone, Debug, PartialEq)]
pub struct Svdf {
    /// Filters that add up to one unit, at least 1.
    pub rank: usize,
    /// What follows.
    pub activation: FusedActivation,
    /// Quantises a real input at run time (hybrid models only).
    pub asymmetric_quantize_inputs: bool,
}

/// Options of `TRANSPOSE_CONV`. Strides are at least 1.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the schema's names
pub struct TransposeConv {
    pub padding: Padding,
    pub stride_w: usize,
    pub stride_h: usize,
    pub activation: FusedActivation,
    /// The type of bias and accumulator where the file fixes it.
    pub quantized_bias_type: Option<ElementType>,
}

/// Options of `UNIDIRECTIONAL_SEQUENCE_LSTM`.
#[derive(Clone, Debug, PartialEq)]
pub struct UnidirectionalSequenceLstm {
    /// Of the cell's input and output; `Tanh` in every known model.
    pub activation: FusedActivation,
    /// Clamps the cell state to its negative and itself; 0 for no clamp.
    pub cell_clip: f32,
    /// Clamps the projection's output; 0 for no clamp.
    pub proj_clip: f32,
    /// Whether the first dimension is time instead of the batch.
    pub time_major: bool,
    /// Quantises a real input at run time (hybrid models only).
    pub asymmetric_quantize_inputs: bool,
    /// Whether the recurrent weights are diagonals.
    pub diagonal_recurrent_tensors: bool,
}
