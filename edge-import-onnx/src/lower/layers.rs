//! Layers with weights.

use edge_compiler::import::tflite::{FullyConnected, FusedActivation, Options};
use edge_compiler::prepare::Quantisation;

use super::builder::{Builder, Lowered, Stored, channels_last, plain};
use super::weights::weights;
use crate::constant::{Constant, Data, permutation};
use crate::proto::Attributes;
use crate::source::{Node, ValueId};

impl<'s> Builder<'s> {
    /// The constant weights of a layer: its input 1.
    pub fn kernel(&self, node: &Node) -> Lowered<&'s Constant> {
        self.source
            .constant(node, 1)
            .ok_or_else(|| "its weights must be constant".into())
    }

    /// The bias, if there is one; it must be constant.
    pub fn bias(&self, node: &Node) -> Lowered<Option<&'s Constant>> {
        match node.input(2) {
            None => Ok(None),
            Some(_) => {
                let bias = self.source.constant(node, 2);
                bias.map(Some)
                    .ok_or_else(|| "its bias must be constant".into())
            }
        }
    }

    /// A tensor of rank 3 or 4 with its channels last, as one of rank 4.
    pub fn image(&mut self, value: ValueId) -> Lowered<(usize, Quantisation)> {
        let shape = self.shape(value).to_vec();
        if !matches!(shape.len(), 3 | 4) {
            return Err(format!(
                "its input has shape {shape:?}: 3 or 4 dimensions are possible"
            ));
        }
        let (tensor, quantisation) = self.value_in(value, &channels_last(shape.len()))?;
        Ok((
            self.reshaped(tensor, &image_shape(&shape), quantisation),
            quantisation,
        ))
    }

    /// A tensor for an output of rank 3 or 4, as [`Self::image`] has it.
    pub fn image_output(&mut self, value: ValueId, quantisation: Quantisation) -> usize {
        let shape = image_shape(self.shape(value));
        self.tensor(self.name(value), &shape, quantisation)
    }

    /// Says that an output lies in a tensor of [`Self::image_output`].
    pub fn set_image(&mut self, value: ValueId, tensor: usize, q: Quantisation) -> Lowered {
        let order = channels_last(self.shape(value).len());
        let shape: Vec<usize> = order.iter().map(|&i| self.shape(value)[i]).collect();
        let tensor = self.reshaped(tensor, &shape, q);
        self.set_in(value, tensor, order, q)
    }

    /// A node's clamp: what its operator can fuse, and what a table must do behind it.
    pub fn clamp(&self, node: &Node, q: Quantisation) -> (FusedActivation, Option<(f32, f32)>) {
        let Some((low, high)) = node.clamp else {
            return (FusedActivation::None, None);
        };
        let quantised = |x: f32| (x / q.scale).round_ties_even() as i32;
        let at = |x: f32| quantised(x).saturating_add(q.zero_point);
        match (low, high) {
            // No int8 value lies outside.
            _ if at(low) <= -128 && at(high) >= 127 => (FusedActivation::None, None),
            (0.0, f32::INFINITY) => (FusedActivation::Relu, None),
            (0.0, 6.0) => (FusedActivation::Relu6, None),
            (-1.0, 1.0) => (FusedActivation::ReluN1To1, None),
            bounds => (FusedActivation::None, Some(bounds)),
        }
    }

    /// A table behind an operator, if its clamp could not be fused.
    pub fn clamped(&mut self, tensor: usize, q: Quantisation, rest: Option<(f32, f32)>) -> usize {
        let Some((low, high)) = rest else {
            return tensor;
        };
        let shape = self.tensor_shape(tensor).to_vec();
        let stored = Stored {
            tensor,
            order: plain(shape.len()),
            shape,
            quantisation: q,
        };
        let table = super::functions::table(q, q, |x| x.clamp(low.into(), high.into()));
        self.look_up(&stored, q, table)
    }

    pub fn gemm(&mut self, node: &Node) -> Lowered {
        let attributes = node.attributes.as_slice();
        if attributes.int("transA", 0) != 0 {
            return Err("a transposed first input".into());
        }
        let scaled = |constant: &Constant, factor: f32| -> Lowered<Constant> {
            let mut constant = constant.clone();
            match &mut constant.data {
                _ if factor == 1.0 => {}
                Data::Float(values) => values.iter_mut().for_each(|v| *v *= factor),
                Data::Quantised { scales, .. } if factor.is_normal() && factor > 0.0 => {
                    scales.iter_mut().for_each(|s| *s *= factor);
                }
                _ => return Err(format!("a factor of {factor}")),
            }
            Ok(constant)
        };
        let kernel = scaled(self.kernel(node)?, attributes.float("alpha", 1.0))?;
        let bias = match self.bias(node)? {
            Some(bias) => Some(scaled(bias, attributes.float("beta", 1.0))?),
            None => None,
        };
        let &[first, second] = &kernel.shape[..] else {
            return Err(format!("weights of shape {:?}", kernel.shape));
        };
        let kernel = match attributes.int("transB", 0) {
            0 => kernel.permuted(&[first, second], &[1, 0]),
            _ => kernel,
        };
        self.fully_connected(node, kernel, bias)
    }

    pub fn mat_mul(&mut self, node: &Node) -> Lowered {
        let kernel = self.kernel(node).map_err(
            |_| "its second input must be constant: products of two activations are not possible",
        )?;
        let rank = kernel.shape.len();
        let outer = rank
            .checked_sub(2)
            .ok_or("weights of fewer than two dimensions")?;
        if kernel.shape[..outer].iter().any(|&size| size != 1) {
            return Err(format!("weights of shape {:?}", kernel.shape));
        }
        let two = [kernel.shape[outer], kernel.shape[outer + 1]];
        let kernel = reshaped(kernel, &two).permuted(&two, &[1, 0]);
        let bias = self.bias(node)?.cloned();
        self.fully_connected(node, kernel, bias)
    }

    /// Weights `[output][input]` on the last dimension.
    fn fully_connected(
        &mut self,
        node: &Node,
        mut kernel: Constant,
        bias: Option<Constant>,
    ) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        let to = self.required(output)?;
        let stored = self.activation(input)?;
        let (shape, from) = (self.shape(input), stored.quantisation);
        let (channels, depth) = (kernel.shape[0], kernel.shape[1]);
        if shape.last() != Some(&depth) {
            return Err(format!(
                "weights for {depth} values on an input of shape {shape:?}"
            ));
        }
        let rows: usize = shape.iter().rev().skip(1).product();
        let x = if rows == 1 && stored.shape != shape {
            // A flattened image: rather than the image, the weights get its order.
            let places = permutation(&stored.shape, &stored.order);
            kernel = with_inputs_in(&kernel, &places);
            self.reshaped(stored.tensor, &[1, depth], from)
        } else {
            let tensor = self.in_order(&stored, shape, &plain(shape.len()));
            self.reshaped(tensor, &[rows, depth], from)
        };
        let constants = weights(&kernel, 0, bias.as_ref(), from)?;
        let (activation, rest) = self.clamp(node, to);
        let [w, b] = self.layer(&[channels, depth], constants, 0);
        let y = self.tensor(self.name(output), &[rows, channels], to);
        let options = Options::FullyConnected(FullyConnected {
            activation,
            shuffled_weights: false,
            keep_num_dims: false,
            asymmetric_quantize_inputs: false,
            quantized_bias_type: None,
        });
        self.emit(options, vec![Some(x), Some(w), Some(b)], y);
        let y = self.clamped(y, to, rest);
        let shape = self.shape(output);
        let y = self.reshaped(y, shape, to);
        self.set_in(output, y, plain(shape.len()), to)
    }
}

