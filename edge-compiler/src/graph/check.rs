//! Whether a graph is well formed.

mod recurrent;

use super::{Graph, GraphError, Operator, OperatorKind, Role, SlidingWindow, Tensor, Weights};
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
    if graph
        .inputs()
        .any(|input| graph.outputs().any(|o| o == input))
    {
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
    let mut written = vec![Written::Not; graph.tensors.len()];
    for input in graph.inputs() {
        let tensor = find(graph, || "the graph's input".into(), input)?;
        if !tensor.role.is_activation() {
            return Err(GraphError::BadRole {
                place: "the graph's input".into(),
                tensor: input,
            });
        }
        written[input] = Written::Whole;
    }
    for (index, operator) in graph.operators.iter().enumerate() {
        let place = || graph.describe(index);
        if operator.inputs.len() != operator.kind.input_count() {
            return Err(GraphError::InputCount {
                operator: place(),
                found: operator.inputs.len(),
                needed: operator.kind.input_count(),
            });
        }
        let to = find(graph, place, operator.output)?;
        let mut from = Vec::new();
        let first_state = operator.inputs.len() - operator.kind.state_count();
        for (slot, &input) in operator.inputs.iter().enumerate() {
            let tensor = find(graph, place, input)?;
            let is_state = matches!(tensor.role, Role::State { .. });
            // Each state belongs to one operator, in one place.
            let taken = is_state && written[input] != Written::Not;
            if is_state != (slot >= first_state) || taken {
                return Err(GraphError::BadRole {
                    place: place(),
                    tensor: input,
                });
            }
            if is_state {
                written[input] = Written::Whole;
                from.push(tensor);
                continue;
            }
            if tensor.role.is_activation() && written[input] == Written::Not {
                return Err(GraphError::ReadBeforeWritten {
                    place: place(),
                    tensor: input,
                });
            }
            if !tensor.role.is_activation() && !operator.kind.may_read_constants() {
                return Err(GraphError::BadRole {
                    place: place(),
                    tensor: input,
                });
            }
            // What was read is complete: no more parts.
            written[input] = Written::Whole;
            from.push(tensor);
        }
        if !to.role.is_activation() {
            return Err(GraphError::BadRole {
                place: place(),
                tensor: operator.output,
            });
        }
        let by = if operator.kind.writes_a_part() {
            Written::InParts
        } else {
            Written::Whole
        };
        match (written[operator.output], by) {
            (Written::Not, _) | (Written::InParts, Written::InParts) => {}
            _ => {
                return Err(GraphError::WrittenTwice {
                    operator: place(),
                    tensor: operator.output,
                });
            }
        }
        written[operator.output] = by;
        check_operator(&place, operator, &from, to)?;
    }
    for output in graph.outputs() {
        let place = || "the graph's output".to_string();
        find(graph, place, output)?;
        if written[output] == Written::Not {
            return Err(GraphError::ReadBeforeWritten {
                place: place(),
                tensor: output,
            });
        }
    }
    Ok(())
}

/// What wrote a tensor so far.
#[derive(Clone, Copy, PartialEq)]
enum Written {
    Not,
    InParts,
    Whole,
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
    if let Role::Constant(values) = &tensor.role
        && values.len() != tensor.len()
    {
        return Err(GraphError::ConstantCount {
            operator: format!("constant {index}"),
            what: "values",
            expected: tensor.len(),
            found: values.len(),
        });
    }
    Ok(())
}

