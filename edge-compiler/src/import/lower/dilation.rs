//! Dilated convolutions as TensorFlow writes them: SPACE_TO_BATCH_ND spreads the image over a batch,
//! a VALID convolution works on each part, BATCH_TO_SPACE_ND puts the parts together again.

use super::builder::{Lowered, Lowering, fused};
use super::layers::channels_first;
use crate::graph::{Activation, OperatorKind, Padding, RoundingMode, Weights};
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
        let (layer, last) = self.pattern(operator).ok_or(
            "only around a VALID convolution of stride 1 before a BATCH_TO_SPACE_ND is it possible",
        )?;
        let (input, output) = (self.argument(operator, 0)?, self.result(last)?);
        let inner = self.layer(layer)?;
        let pairs = |lowering: &Self, operator: &Operator, index| -> Lowered<Vec<i64>> {
            lowering.integers(lowering.argument(operator, index)?)
        };
        let block = pairs(self, operator, 1)?;
        let (pads, crops) = (pairs(self, operator, 2)?, pairs(self, last, 2)?);
        if pairs(self, last, 1)? != block {
            return Err("it is undone with another block shape".into());
        }
        let (&[vertical, horizontal], &[top, _, left, _], &[cut_top, _, cut_left, _]) =
            (&block[..], &pads[..], &crops[..])
        else {
            return Err("blocks of other than two dimensions".into());
        };
        let ([images, height, width, depth], [_, rows, columns, channels]) =
            (self.images(input)?, self.images(output)?);
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
        self.absorbed.extend([layer.index, last.index]);
        self.current = last.index;
        let x = self.shaped(input, [1, height, width, depth])?;
        let y = self.output_as(output, [1, rows, columns, channels])?;
        let Layer {
            weights,
            kernel,
            activation,
            ..
        } = inner;
        let (stride, rounding) = ([1, 1], RoundingMode::Double);
        let kind = if inner.depthwise {
            OperatorKind::DepthwiseConv2d {
                weights,
                kernel,
                stride,
                padding,
                dilation,
                activation,
                rounding,
            }
        } else {
            OperatorKind::Conv2d {
                weights,
                kernel,
                stride,
                padding,
                dilation,
                activation,
                rounding,
            }
        };
        self.push(kind, vec![x], y);
        Ok(())
    }

    /// The layer and the BATCH_TO_SPACE_ND behind a SPACE_TO_BATCH_ND, if nothing else reads what
    /// lies between.
    fn pattern(&self, first: &Operator) -> Option<(&'m Operator, &'m Operator)> {
        let only_reader = |operator: &Operator| {
            let output = self.result(operator).ok()?;
            let mut readers = self.readers(output);
            let reader = readers.next()?;
            let alone = readers.next().is_none() && !self.is_model_output(output);
            (alone && self.optional(reader, 0) == Some(output)).then_some(reader)
        };
        let layer = only_reader(first)?;
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
        let last = only_reader(layer)?;
        (plain && last.options == Options::BatchToSpaceNd).then_some((layer, last))
    }

    fn layer(&self, layer: &Operator) -> Lowered<Layer> {
        let (input, weights) = (self.argument(layer, 0)?, self.argument(layer, 1)?);
        let bias = self.optional(layer, 2);
        let [_, _, _, depth] = self.images(input)?;
        let output = self.result(layer)?;
        let last = self.readers(output).next();
        let after = last.map_or(Ok(output), |last| self.result(last))?;
        if self.quantisation(input)? != self.quantisation_of_source(layer, input)?
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

    /// The quantisation before SPACE_TO_BATCH_ND, which writes the input of `layer`.
    fn quantisation_of_source(
        &self,
        layer: &Operator,
        input: usize,
    ) -> Lowered<crate::prepare::Quantisation> {
        let operators = self.model.operators.iter().take(layer.index);
        let mut writers = operators.filter(|operator| operator.outputs.contains(&input));
        let writer = writers.next().ok_or("nothing writes its input")?;
        self.quantisation(self.argument(writer, 0)?)
    }
}
