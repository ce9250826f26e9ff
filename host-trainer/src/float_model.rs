//! The trained network in plain `f32`, independent of burn: the checkpoint that is stored with a
//! release, the start of a retraining, and what calibration looks at.

use edge_compiler::FeatureSpec;
use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::evaluate::EvaluateError;

/// Normalised features beyond this many deviations are cut off, in training as on the device.
pub const INPUT_LIMIT: f32 = 4.0;

/// A network on one row of channels-last features `[width][channels]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FloatModel {
    /// Features of a window, with offset and gain as fitted to the training rows.
    pub features: FeatureSpec,
    /// Names of the outputs.
    pub labels: Vec<String>,
    /// Positions along the row.
    pub width: usize,
    /// Channels of each position.
    pub channels: usize,
    /// From the input on; the last one gives logits.
    pub layers: Vec<FloatLayer>,
}

/// One layer with its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FloatLayer {
    /// Convolution with padding `same`, then ReLU.
    Conv {
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
        /// Taps.
        kernel: usize,
        /// Step.
        stride: usize,
        /// `[outputs][kernel][inputs]`.
        weights: Vec<f32>,
        /// `[outputs]`.
        bias: Vec<f32>,
    },
    /// Greatest of each `size` positions, step `size`; what is left over at the end is dropped.
    Pool {
        /// Positions of one pool.
        size: usize,
    },
    /// Fully connected on the flattened row.
    Dense {
        /// Inputs.
        inputs: usize,
        /// Outputs.
        outputs: usize,
        /// `[outputs][inputs]`.
        weights: Vec<f32>,
        /// `[outputs]`.
        bias: Vec<f32>,
        /// Whether a ReLU follows.
        relu: bool,
    },
}

impl FloatLayer {
    /// Whether the weights of one fit the other.
    pub(crate) fn same_shape(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Conv {
                    inputs,
                    outputs,
                    kernel,
                    stride,
                    weights,
                    bias,
                },
                Self::Conv {
                    inputs: i,
                    outputs: o,
                    kernel: k,
                    stride: s,
                    weights: w,
                    bias: b,
                },
            ) => {
                (inputs, outputs, kernel, stride) == (i, o, k, s)
                    && (weights.len(), bias.len()) == (w.len(), b.len())
            }
            (Self::Pool { size }, Self::Pool { size: other }) => size == other,
            (
                Self::Dense {
                    inputs,
                    outputs,
                    weights,
                    bias,
                    relu,
                },
                Self::Dense {
                    inputs: i,
                    outputs: o,
                    weights: w,
                    bias: b,
                    relu: r,
                },
            ) => {
                (inputs, outputs, relu) == (i, o, r)
                    && (weights.len(), bias.len()) == (w.len(), b.len())
            }
            _ => false,
        }
    }
}

/// Positions after a convolution with padding `same`, and how many are padded on the left.
pub(crate) fn same_padding(width: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let outputs = width.div_ceil(stride);
    let total = ((outputs - 1) * stride + kernel).saturating_sub(width);
    (outputs, total / 2)
}

impl FloatModel {
    /// Outputs of every layer for one window's normalised features (`width * channels` of them);
    /// the last are the logits. For calibration.
    pub fn activations(&self, features: &[f32]) -> Vec<Vec<f32>> {
        let mut outputs: Vec<Vec<f32>> = Vec::with_capacity(self.layers.len());
        let (mut width, mut channels) = (self.width, self.channels);
        for layer in &self.layers {
            let x = outputs.last().map_or(features, Vec::as_slice);
            let y = match layer {
                FloatLayer::Conv {
                    outputs: filters,
                    kernel,
                    stride,
                    weights,
                    bias,
                    ..
                } => {
                    let (positions, left) = same_padding(width, *kernel, *stride);
                    let mut y = Vec::with_capacity(positions * filters);
                    for position in 0..positions {
                        for (filter, bias) in weights.chunks_exact(kernel * channels).zip(bias) {
                            let mut sum = *bias;
                            for (tap, w) in filter.chunks_exact(channels).enumerate() {
                                let at = (position * stride + tap).wrapping_sub(left);
                                if at < width {
                                    sum += dot(w, &x[at * channels..][..channels]);
                                }
                            }
                            y.push(sum.max(0.0));
                        }
                    }
                    (width, channels) = (positions, *filters);
                    y
                }
                FloatLayer::Pool { size } => {
                    width /= size;
                    let mut y = vec![f32::NEG_INFINITY; width * channels];
                    for (position, out) in y.chunks_exact_mut(channels).enumerate() {
                        for at in 0..*size {
                            let from = &x[(position * size + at) * channels..][..channels];
                            for (out, value) in out.iter_mut().zip(from) {
                                *out = out.max(*value);
                            }
                        }
                    }
                    y
                }
                FloatLayer::Dense {
                    inputs,
                    outputs,
                    weights,
                    bias,
                    relu,
                } => {
                    (width, channels) = (1, *outputs);
                    weights
                        .chunks_exact(*inputs)
                        .zip(bias)
                        .map(|(w, bias)| dot(w, x) + bias)
                        .map(|sum| if *relu { sum.max(0.0) } else { sum })
                        .collect()
                }
            };
            outputs.push(y);
        }
        outputs
    }

    /// Normalised features of each row, `[width][channels]`, within what int8 will hold of them.
    ///
    /// # Errors
    /// [`EvaluateError::Features`] if a row is not a window of finite samples.
    pub fn features_of(&self, data: &Dataset) -> Result<Vec<Vec<f32>>, EvaluateError> {
        // The scale only matters to quantised features.
        let pipeline = self.features.pipeline(1.0, 0);
        let mut scratch = vec![0.0; pipeline.scratch_len()];
        data.rows
            .iter()
            .enumerate()
            .map(|(row, window)| {
                let mut x = vec![0.0; pipeline.feature_len()];
                pipeline
                    .extract(&window.samples, &mut scratch, &mut x)
                    .map_err(|problem| EvaluateError::Features { row, problem })?;
                pipeline.normalise(&mut x);
                for value in &mut x {
                    *value = value.clamp(-INPUT_LIMIT * 128.0 / 127.0, INPUT_LIMIT);
                }
                Ok(x)
            })
            .collect()
    }

    /// Outputs of the last layer for one window's normalised features.
    pub fn logits(&self, features: &[f32]) -> Vec<f32> {
        self.activations(features).pop().unwrap_or_default()
    }

    /// Probability of each class for one window's normalised features.
    pub fn forward(&self, features: &[f32]) -> Vec<f32> {
        let mut x = self.logits(features);
        let top = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for value in &mut x {
            *value = (*value - top).exp();
            sum += *value;
        }
        x.iter_mut().for_each(|value| *value /= sum);
        x
    }

    /// Trainable numbers.
    pub fn parameters(&self) -> usize {
        self.layers
            .iter()
            .map(|layer| match layer {
                FloatLayer::Conv { weights, bias, .. }
                | FloatLayer::Dense { weights, bias, .. } => weights.len() + bias.len(),
                FloatLayer::Pool { .. } => 0,
            })
            .sum()
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Index of the greatest value, the first of equals; 0 for none.
pub fn argmax<T: PartialOrd + Copy>(values: &[T]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}
