//! Where each tensor lies in the arena.
//!
//! A tensor is live from the operator that writes it to the last that reads it. Tensors that are
//! live at the same time must not overlap, with three exceptions that save memory without copies:
//! a RESHAPE's output is its input; an element-wise operator writes over an input that nothing
//! reads afterwards; and a convolution or pool, which works from the first row to the last, may
//! write its output over the rows of an input that it is done with (the raster rule, see
//! [`edge_runtime::kernels::raster_gap`]).

mod place;

use edge_runtime::format::ALIGNMENT;
use edge_runtime::kernels::raster_gap;
use serde::Serialize;

use crate::graph::{Graph, Operator, OperatorKind, Role};
use place::{Buffer, Overlap};

/// Offsets of all tensors in the arena.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// Bytes that a session needs, a multiple of 16.
    pub arena_bytes: usize,
    /// First byte of each tensor, a multiple of 16; 0 for constants.
    pub offsets: Vec<usize>,
    /// First byte and length of each operator's scratch.
    pub scratch: Vec<(usize, usize)>,
    /// When each tensor is live.
    pub lifetimes: Vec<Lifetime>,
    /// The most bytes (each tensor rounded up to 16) that are live during one operator. A plan
    /// whose tensors do not share bytes cannot be smaller.
    pub live_bytes: usize,
    /// The operator during which that is so.
    pub peak_operator: usize,
}

/// The operators during which a tensor is live, both included. The graph's inputs are live from
/// operator 0, its outputs to one more than the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lifetime {
    /// First operator.
    pub first: usize,
    /// Last operator; a tensor that nothing reads ends where it is written.
    pub last: usize,
}

