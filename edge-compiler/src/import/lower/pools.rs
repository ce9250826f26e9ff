//! Pools, resizing and SOFTMAX.

use super::builder::{Lowered, Lowering, fused};
use crate::graph::{Activation, OperatorKind};
use crate::import::tflite::{Operator, Pool2d, Resize};
use crate::prepare::resize::{self, Alignment};

impl Lowering<'_, '_> {
    pub fn pool(&mut self, operator: &Operator, options: &Pool2d, average: bool) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let activation = fused(options.activation)?;
        let kernel = [options.filter_height, options.filter_width];
        let stride = [options.stride_h, options.stride_w];
        let padding = options.padding;
        let kind = if average {
            OperatorKind::AveragePool2d {
                kernel,
                stride,
                padding,
                activation,
            }
        } else {
            OperatorKind::MaxPool2d {
                kernel,
                stride,
                padding,
                activation,
            }
        };
        self.keeping_quantisation(input, output, kind, activation)
    }

    /// An operator on images that does not look at the quantisation, which LiteRT takes to be the
    /// same on both sides without a check.
    fn keeping_quantisation(
        &mut self,
        input: usize,
        output: usize,
        kind: OperatorKind,
        activation: Activation,
    ) -> Lowered {
        let differ = self.quantisation(input)? != self.quantisation(output)?;
        if differ && activation != Activation::None {
            return Err("input and output differ in scale or zero point".into());
        }
        self.each_image(input, output, |lowering, x, y| {
            let x = lowering.relabelled(x, lowering.quantisation_of(y));
            lowering.push(kind.clone(), vec![x], y);
            Ok(())
        })
    }

    pub fn resize_bilinear(&mut self, operator: &Operator, options: &Resize) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        self.check_sizes(self.argument(operator, 1)?, &self.images(output)?[1..3])?;
        let kind = OperatorKind::ResizeBilinear {
            align_corners: options.align_corners,
            half_pixel_centers: options.half_pixel_centers,
        };
        self.keeping_quantisation(input, output, kind, Activation::None)
    }

    pub fn resize_nearest(&mut self, operator: &Operator, options: &Resize) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let ([_, height, width, _], [_, rows, columns, _]) =
            (self.images(input)?, self.images(output)?);
        self.check_sizes(self.argument(operator, 1)?, &[rows, columns])?;
        let alignment = Alignment {
            align_corners: options.align_corners,
            half_pixel_centers: options.half_pixel_centers,
        };
        let table = |from, to| {
            let table = resize::nearest(from, to, alignment);
            table.ok_or_else(|| format!("it resizes {from} to {to} elements"))
        };
        let kind = OperatorKind::ResizeNearest {
            rows: table(height, rows)?,
            columns: table(width, columns)?,
        };
        self.keeping_quantisation(input, output, kind, Activation::None)
    }

    pub fn softmax(&mut self, operator: &Operator, beta: f32) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let channels = self.shape(input).last().copied().unwrap_or(1);
        let value = self.activation(input)?;
        let elements = self.tensors[value].len();
        let value = if self.tensors[value].shape[3] == channels {
            value
        } else {
            let rows = elements.checked_div(channels).unwrap_or(0);
            self.view(value, [1, 1, rows, channels])?
        };
        let y = self.output_as(output, self.tensors[value].shape)?;
        self.push(OperatorKind::Softmax { beta }, vec![value], y);
        Ok(())
    }
}
