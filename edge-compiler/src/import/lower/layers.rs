//! Layers with weights.

use super::ReferenceRounding;
use super::builder::{Lowered, Lowering, check_batch, fused};
use crate::graph::{Convolution, OperatorKind, Padding, RoundingMode};
use crate::import::tflite::{Conv2d, DepthwiseConv2d, FullyConnected, Operator, TransposeConv};

impl Lowering<'_, '_> {
    pub fn conv_2d(&mut self, operator: &Operator, options: &Conv2d) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let weights = self.argument(operator, 1)?;
        let bias = self.optional(operator, 2);
        let [channels, height, width, depth] = self.images(weights)?;
        let [_, _, _, input_depth] = self.images(input)?;
        let values = ungrouped(self.bytes(weights)?, [channels, depth], input_depth)?;
        let activation = fused(options.activation)?;
        let weights = self.weights(weights, bias, channels, 0, values)?;
        self.each_image(input, output, |lowering, x, y| {
            let kind = OperatorKind::Conv2d(Convolution {
                weights: weights.clone(),
                kernel: [height, width],
                stride: [options.stride_h, options.stride_w],
                padding: options.padding,
                dilation: [options.dilation_h, options.dilation_w],
                activation,
                rounding: RoundingMode::Double,
            });
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
            let kind = OperatorKind::DepthwiseConv2d(Convolution {
                weights: weights.clone(),
                kernel: [height, width],
                stride: [options.stride_h, options.stride_w],
                padding: options.padding,
                dilation: [options.dilation_h, options.dilation_w],
                activation,
                rounding: RoundingMode::Double,
            });
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
        let kind = OperatorKind::Conv2d(Convolution {
            weights,
            kernel: [1, 1],
            stride: [1, 1],
            padding: Padding::Valid,
            dilation: [1, 1],
            activation,
            rounding,
        });
        self.push(kind, vec![x], y);
        Ok(())
    }
}

/// `[tap][channel]` as `[channel][tap]`.
pub(super) fn channels_first(values: &[i8], channels: usize) -> Vec<i8> {
    let places = (0..channels).flat_map(|c| values.iter().skip(c).step_by(channels.max(1)));
    places.copied().collect()
}

/// Most weights of a grouped convolution with its zeros.
const MOST_UNGROUPED: usize = 1 << 24;

/// Weights `[channels][taps][depth]` whose channels see a group of `depth` of the `input_depth`
/// input channels each, as such that see all: zeros change no sum.
fn ungrouped(
    values: Vec<i8>,
    [channels, depth]: [usize; 2],
    input_depth: usize,
) -> Lowered<Vec<i8>> {
    if depth == input_depth {
        return Ok(values);
    }
    let groups = input_depth.checked_div(depth).unwrap_or(0);
    let whole = groups.saturating_mul(values.len());
    let fits = groups > 0
        && groups * depth == input_depth
        && channels.is_multiple_of(groups)
        && (1..=MOST_UNGROUPED).contains(&whole);
    if !fits {
        return Err(format!(
            "{input_depth} input channels under weights for {depth} in {channels} channels: no \
             groups, or more than {MOST_UNGROUPED} weights with their zeros"
        ));
    }
    let mut all = vec![0; whole];
    let taps = values.len() / channels / depth;
    let places = all.chunks_exact_mut(input_depth).enumerate();
    for ((place, to), from) in places.zip(values.chunks_exact(depth)) {
        let group = place / taps / (channels / groups);
        to[group * depth..][..depth].copy_from_slice(from);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::ungrouped;

    #[test]
    fn groups_become_zeros() {
        // Two channels of one tap, two of four input channels each.
        let all = ungrouped(vec![1, 2, 3, 4], [2, 2], 4).unwrap();
        assert_eq!(all, [1, 2, 0, 0, 0, 0, 3, 4]);
        // Three channels are no two groups, five input channels neither.
        assert!(ungrouped(vec![1; 6], [3, 2], 4).is_err());
        assert!(ungrouped(vec![1; 4], [2, 2], 5).is_err());
        assert!(ungrouped(Vec::new(), [2, 0], 4).is_err());
    }
}
