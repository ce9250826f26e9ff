//! The network in burn: forward and backward passes and the optimiser's step.

use burn::optim::{AdamW, AdamWConfig, Optimizer};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};

use crate::float_model::{FloatLayer, FloatModel, same_padding};

type State<const D: usize> = Option<<AdamW as Optimizer>::State<D>>;

/// A trainable tensor with the optimiser's memory of it.
struct Parameter<const D: usize> {
    value: Tensor<D>,
    state: State<D>,
}

impl<const D: usize> Parameter<D> {
    fn new(values: &[f32], shape: [usize; D], device: &Device) -> Self {
        let data = TensorData::new(values.to_vec(), shape);
        Self {
            value: Tensor::from_data(data, device).require_grad(),
            state: None,
        }
    }

    fn step(&mut self, adam: &AdamW, rate: f64, gradients: &burn::tensor::Gradients) {
        let Some(gradient) = self.value.grad(gradients) else {
            return;
        };
        let value = self.value.clone().inner();
        let (value, state) = adam.step(rate, value, gradient, self.state.take());
        self.value = Tensor::from_inner(value).require_grad();
        self.state = state;
    }

    fn read(&self) -> Vec<f32> {
        // A CPU tensor of f32 always reads back as f32.
        self.value.to_data().try_into_vec().unwrap_or_default()
    }
}

enum Layer {
    Conv {
        weights: Parameter<2>, // [outputs][kernel * inputs]
        bias: Parameter<1>,
        shape: [usize; 4], // inputs, outputs, kernel, stride
    },
    Pool(usize),
    Dense {
        weights: Parameter<2>, // [outputs][inputs]
        bias: Parameter<1>,
        relu: bool,
    },
}

/// The layers of a [`FloatModel`] with gradients.
pub(super) struct Network {
    device: Device,
    adam: AdamW,
    /// The same without decay.
    adam_bias: AdamW,
    width: usize,
    channels: usize,
    layers: Vec<Layer>,
}

/// Rows of one step.
pub(super) struct Batch {
    /// Normalised features, `[rows][width][channels]`.
    pub features: Vec<f32>,
    /// Wanted probabilities, `[rows][classes]`.
    pub targets: Vec<f32>,
    /// Number of rows.
    pub rows: usize,
}

impl Network {
    pub fn new(model: &FloatModel, weight_decay: f64) -> Self {
        let device = Device::flex().autodiff();
        let layers = model
            .layers
            .iter()
            .map(|layer| match layer {
                FloatLayer::Conv {
                    inputs,
                    outputs,
                    kernel,
                    stride,
                    weights,
                    bias,
                } => Layer::Conv {
                    weights: Parameter::new(weights, [*outputs, kernel * inputs], &device),
                    bias: Parameter::new(bias, [*outputs], &device),
                    shape: [*inputs, *outputs, *kernel, *stride],
                },
                FloatLayer::Pool { size } => Layer::Pool(*size),
                FloatLayer::Dense {
                    inputs,
                    outputs,
                    weights,
                    bias,
                    relu,
                } => Layer::Dense {
                    weights: Parameter::new(weights, [*outputs, *inputs], &device),
                    bias: Parameter::new(bias, [*outputs], &device),
                    relu: *relu,
                },
            })
            .collect();
        let adam = AdamWConfig::new().with_epsilon(1e-8);
        Self {
            device,
            adam: adam.clone().with_weight_decay(weight_decay as f32).build(),
            adam_bias: adam.with_weight_decay(0.0).build(),
            width: model.width,
            channels: model.channels,
            layers,
        }
    }

    /// Logits `[rows][classes]`.
    fn forward(&self, batch: &Batch) -> Tensor<2> {
        let rows = batch.rows;
        let (mut width, mut channels) = (self.width, self.channels);
        let data = TensorData::new(batch.features.clone(), [rows, width, channels]);
        // Channels last, as on the device; the convolutions want them first.
        let mut x: Tensor<3> = Tensor::from_data(data, &self.device);
        for layer in &self.layers {
            x = match layer {
                Layer::Conv {
                    weights,
                    bias,
                    shape: [inputs, outputs, kernel, stride],
                } => {
                    let (positions, left) = same_padding(width, *kernel, *stride);
                    let total = ((positions - 1) * stride + kernel).saturating_sub(width);
                    let weights = weights
                        .value
                        .clone()
                        .reshape([*outputs, *kernel, *inputs])
                        .swap_dims(1, 2)
                        .reshape([*outputs, *inputs, 1, *kernel]);
                    let options = ConvOptions::new_with_padding(
                        [1, *stride],
                        [(0, 0), (left, total - left)],
                        [1, 1],
                        1,
                    );
                    let x = x.swap_dims(1, 2).reshape([rows, *inputs, 1, width]);
                    let y = conv2d(x, weights, Some(bias.value.clone()), options);
                    (width, channels) = (positions, *outputs);
                    relu(y).reshape([rows, channels, width]).swap_dims(1, 2)
                }
                Layer::Pool(size) => {
                    let x = x.swap_dims(1, 2).reshape([rows, channels, 1, width]);
                    let y = max_pool2d(x, MaxPoolOptions::new([1, *size]));
                    width /= size;
                    y.reshape([rows, channels, width]).swap_dims(1, 2)
                }
                Layer::Dense {
                    weights,
                    bias,
                    relu: with_relu,
                } => {
                    let x = x.reshape([rows, width * channels]);
                    let y = x.matmul(weights.value.clone().transpose())
                        + bias.value.clone().unsqueeze::<2>();
                    (width, channels) = (1, bias.value.dims()[0]);
                    let y = if *with_relu { relu(y) } else { y };
                    y.reshape([rows, 1, channels])
                }
            };
        }
        x.reshape([rows, channels])
    }

    /// Logits of some rows, one after the other.
    #[cfg(test)]
    pub fn logits(&self, features: Vec<f32>, rows: usize) -> Vec<f32> {
        let batch = Batch {
            features,
            targets: Vec::new(),
            rows,
        };
        let logits = self.forward(&batch).to_data();
        logits.try_into_vec().unwrap_or_default()
    }

    /// One step of the optimiser; gives the batch's mean loss.
    pub fn step(&mut self, batch: &Batch, rate: f64) -> f32 {
        let logits = self.forward(batch);
        let classes = logits.dims()[1];
        let targets = TensorData::new(batch.targets.clone(), [batch.rows, classes]);
        let targets: Tensor<2> = Tensor::from_data(targets, &self.device);
        let loss = (log_softmax(logits, 1) * targets).sum() * (-1.0 / batch.rows as f32);
        let gradients = loss.backward();
        for layer in &mut self.layers {
            if let Layer::Conv { weights, bias, .. } | Layer::Dense { weights, bias, .. } = layer {
                weights.step(&self.adam, rate, &gradients);
                bias.step(&self.adam_bias, rate, &gradients);
            }
        }
        loss.into_scalar::<f32>()
    }

    /// Copies the weights into a model of the same layers.
    pub fn store(&self, model: &mut FloatModel) {
        for (layer, target) in self.layers.iter().zip(&mut model.layers) {
            if let (
                Layer::Conv { weights, bias, .. } | Layer::Dense { weights, bias, .. },
                FloatLayer::Conv {
                    weights: w,
                    bias: b,
                    ..
                }
                | FloatLayer::Dense {
                    weights: w,
                    bias: b,
                    ..
                },
            ) = (layer, target)
            {
                *w = weights.read();
                *b = bias.read();
            }
        }
    }
}
