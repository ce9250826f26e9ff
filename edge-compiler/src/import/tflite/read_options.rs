//! Reads the parameters of operators.

use super::builtin::Builtin;
use super::error::TfliteError;
use super::flatbuffer::{Element, Numbers, Scalar, Table};
use super::model::ElementType;
use super::options::{
    AddSub, Conv2d, DepthwiseConv2d, FullyConnected, FusedActivation, Options, Pool2d, Resize,
    StridedSlice, Svdf, TransposeConv, UnidirectionalSequenceLstm,
};
use super::schema::{
    add_options, concatenation_options, conv_2d_options, depthwise_conv_2d_options,
    fully_connected_options, leaky_relu_options, mul_options, operator, pack_options,
    pool_2d_options, reducer_options, reshape_options, resize_bilinear_options,
    resize_nearest_neighbor_options, softmax_options, split_options, squeeze_options,
    strided_slice_options, svdf_options, transpose_conv_options,
    unidirectional_sequence_lstm_options, unpack_options,
};
use crate::graph::Padding;

/// The operator being read, as errors name it.
#[derive(Clone, Copy)]
pub(super) struct Place<'n> {
    /// Its index.
    pub(super) index: usize,
    /// Its kind.
    pub(super) name: &'n str,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "operator {} ({})", self.index, self.name)
    }
}

/// The options of the operator `table`.
pub(super) fn options(
    table: &mut Table<'_, '_, '_>,
    builtin: Builtin,
    place: Place<'_>,
) -> Result<Options, TfliteError> {
    let mut source = Source { table, place };
    Ok(match builtin.name().unwrap_or_default() {
        "ADD" => Options::Add(add_sub(source.table(add_options::ADD_UNION_TYPE)?)?),
        "AVERAGE_POOL_2D" => {
            Options::AveragePool2d(pool_2d(source.table(pool_2d_options::UNION_TYPE)?)?)
        }
        "BATCH_TO_SPACE_ND" => Options::BatchToSpaceNd,
        "CONCATENATION" => concatenation(source.table(concatenation_options::UNION_TYPE)?)?,
        "CONV_2D" => Options::Conv2d(conv_2d(source.table(conv_2d_options::UNION_TYPE)?)?),
        "DEPTHWISE_CONV_2D" => Options::DepthwiseConv2d(depthwise_conv_2d(
            source.table(depthwise_conv_2d_options::UNION_TYPE)?,
        )?),
        "DEQUANTIZE" => Options::Dequantize,
        "EXPAND_DIMS" => Options::ExpandDims,
        "FULLY_CONNECTED" => Options::FullyConnected(fully_connected(
            source.table(fully_connected_options::UNION_TYPE)?,
        )?),
        "HARD_SWISH" => Options::HardSwish,
        "LEAKY_RELU" => Options::LeakyRelu {
            alpha: source
                .table(leaky_relu_options::UNION_TYPE)?
                .scalar(leaky_relu_options::ALPHA)?,
        },
        "LOGISTIC" => Options::Logistic,
        "MAX_POOL_2D" => Options::MaxPool2d(pool_2d(source.table(pool_2d_options::UNION_TYPE)?)?),
        "MEAN" => Options::Mean {
            keep_dims: source
                .table(reducer_options::UNION_TYPE)?
                .scalar(reducer_options::KEEP_DIMS)?,
        },
        "MUL" => Options::Mul {
            activation: source
                .table(mul_options::UNION_TYPE)?
                .activation(mul_options::FUSED_ACTIVATION_FUNCTION)?,
        },
        "PACK" => pack(source.table(pack_options::UNION_TYPE)?)?,
        "PAD" => Options::Pad,
        "PADV2" => Options::PadV2,
        "PRELU" => Options::Prelu,
        "QUANTIZE" => Options::Quantize,
        "RELU" => Options::Relu,
        "RELU6" => Options::Relu6,
        "RELU_N1_TO_1" => Options::ReluN1To1,
        "RESHAPE" => reshape(source.table(reshape_options::UNION_TYPE))?,
        "RESIZE_BILINEAR" => Options::ResizeBilinear(Resize::read(
            source.table(resize_bilinear_options::UNION_TYPE)?,
            resize_bilinear_options::ALIGN_CORNERS,
            resize_bilinear_options::HALF_PIXEL_CENTERS,
        )?),
        "RESIZE_NEAREST_NEIGHBOR" => Options::ResizeNearestNeighbor(Resize::read(
            source.table(resize_nearest_neighbor_options::UNION_TYPE)?,
            resize_nearest_neighbor_options::ALIGN_CORNERS,
            resize_nearest_neighbor_options::HALF_PIXEL_CENTERS,
        )?),
        "SLICE" => Options::Slice,
        "SOFTMAX" => Options::Softmax {
            beta: source
                .table(softmax_options::UNION_TYPE)?
                .scalar(softmax_options::BETA)?,
        },
        "SPACE_TO_BATCH_ND" => Options::SpaceToBatchNd,
        "SPLIT" => Options::Split {
            num_splits: source
                .table(split_options::SPLIT_UNION_TYPE)?
                .scalar(split_options::NUM_SPLITS)?,
        },
        "SPLIT_V" => Options::SplitV {
            num_splits: source
                .table(split_options::SPLIT_V_UNION_TYPE)?
                .scalar(split_options::NUM_SPLITS)?,
        },
        "SQUEEZE" => Options::Squeeze {
            squeeze_dims: source
                .table(squeeze_options::UNION_TYPE)?
                .numbers(squeeze_options::SQUEEZE_DIMS)?
                .unwrap_or_default(),
        },
        "STRIDED_SLICE" => Options::StridedSlice(strided_slice(
            source.table(strided_slice_options::UNION_TYPE)?,
        )?),
        "SUB" => Options::Sub(add_sub(source.table(add_options::SUB_UNION_TYPE)?)?),
        "SVDF" => Options::Svdf(svdf(source.table(svdf_options::UNION_TYPE)?)?),
        "TANH" => Options::Tanh,
        "TRANSPOSE" => Options::Transpose,
        "TRANSPOSE_CONV" => Options::TransposeConv(transpose_conv(
            source.table(transpose_conv_options::UNION_TYPE)?,
        )?),
        "UNIDIRECTIONAL_SEQUENCE_LSTM" => Options::UnidirectionalSequenceLstm(lstm(
            source.table(unidirectional_sequence_lstm_options::UNION_TYPE)?,
        )?),
        "UNPACK" => unpack(source.table(unpack_options::UNION_TYPE)?)?,
        _ => Options::Unsupported {
            name: place.name.to_owned(),
        },
    })
}

