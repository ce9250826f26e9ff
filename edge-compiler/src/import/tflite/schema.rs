//! The tables of a `.tflite` file, as far as they are read.
//!
//! Field numbers and defaults are those of TensorFlow Lite's public schema
//! (`tensorflow/compiler/mlir/lite/schema/schema.fbs`, version 3), with the fields that LiteRT
//! 2.3.0 has added to it. One module per table; fields that nothing reads are left out.

use super::flatbuffer::{Numbers, Reference, Scalar, ToBytes, ToTable, ToTables, ToText};

/// Bytes 4 to 7 of every file.
pub const IDENTIFIER: &[u8; 4] = b"TFL3";
/// What `Model.version` holds in every file with [`IDENTIFIER`].
pub const VERSION: u32 = 3;

/// `Model`, the root.
pub mod model {
    use super::*;
    pub const VERSION: Scalar<u32> = Scalar::new(0, 0);
    pub const OPERATOR_CODES: Reference<ToTables> = Reference::new(1);
    pub const SUBGRAPHS: Reference<ToTables> = Reference::new(2);
    pub const DESCRIPTION: Reference<ToText> = Reference::new(3);
    pub const BUFFERS: Reference<ToTables> = Reference::new(4);
    pub const SIGNATURE_DEFS: Reference<ToTables> = Reference::new(7);
}

/// `SignatureDef`: a named entry point.
pub mod signature_def {
    use super::*;
    pub const SIGNATURE_KEY: Reference<ToText> = Reference::new(2);
    pub const SUBGRAPH_INDEX: Scalar<u32> = Scalar::new(4, 0);
}

/// `OperatorCode`: what kind of operator an index means.
pub mod operator_code {
    use super::*;
    /// Holds 127 where the number is larger; files older than that leave out `BUILTIN_CODE`.
    pub const DEPRECATED_BUILTIN_CODE: Scalar<i8> = Scalar::new(0, 0);
    pub const CUSTOM_CODE: Reference<ToText> = Reference::new(1);
    pub const VERSION: Scalar<i32> = Scalar::new(2, 1);
    pub const BUILTIN_CODE: Scalar<i32> = Scalar::new(3, 0);
}

/// `SubGraph`.
pub mod subgraph {
    use super::*;
    pub const TENSORS: Reference<ToTables> = Reference::new(0);
    pub const INPUTS: Numbers<i32> = Numbers::new(1);
    pub const OUTPUTS: Numbers<i32> = Numbers::new(2);
    pub const OPERATORS: Reference<ToTables> = Reference::new(3);
}

/// `Buffer`.
pub mod buffer {
    use super::*;
    pub const DATA: Reference<ToBytes> = Reference::new(0);
    /// Where the data begins behind the flatbuffer; in use only above 1.
    pub const OFFSET: Scalar<u64> = Scalar::new(1, 0);
}

/// `Tensor`.
pub mod tensor {
    use super::*;
    pub const SHAPE: Numbers<i32> = Numbers::new(0);
    pub const TYPE: Scalar<i8> = Scalar::new(1, 0);
    pub const BUFFER: Scalar<u32> = Scalar::new(2, 0);
    pub const NAME: Reference<ToText> = Reference::new(3);
    pub const QUANTIZATION: Reference<ToTable> = Reference::new(4);
    pub const IS_VARIABLE: Scalar<bool> = Scalar::new(5, false);
    pub const SPARSITY: Reference<ToTable> = Reference::new(6);
    pub const SHAPE_SIGNATURE: Numbers<i32> = Numbers::new(7);
    /// LiteRT's own addition: data in another file.
    pub const EXTERNAL_BUFFER: Scalar<u32> = Scalar::new(10, 0);
}

/// `QuantizationParameters`.
pub mod quantization {
    use super::*;
    pub const SCALE: Numbers<f32> = Numbers::new(2);
    pub const ZERO_POINT: Numbers<i64> = Numbers::new(3);
    /// Which member of the union `QuantizationDetails` replaces the other fields; 0 is none.
    pub const DETAILS_TYPE: Scalar<u8> = Scalar::new(4, 0);
    pub const QUANTIZED_DIMENSION: Scalar<i32> = Scalar::new(6, 0);
}

/// `Operator`.
pub mod operator {
    use super::*;
    pub const OPCODE_INDEX: Scalar<u32> = Scalar::new(0, 0);
    pub const INPUTS: Numbers<i32> = Numbers::new(1);
    pub const OUTPUTS: Numbers<i32> = Numbers::new(2);
    /// Which member of the union `BuiltinOptions` follows; 0 is none.
    pub const BUILTIN_OPTIONS_TYPE: Scalar<u8> = Scalar::new(3, 0);
    pub const BUILTIN_OPTIONS: Reference<ToTable> = Reference::new(4);
    pub const INTERMEDIATES: Numbers<i32> = Numbers::new(8);
}

