//! Convolutions, transposed ones, and BatchNormalization as one.

use edge_compiler::graph::Padding;
use edge_compiler::import::tflite::{Conv2d, DepthwiseConv2d, Options, TransposeConv};

use super::builder::{Builder, Lowered, Patch, plain};
use super::layers::reshaped;
use super::pools::Window;
use super::weights::weights;
use crate::constant::{Constant, Data};
use crate::proto::{Attributes, elements};
use crate::simplify::normalisation_terms;
use crate::source::Node;

impl Builder<'_> {
    pub fn conv(&mut self, node: &Node) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        let to = self.required(output)?;
        let (from_shape, to_shape) = (self.shape(input), self.shape(output));
        let kernel = self.kernel(node)?;
        let spatial = from_shape.len().saturating_sub(2);
        if !matches!(spatial, 1 | 2) || kernel.shape.len() != from_shape.len() {
            return Err(format!(
                "weights of shape {:?} on {from_shape:?}: one or two dimensions besides batch and \
                 channels are possible",
                kernel.shape
            ));
        }
        let window = Window::of(node, &kernel.shape[2..], from_shape, to_shape)?;
        let [height, width] = window.kernel;
        let (channels, depth) = (kernel.shape[0], kernel.shape[1]);
        let groups = usize::try_from(node.attributes.as_slice().int("group", 1)).unwrap_or(0);
        let inputs = from_shape[1];
        if groups == 0 || depth.checked_mul(groups) != Some(inputs) || channels % groups != 0 {
            return Err(format!(
                "weights of shape {:?} in {groups} groups on {inputs} channels",
                kernel.shape
            ));
        }
        let dense = elements(&[channels, inputs, height, width]);
        dense.ok_or("its groups are too many to become one")?;
        let bias = self.bias(node)?;
        let four = [channels, depth, height, width];
        // One group of one channel is a plain convolution of depth 1.
        let depthwise = depth == 1 && groups > 1;
        let from = self.activation(input)?.quantisation;
        let (shape, constants, along) = if depthwise {
            let turned = reshaped(kernel, &four).permuted(&four, &[1, 2, 3, 0]);
            (
                vec![1, height, width, channels],
                weights(&turned, 3, bias, from)?,
                3,
            )
        } else {
            let dense = ungrouped(reshaped(kernel, &four), groups);
            let four = [channels, inputs, height, width];
            let turned = dense.permuted(&four, &[0, 2, 3, 1]);
            (
                vec![channels, height, width, inputs],
                weights(&turned, 0, bias, from)?,
                0,
            )
        };
        if groups > 1 && !depthwise {
            let name = self.name(output);
            self.notes.push(format!(
                "the {groups} groups of `{name}` became one, with weights of 0 between them"
            ));
        }
        let (x, _) = self.image(input)?;
        let (activation, rest) = self.clamp(node, to);
        let [w, b] = self.layer(&shape, constants, along);
        let y = self.image_output(output, to);
        let Window {
            stride: [stride_h, stride_w],
            dilation: [dilation_h, dilation_w],
            padding,
            ..
        } = window;
        let options = if depthwise {
            Options::DepthwiseConv2d(DepthwiseConv2d {
                padding,
                stride_w,
                stride_h,
                depth_multiplier: (channels / inputs) as i32,
                activation,
                dilation_w,
                dilation_h,
            })
        } else {
            Options::Conv2d(Conv2d {
                padding,
                stride_w,
                stride_h,
                activation,
                dilation_w,
                dilation_h,
                quantized_bias_type: None,
            })
        };
        self.emit(options, vec![Some(x), Some(w), Some(b)], y);
        let y = self.clamped(y, to, rest);
        self.set_image(output, y, to)
    }

    pub fn conv_transpose(&mut self, node: &Node) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        let to = self.required(output)?;
        let kernel = self.kernel(node)?;
        let attributes = node.attributes.as_slice();
        let (&[depth, channels, height, width], 4) = (&kernel.shape[..], self.shape(input).len())
        else {
            return Err("only two dimensions besides batch and channels are possible".into());
        };
        if attributes.int("group", 1) != 1 {
            return Err("groups".into());
        }
        if attributes
            .ints("dilations")
            .is_some_and(|d| d.iter().any(|&d| d != 1))
        {
            return Err("a dilation".into());
        }
        let automatic = attributes.text("auto_pad").unwrap_or("NOTSET");
        if !matches!(automatic, "NOTSET" | "VALID" | "")
            || attributes.ints("output_shape").is_some()
        {
            return Err("padding that follows from the output's shape: state the pads".into());
        }
        let pair = |name: &str, at: usize, default: i64| -> Lowered<usize> {
            let found = attributes.ints(name).and_then(|all| all.get(at)).copied();
            usize::try_from(found.unwrap_or(default)).map_err(|_| format!("negative {name}"))
        };
        let stride = [pair("strides", 0, 1)?, pair("strides", 1, 1)?];
        let cut = [pair("pads", 0, 0)?, pair("pads", 1, 0)?];
        if stride.contains(&0) {
            return Err("a stride of 0".into());
        }
        let from = self.activation(input)?.quantisation;
        let turned = kernel.permuted(&[depth, channels, height, width], &[1, 2, 3, 0]);
        let constants = weights(&turned, 0, self.bias(node)?, from)?;
        let (x, _) = self.image(input)?;
        let (activation, rest) = self.clamp(node, to);
        let [w, b] = self.layer(&[channels, height, width, depth], constants, 0);
        let y = self.image_output(output, to);
        let shape: Vec<i32> = self
            .tensor_shape(y)
            .iter()
            .map(|&size| size as i32)
            .collect();
        let shape = self.integers(&[4], &shape);
        let options = Options::TransposeConv(TransposeConv {
            padding: Padding::Valid,
            stride_w: stride[1],
            stride_h: stride[0],
            activation,
            quantized_bias_type: None,
        });
        let inputs = vec![Some(shape), Some(w), Some(x), Some(b)];
        let operator = self.emit(options, inputs, y);
        self.patch(operator, Patch::Cut(cut));
        let y = self.clamped(y, to, rest);
        self.set_image(output, y, to)
    }

    /// BatchNormalization that nothing took in: a depthwise convolution of one tap.
    pub fn batch_normalization(&mut self, node: &Node) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        let to = self.required(output)?;
        let terms = normalisation_terms(self.source, node);
        let (factors, summands) = terms.ok_or("its parameters must be constant, one a channel")?;
        let shape = self.shape(input);
        let channels = factors.len();
        if shape.get(1) != Some(&channels) {
            return Err(format!(
                "{channels} parameters on an input of shape {shape:?}"
            ));
        }
        let (x, from) = if shape.len() == 2 {
            let (tensor, from) = self.value_in(input, &plain(2))?;
            (
                self.reshaped(tensor, &[1, shape[0], 1, channels], from),
                from,
            )
        } else {
            self.image(input)?
        };
        let list = |values: Vec<f32>| Constant {
            shape: vec![1, 1, 1, values.len()],
            data: Data::Float(values),
        };
        let constants = weights(&list(factors), 3, Some(&list(summands)), from)?;
        let (activation, rest) = self.clamp(node, to);
        let [w, b] = self.layer(&[1, 1, 1, channels], constants, 3);
        let like = self.tensor_shape(x).to_vec();
        let y = self.tensor(self.name(output), &like, to);
        let options = Options::DepthwiseConv2d(DepthwiseConv2d {
            padding: Padding::Valid,
            stride_w: 1,
            stride_h: 1,
            depth_multiplier: 1,
            activation,
            dilation_w: 1,
            dilation_h: 1,
        });
        self.emit(options, vec![Some(x), Some(w), Some(b)], y);
        let y = self.clamped(y, to, rest);
        if shape.len() == 2 {
            let y = self.reshaped(y, shape, to);
            return self.set_in(output, y, plain(2), to);
        }
        self.set_image(output, y, to)
    }
}