/// An operator whose options are wanted.
struct Source<'a, 'v, 'o, 'f, 'n> {
    table: &'a mut Table<'v, 'o, 'f>,
    place: Place<'n>,
}

impl<'o, 'f, 'n> Source<'_, '_, 'o, 'f, 'n> {
    /// Its options, which must be member `expected` of their union.
    fn table(&mut self, expected: u8) -> Result<OptionsTable<'_, 'o, 'f, 'n>, TfliteError> {
        let Self { table, place } = self;
        let damaged = |found| TfliteError::damaged(place.to_string(), found);
        let found = table
            .scalar(operator::BUILTIN_OPTIONS_TYPE)
            .map_err(damaged)?;
        let position = table.table(operator::BUILTIN_OPTIONS).map_err(damaged)?;
        match position {
            Some(position) if found == expected => Ok(OptionsTable {
                table: table.open(position).map_err(damaged)?,
                place: *place,
            }),
            _ => Err(TfliteError::OptionsType {
                operator: place.index,
                name: place.name.to_owned(),
                found,
                expected,
            }),
        }
    }
}

/// The table of an operator's options.
struct OptionsTable<'v, 'o, 'f, 'n> {
    table: Table<'v, 'o, 'f>,
    place: Place<'n>,
}

impl OptionsTable<'_, '_, '_, '_> {
    fn scalar<T: Element>(&mut self, field: Scalar<T>) -> Result<T, TfliteError> {
        let value = self.table.scalar(field);
        value.map_err(|found| TfliteError::damaged(self.place.to_string(), found))
    }

    fn numbers<T: Element>(&mut self, field: Numbers<T>) -> Result<Option<Vec<T>>, TfliteError> {
        let value = self.table.numbers(field);
        value.map_err(|found| TfliteError::damaged(self.place.to_string(), found))
    }

    /// A length that must be at least 1.
    fn positive(&mut self, option: &'static str, field: Scalar<i32>) -> Result<usize, TfliteError> {
        let value = self.scalar(field)?;
        match usize::try_from(value) {
            Ok(length) if length > 0 => Ok(length),
            _ => Err(self.meaningless(option, value)),
        }
    }

    fn padding(&mut self, field: Scalar<i8>) -> Result<Padding, TfliteError> {
        match self.scalar(field)? {
            0 => Ok(Padding::Same),
            1 => Ok(Padding::Valid),
            other => Err(self.meaningless("padding", other.into())),
        }
    }

