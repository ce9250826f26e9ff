//! What the archive of models that LiteRT runs cannot show: refusals, and the ends of models.

use super::*;
use crate::graph::{Convolution, OperatorKind, RoundingMode};
use crate::import::tflite::{
    AddSub, Builtin, Conv2d, ElementType, FullyConnected, FusedActivation, Operator, StridedSlice,
    Tensor,
};

fn tensor(
    name: &str,
    shape: &[usize],
    element: ElementType,
    scale: f32,
    zero_point: i64,
) -> Tensor<'static> {
    Tensor {
        name: name.into(),
        shape: shape.to_vec(),
        shape_signature: Vec::new(),
        element,
        scales: vec![scale],
        zero_points: vec![zero_point],
        quantized_dimension: 0,
        data: None,
        is_variable: false,
    }
}

fn int8(name: &str, shape: &[usize]) -> Tensor<'static> {
    tensor(name, shape, ElementType::Int8, 0.5, 0)
}

/// A model of operators given by options, inputs and outputs; its first tensor is its input, its
/// last one its output.
fn model(
    tensors: Vec<Tensor<'static>>,
    operators: Vec<(Options, Vec<usize>, Vec<usize>)>,
) -> Model<'static> {
    let operator =
        |(index, (options, inputs, outputs)): (usize, (Options, Vec<usize>, _))| Operator {
            index,
            builtin: Builtin(index as i32),
            custom_name: None,
            version: 1,
            inputs: inputs.into_iter().map(Some).collect(),
            outputs,
            intermediates: Vec::new(),
            options,
        };
    Model {
        description: String::new(),
        inputs: vec![0],
        outputs: vec![tensors.len() - 1],
        tensors,
        operators: operators.into_iter().enumerate().map(operator).collect(),
    }
}

fn lowered(model: &Model<'_>) -> Result<Imported, ImportError> {
    lower(model, &ImportOptions::default())
}

