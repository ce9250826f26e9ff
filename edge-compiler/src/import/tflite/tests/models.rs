//! Real models, compared with what TensorFlow Lite itself says of them (`manifest.json`).

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::super::{FusedActivation, Model, Operator, Options, Pool2d, Tensor};
use super::*;
use crate::graph::Padding;

/// Where the models are: `DUNLIN_MODELS`, or `../shared/models` beside the repository.
fn folder() -> PathBuf {
    match std::env::var_os("DUNLIN_MODELS") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/models"),
    }
}

/// All models there; none, and a printed line, where the folder is missing.
pub fn model_files() -> Vec<PathBuf> {
    let folder = folder();
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!(
            "skipped: no models in {}; set DUNLIN_MODELS",
            folder.display()
        );
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "tflite"))
        .collect()
}

#[test]
fn models_read_as_the_manifest_says() {
    let files = model_files();
    if files.is_empty() {
        return;
    }
    let manifest = std::fs::read(folder().join("manifest.json")).unwrap();
    let manifest: Json = serde_json::from_slice(&manifest).unwrap();
    let mut compared = 0;
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        let model = read(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_stem().unwrap().to_str().unwrap();
        let expected = &manifest["models"][name];
        if expected.is_null() {
            println!("{name} is not in the manifest");
            continue;
        }
        compare(&model, expected);
        compared += 1;
    }
    assert_eq!(compared, manifest["models"].as_object().unwrap().len());
}

fn compare(model: &Model<'_>, expected: &Json) {
    assert_eq!(model.description, expected["description"]);
    assert_eq!(model.unsupported().count(), 0);
    for (ends, key) in [(&model.inputs, "inputs"), (&model.outputs, "outputs")] {
        let expected = expected[key].as_array().unwrap();
        assert_eq!(ends.len(), expected.len());
        for (&index, expected) in ends.iter().zip(expected) {
            compare_tensor(model, Some(index), expected);
        }
    }
    let expected = expected["ops"].as_array().unwrap();
    assert_eq!(model.operators.len(), expected.len());
    for (operator, expected) in model.operators.iter().zip(expected) {
        compare_operator(model, operator, expected);
    }
}

fn compare_operator(model: &Model<'_>, operator: &Operator, expected: &Json) {
    assert_eq!(operator.index, expected["i"]);
    assert_eq!(operator.name(), expected["op"]);
    assert_eq!(operator.version, expected["version"]);
    let inputs = expected["inputs"].as_array().unwrap();
    assert_eq!(operator.inputs.len(), inputs.len());
    for (&index, expected) in operator.inputs.iter().zip(inputs) {
        compare_tensor(model, index, expected);
    }
    let outputs = expected["outputs"].as_array().unwrap();
    assert_eq!(operator.outputs.len(), outputs.len());
    for (&index, expected) in operator.outputs.iter().zip(outputs) {
        compare_tensor(model, Some(index), expected);
    }
    let found = options(&operator.options);
    let expected = expected["options"].as_object().unwrap();
    for (key, value) in expected {
        // Not read: it may only hold what int8 models have.
        if key == "quantSpec" {
            assert!(value.is_null());
            continue;
        }
        assert_eq!(&found[key], value, "{key} of {operator:?}");
    }
}

fn compare_tensor(model: &Model<'_>, index: Option<usize>, expected: &Json) {
    let Some(index) = index else {
        assert!(expected.is_null());
        return;
    };
    let tensor = &model.tensors[index];
    assert_eq!(index, expected["index"]);
    assert_eq!(tensor.name, expected["name"]);
    assert_eq!(json!(tensor.shape), expected["shape"], "{}", tensor.name);
    let element = format!("{:?}", tensor.element).to_uppercase();
    assert_eq!(element, expected["dtype"]);
    assert_eq!(tensor.data.is_some(), expected["const"]);
    assert_eq!(tensor.is_variable, expected["variable"] == true);
    compare_quantization(tensor, expected);
}

