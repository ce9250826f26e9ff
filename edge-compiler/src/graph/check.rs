//! Whether a graph is well formed.

use super::{Graph, Operator, OperatorKind, Tensor, Weights};
use crate::shape;

/// Why a graph is refused. Operators and tensors are given by index; `operator` fields hold
/// `operator 3 (CONV_2D)`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// There is nothing to execute.
    #[error("the graph has no operators: give it at least one between its input and output")]
    Empty,
    /// More tensors or operators than the 16-bit indices of an image can name.
    #[error("the graph has {found} {what}, an image holds at most 65534: split the model")]
    TooMany {
        /// "tensors" or "operators".
        what: &'static str,
        /// How many there are.
        found: usize,
    },
    /// An index beyond [`Graph::tensors`].
    #[error("{place} names tensor {tensor}, but the graph has {tensors} tensors")]
    NoSuchTensor {
        /// The operator, or "the graph's input" or "the graph's output".
        place: String,
        /// The index.
        tensor: usize,
        /// Tensors in the graph.
        tensors: usize,
    },
    /// Batch other than 1, a dimension of zero or above 65535, or more than 2^31 - 1 elements.
    #[error(
        "tensor {tensor} has shape {shape:?}: the batch must be 1, each dimension 1..=65535, \
         and the product below 2^31"
    )]
    BadShape {
        /// The tensor.
        tensor: usize,
        /// Its shape.
        shape: [usize; 4],
    },
    /// A scale that is not finite and above zero, or a zero point outside int8.
    #[error(
        "tensor {tensor} has scale {scale} and zero point {zero_point}: the scale must be a \
         normal number above zero and the zero point in -128..=127"
    )]
    BadQuantisation {
        /// The tensor.
        tensor: usize,
        /// Its scale.
        scale: f32,
        /// Its zero point.
        zero_point: i32,
    },
    /// An operator with too few or too many inputs.
    #[error("{operator} has {found} inputs, it needs 1")]
    InputCount {
        /// The operator.
        operator: String,
        /// How many it has.
        found: usize,
    },
    /// A tensor is read before anything wrote it.
    #[error(
        "{place} reads tensor {tensor}, which nothing before it writes: put the operators in the \
         order of execution"
    )]
    ReadBeforeWritten {
        /// The operator, or "the graph's output".
        place: String,
        /// The tensor.
        tensor: usize,
    },
    /// A tensor has two writers, or the graph's input has one.
    #[error("{operator} writes tensor {tensor}, which is already written: give it its own output")]
    WrittenTwice {
        /// The second writer.
        operator: String,
        /// The tensor.
        tensor: usize,
    },
    /// Kernel, stride or dilation is zero or above 65535, or no whole kernel fits the input.
    #[error(
        "{operator} moves a kernel {kernel:?} by {stride:?} with dilation {dilation:?} over input \
         {input:?}: each must be 1..=65535 and, with VALID padding, the kernel must fit"
    )]
    BadWindow {
        /// The operator.
        operator: String,
        /// Shape of its input.
        input: [usize; 4],
        /// Height, width.
        kernel: [usize; 2],
        /// Vertical, horizontal.
        stride: [usize; 2],
        /// Vertical, horizontal.
        dilation: [usize; 2],
    },
    /// The output tensor has not the shape that the operator gives.
    #[error("{operator} gives shape {expected:?}, but its output tensor has {found:?}")]
    OutputShape {
        /// The operator.
        operator: String,
        /// What it gives.
        expected: [usize; 4],
        /// What the tensor says.
        found: [usize; 4],
    },
    /// A list of constants has the wrong length.
    #[error("{operator} has {found} {what}, it needs {expected}")]
    ConstantCount {
        /// The operator.
        operator: String,
        /// "weights", "weight scales (or 1)" or "biases".
        what: &'static str,
        /// How many it needs.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// A weight scale that is not a normal number above zero.
    #[error(
        "{operator} has weight scale {scale} for output channel {channel}: it must be a normal number above zero"
    )]
    BadWeightScale {
        /// The operator.
        operator: String,
        /// Output channel.
        channel: usize,
        /// The scale.
        scale: f32,
    },
    /// Input and output must share scale and zero point, and do not.
    #[error(
        "{operator} keeps its input's quantisation, but its output has another scale or zero point"
    )]
    QuantisationChanged {
        /// The operator.
        operator: String,
    },
    /// A softmax whose output has not scale 1/256 and zero point -128.
    #[error(
        "{operator} writes scale {scale} and zero point {zero_point}: softmax gives scale 1/256 and zero point -128"
    )]
    SoftmaxOutput {
        /// The operator.
        operator: String,
        /// Scale of the output.
        scale: f32,
        /// Zero point of the output.
        zero_point: i32,
    },
    /// An activation whose clamp is empty on this quantisation.
    #[error(
        "{operator} clamps to {low}..={high}, which is empty: the output's scale cannot hold the activation's range"
    )]
    EmptyClamp {
        /// The operator.
        operator: String,
        /// Lowest value.
        low: i8,
        /// Highest value.
        high: i8,
    },
}

