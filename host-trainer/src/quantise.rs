//! From a float network to int8: calibration, weights, drift reference, package.
//!
//! Post-training: weights symmetric per output channel, activations with one scale per tensor,
//! whose range is the one that loses least (mean squared error) on training windows.

use edge_compiler::graph::{
    Activation, Convolution, Graph, Operator, OperatorKind, Padding, RoundingMode, Tensor, Weights,
};
use edge_compiler::{DriftSpec, Package, Target, compile};
use edge_runtime::monitor;

use crate::dataset::Split;
use crate::evaluate::{Answer, evaluate_float, evaluate_image, run_image};
use crate::float_model::{FloatLayer, FloatModel, INPUT_LIMIT};
use crate::recipe::Recipe;
use crate::run::{Evaluation, Reference, Run};
use crate::train::TrainError;

/// Most training windows that calibration looks at, evenly spread over all.
const CALIBRATION_ROWS: usize = 512;
/// Most values of one tensor that calibration weighs.
const CALIBRATION_VALUES: usize = 1 << 15;

/// The second half of [`crate::train::train`]: quantises a checkpoint, compiles it for the host,
/// evaluates it and counts the training windows for the drift reference.
///
/// # Errors
/// As training: rows that give no features, a network that does not compile.
pub fn package(
    recipe: &Recipe,
    data: &Split,
    checkpoint: FloatModel,
    seed: u64,
) -> Result<Run, TrainError> {
    let features = checkpoint.features_of(&data.train)?;
    let step = features.len().div_ceil(CALIBRATION_ROWS).max(1);
    let sample: Vec<&[f32]> = features.iter().step_by(step).map(Vec::as_slice).collect();
    let mut package = Package {
        graph: quantise(&checkpoint, &sample),
        features: checkpoint.features.clone(),
        labels: checkpoint.labels.clone(),
        drift: DriftSpec {
            classes: vec![0; checkpoint.labels.len()],
            ..DriftSpec::default()
        },
        metadata: String::new(),
    };
    let image = compile(&package, &Target::host())?.image;
    let answers = run_image(&image, data.train.rows.iter().map(|row| &row.samples[..]))?;
    let evaluation = Evaluation {
        float: evaluate_float(&checkpoint, &data.test)?,
        int8: evaluate_image(&image, &data.test)?,
    };
    package.drift = drift_reference(&answers, checkpoint.labels.len());
    package.metadata = format!(
        "recipe = \"{}\"\nseed = {seed}\ntraining_rows = {}\naccuracy_float = {:.4}\naccuracy_int8 = {:.4}\n",
        recipe.name.escape_default(),
        data.train.rows.len(),
        evaluation.float.accuracy,
        evaluation.int8.accuracy,
    );
    let reference = Reference {
        groups: data.train.rows.iter().map(|row| row.group).collect(),
        predictions: answers.iter().map(|a| a.class().min(255) as u8).collect(),
        confidences: answers.iter().map(Answer::confidence).collect(),
        rows: answers.into_iter().map(|answer| answer.features).collect(),
    };
    Ok(Run {
        recipe: recipe.clone(),
        seed,
        checkpoint,
        package,
        evaluation,
        reference,
    })
}

/// Bin edges at the sixteenths of each quantised feature, and what falls into each bin.
pub fn drift_reference(answers: &[Answer], classes: usize) -> DriftSpec {
    let features = answers.first().map_or(0, |answer| answer.features.len());
    let mut drift = DriftSpec {
        classes: vec![0; classes],
        windows: answers.len() as u32,
        ..DriftSpec::default()
    };
    let mut column = Vec::with_capacity(answers.len());
    for feature in 0..features {
        column.clear();
        column.extend(answers.iter().map(|answer| answer.features[feature]));
        column.sort_unstable();
        let edges: [i8; 15] = std::array::from_fn(|k| column[column.len() * (k + 1) / 16]);
        // The runtime's own bins, so that device and reference cannot disagree.
        let mut padded = [0; 16];
        padded[..15].copy_from_slice(&edges);
        let mut counts = [0; 16];
        for &value in &column {
            counts[monitor::bin(&padded, value)] += 1;
        }
        drift.edges.push(edges);
        drift.counts.push(counts);
    }
    for answer in answers {
        drift.confidence[monitor::confidence_bin(answer.confidence())] += 1;
        drift.classes[answer.class()] += 1;
    }
    drift
}

