//! Layers with weights.

use super::ReferenceRounding;
use super::builder::{Lowered, Lowering, check_batch, fused};
use crate::graph::{OperatorKind, Padding, RoundingMode};
use crate::import::tflite::{Conv2d, DepthwiseConv2d, FullyConnected, Operator, TransposeConv};

impl Lowering<'_, '_> {
    pub fn conv_2d(&mut self, operator: &Operator, options: &Conv2d) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let weights = self.argument(operator, 1)?;
        let bias = self.optional(operator, 2);
        let [channels, height, width, depth] = self.images(weights)?;
        let [_, _, _, input_depth] = self.images(input)?;
        if depth != input_depth {
            return Err(format!(
                "it is grouped: {input_depth} input channels under {depth} in the weights"
            ));
        }
        let activation = fused(options.activation)?;
        let weights = self.weights(weights, bias, channels, 0, self.bytes(weights)?)?;
        self.each_image(input, output, |lowering, x, y| {
            let kind = OperatorKind::Conv2d {
                weights: weights.clone(),
                kernel: [height, width],
                stride: [options.stride_h, options.stride_w],
                padding: options.padding,
                dilation: [options.dilation_h, options.dilation_w],
                activation,
                rounding: RoundingMode::Double,
            };
            lowering.push(kind, vec![x], y);
            Ok(())
        })
    }

    pub fn depthwise_conv_2d(&mut self, operator: &Operator, options: &DepthwiseConv2d) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let weights = self.argument(operator, 1)?;
        let bias = self.optional(operator, 2);
        let [one, height, width, channels] = self.images(weights)?;
        let [_, _, _, depth] = self.images(input)?;
        if one != 1 || depth == 0 || !channels.is_multiple_of(depth) {
            let shape = self.shape(weights);
            return Err(format!(
                "weights of shape {shape:?} on {depth} input channels"
            ));
        }
        let activation = fused(options.activation)?;
        let values = channels_first(&self.bytes(weights)?, channels);
        let weights = self.weights(weights, bias, channels, 3, values)?;
        self.each_image(input, output, |lowering, x, y| {
            let kind = OperatorKind::DepthwiseConv2d {
                weights: weights.clone(),
                kernel: [height, width],
                stride: [options.stride_h, options.stride_w],
                padding: options.padding,
                dilation: [options.dilation_h, options.dilation_w],
                activation,
                rounding: RoundingMode::Double,
            };
            lowering.push(kind, vec![x], y);
            Ok(())
        })
    }

    pub fn transpose_conv(&mut self, operator: &Operator, options: &TransposeConv) -> Lowered {
        let (input, output) = (self.argument(operator, 2)?, self.result(operator)?);
        self.check_sizes(self.argument(operator, 0)?, self.shape(output))?;
        let weights = self.argument(operator, 1)?;
        let bias = self.optional(operator, 3);
        let [channels, height, width, depth] = self.images(weights)?;
        let ([_, _, _, input_depth], [_, rows, columns, _]) =
            (self.images(input)?, self.images(output)?);
        if depth != input_depth {
            return Err(format!(
                "weights for {depth} input channels on {input_depth}"
            ));
        }
        let activation = fused(options.activation)?;
        let weights = self.weights(weights, bias, channels, 0, self.bytes(weights)?)?;
        let stride = [options.stride_h, options.stride_w];
        // As of the convolution that leads from the output back to the input.
        let cut = |len: usize, kernel: usize, stride: usize| match options.padding {
            Padding::Same => {
                let steps = len.div_ceil(stride).saturating_sub(1);
                let covered = steps.saturating_mul(stride).saturating_add(kernel);
                covered.saturating_sub(len) / 2
            }
            _ => 0,
        };
        let padding = [cut(rows, height, stride[0]), cut(columns, width, stride[1])];
        self.each_image(input, output, |lowering, x, y| {
            let kind = OperatorKind::TransposeConv {
                weights: weights.clone(),
                kernel: [height, width],
                stride,
                padding,
                activation,
                rounding: RoundingMode::Double,
            };
            lowering.push(kind, vec![x], y);
            Ok(())
        })
    }

    pub fn fully_connected(&mut self, operator: &Operator, options: &FullyConnected) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let weights = self.argument(operator, 1)?;
        let bias = self.optional(operator, 2);
        let &[channels, depth] = self.shape(weights) else {
            return Err(format!(
                "weights of shape {:?}: two dimensions are needed",
                self.shape(weights)
            ));
        };
        if options.shuffled_weights {
            return Err("shuffled weights".into());
        }
        let activation = fused(options.activation)?;
        let weights = self.weights(weights, bias, channels, 0, self.bytes(weights)?)?;
        let value = self.activation(input)?;
        let elements = self.tensors[value].len();
        let rows = elements.checked_div(depth).unwrap_or(0);
        if rows.checked_mul(depth) != Some(elements) || rows == 0 {
            return Err(format!("rows of {depth} elements out of {elements}"));
        }
        let rounding = match self.rounding {
            ReferenceRounding::Litert => RoundingMode::Single,
            ReferenceRounding::Tflm => RoundingMode::Double,
        };
        if rows == 1 {
            let output = self.output_as(output, [1, 1, 1, channels])?;
            let kind = OperatorKind::FullyConnected {
                weights,
                activation,
                rounding,
            };
            self.push(kind, vec![value], output);
            return Ok(());
        }
        if rounding == RoundingMode::Double && weights.scales.len() == 1 {
            // TensorFlow Lite Micro then multiplies the scales in f32, in no other layer: the rows
            // cannot be one convolution.
            check_batch(rows)?;
            let one = [1, 1, 1, depth];
            let whole = self.output_as(output, [1, 1, rows, channels])?;
            let name = self.source(output).name.clone();
            for row in 0..rows {
                let x = self.temporary(&name, one, self.quantisation_of(value));
                let y = self.temporary(&name, [1, 1, 1, channels], self.quantisation_of(whole));
                self.cut_run(value, row * depth, x)?;
                let kind = OperatorKind::FullyConnected {
                    weights: weights.clone(),
                    activation,
                    rounding,
                };
                self.push(kind, vec![x], y);
                self.place_run(y, whole, row * channels)?;
            }
            return Ok(());
        }
        let x = self.view(value, [1, 1, rows, depth])?;
        let y = self.output_as(output, [1, 1, rows, channels])?;
        let kind = OperatorKind::Conv2d {
            weights,
            kernel: [1, 1],
            stride: [1, 1],
            padding: Padding::Valid,
            dilation: [1, 1],
            activation,
            rounding,
        };
        self.push(kind, vec![x], y);
        Ok(())
    }
}

/// `[tap][channel]` as `[channel][tap]`.
pub(super) fn channels_first(values: &[i8], channels: usize) -> Vec<i8> {
    let places = (0..channels).flat_map(|c| values.iter().skip(c).step_by(channels.max(1)));
    places.copied().collect()
}
