//! From a recipe to a network that can be trained: shapes, first weights, normalisation.

use edge_compiler::FeatureSpec;
use rand_chacha::ChaCha8Rng;

use super::{TrainError, unit};
use crate::dataset::Split;
use crate::float_model::{FloatLayer, FloatModel, same_padding};
use crate::recipe::{DataRecipe, FeatureName, LayerRecipe, Recipe};

/// Features more narrowly spread than this share of the typical spread are not blown up further.
const LEAST_SPREAD: f32 = 0.05;

/// The feature pipeline with offset and gain so that each feature has mean 0 and deviation 1 over
/// the training rows.
pub(super) fn fit_features(recipe: &Recipe, data: &Split) -> Result<FeatureSpec, TrainError> {
    let sample_rate_hz = match &recipe.data {
        DataRecipe::Vibration(spec) => spec.sample_rate_hz as f32,
        DataRecipe::Gas(_) => 0.0,
    };
    let mut spec = FeatureSpec {
        kind: recipe.features.kind.kind(),
        window: data.train.window,
        bands: recipe.features.bands,
        sample_rate_hz,
        offset: Vec::new(),
        gain: Vec::new(),
    };
    let (offset, gain) = {
        let pipeline = spec.pipeline(1.0, 0);
        let len = pipeline.feature_len();
        let mut scratch = vec![0.0; pipeline.scratch_len()];
        let mut raw = vec![0.0; len];
        let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); len];
        let (mut sum, mut squares) = (vec![0.0f64; len], vec![0.0f64; len]);
        for (index, row) in data.train.rows.iter().enumerate() {
            pipeline
                .extract(&row.samples, &mut scratch, &mut raw)
                .map_err(|error| TrainError::Features(format!("training row {index}: {error}")))?;
            for ((x, sum), square) in raw.iter().zip(&mut sum).zip(&mut squares) {
                *sum += f64::from(*x);
                *square += f64::from(*x) * f64::from(*x);
            }
            for (x, (least, most)) in raw.iter().zip(&mut ranges) {
                (*least, *most) = (least.min(*x), most.max(*x));
            }
        }
        // Not asked of the deviation, which rounding keeps above zero.
        if ranges.iter().all(|(least, most)| least == most) {
            return Err(TrainError::NoInformation);
        }
        let n = data.train.rows.len() as f64;
        let mean: Vec<f64> = sum.iter().map(|sum| sum / n).collect();
        let spread: Vec<f32> = squares
            .iter()
            .zip(&mean)
            .map(|(square, mean)| (square / n - mean * mean).max(0.0).sqrt() as f32)
            .collect();
        let mut sorted = spread.clone();
        sorted.sort_by(f32::total_cmp);
        let least = (LEAST_SPREAD * sorted[len / 2]).max(1e-6);
        let gain: Vec<f32> = spread
            .iter()
            .map(|spread| 1.0 / spread.max(least))
            .collect();
        let offset: Vec<f32> = mean.iter().map(|&mean| mean as f32).collect();
        check_ranges(&ranges, &offset, &gain)?;
        (offset, gain)
    };
    spec.offset = offset;
    spec.gain = gain;
    Ok(spec)
}

/// Refuses features of which normalising makes infinity, or which need a gain that a device may
/// take for zero.
fn check_ranges(ranges: &[(f32, f32)], offset: &[f32], gain: &[f32]) -> Result<(), TrainError> {
    for (feature, ((&(least, most), offset), gain)) in
        ranges.iter().zip(offset).zip(gain).enumerate()
    {
        let finite = |x: f32| ((x - offset) * gain).is_finite();
        if !(gain.is_normal() && finite(least) && finite(most)) {
            return Err(TrainError::Overflow {
                feature,
                least,
                most,
            });
        }
    }
    Ok(())
}

/// The network of the recipe with weights drawn for ReLUs (He), biases zero.
pub(super) fn untrained(
    recipe: &Recipe,
    data: &Split,
    features: FeatureSpec,
    rng: &mut ChaCha8Rng,
) -> Result<FloatModel, TrainError> {
    let channels = match recipe.features.kind {
        FeatureName::Vibration => 2,
        FeatureName::Standardise | FeatureName::Compress => 1,
    };
    let width = features.offset.len() / channels;
    let mut layers = Vec::new();
    let (mut positions, mut depth) = (width, channels);
    for (index, layer) in recipe.model.layers.iter().enumerate() {
        layers.push(match *layer {
            LayerRecipe::Conv {
                filters,
                kernel,
                stride,
            } => {
                if layers.iter().any(|l| matches!(l, FloatLayer::Dense { .. })) {
                    return Err(TrainError::Model {
                        layer: index + 1,
                        problem: "a convolution cannot follow a dense layer".to_owned(),
                    });
                }
                let inputs = depth;
                positions = same_padding(positions, kernel, stride).0;
                depth = filters;
                FloatLayer::Conv {
                    inputs,
                    outputs: filters,
                    kernel,
                    stride,
                    weights: he(rng, filters * kernel * inputs, kernel * inputs),
                    bias: vec![0.0; filters],
                }
            }
            LayerRecipe::Pool { size } => {
                if positions < size {
                    return Err(TrainError::Model {
                        layer: index + 1,
                        problem: format!("a pool of {size} does not fit {positions} positions"),
                    });
                }
                positions /= size;
                FloatLayer::Pool { size }
            }
            LayerRecipe::Dense { units } => {
                let inputs = positions * depth;
                (positions, depth) = (1, units);
                dense(rng, inputs, units, true)
            }
        });
    }
    layers.push(dense(
        rng,
        positions * depth,
        data.train.labels.len(),
        false,
    ));
    Ok(FloatModel {
        features,
        labels: data.train.labels.clone(),
        width,
        channels,
        layers,
    })
}

/// Takes the weights of a checkpoint with the same layers.
pub(super) fn continue_from(model: &mut FloatModel, start: &FloatModel) -> Result<(), TrainError> {
    if model.labels != start.labels {
        return Err(TrainError::Start("its labels differ"));
    }
    let same_input = model.width == start.width
        && model.channels == start.channels
        && model.features.kind == start.features.kind
        && model.features.window == start.features.window;
    if !same_input {
        return Err(TrainError::Start("its features differ"));
    }
    let same_layers = model.layers.len() == start.layers.len()
        && model
            .layers
            .iter()
            .zip(&start.layers)
            .all(|(a, b)| a.same_shape(b));
    if !same_layers {
        return Err(TrainError::Start("its layers differ"));
    }
    model.layers.clone_from(&start.layers);
    Ok(())
}

fn dense(rng: &mut ChaCha8Rng, inputs: usize, outputs: usize, relu: bool) -> FloatLayer {
    FloatLayer::Dense {
        inputs,
        outputs,
        weights: he(rng, inputs * outputs, inputs),
        bias: vec![0.0; outputs],
        relu,
    }
}

/// Even numbers with deviation `sqrt(2 / inputs)`.
fn he(rng: &mut ChaCha8Rng, count: usize, inputs: usize) -> Vec<f32> {
    let bound = (6.0 / inputs as f32).sqrt();
    (0..count)
        .map(|_| bound * (2.0 * unit(rng) - 1.0))
        .collect()
}