/// The int8 graph of a network, calibrated on normalised features of training windows.
pub fn quantise(model: &FloatModel, sample: &[&[f32]]) -> Graph {
    let mut columns: Vec<Vec<f32>> = vec![Vec::new(); model.layers.len()];
    for x in sample {
        for (column, values) in columns.iter_mut().zip(model.activations(x)) {
            column.extend(values);
        }
    }
    let input = Tensor::activation(
        "features".to_owned(),
        [1, 1, model.width, model.channels],
        INPUT_LIMIT / 127.0,
        0,
    );
    let mut graph = Graph {
        tensors: vec![input],
        operators: Vec::new(),
        input: 0,
        output: 0,
        further_inputs: Vec::new(),
        further_outputs: Vec::new(),
    };
    for (index, (layer, column)) in model.layers.iter().zip(columns).enumerate() {
        let from = &graph.tensors[graph.tensors.len() - 1];
        let (kind, to) = match layer {
            FloatLayer::Conv {
                inputs,
                outputs,
                kernel,
                stride,
                weights,
                bias,
            } => {
                let (scale, zero_point) = range(column);
                let to = Tensor::activation(
                    format!("conv {}", index + 1),
                    [1, 1, from.shape[2].div_ceil(*stride), *outputs],
                    scale,
                    zero_point,
                );
                let weights = quantise_weights(weights, bias, kernel * inputs, from.scale);
                let kind = OperatorKind::Conv2d(Convolution {
                    rounding: rounding(&weights, from, &to),
                    weights,
                    kernel: [1, *kernel],
                    stride: [1, *stride],
                    padding: Padding::Same,
                    dilation: [1, 1],
                    activation: Activation::Relu,
                });
                (kind, to)
            }
            FloatLayer::Pool { size } => {
                let to = Tensor {
                    name: format!("pool {}", index + 1),
                    shape: [1, 1, from.shape[2] / size, from.shape[3]],
                    ..from.clone()
                };
                let kind = OperatorKind::MaxPool2d {
                    kernel: [1, *size],
                    stride: [1, *size],
                    padding: Padding::Valid,
                    activation: Activation::None,
                };
                (kind, to)
            }
            FloatLayer::Dense {
                inputs,
                outputs,
                weights,
                bias,
                relu,
            } => {
                let (scale, zero_point) = range(column);
                let to = Tensor::activation(
                    format!("dense {}", index + 1),
                    [1, 1, 1, *outputs],
                    scale,
                    zero_point,
                );
                let weights = quantise_weights(weights, bias, *inputs, from.scale);
                let kind = OperatorKind::FullyConnected {
                    rounding: rounding(&weights, from, &to),
                    weights,
                    activation: if *relu {
                        Activation::Relu
                    } else {
                        Activation::None
                    },
                };
                (kind, to)
            }
        };
        push(&mut graph, kind, to);
    }
    let softmax = Tensor::activation(
        "probabilities".to_owned(),
        graph.tensors[graph.tensors.len() - 1].shape,
        1.0 / 256.0,
        -128,
    );
    push(&mut graph, OperatorKind::Softmax { beta: 1.0 }, softmax);
    graph
}

fn push(graph: &mut Graph, kind: OperatorKind, to: Tensor) {
    let from = graph.tensors.len() - 1;
    graph.tensors.push(to);
    graph.output = from + 1;
    graph.operators.push(Operator::new(kind, from, from + 1));
}

/// The cheapest rounding where it needs no pre-shift, so that it cannot overflow.
fn rounding(weights: &Weights, from: &Tensor, to: &Tensor) -> RoundingMode {
    let greatest = weights.scales.iter().copied().fold(0.0, f32::max);
    if f64::from(from.scale) * f64::from(greatest) / f64::from(to.scale) < 0.499 {
        RoundingMode::High32
    } else {
        RoundingMode::Double
    }
}

/// Symmetric per output channel, -127..=127; biases in units of the product of the scales.
fn quantise_weights(weights: &[f32], bias: &[f32], taps: usize, input_scale: f32) -> Weights {
    let mut quantised = Weights {
        values: Vec::with_capacity(weights.len()),
        scales: Vec::with_capacity(bias.len()),
        bias: Vec::with_capacity(bias.len()),
    };
    for (row, bias) in weights.chunks_exact(taps).zip(bias) {
        let greatest = row.iter().fold(0.0f32, |most, w| most.max(w.abs()));
        // A channel without weights still needs a scale that holds its bias.
        let scale = (greatest / 127.0)
            .max(bias.abs() / input_scale / 1e9)
            .max(1e-9);
        quantised.scales.push(scale);
        quantised.values.extend(
            row.iter()
                .map(|w| (w / scale).round().clamp(-127.0, 127.0) as i8),
        );
        let unit = f64::from(input_scale) * f64::from(scale);
        quantised
            .bias
            .push((f64::from(*bias) / unit).round() as i32);
    }
    quantised
}

/// Scale and zero point whose range loses least on these values. The range holds 0 exactly, and
/// one end is 0 where no value lies beyond it.
fn range(mut values: Vec<f32>) -> (f32, i32) {
    let step = values.len().div_ceil(CALIBRATION_VALUES).max(1);
    values = values.into_iter().step_by(step).collect();
    let least = values.iter().copied().fold(0.0, f32::min);
    let most = values.iter().copied().fold(0.0, f32::max);
    if most - least < 1e-6 {
        return (1e-6, 0);
    }
    let mut best = (f64::INFINITY, 1.0, 0);
    for share in (30..=100).step_by(5) {
        let share = share as f32 / 100.0;
        let scale = (most - least) * share / 255.0;
        let zero_point = (-128.0 - least * share / scale).round() as i32;
        let zero_point = zero_point.clamp(-128, 127);
        let error: f64 = values
            .iter()
            .map(|x| {
                let q = ((x / scale).round() as i32)
                    .saturating_add(zero_point)
                    .clamp(-128, 127);
                let error = f64::from(x - (q - zero_point) as f32 * scale);
                error * error
            })
            .sum();
        if error < best.0 {
            best = (error, scale, zero_point);
        }
    }
    (best.1, best.2)
}

#[cfg(test)]
#[path = "quantise_tests.rs"]
mod tests;
