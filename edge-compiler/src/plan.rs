//! Where each tensor lies in the arena.
//!
//! A tensor is live from the operator that writes it to the last that reads it. Tensors that are
//! live at the same time must not overlap; a RESHAPE's output is the same bytes as its input and
//! shares its place. The largest buffer is placed first, each in the smallest gap that holds it
//! among those that live at the same time (greedy by size, best fit).

use edge_runtime::format::ALIGNMENT;
use serde::Serialize;

use crate::graph::{Graph, OperatorKind};

/// Offsets of all tensors in the arena.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// Bytes that a session needs, a multiple of 16.
    pub arena_bytes: usize,
    /// First byte of each tensor, a multiple of 16.
    pub offsets: Vec<usize>,
    /// When each tensor is live.
    pub lifetimes: Vec<Lifetime>,
    /// The most bytes (each tensor rounded up to 16) that are live during one operator: no plan
    /// can be smaller.
    pub live_bytes: usize,
    /// The operator during which that is so.
    pub peak_operator: usize,
}

/// The operators during which a tensor is live, both included. The graph's input is live from
/// operator 0, its output to the last one.
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

/// Tensors that share one place.
struct Buffer {
    len: usize,
    lifetime: Lifetime,
    offset: Option<usize>,
}

/// Plans the arena of a graph that passes [`Graph::check`]; the same graph always gives the same
/// plan.
pub fn plan(graph: &Graph) -> MemoryPlan {
    let lifetimes = lifetimes(graph);
    let roots = roots(graph);
    let mut buffers: Vec<Buffer> = Vec::new();
    let mut buffer_of = vec![usize::MAX; graph.tensors.len()];
    for (index, tensor) in graph.tensors.iter().enumerate() {
        let root = roots[index];
        if root == index {
            buffer_of[index] = buffers.len();
            let len = tensor.len().next_multiple_of(ALIGNMENT);
            buffers.push(Buffer {
                len,
                lifetime: lifetimes[index],
                offset: None,
            });
        }
    }
    for index in 0..graph.tensors.len() {
        buffer_of[index] = buffer_of[roots[index]];
        let whole = &mut buffers[buffer_of[index]].lifetime;
        whole.first = whole.first.min(lifetimes[index].first);
        whole.last = whole.last.max(lifetimes[index].last);
    }
    place(&mut buffers);
    let offset = |buffer: &Buffer| buffer.offset.unwrap_or(0);
    let (peak_operator, live_bytes) = peak(&buffers, graph.operators.len());
    MemoryPlan {
        arena_bytes: buffers.iter().map(|b| offset(b) + b.len).max().unwrap_or(0),
        offsets: buffer_of.iter().map(|&b| offset(&buffers[b])).collect(),
        lifetimes,
        live_bytes,
        peak_operator,
    }
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
    extend(graph.input, 0);
    for (index, operator) in graph.operators.iter().enumerate() {
        operator
            .inputs
            .iter()
            .for_each(|&input| extend(input, index));
        extend(operator.output, index);
    }
    extend(graph.output, graph.operators.len().saturating_sub(1));
    // A tensor that nothing names needs no place of its own, but a record needs an offset.
    found
        .into_iter()
        .map(|l| l.unwrap_or(Lifetime { first: 0, last: 0 }))
        .collect()
}

/// For each tensor the one whose place it shares: itself, or the first in a chain of RESHAPEs.
fn roots(graph: &Graph) -> Vec<usize> {
    let mut roots: Vec<usize> = (0..graph.tensors.len()).collect();
    for operator in &graph.operators {
        if let (OperatorKind::Reshape, Some(&input)) = (&operator.kind, operator.inputs.first()) {
            roots[operator.output] = roots[input];
        }
    }
    roots
}

fn place(buffers: &mut [Buffer]) {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    // Ties by lifetime, then index: the plan must not depend on anything else.
    order.sort_by_key(|&i| {
        (
            std::cmp::Reverse(buffers[i].len),
            buffers[i].lifetime.first,
            i,
        )
    });
    for index in order {
        let (len, lifetime) = (buffers[index].len, buffers[index].lifetime);
        let mut taken: Vec<(usize, usize)> = buffers
            .iter()
            .filter(|other| other.lifetime.overlaps(&lifetime))
            .filter_map(|other| other.offset.map(|start| (start, start + other.len)))
            .collect();
        taken.sort_unstable();
        buffers[index].offset = Some(best_gap(&taken, len));
    }
}

/// Start of the smallest gap of at least `len` bytes between the sorted ranges, else their end.
fn best_gap(taken: &[(usize, usize)], len: usize) -> usize {
    let mut free_from = 0;
    let mut best: Option<(usize, usize)> = None;
    for &(start, end) in taken {
        let gap = start.saturating_sub(free_from);
        if gap >= len && best.is_none_or(|(smallest, _)| gap < smallest) {
            best = Some((gap, free_from));
        }
        free_from = free_from.max(end);
    }
    best.map_or(free_from, |(_, start)| start)
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
