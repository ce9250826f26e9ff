//! Dilated convolutions as TensorFlow writes them: SPACE_TO_BATCH_ND spreads the image over a batch,
//! a VALID convolution works on each part, BATCH_TO_SPACE_ND puts the parts together again.

use super::builder::{Lowered, Lowering, fused};
use super::layers::channels_first;
use crate::graph::{Activation, Convolution, OperatorKind, Padding, RoundingMode, Weights};
use crate::import::tflite::{Operator, Options};

/// The layer in the middle.
struct Layer {
    depthwise: bool,
    weights: Weights,
    kernel: [usize; 2],
    activation: Activation,
}

impl<'m> Lowering<'m, '_> {
    /// All three operators at once, from the first of them.
    pub fn dilated(&mut self, operator: &Operator) -> Lowered {
        let (layer, last, inside) = self.pattern(operator).ok_or(
            "only around a VALID convolution of stride 1 before a BATCH_TO_SPACE_ND is it possible",
        )?;
        let (input, output) = (self.argument(operator, 0)?, self.result(last)?);
        let inner = self.layer(layer, input, output)?;
        let pairs = |lowering: &Self, operator: &Operator, index| -> Lowered<Vec<i64>> {
            lowering.integers(lowering.argument(operator, index)?)
        };
        let mut block = pairs(self, operator, 1)?;
        let (mut pads, mut crops) = (pairs(self, operator, 2)?, pairs(self, last, 2)?);
        if pairs(self, last, 1)? != block {
            return Err("it is undone with another block shape".into());
        }
        if block.len() == 1 {
            // A sequence, which the layer sees as an image of one row.
            if inner.kernel[0] != 1 || self.images(self.argument(layer, 0)?)?[1] != 1 {
                return Err("a sequence along the rows of an image".into());
            }
            block.insert(0, 1);
            pads.splice(0..0, [0, 0]);
            crops.splice(0..0, [0, 0]);
        }
        let (&[vertical, horizontal], &[top, _, left, _], &[cut_top, _, cut_left, _]) =
            (&block[..], &pads[..], &crops[..])
        else {
            return Err("blocks of other than one or two dimensions".into());
        };
        let ([images, height, width, depth], [_, rows, columns, channels]) =
            (self.rows_of_images(input)?, self.rows_of_images(output)?);
        if images != 1 {
            return Err(format!("a batch of {images} images"));
        }
        let axis = |input: usize, output: usize, kernel: usize, block: i64, before: i64| {
            let reach = (kernel as i64 - 1).checked_mul(block)?;
            let reached = (output as i64).checked_add(reach)?.checked_sub(before)?;
            let after = reached.checked_sub(input as i64)?;
            let size = |n: i64| usize::try_from(n).ok();
            Some((size(before)?, size(after)?, size(block)?))
        };
        let [kernel_height, kernel_width] = inner.kernel;
        let vertical = axis(
            height,
            rows,
            kernel_height,
            vertical,
            top.saturating_sub(cut_top),
        );
        let horizontal = axis(
            width,
            columns,
            kernel_width,
            horizontal,
            left.saturating_sub(cut_left),
        );
        let (Some(vertical), Some(horizontal)) = (vertical, horizontal) else {
            return Err("more is cut off than was padded".into());
        };
        let padding = Padding::Explicit {
            before: [vertical.0, horizontal.0],
            after: [vertical.1, horizontal.1],
        };
        let dilation = [vertical.2, horizontal.2];
        self.absorbed.extend(inside);
        self.current = last.index;
        let x = self.shaped(input, [1, height, width, depth])?;
        let y = self.output_as(output, [1, rows, columns, channels])?;
        let convolution = Convolution {
            weights: inner.weights,
            kernel: inner.kernel,
            stride: [1, 1],
            padding,
            dilation,
            activation: inner.activation,
            rounding: RoundingMode::Double,
        };
        let kind = if inner.depthwise {
            OperatorKind::DepthwiseConv2d(convolution)
        } else {
            OperatorKind::Conv2d(convolution)
        };
        self.push(kind, vec![x], y);
        Ok(())
    }

    /// As [`Lowering::images`], a sequence as an image of one row.
    fn rows_of_images(&self, tensor: usize) -> Lowered<[usize; 4]> {
        match self.shape(tensor) {
            &[n, width, channels] => Ok([n, 1, width, channels]),
            _ => self.images(tensor),
        }
    }

    /// The layer and the BATCH_TO_SPACE_ND behind a SPACE_TO_BATCH_ND, if nothing else reads what
    /// lies between, and all operators behind the first.
    fn pattern(&self, first: &Operator) -> Option<(&'m Operator, &'m Operator, Vec<usize>)> {
        let mut inside = Vec::new();
        let mut only_reader = |mut output: usize| loop {
            let mut readers = self.readers(output);
            let reader = readers.next()?;
            let alone = readers.next().is_none() && !self.is_model_output(output);
            if !alone || self.optional(reader, 0) != Some(output) {
                return None;
            }
            inside.push(reader.index);
            // Between a sequence and an image of one row.
            match reader.options {
                Options::Reshape { .. } | Options::Squeeze { .. } | Options::ExpandDims => {
                    output = self.result(reader).ok()?;
                }
                _ => return Some(reader),
            }
        };
        let layer = only_reader(self.result(first).ok()?)?;
        let plain = match &layer.options {
            Options::Conv2d(options) => {
                options.padding == Padding::Valid
                    && [options.stride_h, options.stride_w] == [1, 1]
                    && [options.dilation_h, options.dilation_w] == [1, 1]
            }
            Options::DepthwiseConv2d(options) => {
                options.padding == Padding::Valid
                    && [options.stride_h, options.stride_w] == [1, 1]
                    && [options.dilation_h, options.dilation_w] == [1, 1]
            }
            _ => false,
        };
        let last = only_reader(self.result(layer).ok()?)?;
        (plain && last.options == Options::BatchToSpaceNd).then_some((layer, last, inside))
    }

    /// The layer, which computes as if it stood between `before` and `after`.
    fn layer(&self, layer: &Operator, before: usize, after: usize) -> Lowered<Layer> {
        let (input, weights) = (self.argument(layer, 0)?, self.argument(layer, 1)?);
        let bias = self.optional(layer, 2);
        let [_, _, _, depth] = self.images(input)?;
        let output = self.result(layer)?;
        if self.quantisation(input)? != self.quantisation(before)?
            || self.quantisation(after)? != self.quantisation(output)?
        {
            return Err("a change of scale or zero point".into());
        }
        let [outer, height, width, inner] = self.images(weights)?;
        let values = self.bytes(weights)?;
        let (depthwise, activation) = match &layer.options {
            Options::DepthwiseConv2d(options) => (true, options.activation),
            Options::Conv2d(options) => (false, options.activation),
            _ => return Err("another layer than a convolution".into()),
        };
        let weights = if depthwise {
            if outer != 1 || depth == 0 || !inner.is_multiple_of(depth) {
                return Err(format!("depthwise weights for {inner} channels on {depth}"));
            }
            let values = channels_first(&values, inner);
            self.weights(weights, bias, inner, 3, values)?
        } else {
            if inner != depth {
                return Err(format!(
                    "it is grouped: {depth} input channels under {inner}"
                ));
            }
            self.weights(weights, bias, outer, 0, values)?
        };
        Ok(Layer {
            depthwise,
            weights,
            kernel: [height, width],
            activation: fused(activation)?,
        })
    }
}
