//! Rewrites of a graph. Each is `Graph -> Graph`, keeps every output byte for every input, and
//! expects a graph that passes [`Graph::check`].

mod compact;
mod padding;

use crate::graph::{Activation, Convolution, Graph, OperatorKind, TensorId};

pub use compact::compact;
pub use padding::fold_padding;

/// Everything that [`crate::compile`] runs, in its order. `granule` is what the target's kernels like
/// numbers of channels to be a multiple of.
pub fn all(graph: Graph, granule: usize) -> Graph {
    let fused = fuse_activations(drop_reshapes(graph));
    let fused = widen_depthwise(fold_padding(fused));
    drop_dead(compact(fused, granule))
}

/// Takes out reshapes that change no shape, as TFLite has before a fully connected layer of what a pool
/// leaves: what reads their output reads their input. An output of the graph stays.
pub fn drop_reshapes(mut graph: Graph) -> Graph {
    let outputs: Vec<TensorId> = graph.outputs().collect();
    let Graph {
        tensors, operators, ..
    } = &mut graph;
    // What is read in place of each tensor.
    let mut reads: Vec<TensorId> = (0..tensors.len()).collect();
    operators.retain_mut(|operator| {
        for input in &mut operator.inputs {
            *input = reads[*input];
        }
        let output = operator.output;
        let (OperatorKind::Reshape, &[input]) = (&operator.kind, &operator.inputs[..]) else {
            return true;
        };
        let goes = tensors[input].shape == tensors[output].shape
            && tensors[input].role.is_activation()
            && !outputs.contains(&output);
        if goes {
            reads[output] = input;
        }
        !goes
    });
    graph
}

/// Makes a depthwise convolution of one input channel an ordinary one, which it is: the weights are
/// the same, and the kernels are faster.
pub fn widen_depthwise(mut graph: Graph) -> Graph {
    let Graph {
        tensors, operators, ..
    } = &mut graph;
    for operator in operators {
        let input = operator.inputs.first().and_then(|&id| tensors.get(id));
        if input.is_none_or(|input| input.shape[3] != 1) {
            continue;
        }
        operator.kind = match std::mem::replace(&mut operator.kind, OperatorKind::Reshape) {
            OperatorKind::DepthwiseConv2d(convolution) => OperatorKind::Conv2d(convolution),
            other => other,
        };
    }
    graph
}

/// Merges a stand-alone activation into the fully connected layer or convolution before it, when
/// nothing else reads what lies between. An activation keeps scale and zero point
/// ([`Graph::check`]), so clamping in the requantisation gives the same bytes.
///
/// An operator that has an activation already takes a second one only if one of the two clamps
/// within the other; otherwise both stay.
pub fn fuse_activations(mut graph: Graph) -> Graph {
    let mut index = 0;
    while index < graph.operators.len() {
        if try_fuse(&mut graph, index).is_some() {
            graph.operators.remove(index);
        } else {
            index += 1;
        }
    }
    graph
}

/// Fuses operator `index` into its producer, which then writes the output of `index`.
fn try_fuse(graph: &mut Graph, index: usize) -> Option<()> {
    let clamp = graph.operators.get(index)?;
    let OperatorKind::Activation(outer) = clamp.kind else {
        return None;
    };
    let (between, output) = (*clamp.inputs.first()?, clamp.output);
    let readers = graph
        .operators
        .iter()
        .flat_map(|o| &o.inputs)
        .filter(|&&i| i == between);
    if readers.count() != 1 || graph.outputs().any(|output| output == between) {
        return None;
    }
    let tensor = graph.tensors.get(output)?;
    let (scale, zero_point) = (tensor.scale, tensor.zero_point);
    let producer = graph
        .operators
        .iter_mut()
        .take(index)
        .find(|o| o.output == between)?;
    let inner = match &mut producer.kind {
        OperatorKind::FullyConnected { activation, .. }
        | OperatorKind::Conv2d(Convolution { activation, .. })
        | OperatorKind::DepthwiseConv2d(Convolution { activation, .. })
        | OperatorKind::TransposeConv { activation, .. }
        | OperatorKind::MaxPool2d { activation, .. }
        | OperatorKind::AveragePool2d { activation, .. }
        | OperatorKind::Add { activation, .. }
        | OperatorKind::Mul { activation }
        | OperatorKind::Activation(activation) => activation,
        _ => return None,
    };
    *inner = narrower(*inner, outer, scale, zero_point)?;
    producer.output = output;
    Some(())
}

/// The one of two activations that does the work of both, if there is one.
fn narrower(a: Activation, b: Activation, scale: f32, zero_point: i32) -> Option<Activation> {
    let (a_low, a_high) = a.range(scale, zero_point);
    let (b_low, b_high) = b.range(scale, zero_point);
    if a_low >= b_low && a_high <= b_high {
        Some(a)
    } else if b_low >= a_low && b_high <= a_high {
        Some(b)
    } else {
        None
    }
}

/// Removes operators whose output nothing needs, then tensors that nothing names. The graph's
/// input stays even if nothing reads it.
pub fn drop_dead(mut graph: Graph) -> Graph {
    let mut needed = vec![false; graph.tensors.len()];
    let mark = |tensor: usize, needed: &mut [bool]| {
        if let Some(flag) = needed.get_mut(tensor) {
            *flag = true;
        }
    };
    graph.outputs().for_each(|output| mark(output, &mut needed));
    // Backwards: an operator's readers all stand behind it.
    let mut kept = Vec::with_capacity(graph.operators.len());
    while let Some(operator) = graph.operators.pop() {
        if needed.get(operator.output).copied().unwrap_or(false) {
            operator
                .inputs
                .iter()
                .for_each(|&input| mark(input, &mut needed));
            kept.push(operator);
        }
    }
    kept.reverse();
    graph.inputs().for_each(|input| mark(input, &mut needed));

    let mut renamed = vec![usize::MAX; graph.tensors.len()];
    let mut tensors = Vec::with_capacity(graph.tensors.len());
    for (index, tensor) in graph.tensors.into_iter().enumerate() {
        if needed[index] {
            renamed[index] = tensors.len();
            tensors.push(tensor);
        }
    }
    let rename = |tensor: usize| renamed.get(tensor).copied().unwrap_or(usize::MAX);
    for operator in &mut kept {
        operator
            .inputs
            .iter_mut()
            .for_each(|input| *input = rename(*input));
        operator.output = rename(operator.output);
    }
    Graph {
        tensors,
        operators: kept,
        input: rename(graph.input),
        output: rename(graph.output),
        further_inputs: graph.further_inputs.into_iter().map(rename).collect(),
        further_outputs: graph.further_outputs.into_iter().map(rename).collect(),
    }
}

#[cfg(test)]
mod tests;