    fn activation(&mut self, field: Scalar<i8>) -> Result<FusedActivation, TfliteError> {
        match self.scalar(field)? {
            0 => Ok(FusedActivation::None),
            1 => Ok(FusedActivation::Relu),
            2 => Ok(FusedActivation::ReluN1To1),
            3 => Ok(FusedActivation::Relu6),
            4 => Ok(FusedActivation::Tanh),
            5 => Ok(FusedActivation::SignBit),
            other => Err(self.meaningless("fused_activation_function", other.into())),
        }
    }

    /// A type, or `None` for 0: the schema's default stands for "not given".
    fn bias_type(&mut self, field: Scalar<i8>) -> Result<Option<ElementType>, TfliteError> {
        let number = self.scalar(field)?;
        Ok((number != 0).then(|| ElementType::from_number(number)))
    }

    fn meaningless(&self, option: &'static str, value: i32) -> TfliteError {
        TfliteError::OptionValue {
            operator: self.place.index,
            name: self.place.name.to_owned(),
            option,
            value,
        }
    }
}

fn add_sub(mut table: OptionsTable<'_, '_, '_, '_>) -> Result<AddSub, TfliteError> {
    Ok(AddSub {
        activation: table.activation(add_options::FUSED_ACTIVATION_FUNCTION)?,
        pot_scale_int16: table.scalar(add_options::POT_SCALE_INT16)?,
    })
}

fn concatenation(mut table: OptionsTable<'_, '_, '_, '_>) -> Result<Options, TfliteError> {
    Ok(Options::Concatenation {
        axis: table.scalar(concatenation_options::AXIS)?,
        activation: table.activation(concatenation_options::FUSED_ACTIVATION_FUNCTION)?,
    })
}

fn conv_2d(mut table: OptionsTable<'_, '_, '_, '_>) -> Result<Conv2d, TfliteError> {
    use conv_2d_options as schema;
    Ok(Conv2d {
        padding: table.padding(schema::PADDING)?,
        stride_w: table.positive("stride_w", schema::STRIDE_W)?,
        stride_h: table.positive("stride_h", schema::STRIDE_H)?,
        activation: table.activation(schema::FUSED_ACTIVATION_FUNCTION)?,
        dilation_w: table.positive("dilation_w_factor", schema::DILATION_W_FACTOR)?,
        dilation_h: table.positive("dilation_h_factor", schema::DILATION_H_FACTOR)?,
        quantized_bias_type: table.bias_type(schema::QUANTIZED_BIAS_TYPE)?,
    })
}

fn depthwise_conv_2d(
    mut table: OptionsTable<'_, '_, '_, '_>,
) -> Result<DepthwiseConv2d, TfliteError> {
    use depthwise_conv_2d_options as schema;
    Ok(DepthwiseConv2d {
        padding: table.padding(schema::PADDING)?,
        stride_w: table.positive("stride_w", schema::STRIDE_W)?,
        stride_h: table.positive("stride_h", schema::STRIDE_H)?,
        depth_multiplier: table.scalar(schema::DEPTH_MULTIPLIER)?,
        activation: table.activation(schema::FUSED_ACTIVATION_FUNCTION)?,
        dilation_w: table.positive("dilation_w_factor", schema::DILATION_W_FACTOR)?,
        dilation_h: table.positive("dilation_h_factor", schema::DILATION_H_FACTOR)?,
    })
}

fn pool_2d(mut table: OptionsTable<'_, '_, '_, '_>) -> Result<Pool2d, TfliteError> {
    use pool_2d_options as schema;
    Ok(Pool2d {
        padding: table.padding(schema::PADDING)?,
        stride_w: table.positive("stride_w", schema::STRIDE_W)?,
        stride_h: table.positive("stride_h", schema::STRIDE_H)?,
        filter_width: table.positive("filter_width", schema::FILTER_WIDTH)?,
        filter_height: table.positive("filter_height", schema::FILTER_HEIGHT)?,
        activation: table.activation(schema::FUSED_ACTIVATION_FUNCTION)?,
    })
}