/// Indices and dimensions are 16 bits wide in an image; the last index is "no tensor".
const MOST_INDICES: usize = u16::MAX as usize - 1;
const MOST_ELEMENTS: usize = i32::MAX as usize;
const MOST_DIMENSION: usize = u16::MAX as usize;

pub(super) fn check(graph: &Graph) -> Result<(), GraphError> {
    if graph.operators.is_empty() {
        return Err(GraphError::Empty);
    }
    for (what, found) in [
        ("tensors", graph.tensors.len()),
        ("operators", graph.operators.len()),
    ] {
        if found > MOST_INDICES {
            return Err(GraphError::TooMany { what, found });
        }
    }
    for (index, tensor) in graph.tensors.iter().enumerate() {
        check_tensor(index, tensor)?;
    }
    let mut written = vec![false; graph.tensors.len()];
    find(graph, || "the graph's input".into(), graph.input)?;
    written[graph.input] = true;
    for (index, operator) in graph.operators.iter().enumerate() {
        let place = || graph.describe(index);
        let [input] = operator.inputs[..] else {
            return Err(GraphError::InputCount {
                operator: place(),
                found: operator.inputs.len(),
            });
        };
        let from = find(graph, place, input)?;
        let to = find(graph, place, operator.output)?;
        if !written[input] {
            return Err(GraphError::ReadBeforeWritten {
                place: place(),
                tensor: input,
            });
        }
        if std::mem::replace(&mut written[operator.output], true) {
            return Err(GraphError::WrittenTwice {
                operator: place(),
                tensor: operator.output,
            });
        }
        check_operator(&place, operator, from, to)?;
    }
    let place = || "the graph's output".to_string();
    find(graph, place, graph.output)?;
    if !written[graph.output] {
        return Err(GraphError::ReadBeforeWritten {
            place: place(),
            tensor: graph.output,
        });
    }
    Ok(())
}

fn find(graph: &Graph, place: impl Fn() -> String, tensor: usize) -> Result<&Tensor, GraphError> {
    let tensors = graph.tensors.len();
    let missing = || GraphError::NoSuchTensor {
        place: place(),
        tensor,
        tensors,
    };
    graph.tensors.get(tensor).ok_or_else(missing)
}

/// Subnormal scales are refused: their products lose bits in f32.
fn good_scale(scale: f32) -> bool {
    scale.is_normal() && scale > 0.0
}

fn check_tensor(index: usize, tensor: &Tensor) -> Result<(), GraphError> {
    let shape = tensor.shape;
    let fits = shape.iter().all(|&d| (1..=MOST_DIMENSION).contains(&d));
    if shape[0] != 1 || !fits || tensor.len() > MOST_ELEMENTS {
        return Err(GraphError::BadShape {
            tensor: index,
            shape,
        });
    }
    let Tensor {
        scale, zero_point, ..
    } = *tensor;
    if !good_scale(scale) || !(-128..=127).contains(&zero_point) {
        return Err(GraphError::BadQuantisation {
            tensor: index,
            scale,
            zero_point,
        });
    }
    Ok(())
}