impl Lifetime {
    /// Whether both are live during some operator.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Plans the arena of a graph that passes [`Graph::check`]; `scratch` holds the bytes of scratch
/// that each operator's kernel needs. The same graph always gives the same plan.
pub fn plan(graph: &Graph, scratch: &[usize]) -> MemoryPlan {
    let operators = graph.operators.len();
    let lifetimes = lifetimes(graph);
    let roots = roots(graph, &lifetimes);
    let mut buffers: Vec<Buffer> = Vec::new();
    let mut buffer_of = vec![None; graph.tensors.len()];
    for (index, tensor) in graph.tensors.iter().enumerate() {
        if roots[index] == index && !matches!(tensor.role, Role::Constant(_)) {
            buffer_of[index] = Some(buffers.len());
            buffers.push(Buffer {
                len: (tensor.len() * tensor.element_bytes()).next_multiple_of(ALIGNMENT),
                lifetime: lifetimes[index],
            });
        }
    }
    for index in 0..graph.tensors.len() {
        buffer_of[index] = buffer_of[roots[index]];
        if let Some(buffer) = buffer_of[index] {
            let whole = &mut buffers[buffer].lifetime;
            whole.first = whole.first.min(lifetimes[index].first);
            whole.last = whole.last.max(lifetimes[index].last);
        }
    }
    let overlaps = overlaps(graph, &buffers, &buffer_of);
    let tensors = buffers.len();
    let mut scratch_of = vec![None; operators];
    for (index, &len) in scratch.iter().enumerate().filter(|(_, len)| **len > 0) {
        scratch_of[index] = Some(buffers.len());
        let lifetime = Lifetime {
            first: index,
            last: index,
        };
        let len = len.next_multiple_of(ALIGNMENT);
        buffers.push(Buffer { len, lifetime });
    }
    let (peak_operator, live_bytes) = peak(&buffers[..tensors], operators);
    let (offsets, arena_bytes) = place::place(&buffers, &overlaps);
    let offset = |buffer: &Option<usize>| buffer.map_or(0, |buffer| offsets[buffer]);
    MemoryPlan {
        arena_bytes,
        offsets: buffer_of.iter().map(offset).collect(),
        scratch: scratch_of
            .iter()
            .map(|buffer| (offset(buffer), buffer.map_or(0, |b| buffers[b].len)))
            .collect(),
        lifetimes,
        live_bytes,
        peak_operator,
    }
}

/// How far an operator's output may lie over its only input; `None` where it may not.
pub fn gap(graph: &Graph, operator: &Operator) -> Option<i64> {
    let (&input, output) = (operator.inputs.first()?, &graph.tensors[operator.output]);
    let input = &graph.tensors[input];
    if matches!(operator.kind, OperatorKind::TransposeConv { .. }) {
        return None;
    }
    raster_gap(&operator.kind.window()?.on(input, output))
}

/// Pairs of buffers that may share bytes: the input of an operator that is its last reader, and
/// the output.
fn overlaps(graph: &Graph, buffers: &[Buffer], buffer_of: &[Option<usize>]) -> Vec<Overlap> {
    let pairs = graph.operators.iter().enumerate();
    pairs
        .filter_map(|(index, operator)| {
            let gap = gap(graph, operator)?;
            let input = buffer_of[*operator.inputs.first()?]?;
            let output = buffer_of[operator.output]?;
            let dies = buffers[input].lifetime.last == index;
            let born = buffers[output].lifetime.first == index;
            (dies && born && input != output).then_some(Overlap { input, output, gap })
        })
        .collect()
}

fn lifetimes(graph: &Graph) -> Vec<Lifetime> {
    let mut found: Vec<Option<Lifetime>> = vec![None; graph.tensors.len()];
    let mut extend = |tensor: usize, at: usize| {
        let lifetime = found[tensor].get_or_insert(Lifetime {
            first: at,
            last: at,
        });
        lifetime.first = lifetime.first.min(at);
        lifetime.last = lifetime.last.max(at);
    };
    let last = graph.operators.len().saturating_sub(1);
    graph.inputs().for_each(|input| extend(input, 0));
    for (index, operator) in graph.operators.iter().enumerate() {
        operator
            .inputs
            .iter()
            .for_each(|&input| extend(input, index));
        extend(operator.output, index);
    }
    // One more than there are operators: nothing may be written over an output, not even by the
    // last one.
    graph.outputs().for_each(|output| extend(output, last + 1));
    for (index, tensor) in graph.tensors.iter().enumerate() {
        if matches!(tensor.role, Role::State { .. }) {
            extend(index, 0);
            extend(index, last + 1);
        }
    }
    // A tensor that nothing names needs no place of its own, but a record needs an offset.
    found
        .into_iter()
        .map(|l| l.unwrap_or(Lifetime { first: 0, last: 0 }))
        .collect()
}

/// For each tensor the one whose place it shares: itself, or the first in a chain of RESHAPEs and
/// of element-wise operators that write over an input.
fn roots(graph: &Graph, lifetimes: &[Lifetime]) -> Vec<usize> {
    let mut roots: Vec<usize> = (0..graph.tensors.len()).collect();
    // The last operator that reads what lies in the place of a root, as far as is known.
    let mut last: Vec<usize> = lifetimes.iter().map(|lifetime| lifetime.last).collect();
    for (index, operator) in graph.operators.iter().enumerate() {
        let output = operator.output;
        let in_place = |input: usize| {
            let (from, to) = (&graph.tensors[input], &graph.tensors[output]);
            from.role == Role::Activation && from.len() == to.len()
        };
        let shared = match operator.kind {
            OperatorKind::Reshape => operator.inputs.first().copied().filter(|&i| in_place(i)),
            OperatorKind::Activation(_)
            | OperatorKind::Lookup { .. }
            | OperatorKind::Add { .. }
            | OperatorKind::Mul { .. }
            | OperatorKind::Prelu => {
                let mut inputs = operator.inputs.iter().copied();
                inputs.find(|&input| in_place(input) && last[roots[input]] == index)
            }
            _ => None,
        };
        if let Some(input) = shared {
            let root = roots[input];
            roots[output] = root;
            last[root] = last[root].max(lifetimes[output].last);
        }
    }
    roots
}

/// The first operator with the most live bytes, and how many they are.
fn peak(buffers: &[Buffer], operators: usize) -> (usize, usize) {
    let mut peak = (0, 0);
    for operator in 0..operators {
        let at = Lifetime {
            first: operator,
            last: operator,
        };
        let live = buffers
            .iter()
            .filter(|b| b.lifetime.overlaps(&at))
            .map(|b| b.len)
            .sum();
        if live > peak.1 {
            peak = (operator, live);
        }
    }
    peak
}

#[cfg(test)]
mod tests;