fn fully_connected(mut table: OptionsTable<'_, '_, '_, '_>) -> Result<FullyConnected, TfliteError> {
    use fully_connected_options as schema;
    let shuffled_weights = match table.scalar(schema::WEIGHTS_FORMAT)? {
        0 => false,
        1 => true,
        other => return Err(table.meaningless("weights_format", other.into())),
    };
    Ok(FullyConnected {
        activation: table.activation(schema::FUSED_ACTIVATION_FUNCTION)?,
        shuffled_weights,
        keep_num_dims: table.scalar(schema::KEEP_NUM_DIMS)?,
        asymmetric_quantize_inputs: table.scalar(schema::ASYMMETRIC_QUANTIZE_INPUTS)?,
        quantized_bias_type: table.bias_type(schema::QUANTIZED_BIAS_TYPE)?,
    })
}

fn pack(mut table: OptionsTable<'_, '_, '_, '_>) -> Result<Options, TfliteError> {
    Ok(Options::Pack {
        values_count: table.scalar(pack_options::VALUES_COUNT)?,
        axis: table.scalar(pack_options::AXIS)?,
    })
}

fn unpack(mut table: OptionsTable<'_, '_, '_, '_>) -> Result<Options, TfliteError> {
    Ok(Options::Unpack {
        num: table.scalar(unpack_options::NUM)?,
        axis: table.scalar(unpack_options::AXIS)?,
    })
}

/// Converters may leave these options out, as an input holds the shape too.
fn reshape(
    table: Result<OptionsTable<'_, '_, '_, '_>, TfliteError>,
) -> Result<Options, TfliteError> {
    let new_shape = match table {
        Ok(mut table) => table.numbers(reshape_options::NEW_SHAPE)?,
        Err(TfliteError::OptionsType { found: 0, .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(Options::Reshape { new_shape })
}

impl Resize {
    /// The two operators have the same fields under different numbers.
    fn read(
        mut table: OptionsTable<'_, '_, '_, '_>,
        align_corners: Scalar<bool>,
        half_pixel_centers: Scalar<bool>,
    ) -> Result<Self, TfliteError> {
        Ok(Self {
            align_corners: table.scalar(align_corners)?,
            half_pixel_centers: table.scalar(half_pixel_centers)?,
        })
    }
}

fn strided_slice(mut table: OptionsTable<'_, '_, '_, '_>) -> Result<StridedSlice, TfliteError> {
    use strided_slice_options as schema;
    Ok(StridedSlice {
        begin_mask: table.scalar(schema::BEGIN_MASK)?,
        end_mask: table.scalar(schema::END_MASK)?,
        ellipsis_mask: table.scalar(schema::ELLIPSIS_MASK)?,
        new_axis_mask: table.scalar(schema::NEW_AXIS_MASK)?,
        shrink_axis_mask: table.scalar(schema::SHRINK_AXIS_MASK)?,
        offset: table.scalar(schema::OFFSET)?,
    })
}

fn svdf(mut table: OptionsTable<'_, '_, '_, '_>) -> Result<Svdf, TfliteError> {
    use svdf_options as schema;
    Ok(Svdf {
        rank: table.positive("rank", schema::RANK)?,
        activation: table.activation(schema::FUSED_ACTIVATION_FUNCTION)?,
        asymmetric_quantize_inputs: table.scalar(schema::ASYMMETRIC_QUANTIZE_INPUTS)?,
    })
}

fn transpose_conv(mut table: OptionsTable<'_, '_, '_, '_>) -> Result<TransposeConv, TfliteError> {
    use transpose_conv_options as schema;
    Ok(TransposeConv {
        padding: table.padding(schema::PADDING)?,
        stride_w: table.positive("stride_w", schema::STRIDE_W)?,
        stride_h: table.positive("stride_h", schema::STRIDE_H)?,
        activation: table.activation(schema::FUSED_ACTIVATION_FUNCTION)?,
        quantized_bias_type: table.bias_type(schema::QUANTIZED_BIAS_TYPE)?,
    })
}

fn lstm(
    mut table: OptionsTable<'_, '_, '_, '_>,
) -> Result<UnidirectionalSequenceLstm, TfliteError> {
    use unidirectional_sequence_lstm_options as schema;
    Ok(UnidirectionalSequenceLstm {
        activation: table.activation(schema::FUSED_ACTIVATION_FUNCTION)?,
        cell_clip: table.scalar(schema::CELL_CLIP)?,
        proj_clip: table.scalar(schema::PROJ_CLIP)?,
        time_major: table.scalar(schema::TIME_MAJOR)?,
        asymmetric_quantize_inputs: table.scalar(schema::ASYMMETRIC_QUANTIZE_INPUTS)?,
        diagonal_recurrent_tensors: table.scalar(schema::DIAGONAL_RECURRENT_TENSORS)?,
    })
}
