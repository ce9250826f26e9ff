//! Codes and options of every operator.

use super::super::{
    AddSub, Conv2d, DepthwiseConv2d, ElementType, FullyConnected, FusedActivation, Options, Pool2d,
    Resize, StridedSlice, Svdf, TransposeConv, UnidirectionalSequenceLstm,
};
use super::build::{Fields, Value, text};
use super::*;
use crate::graph::Padding;

/// The options of an operator `builtin` whose options are `fields`, member `union_type`.
fn options(builtin: i32, union_type: u8, fields: Fields) -> Options {
    let mut parts = Parts::new();
    parts.codes = vec![code(builtin)];
    parts.operators[0] = vec![
        (1, Value::Ints(vec![0, -1])),
        (2, Value::Ints(vec![3])),
        (3, Value::U8(union_type)),
        (4, Value::Table(fields)),
    ];
    let bytes = parts.file();
    let model = read(&bytes).unwrap();
    assert_eq!(model.operators[0].inputs, [Some(0), None]);
    model.operators[0].options.clone()
}

/// `(number, value)` of fields of 32 bits.
fn ints(values: &[(u16, i32)]) -> Fields {
    let fields = values.iter();
    fields.map(|&(id, value)| (id, Value::I32(value))).collect()
}

fn joined(parts: [Fields; 2]) -> Fields {
    parts.concat()
}

#[test]
fn windows() {
    let small = |values: &[(u16, i8)]| -> Fields {
        let fields = values.iter();
        fields.map(|&(id, value)| (id, Value::I8(value))).collect()
    };
    let fields = joined([
        ints(&[(1, 2), (2, 3), (4, 4), (5, 5)]),
        small(&[(0, 1), (3, 3), (6, 4)]),
    ]);
    let conv = Conv2d {
        padding: Padding::Valid,
        stride_w: 2,
        stride_h: 3,
        activation: FusedActivation::Relu6,
        dilation_w: 4,
        dilation_h: 5,
        quantized_bias_type: Some(ElementType::Int64),
    };
    assert_eq!(options(3, 1, fields), Options::Conv2d(conv));

    // Dilations default to 1.
    let fields = joined([ints(&[(1, 2), (2, 3), (3, 8)]), small(&[(4, 2)])]);
    let depthwise = DepthwiseConv2d {
        padding: Padding::Same,
        stride_w: 2,
        stride_h: 3,
        depth_multiplier: 8,
        activation: FusedActivation::ReluN1To1,
        dilation_w: 1,
        dilation_h: 1,
    };
    assert_eq!(options(4, 2, fields), Options::DepthwiseConv2d(depthwise));

    let fields = joined([
        ints(&[(1, 2), (2, 3), (3, 4), (4, 5)]),
        small(&[(0, 1), (5, 1)]),
    ]);
    let pool = Pool2d {
        padding: Padding::Valid,
        stride_w: 2,
        stride_h: 3,
        filter_width: 4,
        filter_height: 5,
        activation: FusedActivation::Relu,
    };
    assert_eq!(
        options(1, 5, fields.clone()),
        Options::AveragePool2d(pool.clone())
    );
    assert_eq!(options(17, 5, fields), Options::MaxPool2d(pool));

    let fields = joined([ints(&[(1, 2), (2, 3)]), small(&[(0, 1), (3, 1), (4, 2)])]);
    let transposed = TransposeConv {
        padding: Padding::Valid,
        stride_w: 2,
        stride_h: 3,
        activation: FusedActivation::Relu,
        quantized_bias_type: Some(ElementType::Int32),
    };
    assert_eq!(options(67, 49, fields), Options::TransposeConv(transposed));
}

#[test]
fn dense_and_recurrent() {
    let fields = vec![
        (0, Value::I8(0)),
        (1, Value::I8(1)),
        (2, Value::Bool(true)),
        (4, Value::I8(2)),
    ];
    let dense = FullyConnected {
        activation: FusedActivation::None,
        shuffled_weights: true,
        keep_num_dims: true,
        asymmetric_quantize_inputs: false,
        quantized_bias_type: Some(ElementType::Int32),
    };
    assert_eq!(options(9, 8, fields), Options::FullyConnected(dense));

    let fields = vec![
        (0, Value::I8(4)),
        (1, Value::F32(10.0)),
        (2, Value::F32(2.0)),
        (3, Value::Bool(true)),
        (5, Value::Bool(true)),
    ];
    let lstm = UnidirectionalSequenceLstm {
        activation: FusedActivation::Tanh,
        cell_clip: 10.0,
        proj_clip: 2.0,
        time_major: true,
        asymmetric_quantize_inputs: false,
        diagonal_recurrent_tensors: true,
    };
    assert_eq!(
        options(44, 71, fields),
        Options::UnidirectionalSequenceLstm(lstm)
    );

    let fields = vec![
        (0, Value::I32(2)),
        (1, Value::I8(1)),
        (2, Value::Bool(true)),
    ];
    let svdf = Svdf {
        rank: 2,
        activation: FusedActivation::Relu,
        asymmetric_quantize_inputs: true,
    };
    assert_eq!(options(27, 6, fields), Options::Svdf(svdf));
}

