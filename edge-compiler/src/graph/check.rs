//! Whether a graph is well formed.

use super::{Graph, GraphError, Operator, OperatorKind, Tensor, Weights};
use crate::shape;
use edge_runtime::kernels::reference::softmax::MAX_CHANNELS;

/// Tensor indices are 16 bits wide in an image, and the last one is "no tensor".
const MOST_TENSORS: usize = u16::MAX as usize - 1;
/// The runtime's check of the memory plan is quadratic in the operators and so has a limit.
const MOST_OPERATORS: usize = 1024;
const MOST_ELEMENTS: usize = i32::MAX as usize;
const MOST_DIMENSION: usize = u16::MAX as usize;

pub(super) fn check(graph: &Graph) -> Result<(), GraphError> {
    if graph.operators.is_empty() {
        return Err(GraphError::Empty);
    }
    if graph.input == graph.output {
        return Err(GraphError::OutputIsInput);
    }
    let counts = [
        ("tensors", graph.tensors.len(), MOST_TENSORS),
        ("operators", graph.operators.len(), MOST_OPERATORS),
    ];
    for (what, found, most) in counts {
        if found > most {
            return Err(GraphError::TooMany { what, found, most });
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
            let channels = from.shape[3];
            if channels > MAX_CHANNELS {
                let operator = place();
                return Err(GraphError::SoftmaxChannels { operator, channels });
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
