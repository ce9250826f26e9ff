//! Takes out channels that say nothing.
//!
//! Training drives channels to a constant: whatever the input, the requantised sum is the same. The
//! layer that reads such a channel can have it in its bias, and then nothing needs to compute it.
//! Between the two there may be depthwise convolutions and pools, which keep channels apart: a
//! channel that is constant after any of them goes out of all.

use crate::graph::{Convolution, Graph, OperatorKind, Weights};
use crate::layer::{self, LayerSource};
use edge_runtime::kernels::reference::requantise::Requantise;

/// Takes constant channels out of convolutions, and out of what follows up to the next convolution
/// or fully connected layer. Channels stay a multiple of `granule`, which suits the kernels: up to
/// `granule - 1` constant ones remain.
///
/// A layer whose multipliers cannot be expressed, or whose sums may overflow, stays as it is: the
/// compiler refuses it later, by name.
pub fn compact(mut graph: Graph, granule: usize) -> Graph {
    for index in 0..graph.operators.len() {
        if let Some(chain) = Chain::from(&graph, index) {
            chain.compact(&mut graph, granule.max(1));
        }
    }
    graph
}

/// A convolution and what its output runs through, up to the layer that mixes the channels again.
struct Chain {
    /// The convolution, then depthwise convolutions and pools.
    stages: Vec<usize>,
    /// The reader of the last of them.
    end: usize,
}

impl Chain {
    fn from(graph: &Graph, first: usize) -> Option<Self> {
        if !matches!(graph.operators[first].kind, OperatorKind::Conv2d(_)) {
            return None;
        }
        let mut stages = vec![first];
        let mut at = first;
        loop {
            let tensor = graph.operators[at].output;
            let next = only_reader(graph, tensor)?;
            let operator = &graph.operators[next];
            let (from, to) = (&graph.tensors[tensor], &graph.tensors[operator.output]);
            match &operator.kind {
                OperatorKind::DepthwiseConv2d(_) if from.shape[3] == to.shape[3] => {
                    stages.push(next);
                }
                OperatorKind::MaxPool2d { .. } | OperatorKind::AveragePool2d { .. } => {
                    stages.push(next);
                }
                // One pixel: its elements are its channels, whatever the shape.
                OperatorKind::Reshape if from.len() == from.shape[3] => stages.push(next),
                OperatorKind::Conv2d(_) => return Some(Self { stages, end: next }),
                OperatorKind::FullyConnected { .. } if from.len() == from.shape[3] => {
                    return Some(Self { stages, end: next });
                }
                _ => return None,
            }
            at = next;
        }
    }

    fn compact(&self, graph: &mut Graph, granule: usize) {
        let Some(constants) = self.constants(graph) else {
            return;
        };
        let channels = constants.len();
        let live = constants.iter().filter(|value| value.is_none()).count();
        let kept = live.next_multiple_of(granule).max(granule);
        if kept >= channels {
            return;
        }
        let mut spare = kept - live;
        let keep: Vec<bool> = constants
            .iter()
            .map(|value| {
                let stays = value.is_none() || spare > 0;
                spare -= usize::from(value.is_some() && stays);
                stays
            })
            .collect();
        if self.fold(graph, &constants, &keep).is_none() {
            return;
        }
        for &stage in &self.stages {
            let operator = &mut graph.operators[stage];
            let output = operator.output;
            match &mut operator.kind {
                OperatorKind::Conv2d(Convolution { weights, .. })
                | OperatorKind::DepthwiseConv2d(Convolution { weights, .. }) => {
                    keep_outputs(weights, &keep)
                }
                _ => {}
            }
            let reshaped = matches!(operator.kind, OperatorKind::Reshape);
            let shape = &mut graph.tensors[output].shape;
            // A reshape of one pixel has its channels along any dimension; the others are 1.
            let along = if reshaped {
                shape.iter().position(|&size| size == channels)
            } else {
                Some(3)
            };
            if let Some(dimension) = along {
                shape[dimension] = kept;
            }
        }
    }

    /// For each channel the value that it has in the last tensor of the chain, where that is always
    /// the same and the reader can do without it.
    fn constants(&self, graph: &Graph) -> Option<Vec<Option<i8>>> {
        let mut values: Vec<Option<i8>> = Vec::new();
        for &stage in &self.stages {
            let operator = &graph.operators[stage];
            let output = &graph.tensors[operator.output];
            let clamp = operator.kind.activation().unwrap_or_default();
            let (low, high) = clamp.range(output.scale, output.zero_point);
            values = match &operator.kind {
                OperatorKind::Conv2d(_) => own_constants(&layer::of(graph, stage).ok()??),
                OperatorKind::DepthwiseConv2d(_) => {
                    let source = layer::of(graph, stage).ok()??;
                    let own = own_constants(&source);
                    let padded = is_padded(graph, stage);
                    let through = values.iter().enumerate().map(|(channel, value)| {
                        let value = value.filter(|v| !padded || *v == source.pad)?;
                        Some(output_of(&source, channel, value))
                    });
                    own.iter()
                        .zip(through)
                        .map(|(own, through)| own.or(through))
                        .collect()
                }
                OperatorKind::MaxPool2d { .. } | OperatorKind::AveragePool2d { .. } => values
                    .iter()
                    .map(|value| value.map(|value| value.max(low).min(high)))
                    .collect(),
                _ => values,
            };
        }
        let reader = &graph.operators[self.end];
        let input = &graph.tensors[*reader.inputs.first()?];
        let padded = is_padded(graph, self.end);
        for value in &mut values {
            // On padding the reader sees the zero point instead.
            *value = value.filter(|v| !padded || i32::from(*v) == input.zero_point);
        }
        Some(values)
    }