/// Weights `[o][c / groups][..]` as `[o][c][..]`, 0 between groups.
fn ungrouped(constant: Constant, groups: usize) -> Constant {
    if groups == 1 {
        return constant;
    }
    let (channels, depth) = (constant.shape[0], constant.shape[1]);
    let taps: usize = constant.shape[2..].iter().product();
    let run = depth * taps;
    fn spread<T: Copy + Default>(values: &[T], [channels, run, groups]: [usize; 3]) -> Vec<T> {
        let mut dense = vec![T::default(); channels * run * groups];
        let rows = values
            .chunks_exact(run.max(1))
            .zip(dense.chunks_exact_mut((run * groups).max(1)));
        for (channel, (row, wide)) in rows.enumerate() {
            let group = channel / (channels / groups);
            wide[group * run..(group + 1) * run].copy_from_slice(row);
        }
        dense
    }
    let sizes = [channels, run, groups];
    let data = match constant.data {
        Data::Float(values) => Data::Float(spread(&values, sizes)),
        Data::Integer(values) => Data::Integer(spread(&values, sizes)),
        Data::Quantised {
            values,
            scales,
            axis,
        } => Data::Quantised {
            values: spread(&values, sizes),
            scales,
            axis,
        },
    };
    let mut shape = constant.shape;
    shape[1] *= groups;
    Constant { shape, data }
}
