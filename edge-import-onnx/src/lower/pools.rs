//! Windows, pools, means and Softmax.

use edge_compiler::graph::Padding;
use edge_compiler::import::tflite::{FusedActivation, Options, Pool2d};
use edge_compiler::prepare::Quantisation;

use super::builder::{Builder, Lowered, channels_last, ordered, plain};
use crate::proto::Attributes;
use crate::source::Node;

/// A window over rows and columns; over columns alone where a tensor has three dimensions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub padding: Padding,
}

impl Window {
    /// The window of a node with a kernel of one or two dimensions. What lies behind the last
    /// element follows from the output's shape, so that pools may round their output up.
    pub fn of(node: &Node, kernel: &[usize], from: &[usize], to: &[usize]) -> Lowered<Self> {
        let attributes = node.attributes.as_slice();
        let spatial = kernel.len();
        if !matches!(spatial, 1 | 2) || from.len() != spatial + 2 || to.len() != spatial + 2 {
            return Err(format!("a window {kernel:?} over {from:?} to {to:?}"));
        }
        let each = |name: &str, default: i64| -> Lowered<Vec<usize>> {
            let all = attributes.ints(name).filter(|all| !all.is_empty());
            let all = all.map_or_else(|| vec![default; spatial], <[i64]>::to_vec);
            if all.len() != spatial {
                return Err(format!("{} {name} for {spatial} dimensions", all.len()));
            }
            let sizes = all
                .iter()
                .map(|&n| usize::try_from(n).ok().filter(|&n| n > 0 || default == 0));
            sizes
                .collect::<Option<_>>()
                .ok_or_else(|| format!("{name} of {all:?}"))
        };
        let (stride, dilation) = (each("strides", 1)?, each("dilations", 1)?);
        let stated = attributes.ints("pads").filter(|pads| !pads.is_empty());
        let automatic = attributes.text("auto_pad").unwrap_or("NOTSET");
        let mut window = Self {
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::Valid,
        };
        let (mut before, mut after) = ([0; 2], [0; 2]);
        for i in 0..spatial {
            let place = i + 2 - spatial;
            let (size, outputs) = (from[i + 2], to[i + 2]);
            let covered = kernel[i].saturating_sub(1).checked_mul(dilation[i]);
            let steps = outputs.saturating_sub(1).checked_mul(stride[i]);
            let reach = covered.and_then(|covered| steps?.checked_add(covered)?.checked_add(1));
            let reach = reach.ok_or("its window is too large")?;
            let missing = reach.saturating_sub(size);
            before[place] = match automatic {
                "SAME_UPPER" => missing / 2,
                "SAME_LOWER" => missing.div_ceil(2),
                "VALID" => 0,
                _ => {
                    let pad = stated.and_then(|pads| pads.get(i)).copied().unwrap_or(0);
                    usize::try_from(pad).map_err(|_| "negative padding")?
                }
            };
            after[place] = reach.saturating_sub(size.saturating_add(before[place]));
            window.kernel[place] = kernel[i];
            window.stride[place] = stride[i];
            window.dilation[place] = dilation[i];
        }
        let limit = |n: &usize| *n > usize::from(u16::MAX);
        let sizes = [window.kernel, window.stride, window.dilation, before, after];
        if sizes.iter().flatten().any(limit) || window.kernel.contains(&0) {
            return Err("its window is empty or too large".into());
        }
        if before != [0; 2] || after != [0; 2] {
            window.padding = Padding::Explicit { before, after };
            let image = |shape: &[usize]| match *shape {
                [_, _, l] => [1, l],
                [_, _, h, w, ..] => [h, w],
                _ => [0, 0],
            };
            if window.is_same(image(from), image(to), before, after) {
                window.padding = Padding::Same;
            }
        }
        Ok(window)
    }

    /// Whether the padding is TFLite's SAME.
    fn is_same(
        &self,
        from: [usize; 2],
        to: [usize; 2],
        before: [usize; 2],
        after: [usize; 2],
    ) -> bool {
        (0..2).all(|i| {
            let reach = (self.kernel[i] - 1) * self.dilation[i] + 1;
            let outputs = from[i].div_ceil(self.stride[i]);
            let missing =
                (outputs.saturating_sub(1) * self.stride[i] + reach).saturating_sub(from[i]);
            outputs == to[i] && before[i] == missing / 2 && after[i] == missing - missing / 2
        })
    }
}

