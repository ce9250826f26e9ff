//! Functions of one element that the file spells out in several operators, such as
//! `x * sigmoid(x)`: one table computes them, and what lies between needs no scale.

use crate::lower::functions;
use crate::source::{COMPOSED, Node, Source, ValueId};

/// Most operators of one function.
const MOST_STEPS: usize = 64;

/// An operator of a composed function.
#[derive(Clone, Debug)]
pub struct Step {
    node: Node,
    operands: Vec<Operand>,
}

/// What an operator of a composed function works on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operand {
    /// The element.
    Root,
    Constant(f64),
    /// The result of an earlier step.
    Step(usize),
}

/// Puts one operator in the place of several that together are a function of one element of one
/// value. Values that have a scale, or leave the model, stay.
pub fn fuse(source: &mut Source) {
    // From behind, so that what only unread values read goes as well.
    for index in (0..source.nodes.len()).rev() {
        if is_unread(source, index) {
            source.nodes.remove(index);
            continue;
        }
        if functions::arity(&source.nodes[index].operator).is_none() {
            continue;
        }
        let mut expression = Expression::new(source);
        let Some(root) = expression.whole(index) else {
            continue;
        };
        let steps = expression.steps;
        if steps.len() < 2 {
            continue;
        }
        let node = &mut source.nodes[index];
        node.operator = COMPOSED.into();
        node.inputs = vec![Some(root)];
        node.attributes.clear();
        node.clamp = None;
        node.steps = steps;
    }
}

/// Whether a function of single elements has no reader.
fn is_unread(source: &Source, index: usize) -> bool {
    let node = &source.nodes[index];
    let unread = |&value: &ValueId| {
        source.readers(value).next().is_none()
            && source.outputs.iter().all(|output| output.value != value)
    };
    functions::arity(&node.operator).is_some() && node.outputs.iter().all(unread)
}

/// What a composed function gives for one element; `None` where an operator lacks constants.
pub fn composed(source: &Source, steps: &[Step]) -> Option<Box<dyn Fn(f64) -> f64>> {
    type Of = Box<dyn Fn(&[f64]) -> f64>;
    let mut all: Vec<(Of, Vec<Operand>)> = Vec::new();
    for step in steps {
        let node = &step.node;
        let of: Of = if let Some(of) = functions::of_two(&node.operator) {
            Box::new(move |x| match *x {
                [x, y] => of(x, y),
                _ => f64::NAN,
            })
        } else {
            let of = functions::function(source, node)?;
            Box::new(move |x| x.first().map_or(f64::NAN, |&x| of(x)))
        };
        let (low, high) = node.clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        let clamped = move |x: &[f64]| of(x).clamp(low.into(), high.into());
        all.push((Box::new(clamped), step.operands.clone()));
    }
    Some(Box::new(move |root| {
        let mut results: Vec<f64> = Vec::new();
        for (of, operands) in &all {
            let value = |operand: &Operand| match *operand {
                Operand::Root => root,
                Operand::Constant(constant) => constant,
                Operand::Step(step) => results.get(step).copied().unwrap_or(f64::NAN),
            };
            let operands: Vec<f64> = operands.iter().map(value).collect();
            results.push(of(&operands));
        }
        results.last().copied().unwrap_or(f64::NAN)
    }))
}

/// A function while it is looked for.
struct Expression<'s> {
    source: &'s Source,
    /// The node that writes each value.
    writers: Vec<Option<usize>>,
    steps: Vec<Step>,
    /// The step of each value.
    found: Vec<Option<usize>>,
}

impl<'s> Expression<'s> {
    fn new(source: &'s Source) -> Self {
        let mut writers = vec![None; source.values.len()];
        for (index, node) in source.nodes.iter().enumerate() {
            for &output in &node.outputs {
                writers[output] = Some(index);
            }
        }
        Self {
            source,
            writers,
            steps: Vec::new(),
            found: vec![None; source.values.len()],
        }
    }

    /// Takes in a node and what is between it and the one value that it is a function of.
    fn whole(&mut self, node: usize) -> Option<ValueId> {
        let roots = self.leaves(node, &mut 0)?;
        let [root] = roots[..] else {
            return None;
        };
        self.take(node, root)?;
        Some(root)
    }

    /// The activations that a node works on, or `None` if it is no function of single elements.
    fn activations(&self, node: usize) -> Option<Vec<ValueId>> {
        let node = &self.source.nodes[node];
        let (&[output], arity) = (&node.outputs[..], functions::arity(&node.operator)?) else {
            return None;
        };
        if arity == 2 && node.inputs.len() != 2 {
            return None;
        }
        let mut activations = Vec::new();
        for &input in node.inputs.iter().take(arity) {
            let value = &self.source.values[input?];
            match &value.constant {
                Some(constant) => {
                    constant.single()?;
                }
                None if value.shape == self.source.values[output].shape => activations.push(input?),
                None => return None,
            }
        }
        (!activations.is_empty()).then_some(activations)
    }

    /// The node that writes a value which only a composed function needs to know.
    fn inner(&self, value: ValueId) -> Option<usize> {
        let leaves = self
            .source
            .outputs
            .iter()
            .any(|output| output.value == value);
        let open = self.source.values[value].quantisation.is_none() && !leaves;
        self.writers[value].filter(|_| open)
    }

    /// The values that a function ends at. Where it would end at several, it ends before.
    fn leaves(&self, node: usize, seen: &mut usize) -> Option<Vec<ValueId>> {
        *seen += 1;
        if *seen > MOST_STEPS {
            return None;
        }
        let mut leaves = Vec::new();
        for value in self.activations(node)? {
            let behind = self
                .inner(value)
                .and_then(|writer| self.leaves(writer, seen));
            match behind.as_deref() {
                Some(&[root]) => leaves.push(root),
                _ => leaves.push(value),
            }
        }
        leaves.sort_unstable();
        leaves.dedup();
        Some(leaves)
    }

    fn take(&mut self, index: usize, root: ValueId) -> Option<usize> {
        let node = &self.source.nodes[index];
        let output = *node.outputs.first()?;
        if let Some(step) = self.found[output] {
            return Some(step);
        }
        let mut operands = Vec::new();
        for &input in node.inputs.iter().take(functions::arity(&node.operator)?) {
            let value = input?;
            operands.push(match &self.source.values[value].constant {
                Some(constant) => Operand::Constant(constant.single()?.into()),
                None if value == root => Operand::Root,
                None => Operand::Step(self.take(self.inner(value)?, root)?),
            });
        }
        if self.steps.len() >= MOST_STEPS {
            return None;
        }
        let node = node.clone();
        self.steps.push(Step { node, operands });
        self.found[output] = Some(self.steps.len() - 1);
        self.found[output]
    }
}