/// `[n, c, l]` or `[n, c, h, w]` as batch, height, width, channels.
fn image_shape(shape: &[usize]) -> Vec<usize> {
    match *shape {
        [n, c, l] => vec![n, 1, l, c],
        [n, c, h, w] => vec![n, h, w, c],
        _ => shape.to_vec(),
    }
}

/// In a shape of as many elements whose first two dimensions are the same.
pub(super) fn reshaped(constant: &Constant, shape: &[usize]) -> Constant {
    let mut constant = constant.clone();
    let gone = constant.shape.len().saturating_sub(shape.len());
    if let Data::Quantised { axis, .. } = &mut constant.data {
        *axis = axis.saturating_sub(gone);
    }
    constant.shape = shape.to_vec();
    constant
}

/// Weights `[o][i]` for inputs of which place `p` holds what was at `places[p]`.
fn with_inputs_in(kernel: &Constant, places: &[usize]) -> Constant {
    let depth = places.len().max(1);
    fn turn<T: Copy>(values: &[T], places: &[usize], depth: usize) -> Vec<T> {
        let rows = values.chunks_exact(depth);
        rows.flat_map(|row| places.iter().map(|&place| row[place]))
            .collect()
    }
    let data = match &kernel.data {
        Data::Float(values) => Data::Float(turn(values, places, depth)),
        Data::Integer(values) => Data::Integer(turn(values, places, depth)),
        Data::Quantised {
            values,
            scales,
            axis,
        } => Data::Quantised {
            values: turn(values, places, depth),
            scales: scales.clone(),
            axis: *axis,
        },
    };
    Constant {
        shape: kernel.shape.clone(),
        data,
    }
}