fn check_operator(
    place: &dyn Fn() -> String,
    operator: &Operator,
    from: &Tensor,
    to: &Tensor,
) -> Result<(), GraphError> {
    let expected = match &operator.kind {
        OperatorKind::FullyConnected {
            weights,
            activation,
            ..
        } => {
            let outputs = weights.bias.len();
            check_weights(place, weights, to.shape[3], from.len())?;
            check_clamp(place, activation.range(to.scale, to.zero_point))?;
            [1, 1, 1, outputs]
        }
        OperatorKind::Conv2d {
            weights,
            kernel,
            stride,
            padding,
            dilation,
            activation,
            ..
        } => {
            let window = Window {
                kernel: *kernel,
                stride: *stride,
                dilation: *dilation,
            };
            let [h, w] = window.plane(place, from, *padding)?;
            let taps = kernel[0]
                .saturating_mul(kernel[1])
                .saturating_mul(from.shape[3]);
            check_weights(place, weights, to.shape[3], taps)?;
            check_clamp(place, activation.range(to.scale, to.zero_point))?;
            [1, h, w, weights.bias.len()]
        }
        OperatorKind::MaxPool2d {
            kernel,
            stride,
            padding,
        } => {
            same_quantisation(place, from, to)?;
            let window = Window {
                kernel: *kernel,
                stride: *stride,
                dilation: [1, 1],
            };
            let [h, w] = window.plane(place, from, *padding)?;
            [1, h, w, from.shape[3]]
        }
        OperatorKind::Reshape => {
            same_quantisation(place, from, to)?;
            // Any shape of as many elements will do.
            if from.len() == to.len() {
                to.shape
            } else {
                from.shape
            }
        }
        OperatorKind::Softmax => {
            if to.scale != 1.0 / 256.0 || to.zero_point != -128 {
                let Tensor {
                    scale, zero_point, ..
                } = *to;
                return Err(GraphError::SoftmaxOutput {
                    operator: place(),
                    scale,
                    zero_point,
                });
            }
            from.shape
        }
        OperatorKind::Activation(activation) => {
            same_quantisation(place, from, to)?;
            check_clamp(place, activation.range(to.scale, to.zero_point))?;
            from.shape
        }
    };
    if expected != to.shape {
        return Err(GraphError::OutputShape {
            operator: place(),
            expected,
            found: to.shape,
        });
    }
    Ok(())
}

struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
}

impl Window {
    fn plane(
        &self,
        place: &dyn Fn() -> String,
        from: &Tensor,
        padding: super::Padding,
    ) -> Result<[usize; 2], GraphError> {
        let Self {
            kernel,
            stride,
            dilation,
        } = *self;
        let bad = || GraphError::BadWindow {
            operator: place(),
            input: from.shape,
            kernel,
            stride,
            dilation,
        };
        let fields = [kernel, stride, dilation];
        if fields.iter().flatten().any(|&n| n > MOST_DIMENSION) {
            return Err(bad());
        }
        let plane = shape::output_plane(padding, from.shape, kernel, stride, dilation);
        let (outputs, before) = plane.ok_or_else(bad)?;
        // The padding has 16 bits in an image, as everything else.
        if before.iter().any(|&n| n > MOST_DIMENSION) {
            return Err(bad());
        }
        Ok(outputs)
    }
}

fn check_weights(
    place: &dyn Fn() -> String,
    weights: &Weights,
    outputs: usize,
    taps: usize,
) -> Result<(), GraphError> {
    let count = |what, expected, found| {
        if expected == found {
            return Ok(());
        }
        Err(GraphError::ConstantCount {
            operator: place(),
            what,
            expected,
            found,
        })
    };
    count("biases", outputs, weights.bias.len())?;
    count(
        "weights",
        outputs.saturating_mul(taps),
        weights.values.len(),
    )?;
    if weights.scales.len() != 1 {
        count("weight scales (or 1)", outputs, weights.scales.len())?;
    }
    for (channel, &scale) in weights.scales.iter().enumerate() {
        if !good_scale(scale) {
            return Err(GraphError::BadWeightScale {
                operator: place(),
                channel,
                scale,
            });
        }
    }
    Ok(())
}

fn check_clamp(place: &dyn Fn() -> String, (low, high): (i8, i8)) -> Result<(), GraphError> {
    if low > high {
        return Err(GraphError::EmptyClamp {
            operator: place(),
            low,
            high,
        });
    }
    Ok(())
}

fn same_quantisation(
    place: &dyn Fn() -> String,
    from: &Tensor,
    to: &Tensor,
) -> Result<(), GraphError> {
    if from.scale != to.scale || from.zero_point != to.zero_point {
        return Err(GraphError::QuantisationChanged { operator: place() });
    }
    Ok(())
}