    /// Puts the channels that go into the reader's bias and takes them out of its weights; `None`,
    /// and nothing done, where the bias has no room.
    fn fold(&self, graph: &mut Graph, constants: &[Option<i8>], keep: &[bool]) -> Option<()> {
        let input = *graph.operators[self.end].inputs.first()?;
        let zero_point = graph.tensors[input].zero_point;
        let kind = &mut graph.operators[self.end].kind;
        let weights = match kind {
            OperatorKind::Conv2d(Convolution { weights, .. })
            | OperatorKind::FullyConnected { weights, .. } => weights,
            _ => return None,
        };
        let outputs = weights.bias.len();
        let taps = weights.values.len().checked_div(outputs)?;
        if taps.checked_rem(keep.len()) != Some(0) {
            return None;
        }
        let mut bias = Vec::with_capacity(outputs);
        let mut values = Vec::with_capacity(weights.values.len());
        for (row, &first) in weights.values.chunks_exact(taps.max(1)).zip(&weights.bias) {
            let mut sum = i64::from(first);
            for pixel in row.chunks_exact(keep.len()) {
                for ((weight, keep), constant) in pixel.iter().zip(keep).zip(constants) {
                    match constant {
                        Some(value) if !keep => {
                            let step = i64::from(*value) - i64::from(zero_point);
                            sum += step * i64::from(*weight);
                        }
                        _ => values.push(*weight),
                    }
                }
            }
            bias.push(i32::try_from(sum).ok()?);
        }
        weights.values = values;
        weights.bias = bias;
        Some(())
    }
}

/// The operator that reads a tensor, if there is exactly one and the caller does not read it too.
fn only_reader(graph: &Graph, tensor: usize) -> Option<usize> {
    let mut readers = graph
        .operators
        .iter()
        .enumerate()
        .filter(|(_, operator)| operator.inputs.contains(&tensor));
    let (reader, operator) = readers.next()?;
    let only = readers.next().is_none() && operator.inputs.len() == 1;
    (only && graph.outputs().all(|output| output != tensor)).then_some(reader)
}

/// Whether an operator's window reaches beyond its input.
fn is_padded(graph: &Graph, index: usize) -> bool {
    let operator = &graph.operators[index];
    let (Some(window), Some(&input)) = (operator.kind.window(), operator.inputs.first()) else {
        return false;
    };
    let (input, output) = (&graph.tensors[input], &graph.tensors[operator.output]);
    let before = window.before(input);
    (0..2).any(|axis| {
        let extent = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
        let reach = (output.shape[axis + 1] - 1) * window.stride[axis] + extent;
        let before = usize::from(before[axis]);
        before > 0 || reach > input.shape[axis + 1] + before
    })
}

/// The output of each channel that is the same for every input.
fn own_constants(source: &LayerSource<'_>) -> Vec<Option<i8>> {
    let channels = source.bounds.iter().enumerate();
    channels
        .map(|(channel, bound)| {
            (bound.least == bound.greatest)
                .then(|| requantised(source, channel, bound.least as i32))
        })
        .collect()
}

/// The output of a channel of a depthwise convolution whose input is `value` throughout.
fn output_of(source: &LayerSource<'_>, channel: usize, value: i8) -> i8 {
    let taps = source.taps();
    let row = &source.weights[channel * taps..(channel + 1) * taps];
    let sum: i32 = row.iter().map(|&weight| i32::from(weight)).sum();
    // Within the bounds that the proof has checked.
    let acc = source.bias[channel].wrapping_add(sum.wrapping_mul(value.into()));
    requantised(source, channel, acc)
}

fn requantised(source: &LayerSource<'_>, channel: usize, acc: i32) -> i8 {
    let requantise = Requantise {
        rounding: source.rounding,
        zero_point: source.zero_point,
        min: source.min,
        max: source.max,
    };
    requantise.apply(acc, source.multipliers[channel], source.shifts[channel])
}

/// Leaves only some output channels.
fn keep_outputs(weights: &mut Weights, keep: &[bool]) {
    let taps = weights.values.len() / weights.bias.len().max(1);
    let rows = weights.values.chunks_exact(taps.max(1)).zip(keep);
    weights.values = rows
        .filter(|(_, keep)| **keep)
        .flat_map(|(row, _)| row.iter().copied())
        .collect();
    let mut kept = keep.iter();
    weights.bias.retain(|_| *kept.next().unwrap_or(&true));
    if weights.scales.len() > 1 {
        let mut kept = keep.iter();
        weights.scales.retain(|_| *kept.next().unwrap_or(&true));
    }
}

#[cfg(test)]
mod tests;