impl Builder<'_> {
    pub fn pool(&mut self, node: &Node) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        if node.outputs.len() > 1 {
            return Err("the places of its maxima are asked for".into());
        }
        let attributes = node.attributes.as_slice();
        let average = node.operator == "AveragePool";
        let kernel = attributes
            .ints("kernel_shape")
            .ok_or("it has no kernel_shape")?;
        let kernel: Option<Vec<usize>> = kernel.iter().map(|&k| usize::try_from(k).ok()).collect();
        let kernel = kernel.ok_or("a negative kernel_shape")?;
        let window = Window::of(node, &kernel, self.shape(input), self.shape(output))?;
        if window.dilation != [1, 1] {
            return Err("a dilation".into());
        }
        if attributes.int("storage_order", 0) != 0 {
            return Err("columns before rows".into());
        }
        let counted = average && attributes.int("count_include_pad", 0) != 0;
        if counted && attributes.int("ceil_mode", 0) != 0 {
            return Err("a mean over padding with an output that is rounded up".into());
        }
        let (x, q) = self.image(input)?;
        let x = match window.padding {
            Padding::Valid => x,
            _ if counted => self.padded(x, &window, self.shape(output), q),
            _ => x,
        };
        let padding = if counted {
            Padding::Valid
        } else {
            window.padding
        };
        let y = self.image_output(output, q);
        let options = Pool2d {
            padding,
            stride_w: window.stride[1],
            stride_h: window.stride[0],
            filter_width: window.kernel[1],
            filter_height: window.kernel[0],
            activation: FusedActivation::None,
        };
        let options = if average {
            Options::AveragePool2d(options)
        } else {
            Options::MaxPool2d(options)
        };
        self.emit(options, vec![Some(x)], y);
        self.set_image(output, y, q)
    }

    /// An image with its padding as elements of real 0.
    fn padded(&mut self, x: usize, window: &Window, to: &[usize], q: Quantisation) -> usize {
        let shape = self.tensor_shape(x).to_vec();
        let outputs = match *to {
            [_, _, l] => [1, l],
            [_, _, h, w] => [h, w],
            _ => [1, 1],
        };
        let mut widths = [0; 8];
        let mut wide = shape.clone();
        for i in 0..2 {
            let reach = (outputs[i] - 1) * window.stride[i] + window.kernel[i];
            let missing = reach.saturating_sub(shape[i + 1]);
            let before = match window.padding {
                Padding::Explicit { before, .. } => before[i],
                _ => missing / 2,
            };
            // At least what the windows reach, which may be less than what the model states.
            let after = reach.saturating_sub(shape[i + 1] + before);
            widths[2 * (i + 1)] = before as i32;
            widths[2 * (i + 1) + 1] = after as i32;
            wide[i + 1] = shape[i + 1] + before + after;
        }
        let widths = self.integers(&[4, 2], &widths);
        let output = self.tensor("padded", &wide, q);
        self.emit(Options::Pad, vec![Some(x), Some(widths)], output);
        output
    }

    pub fn global_max_pool(&mut self, node: &Node) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        let (x, q) = self.image(input)?;
        let &[_, height, width, _] = self.tensor_shape(x) else {
            return Err("four dimensions are needed".into());
        };
        let y = self.image_output(output, q);
        let options = Options::MaxPool2d(Pool2d {
            padding: Padding::Valid,
            stride_w: 1,
            stride_h: 1,
            filter_width: width,
            filter_height: height,
            activation: FusedActivation::None,
        });
        self.emit(options, vec![Some(x)], y);
        self.set_image(output, y, q)
    }

    /// GlobalAveragePool and ReduceMean.
    pub fn mean(&mut self, node: &Node) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        let to = self.required(output)?;
        let (shape, to_shape) = (self.shape(input), self.shape(output));
        let attributes = node.attributes.as_slice();
        let rank = shape.len();
        let axes: Vec<i64> = if node.operator == "GlobalAveragePool" {
            (2..rank as i64).collect()
        } else {
            match (node.input(1), attributes.ints("axes")) {
                (Some(_), _) => {
                    let axes = self
                        .source
                        .constant(node, 1)
                        .and_then(|axes| axes.integers());
                    axes.ok_or("its axes must be constant")?.to_vec()
                }
                (None, Some(axes)) => axes.to_vec(),
                (None, None) if attributes.int("noop_with_empty_axes", 0) != 0 => {
                    return Err("no axes".into());
                }
                (None, None) => (0..rank as i64).collect(),
            }
        };
        let axes: Vec<usize> = axes
            .iter()
            .map(|&a| axis(a, rank))
            .collect::<Lowered<_>>()?;
        let order = self.activation(input)?;
        let order = if order.shape == shape {
            order.order
        } else {
            plain(rank)
        };
        let (x, _) = self.value_in(input, &order)?;
        let places = order
            .iter()
            .enumerate()
            .filter(|(_, dimension)| axes.contains(dimension));
        let places: Vec<i32> = places.map(|(place, _)| place as i32).collect();
        let kept: Vec<usize> = order
            .iter()
            .map(|d| if axes.contains(d) { 1 } else { shape[*d] })
            .collect();
        let axes_tensor = self.integers(&[places.len()], &places);
        let y = self.tensor(self.name(output), &kept, to);
        self.emit(
            Options::Mean { keep_dims: true },
            vec![Some(x), Some(axes_tensor)],
            y,
        );
        if to_shape.len() == rank {
            return self.set_in(output, y, order, to);
        }
        // Reduced dimensions vanish: the others keep their sequence.
        let left: Vec<usize> = (0..rank).filter(|d| !axes.contains(d)).collect();
        let order: Option<Vec<usize>> = order
            .iter()
            .filter(|d| !axes.contains(d))
            .map(|d| left.iter().position(|l| l == d))
            .collect();
        let order = order
            .filter(|order| order.len() == to_shape.len())
            .ok_or("its shape")?;
        let y = self.reshaped(y, &ordered(to_shape, &order), to);
        self.set_in(output, y, order, to)
    }

    pub fn softmax(&mut self, node: &Node) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        let shape = self.shape(input);
        let rank = shape.len();
        // Before version 13 it spanned all dimensions from its axis on.
        let old = self.source.version < 13;
        let along = node
            .attributes
            .as_slice()
            .int("axis", if old { 1 } else { -1 });
        let along = axis(along, rank)?;
        let q = Quantisation {
            scale: 1.0 / 256.0,
            zero_point: -128,
        };
        if old && shape[along + 1..].iter().any(|&size| size != 1) {
            let (x, from) = self.value_in(input, &plain(rank))?;
            let flat = [
                shape[..along].iter().product(),
                shape[along..].iter().product(),
            ];
            let x = self.reshaped(x, &flat, from);
            let y = self.tensor(self.name(output), &flat, q);
            self.emit(Options::Softmax { beta: 1.0 }, vec![Some(x)], y);
            let y = self.reshaped(y, shape, q);
            return self.set_in(output, y, plain(rank), q);
        }
        let stored = self.activation(input)?;
        let last = stored.order.last() == Some(&along) && stored.shape == shape;
        let order = if last {
            stored.order
        } else if along == 1 {
            channels_last(rank)
        } else {
            (0..rank).filter(|&d| d != along).chain([along]).collect()
        };
        let (x, _) = self.value_in(input, &order)?;
        let y = self.tensor(self.name(output), &ordered(shape, &order), q);
        self.emit(Options::Softmax { beta: 1.0 }, vec![Some(x)], y);
        self.set_in(output, y, order, q)
    }
}

/// An axis of `rank`, negative from the last.
pub(super) fn axis(axis: i64, rank: usize) -> Lowered<usize> {
    let from_front = if axis < 0 {
        axis.saturating_add(rank as i64)
    } else {
        axis
    };
    let found = usize::try_from(from_front).ok().filter(|&a| a < rank);
    found.ok_or_else(|| format!("axis {axis} of {rank} dimensions"))
}
