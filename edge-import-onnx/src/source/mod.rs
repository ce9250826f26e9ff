//! The model between file and graph: operators on real values, with the scales that
//! QuantizeLinear and DequantizeLinear gave them, and without those two.

mod quantisation;
mod read;

pub use read::read;

use edge_compiler::import::lower::SourceOperator;
use edge_compiler::prepare::Quantisation;
use tract_onnx::pb::AttributeProto;

use crate::constant::Constant;
use crate::fuse::Step;

/// Index into [`Source::values`].
pub type ValueId = usize;

/// A model. Every index in it is valid, and an operator stands behind those it reads from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Version of the standard operators.
    pub version: i64,
    pub values: Vec<Value>,
    pub nodes: Vec<Node>,
    pub inputs: Vec<Input>,
    /// The values that leave the model, and under which names.
    pub outputs: Vec<Output>,
    /// All nodes of the file.
    pub operators: Vec<SourceOperator>,
}

/// What an operator reads or writes.
#[derive(Clone, Debug, Default)]
pub struct Value {
    pub name: String,
    /// Known as soon as shapes are inferred.
    pub shape: Vec<usize>,
    pub constant: Option<Constant>,
    /// Of an activation, in int8.
    pub quantisation: Option<Quantisation>,
}

/// One operator.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its index in the file.
    pub source: usize,
    /// `Conv`, `Gemm`, ..., [`REQUANTISE`] or [`COMPOSED`].
    pub operator: String,
    pub inputs: Vec<Option<ValueId>>,
    pub outputs: Vec<ValueId>,
    pub attributes: Vec<AttributeProto>,
    /// A clamp of real values that follows.
    pub clamp: Option<(f32, f32)>,
    /// Of a [`COMPOSED`] one.
    pub steps: Vec<Step>,
}

/// From one quantisation to another, where a QuantizeLinear reads what is quantised already.
pub const REQUANTISE: &str = "QuantizeLinear";

/// A function of single elements in several steps. No operator of the standard is called this.
pub const COMPOSED: &str = "elementwise functions";

/// An input of the model.
#[derive(Clone, Debug)]
pub struct Input {
    pub value: ValueId,
    /// How the file has its elements.
    pub element: Element,
}

/// An output of the model.
#[derive(Clone, Debug)]
pub struct Output {
    pub value: ValueId,
    pub name: String,
    pub element: Element,
}

/// Types of elements at the model's ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    Float,
    Int8,
    Uint8,
}

impl Source {
    /// The nodes that read a value.
    pub fn readers(&self, value: ValueId) -> impl Iterator<Item = usize> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(move |(index, node)| node.inputs.contains(&Some(value)).then_some(index))
    }

    /// The only node that reads a value, if it is read once and does not leave the model.
    pub fn only_reader(&self, value: ValueId) -> Option<usize> {
        let inputs = self.nodes.iter().flat_map(|node| &node.inputs);
        let reads = inputs.filter(|&&input| input == Some(value)).count();
        if reads != 1 || self.outputs.iter().any(|output| output.value == value) {
            return None;
        }
        self.readers(value).next()
    }

    /// Input `index` of a node, if that is a constant.
    pub fn constant(&self, node: &Node, index: usize) -> Option<&Constant> {
        let value = node.inputs.get(index).copied().flatten()?;
        self.values[value].constant.as_ref()
    }

    /// A new constant.
    pub fn add_constant(&mut self, name: String, constant: Constant) -> ValueId {
        self.values.push(Value {
            name,
            shape: constant.shape.clone(),
            constant: Some(constant),
            quantisation: None,
        });
        self.values.len() - 1
    }
}

impl Node {
    pub fn input(&self, index: usize) -> Option<ValueId> {
        self.inputs.get(index).copied().flatten()
    }
}