fn check_operator(
    place: &dyn Fn() -> String,
    operator: &Operator,
    inputs: &[&Tensor],
    to: &Tensor,
) -> Result<(), GraphError> {
    // The only operator without an input looks at its output alone.
    let from = inputs.first().copied().unwrap_or(to);
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
        OperatorKind::Conv2d(convolution) | OperatorKind::DepthwiseConv2d(convolution) => {
            let [h, w] = plane(place, from, convolution.window())?;
            let [kernel_height, kernel_width] = convolution.kernel;
            let depthwise = matches!(operator.kind, OperatorKind::DepthwiseConv2d(_));
            let depth = if depthwise { 1 } else { from.shape[3] };
            let taps = kernel_height
                .saturating_mul(kernel_width)
                .saturating_mul(depth);
            check_weights(place, &convolution.weights, to.shape[3], taps)?;
            check_clamp(place, convolution.activation.range(to.scale, to.zero_point))?;
            // A number of channels that is no multiple gives a shape that cannot be.
            let channels = convolution.weights.bias.len();
            let fits = !depthwise || channels.is_multiple_of(from.shape[3]);
            [1, h, w, if fits { channels } else { 0 }]
        }
        OperatorKind::TransposeConv {
            weights,
            kernel,
            stride,
            padding,
            activation,
            ..
        } => {
            let fields = [kernel, stride];
            let good = |&n: &usize| (1..=MOST_DIMENSION).contains(&n);
            if !fields.into_iter().flatten().all(good)
                || padding.iter().any(|&n| n > MOST_DIMENSION)
            {
                return Err(GraphError::BadWindow {
                    operator: place(),
                    input: from.shape,
                    kernel: *kernel,
                    stride: *stride,
                    dilation: [1, 1],
                });
            }
            let taps = kernel[0]
                .saturating_mul(kernel[1])
                .saturating_mul(from.shape[3]);
            check_weights(place, weights, to.shape[3], taps)?;
            check_clamp(place, activation.range(to.scale, to.zero_point))?;
            [1, to.shape[1], to.shape[2], weights.bias.len()]
        }
        OperatorKind::MaxPool2d {
            kernel,
            stride,
            padding,
            activation,
        }
        | OperatorKind::AveragePool2d {
            kernel,
            stride,
            padding,
            activation,
        } => {
            check_clamp(place, activation.range(to.scale, to.zero_point))?;
            same_quantisation(place, from, to)?;
            let window = SlidingWindow {
                kernel: *kernel,
                stride: *stride,
                padding: *padding,
                dilation: [1, 1],
            };
            let [h, w] = plane(place, from, window)?;
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
        OperatorKind::Add { activation, .. } | OperatorKind::Mul { activation } => {
            check_clamp(place, activation.range(to.scale, to.zero_point))?;
            broadcast_shape(inputs)
        }
        OperatorKind::Prelu => {
            let shape = broadcast_shape(inputs);
            if shape == from.shape { shape } else { [0; 4] }
        }
        OperatorKind::Lookup { table, .. } => {
            if table.len() != 256 {
                return Err(GraphError::ConstantCount {
                    operator: place(),
                    what: "table entries",
                    expected: 256,
                    found: table.len(),
                });
            }
            from.shape
        }
        OperatorKind::Copy { copy, .. } => {
            same_quantisation(place, from, to)?;
            let inside = copy
                .reach()
                .is_some_and(|[read, written]| read.1 < from.len() && written.1 < to.len());
            let moved = (copy.sizes.iter()).try_fold(1_usize, |n, size| n.checked_mul(*size));
            if !inside || moved.is_none_or(|moved| moved > to.len()) {
                return Err(GraphError::CopyOutside { operator: place() });
            }
            to.shape
        }
        OperatorKind::Fill { .. } => to.shape,
        OperatorKind::Mean {
            outer,
            reduce,
            inner,
        } => {
            let count =
                |factors: &[usize]| factors.iter().try_fold(1, |n: usize, f| n.checked_mul(*f));
            let fits = count(&[*outer, *reduce, *inner]) == Some(from.len())
                && count(&[*outer, *inner]) == Some(to.len());
            if fits { to.shape } else { [0; 4] }
        }
        OperatorKind::ResizeNearest { rows, columns } => {
            same_quantisation(place, from, to)?;
            let inside = |table: &[u16], len: usize| table.iter().all(|&i| usize::from(i) < len);
            if !inside(rows, from.shape[1]) || !inside(columns, from.shape[2]) {
                return Err(GraphError::CopyOutside { operator: place() });
            }
            [1, rows.len(), columns.len(), from.shape[3]]
        }
        OperatorKind::ResizeBilinear { .. } => {
            same_quantisation(place, from, to)?;
            [1, to.shape[1], to.shape[2], from.shape[3]]
        }
        OperatorKind::Softmax { .. } => {
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
        OperatorKind::Lstm(lstm) => recurrent::check_lstm(place, lstm, inputs)?,
        OperatorKind::Svdf(svdf) => {
            recurrent::check_svdf(place, svdf, inputs)?;
            // Any shape of one element for each unit.
            if to.len() == svdf.bias.len() {
                to.shape
            } else {
                [0; 4]
            }
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

/// What two shapes broadcast to: along each dimension the greater size where one of them is 1;
/// zero where they do not go together.
fn broadcast_shape(inputs: &[&Tensor]) -> [usize; 4] {
    let [a, b] = inputs else { return [0; 4] };
    std::array::from_fn(|i| match (a.shape[i], b.shape[i]) {
        (x, y) if x == y || y == 1 => x,
        (1, y) => y,
        _ => 0,
    })
}

/// Rows and columns of the output of a window.
fn plane(
    place: &dyn Fn() -> String,
    from: &Tensor,
    window: SlidingWindow,
) -> Result<[usize; 2], GraphError> {
    let SlidingWindow {
        kernel,
        stride,
        padding,
        dilation,
    } = window;
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