fn compare_quantization(tensor: &Tensor<'_>, expected: &Json) {
    // The JSON reader may be off by the last bit of an f64, which no f32 shows.
    let close = |found: f32, expected: &Json| assert_eq!(found, expected.as_f64().unwrap() as f32);
    if expected["per_channel"] == true {
        assert_eq!(tensor.scales.len(), expected["n_scales"]);
        assert_eq!(tensor.quantized_dimension, expected["quantized_dimension"]);
        let smallest = tensor.scales.iter().copied().fold(f32::INFINITY, f32::min);
        close(smallest, &expected["scale_min"]);
        close(
            tensor.scales.iter().copied().fold(0.0, f32::max),
            &expected["scale_max"],
        );
        let zeros = tensor.zero_points.iter().all(|&zero_point| zero_point == 0);
        assert_eq!(zeros, expected["zero_points_all_zero"]);
    } else if expected["scale"].is_null() {
        assert!(tensor.scales.is_empty());
    } else {
        assert_eq!(tensor.scales.len(), 1);
        close(tensor.scales[0], &expected["scale"]);
        assert_eq!(json!(tensor.zero_points), json!([expected["zero_point"]]));
    }
}

/// The options as the manifest writes them.
fn options(options: &Options) -> Json {
    match options {
        Options::Conv2d(conv) => json!({
            "padding": padding(conv.padding),
            "strideW": conv.stride_w,
            "strideH": conv.stride_h,
            "fusedActivationFunction": activation(conv.activation),
            "dilationWFactor": conv.dilation_w,
            "dilationHFactor": conv.dilation_h,
            "quantizedBiasType": conv.quantized_bias_type.map_or(0, |_| -1),
        }),
        Options::DepthwiseConv2d(conv) => json!({
            "padding": padding(conv.padding),
            "strideW": conv.stride_w,
            "strideH": conv.stride_h,
            "depthMultiplier": conv.depth_multiplier,
            "fusedActivationFunction": activation(conv.activation),
            "dilationWFactor": conv.dilation_w,
            "dilationHFactor": conv.dilation_h,
        }),
        Options::AveragePool2d(Pool2d {
            padding: side,
            stride_w,
            stride_h,
            filter_width,
            filter_height,
            activation: follows,
        }) => json!({
            "padding": padding(*side),
            "strideW": stride_w,
            "strideH": stride_h,
            "filterWidth": filter_width,
            "filterHeight": filter_height,
            "fusedActivationFunction": activation(*follows),
        }),
        Options::Add(add) => json!({
            "fusedActivationFunction": activation(add.activation),
            "potScaleInt16": add.pot_scale_int16,
        }),
        Options::Reshape { new_shape } => json!({ "newShape": new_shape }),
        Options::Softmax { beta } => json!({ "beta": beta }),
        Options::FullyConnected(dense) => json!({
            "fusedActivationFunction": activation(dense.activation),
            "weightsFormat": i32::from(dense.shuffled_weights),
            "keepNumDims": dense.keep_num_dims,
            "asymmetricQuantizeInputs": dense.asymmetric_quantize_inputs,
            "quantizedBiasType": dense.quantized_bias_type.map_or(0, |_| -1),
        }),
        Options::UnidirectionalSequenceLstm(lstm) => json!({
            "fusedActivationFunction": activation(lstm.activation),
            "cellClip": lstm.cell_clip,
            "projClip": lstm.proj_clip,
            "timeMajor": lstm.time_major,
            "asymmetricQuantizeInputs": lstm.asymmetric_quantize_inputs,
            "diagonalRecurrentTensors": lstm.diagonal_recurrent_tensors,
        }),
        other => panic!("no model at hand has {other:?}: add how the manifest writes it"),
    }
}

fn padding(padding: Padding) -> &'static str {
    match padding {
        Padding::Same => "SAME",
        Padding::Valid => "VALID",
        Padding::Explicit { .. } => unreachable!("no TFLite file has it"),
    }
}

fn activation(activation: FusedActivation) -> &'static str {
    match activation {
        FusedActivation::None => "NONE",
        FusedActivation::Relu => "RELU",
        FusedActivation::Tanh => "TANH",
        other => panic!("no model at hand has {other:?}"),
    }
}