/// `Conv2DOptions`.
pub mod conv_2d_options {
    use super::*;
    pub const UNION_TYPE: u8 = 1;
    pub const PADDING: Scalar<i8> = Scalar::new(0, 0);
    pub const STRIDE_W: Scalar<i32> = Scalar::new(1, 0);
    pub const STRIDE_H: Scalar<i32> = Scalar::new(2, 0);
    pub const FUSED_ACTIVATION_FUNCTION: Scalar<i8> = Scalar::new(3, 0);
    pub const DILATION_W_FACTOR: Scalar<i32> = Scalar::new(4, 1);
    pub const DILATION_H_FACTOR: Scalar<i32> = Scalar::new(5, 1);
    pub const QUANTIZED_BIAS_TYPE: Scalar<i8> = Scalar::new(6, 0);
}

/// `DepthwiseConv2DOptions`.
pub mod depthwise_conv_2d_options {
    use super::*;
    pub const UNION_TYPE: u8 = 2;
    pub const PADDING: Scalar<i8> = Scalar::new(0, 0);
    pub const STRIDE_W: Scalar<i32> = Scalar::new(1, 0);
    pub const STRIDE_H: Scalar<i32> = Scalar::new(2, 0);
    pub const DEPTH_MULTIPLIER: Scalar<i32> = Scalar::new(3, 0);
    pub const FUSED_ACTIVATION_FUNCTION: Scalar<i8> = Scalar::new(4, 0);
    pub const DILATION_W_FACTOR: Scalar<i32> = Scalar::new(5, 1);
    pub const DILATION_H_FACTOR: Scalar<i32> = Scalar::new(6, 1);
}

/// `Pool2DOptions`.
pub mod pool_2d_options {
    use super::*;
    pub const UNION_TYPE: u8 = 5;
    pub const PADDING: Scalar<i8> = Scalar::new(0, 0);
    pub const STRIDE_W: Scalar<i32> = Scalar::new(1, 0);
    pub const STRIDE_H: Scalar<i32> = Scalar::new(2, 0);
    pub const FILTER_WIDTH: Scalar<i32> = Scalar::new(3, 0);
    pub const FILTER_HEIGHT: Scalar<i32> = Scalar::new(4, 0);
    pub const FUSED_ACTIVATION_FUNCTION: Scalar<i8> = Scalar::new(5, 0);
}

/// `SVDFOptions`.
pub mod svdf_options {
    use super::*;
    pub const UNION_TYPE: u8 = 6;
    pub const RANK: Scalar<i32> = Scalar::new(0, 0);
    pub const FUSED_ACTIVATION_FUNCTION: Scalar<i8> = Scalar::new(1, 0);
    pub const ASYMMETRIC_QUANTIZE_INPUTS: Scalar<bool> = Scalar::new(2, false);
}

/// `FullyConnectedOptions`.
pub mod fully_connected_options {
    use super::*;
    pub const UNION_TYPE: u8 = 8;
    pub const FUSED_ACTIVATION_FUNCTION: Scalar<i8> = Scalar::new(0, 0);
    pub const WEIGHTS_FORMAT: Scalar<i8> = Scalar::new(1, 0);
    pub const KEEP_NUM_DIMS: Scalar<bool> = Scalar::new(2, false);
    pub const ASYMMETRIC_QUANTIZE_INPUTS: Scalar<bool> = Scalar::new(3, false);
    pub const QUANTIZED_BIAS_TYPE: Scalar<i8> = Scalar::new(4, 0);
}

/// `SoftmaxOptions`.
pub mod softmax_options {
    use super::*;
    pub const UNION_TYPE: u8 = 9;
    pub const BETA: Scalar<f32> = Scalar::new(0, 0.0);
}

/// `ConcatenationOptions`.
pub mod concatenation_options {
    use super::*;
    pub const UNION_TYPE: u8 = 10;
    pub const AXIS: Scalar<i32> = Scalar::new(0, 0);
    pub const FUSED_ACTIVATION_FUNCTION: Scalar<i8> = Scalar::new(1, 0);
}

/// `AddOptions` and `SubOptions`, which have the same fields.
pub mod add_options {
    use super::*;
    pub const ADD_UNION_TYPE: u8 = 11;
    pub const SUB_UNION_TYPE: u8 = 28;
    pub const FUSED_ACTIVATION_FUNCTION: Scalar<i8> = Scalar::new(0, 0);
    pub const POT_SCALE_INT16: Scalar<bool> = Scalar::new(1, true);
}

/// `MulOptions`.
pub mod mul_options {
    use super::*;
    pub const UNION_TYPE: u8 = 21;
    pub const FUSED_ACTIVATION_FUNCTION: Scalar<i8> = Scalar::new(0, 0);
}