fn integers(name: &str, shape: &[usize], data: Option<&'static [u8]>) -> Tensor<'static> {
    let mut tensor = tensor(name, shape, ElementType::Int32, 1.0, 0);
    tensor.data = data;
    tensor
}

fn add() -> Options {
    Options::Add(AddSub {
        activation: FusedActivation::None,
        pot_scale_int16: false,
    })
}

#[test]
fn everything_unsupported_is_named() {
    let mut float = int8("float", &[1, 4]);
    float.element = ElementType::Float32;
    let unknown = || Options::Unsupported {
        name: "GELU".into(),
    };
    let model = model(
        vec![
            int8("x", &[1, 4]),
            int8("a", &[1, 4]),
            int8("b", &[1, 4]),
            float,
            int8("c", &[1, 4]),
            int8("y", &[1, 4]),
        ],
        vec![
            (unknown(), vec![0], vec![1]),
            // Supported, although nothing supported writes its input.
            (Options::Relu, vec![1], vec![2]),
            (Options::Dequantize, vec![2], vec![3]),
            (Options::Quantize, vec![3], vec![4]),
            (unknown(), vec![4], vec![5]),
        ],
    );
    let Err(ImportError::Unsupported(all)) = lowered(&model) else {
        panic!("{:?}", lowered(&model));
    };
    let found: Vec<_> = all
        .iter()
        .map(|one| (one.operator, one.location.as_str()))
        .collect();
    let expected = [
        (Some(0), "a"),
        (Some(2), "float"),
        (Some(3), "c"),
        (Some(4), "y"),
    ];
    assert_eq!(found, expected);
    let message = ImportError::Unsupported(all).to_string();
    // The heading, each of them, and what to do about the floats.
    assert_eq!(message.lines().count(), 6, "{message}");
}

#[test]
fn uint8_and_real_numbers_vanish_at_the_ends() {
    let byte = |name| tensor(name, &[1, 4], ElementType::UInt8, 0.5, 128);
    let mut real = int8("real", &[1, 4]);
    (real.element, real.scales, real.zero_points) = (ElementType::Float32, Vec::new(), Vec::new());
    let operators = |last| {
        vec![
            (Options::Quantize, vec![0], vec![1]),
            (Options::Relu, vec![1], vec![2]),
            (last, vec![2], vec![3]),
        ]
    };
    for (end, last) in [
        (byte("byte"), Options::Quantize),
        (real, Options::Dequantize),
    ] {
        let tensors = vec![end.clone(), int8("a", &[1, 4]), int8("b", &[1, 4]), end];
        let imported = lowered(&model(tensors, operators(last))).unwrap();
        assert_eq!(imported.graph.operators.len(), 1);
        assert_eq!(imported.notes.len(), 2, "{:?}", imported.notes);
        assert_eq!(imported.operators.len(), 3);
    }
    // Another distance between the zero points is another value.
    let tensors = vec![
        tensor("byte", &[1, 4], ElementType::UInt8, 0.5, 127),
        int8("a", &[1, 4]),
        int8("b", &[1, 4]),
        byte("y"),
    ];
    let Err(ImportError::Unsupported(all)) = lowered(&model(tensors, operators(Options::Quantize)))
    else {
        panic!("lowered");
    };
    assert_eq!(all.first().unwrap().operator, None);
}

#[test]
fn one_tensor_serves_operators_of_several_shapes() {
    let axes = integers("axes", &[2], Some(&[1, 0, 0, 0, 0, 0, 0, 0]));
    let tensors = vec![
        int8("x", &[6, 4]),
        axes,
        int8("transposed", &[4, 6]),
        int8("flat", &[24]),
        int8("y", &[24]),
    ];
    let new_shape = None;
    let operators = vec![
        (Options::Transpose, vec![0, 1], vec![2]),
        (Options::Reshape { new_shape }, vec![2], vec![3]),
        (add(), vec![3, 3], vec![4]),
    ];
    let imported = lowered(&model(tensors, operators)).unwrap();
    assert_eq!(
        imported.graph.tensors[imported.graph.output].shape,
        [1, 1, 1, 24]
    );
    let sources: Vec<_> = imported.graph.operators.iter().map(|o| o.source).collect();
    assert_eq!(sources, [Some(0), Some(1), Some(2)]);
}

/// TensorFlow Lite Micro multiplies the scales of a whole dense layer in f32, of a convolution in f64.
#[test]
fn dense_rows_keep_the_multiplier_of_their_reference() {
    static WEIGHTS: [u8; 6] = [1, 2, 3, 4, 5, 6];
    let mut weights = int8("weights", &[2, 3]);
    weights.data = Some(&WEIGHTS);
    let options = Options::FullyConnected(FullyConnected {
        activation: FusedActivation::None,
        shuffled_weights: false,
        keep_num_dims: false,
        asymmetric_quantize_inputs: false,
        quantized_bias_type: None,
    });
    let tensors = vec![int8("x", &[4, 3]), weights, int8("y", &[4, 2])];
    let model = model(tensors, vec![(options, vec![0, 1], vec![2])]);
    let kinds = |rounding| {
        let imported = lower(&model, &ImportOptions { rounding }).unwrap();
        imported
            .graph
            .operators
            .into_iter()
            .map(|o| o.kind)
            .collect::<Vec<_>>()
    };
    let [OperatorKind::Conv2d(Convolution { rounding, .. })] =
        &kinds(ReferenceRounding::Litert)[..]
    else {
        panic!("not one convolution");
    };
    assert_eq!(*rounding, RoundingMode::Single);
    let dense = |kind: &&OperatorKind| {
        matches!(
            kind,
            OperatorKind::FullyConnected {
                rounding: RoundingMode::Double,
                ..
            }
        )
    };
    assert_eq!(
        kinds(ReferenceRounding::Tflm).iter().filter(dense).count(),
        4
    );
}

/// How a Flatten looks whose batch was open when the model was converted.
#[test]
fn integers_that_follow_from_shapes_leave_no_operator() {
    let slice = Options::StridedSlice(StridedSlice {
        begin_mask: 0,
        end_mask: 0,
        ellipsis_mask: 0,
        new_axis_mask: 0,
        shrink_axis_mask: 1,
        offset: false,
    });
    let unknown = |name: &str| Options::Unsupported { name: name.into() };
    let pack = Options::Pack {
        axis: 0,
        values_count: 2,
    };
    let tensors = || {
        vec![
            int8("x", &[1, 2, 3, 4]),
            integers("shape", &[4], None),
            integers("zero", &[1], Some(&[0; 4])),
            integers("one", &[1], Some(&[1, 0, 0, 0])),
            integers("batch", &[], None),
            integers("rest", &[], Some(&[0xFF; 4])),
            integers("target", &[2], None),
            int8("y", &[1, 24]),
        ]
    };
    let mut flatten = model(
        tensors(),
        vec![
            (unknown("SHAPE"), vec![0], vec![1]),
            (slice, vec![1, 2, 3, 3], vec![4]),
            (pack.clone(), vec![4, 5], vec![6]),
            (Options::Reshape { new_shape: None }, vec![0, 6], vec![7]),
        ],
    );
    flatten.operators[0].builtin = Builtin(77);
    let imported = lowered(&flatten).unwrap();
    let sources: Vec<_> = imported.graph.operators.iter().map(|o| o.source).collect();
    assert_eq!(sources, [Some(3)]);
    // The same integers from something that is no shape.
    flatten.operators[0].builtin = Builtin(1000);
    let Err(ImportError::Unsupported(all)) = lowered(&flatten) else {
        panic!("lowered");
    };
    assert_eq!(all[0].operator, Some(0));
}

/// A causal Conv1D with a dilation of 2 as Keras writes it.
#[test]
fn a_dilated_sequence_is_one_convolution() {
    static WEIGHTS: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let mut weights = int8("weights", &[2, 1, 3, 2]);
    weights.data = Some(&WEIGHTS);
    let convolution = Options::Conv2d(Conv2d {
        padding: crate::graph::Padding::Valid,
        stride_w: 1,
        stride_h: 1,
        activation: FusedActivation::Relu,
        dilation_w: 1,
        dilation_h: 1,
        quantized_bias_type: None,
    });
    let tensors = vec![
        int8("x", &[1, 12, 2]),
        integers("block", &[1], Some(&[2, 0, 0, 0])),
        integers("pads", &[1, 2], Some(&[0; 8])),
        integers("axis", &[], Some(&[1, 0, 0, 0])),
        int8("parts", &[2, 6, 2]),
        int8("images", &[2, 1, 6, 2]),
        weights,
        int8("convolved", &[2, 1, 4, 2]),
        int8("rows", &[2, 4, 2]),
        int8("y", &[1, 8, 2]),
    ];
    let model = model(
        tensors,
        vec![
            (Options::SpaceToBatchNd, vec![0, 1, 2], vec![4]),
            (Options::ExpandDims, vec![4, 3], vec![5]),
            (convolution, vec![5, 6], vec![7]),
            (Options::Reshape { new_shape: None }, vec![7], vec![8]),
            (Options::BatchToSpaceNd, vec![8, 1, 2], vec![9]),
        ],
    );
    let graph = lowered(&model).unwrap().graph;
    let kinds: Vec<_> = graph.operators.iter().map(|o| &o.kind).collect();
    let [
        OperatorKind::Conv2d(Convolution {
            dilation, kernel, ..
        }),
    ] = kinds[..]
    else {
        panic!("{kinds:?}");
    };
    assert_eq!((*dilation, *kernel), ([1, 2], [1, 3]));
    assert_eq!(graph.tensors[graph.output].shape, [1, 1, 8, 2]);
}

/// A trace has a file for each output.
#[test]
fn outputs_of_one_operator_have_names_of_their_own() {
    let split = Options::Split { num_splits: 2 };
    let tensors = vec![
        int8("x", &[1, 4]),
        integers("axis", &[], Some(&[1, 0, 0, 0])),
        int8("a", &[1, 2]),
        int8("b", &[1, 2]),
        int8("y", &[1, 2]),
    ];
    let operators = vec![
        (split, vec![1, 0], vec![2, 3]),
        (add(), vec![2, 3], vec![4]),
    ];
    let mut model = model(tensors, operators);
    model.operators[0].builtin = Builtin(49);
    let imported = lowered(&model).unwrap();
    let origin = crate::source::Origin {
        file: "split.tflite",
        rounding: ReferenceRounding::Litert,
    };
    let target = crate::Target::host();
    let options = crate::Options {
        unfused: true,
        ..crate::Options::default()
    };
    let compiled = crate::source::compile_imported(&imported, origin, &target, options).unwrap();
    let image = edge_runtime::Model::load(&compiled.image).unwrap();
    let source = crate::source::Source::of(&image).unwrap();
    let names: Vec<_> = source.operators.iter().flatten().map(|o| &o.1).collect();
    assert_eq!(names[..2], ["SPLIT_0", "SPLIT_1"]);
}
