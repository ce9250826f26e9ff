//! Which kernel runs an operator on a target.

use edge_runtime::format::packing;
use edge_runtime::kernels::reference::add::{Add, AddFitted};
use edge_runtime::kernels::reference::broadcast::Broadcast;

use crate::graph::{Graph, Operator, OperatorKind, Tensor};
use crate::prepare::{self, Quantisation};

/// The kernel of one operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// One of [`packing`].
    pub packing: u8,
    /// Bytes of scratch that it needs.
    pub scratch: usize,
    /// The linear form of an ADD in packing [`packing::FITTED`].
    pub fitted: Option<AddFitted>,
}

impl Choice {
    /// The reference kernel.
    pub const REFERENCE: Self = Self {
        packing: packing::CANONICAL,
        scratch: 0,
        fitted: None,
    };
}

/// A kernel for each operator of a graph that passes [`Graph::check`].
pub fn select(graph: &Graph) -> Vec<Choice> {
    let choose = |operator: &Operator| match operator.kind {
        OperatorKind::Add { .. } => {
            let fitted = add(graph, operator).and_then(|add| prepare::add::fitted(&add));
            fitted.map_or(Choice::REFERENCE, |fitted| Choice {
                packing: packing::FITTED,
                fitted: Some(fitted),
                ..Choice::REFERENCE
            })
        }
        _ => Choice::REFERENCE,
    };
    graph.operators.iter().map(choose).collect()
}

/// The settings of an ADD; `None` for scales that LiteRT refuses, or another operator.
pub(crate) fn add(graph: &Graph, operator: &Operator) -> Option<Add> {
    let OperatorKind::Add {
        subtract,
        activation,
    } = operator.kind
    else {
        return None;
    };
    let quantisation = |tensor: &Tensor| Quantisation {
        scale: tensor.scale,
        zero_point: tensor.zero_point,
    };
    let [first, second] = operator.inputs[..] else {
        return None;
    };
    let inputs = [first, second].map(|input| quantisation(&graph.tensors[input]));
    let output = &graph.tensors[operator.output];
    let (min, max) = activation.range(output.scale, output.zero_point);
    let none = Broadcast::none(0);
    prepare::add::add(none, inputs, quantisation(output), subtract, min, max)
}