/// `ResizeBilinearOptions`.
pub mod resize_bilinear_options {
    use super::*;
    pub const UNION_TYPE: u8 = 15;
    pub const ALIGN_CORNERS: Scalar<bool> = Scalar::new(2, false);
    pub const HALF_PIXEL_CENTERS: Scalar<bool> = Scalar::new(3, false);
}

/// `ResizeNearestNeighborOptions`.
pub mod resize_nearest_neighbor_options {
    use super::*;
    pub const UNION_TYPE: u8 = 74;
    pub const ALIGN_CORNERS: Scalar<bool> = Scalar::new(0, false);
    pub const HALF_PIXEL_CENTERS: Scalar<bool> = Scalar::new(1, false);
}

/// `ReshapeOptions`.
pub mod reshape_options {
    use super::*;
    pub const UNION_TYPE: u8 = 17;
    pub const NEW_SHAPE: Numbers<i32> = Numbers::new(0);
}

/// `ReducerOptions`.
pub mod reducer_options {
    use super::*;
    pub const UNION_TYPE: u8 = 27;
    pub const KEEP_DIMS: Scalar<bool> = Scalar::new(0, false);
}

/// `SqueezeOptions`.
pub mod squeeze_options {
    use super::*;
    pub const UNION_TYPE: u8 = 30;
    pub const SQUEEZE_DIMS: Numbers<i32> = Numbers::new(0);
}

/// `StridedSliceOptions`.
pub mod strided_slice_options {
    use super::*;
    pub const UNION_TYPE: u8 = 32;
    pub const BEGIN_MASK: Scalar<i32> = Scalar::new(0, 0);
    pub const END_MASK: Scalar<i32> = Scalar::new(1, 0);
    pub const ELLIPSIS_MASK: Scalar<i32> = Scalar::new(2, 0);
    pub const NEW_AXIS_MASK: Scalar<i32> = Scalar::new(3, 0);
    pub const SHRINK_AXIS_MASK: Scalar<i32> = Scalar::new(4, 0);
    pub const OFFSET: Scalar<bool> = Scalar::new(5, false);
}

/// `SplitOptions` and `SplitVOptions`, which have the same field.
pub mod split_options {
    use super::*;
    pub const SPLIT_UNION_TYPE: u8 = 35;
    pub const SPLIT_V_UNION_TYPE: u8 = 79;
    pub const NUM_SPLITS: Scalar<i32> = Scalar::new(0, 0);
}

/// `TransposeConvOptions`.
pub mod transpose_conv_options {
    use super::*;
    pub const UNION_TYPE: u8 = 49;
    pub const PADDING: Scalar<i8> = Scalar::new(0, 0);
    pub const STRIDE_W: Scalar<i32> = Scalar::new(1, 0);
    pub const STRIDE_H: Scalar<i32> = Scalar::new(2, 0);
    pub const FUSED_ACTIVATION_FUNCTION: Scalar<i8> = Scalar::new(3, 0);
    pub const QUANTIZED_BIAS_TYPE: Scalar<i8> = Scalar::new(4, 0);
}

/// `PackOptions`.
pub mod pack_options {
    use super::*;
    pub const UNION_TYPE: u8 = 59;
    pub const VALUES_COUNT: Scalar<i32> = Scalar::new(0, 0);
    pub const AXIS: Scalar<i32> = Scalar::new(1, 0);
}

/// `UnpackOptions`.
pub mod unpack_options {
    use super::*;
    pub const UNION_TYPE: u8 = 64;
    pub const NUM: Scalar<i32> = Scalar::new(0, 0);
    pub const AXIS: Scalar<i32> = Scalar::new(1, 0);
}

/// `UnidirectionalSequenceLSTMOptions`.
pub mod unidirectional_sequence_lstm_options {
    use super::*;
    pub const UNION_TYPE: u8 = 71;
    pub const FUSED_ACTIVATION_FUNCTION: Scalar<i8> = Scalar::new(0, 0);
    pub const CELL_CLIP: Scalar<f32> = Scalar::new(1, 0.0);
    pub const PROJ_CLIP: Scalar<f32> = Scalar::new(2, 0.0);
    pub const TIME_MAJOR: Scalar<bool> = Scalar::new(3, false);
    pub const ASYMMETRIC_QUANTIZE_INPUTS: Scalar<bool> = Scalar::new(4, false);
    pub const DIAGONAL_RECURRENT_TENSORS: Scalar<bool> = Scalar::new(5, false);
}

/// `LeakyReluOptions`.
pub mod leaky_relu_options {
    use super::*;
    pub const UNION_TYPE: u8 = 75;
    pub const ALPHA: Scalar<f32> = Scalar::new(0, 0.0);
}