#[test]
fn element_by_element() {
    let relu = || vec![(0, Value::I8(1))];
    let activation = FusedActivation::Relu;
    let add = AddSub {
        activation,
        pot_scale_int16: true,
    };
    assert_eq!(options(0, 11, relu()), Options::Add(add));
    let sub = AddSub {
        activation,
        pot_scale_int16: false,
    };
    let fields = joined([relu(), vec![(1, Value::Bool(false))]]);
    assert_eq!(options(41, 28, fields), Options::Sub(sub));
    assert_eq!(options(18, 21, relu()), Options::Mul { activation });
    let fields = vec![(0, Value::F32(0.5))];
    assert_eq!(
        options(98, 75, fields.clone()),
        Options::LeakyRelu { alpha: 0.5 }
    );
    assert_eq!(options(25, 9, fields), Options::Softmax { beta: 0.5 });
}

#[test]
fn shapes() {
    let dims = || vec![(0, Value::Ints(vec![-1, 4]))];
    let new_shape = Some(vec![-1, 4]);
    assert_eq!(options(22, 17, dims()), Options::Reshape { new_shape });
    let squeeze_dims = vec![-1, 4];
    assert_eq!(options(43, 30, dims()), Options::Squeeze { squeeze_dims });
    let fields = vec![(0, Value::Bool(true))];
    assert_eq!(options(40, 27, fields), Options::Mean { keep_dims: true });
    let fields = vec![(0, Value::I32(-1)), (1, Value::I8(1))];
    let joined = Options::Concatenation {
        axis: -1,
        activation: FusedActivation::Relu,
    };
    assert_eq!(options(2, 10, fields), joined);
    assert_eq!(
        options(49, 35, ints(&[(0, 3)])),
        Options::Split { num_splits: 3 }
    );
    assert_eq!(
        options(102, 79, ints(&[(0, 3)])),
        Options::SplitV { num_splits: 3 }
    );
    let fields = || ints(&[(0, 2), (1, -1)]);
    let pack = Options::Pack {
        values_count: 2,
        axis: -1,
    };
    assert_eq!(options(83, 59, fields()), pack);
    assert_eq!(
        options(88, 64, fields()),
        Options::Unpack { num: 2, axis: -1 }
    );
    let mut fields = ints(&[(0, 1), (1, 2), (2, 4), (3, 8), (4, 16)]);
    fields.push((5, Value::Bool(true)));
    let slice = StridedSlice {
        begin_mask: 1,
        end_mask: 2,
        ellipsis_mask: 4,
        new_axis_mask: 8,
        shrink_axis_mask: 16,
        offset: true,
    };
    assert_eq!(options(45, 32, fields), Options::StridedSlice(slice));
}

#[test]
fn resizing_has_other_numbers_for_the_same_fields() {
    let half_pixels = Resize {
        align_corners: false,
        half_pixel_centers: true,
    };
    let fields = vec![(3, Value::Bool(true))];
    assert_eq!(
        options(23, 15, fields),
        Options::ResizeBilinear(half_pixels.clone())
    );
    let fields = vec![(1, Value::Bool(true))];
    assert_eq!(
        options(97, 74, fields),
        Options::ResizeNearestNeighbor(half_pixels)
    );
}

#[test]
fn operators_without_options() {
    for (builtin, expected) in [
        (6, Options::Dequantize),
        (14, Options::Logistic),
        (19, Options::Relu),
        (20, Options::ReluN1To1),
        (21, Options::Relu6),
        (28, Options::Tanh),
        (34, Options::Pad),
        (37, Options::BatchToSpaceNd),
        (38, Options::SpaceToBatchNd),
        (39, Options::Transpose),
        (54, Options::Prelu),
        (60, Options::PadV2),
        (65, Options::Slice),
        (70, Options::ExpandDims),
        (114, Options::Quantize),
        (117, Options::HardSwish),
    ] {
        assert_eq!(options(builtin, 0, vec![]), expected);
    }
}

#[test]
fn others_are_kept_with_their_names() {
    let unsupported = |name: &str| Options::Unsupported {
        name: name.to_owned(),
    };
    assert_eq!(options(126, 101, vec![]), unsupported("BATCH_MATMUL"));
    assert_eq!(options(150, 116, vec![]), unsupported("GELU"));
    assert_eq!(options(209, 0, vec![]), unsupported("STABLEHLO_CASE"));
    assert_eq!(options(300, 0, vec![]), unsupported("BUILTIN_300"));
}

#[test]
fn custom_operators_have_their_own_name() {
    let mut parts = Parts::new();
    parts.codes[0] = vec![(0, Value::I8(32)), (1, text("AudioSpectrogram"))];
    let bytes = parts.file();
    let model = read(&bytes).unwrap();
    assert_eq!(model.operators[0].name(), "AudioSpectrogram");
    assert_eq!(model.operators[0].version, 1);
    let listed: Vec<_> = model.unsupported().collect();
    assert_eq!(listed, [(0, "AudioSpectrogram")]);
}

/// Old files have the first field only, and files for new operators hold 127 in it.
#[test]
fn the_larger_code_counts() {
    for code in [
        vec![(0, Value::I8(9))],
        vec![(3, Value::I32(9))],
        vec![(0, Value::I8(9)), (3, Value::I32(0))],
    ] {
        let mut parts = Parts::new();
        parts.codes = vec![code];
        let bytes = parts.file();
        assert_eq!(read(&bytes).unwrap().operators[0].name(), "FULLY_CONNECTED");
    }
    assert!(matches!(options(150, 116, vec![]), Options::Unsupported { name } if name == "GELU"));
}
