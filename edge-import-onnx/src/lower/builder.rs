//! A TFLite model while it grows, and in which order the elements of each value lie in it.

use std::collections::BTreeMap;

use edge_compiler::import::tflite::{ElementType, Options};
use edge_compiler::prepare::Quantisation;

use super::ends::End;
use crate::error::NO_SAMPLES;
use crate::source::{Node, Source, ValueId};

/// A step of the lowering; an error is the reason why an operator is unsupported.
pub(super) type Lowered<T = ()> = Result<T, String>;

/// A tensor of the TFLite model.
pub(super) struct Raw {
    pub name: String,
    pub shape: Vec<usize>,
    pub element: ElementType,
    pub scales: Vec<f32>,
    pub zero_points: Vec<i64>,
    pub dimension: i32,
    pub data: Option<Vec<u8>>,
}

/// An operator of the TFLite model, and the index of the node it stems from.
pub(super) struct Made {
    pub node: usize,
    pub inputs: Vec<Option<usize>>,
    pub output: usize,
    pub options: Options,
}

/// What TFLite has no operator for, put into the graph afterwards.
pub(super) enum Patch {
    /// Any function of one element.
    Table(Box<[i8; 256]>),
    /// For each row and column of the output that of the input.
    Nearest { rows: Vec<u16>, columns: Vec<u16> },
    /// Rows and columns that a transposed convolution cuts off before its output.
    Cut([usize; 2]),
}

/// Where a value lies. Dimension `i` of the tensor is dimension `order[i]` of `shape`, the value's
/// own shape or one that it was reshaped from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub tensor: usize,
    pub shape: Vec<usize>,
    pub order: Vec<usize>,
    pub quantisation: Quantisation,
}

/// Turns a source into a TFLite model.
pub(super) struct Builder<'s> {
    pub source: &'s Source,
    pub tensors: Vec<Raw>,
    pub operators: Vec<Made>,
    pub patches: BTreeMap<usize, Patch>,
    pub stored: Vec<Option<Stored>>,
    /// Index of the node that is being lowered.
    pub current: usize,
    pub notes: Vec<String>,
    pub input_tensors: Vec<usize>,
    pub input_ends: Vec<End>,
    pub output_tensors: Vec<usize>,
}

/// The order of a tensor as its shape says it.
pub(super) fn plain(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

/// The order with the second dimension, the channels, behind all others.
pub(super) fn channels_last(rank: usize) -> Vec<usize> {
    if rank < 3 {
        return plain(rank);
    }
    std::iter::once(0).chain(2..rank).chain([1]).collect()
}

/// Dimensions in an order.
pub(super) fn ordered(shape: &[usize], order: &[usize]) -> Vec<usize> {
    order.iter().map(|&i| shape[i]).collect()
}

/// Whether elements lie in the same sequence in two orders.
fn same_sequence(shape: &[usize], one: &[usize], other: &[usize]) -> bool {
    let long = |order: &[usize]| -> Vec<usize> {
        order.iter().copied().filter(|&i| shape[i] != 1).collect()
    };
    long(one) == long(other)
}

impl<'s> Builder<'s> {
    pub fn new(source: &'s Source) -> Self {
        Self {
            source,
            tensors: Vec::new(),
            operators: Vec::new(),
            patches: BTreeMap::new(),
            stored: vec![None; source.values.len()],
            current: 0,
            notes: Vec::new(),
            input_tensors: Vec::new(),
            input_ends: Vec::new(),
            output_tensors: Vec::new(),
        }
    }

    // The source.

    pub fn shape(&self, value: ValueId) -> &'s [usize] {
        &self.source.values[value].shape
    }

    pub fn name(&self, value: ValueId) -> &'s str {
        &self.source.values[value].name
    }

    /// Required input `index` of a node.
    pub fn argument(&self, node: &Node, index: usize) -> Lowered<ValueId> {
        node.input(index)
            .ok_or_else(|| format!("its input {index} is missing"))
    }

    /// Where an activation lies.
    pub fn activation(&self, value: ValueId) -> Lowered<Stored> {
        let name = self.name(value);
        if self.source.values[value].constant.is_some() {
            return Err(format!("its input `{name}` is constant"));
        }
        self.stored[value]
            .clone()
            .ok_or_else(|| format!("its input `{name}` has no scale: no QuantizeLinear follows it"))
    }

    /// The quantisation that a value must have.
    pub fn required(&self, value: ValueId) -> Lowered<Quantisation> {
        self.source.values[value].quantisation.ok_or_else(|| {
            let name = self.name(value);
            format!(
                "its output `{name}` has no scale: no QuantizeLinear follows it, and {NO_SAMPLES}"
            )
        })
    }

    // The TFLite model.

    fn push(&mut self, tensor: Raw) -> usize {
        self.tensors.push(tensor);
        self.tensors.len() - 1
    }

    /// A new activation.
    pub fn tensor(&mut self, name: &str, shape: &[usize], quantisation: Quantisation) -> usize {
        self.push(Raw {
            name: name.into(),
            shape: shape.to_vec(),
            element: ElementType::Int8,
            scales: vec![quantisation.scale],
            zero_points: vec![quantisation.zero_point.into()],
            dimension: 0,
            data: None,
        })
    }

    /// Constants of int8, with one scale or with several along a dimension.
    pub fn constants(
        &mut self,
        shape: &[usize],
        values: &[i8],
        scales: Vec<f32>,
        zero_point: i32,
        dimension: usize,
    ) -> usize {
        self.push(Raw {
            name: "constants".into(),
            shape: shape.to_vec(),
            element: ElementType::Int8,
            zero_points: vec![zero_point.into(); scales.len()],
            scales,
            dimension: dimension as i32,
            data: Some(values.iter().map(|v| v.cast_unsigned()).collect()),
        })
    }

    /// Constants of int32.
    pub fn integers(&mut self, shape: &[usize], values: &[i32]) -> usize {
        self.push(Raw {
            name: "integers".into(),
            shape: shape.to_vec(),
            element: ElementType::Int32,
            scales: Vec::new(),
            zero_points: Vec::new(),
            dimension: 0,
            data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        })
    }

    pub fn tensor_shape(&self, tensor: usize) -> &[usize] {
        &self.tensors[tensor].shape
    }

    /// A new operator, and its index.
    pub fn emit(&mut self, options: Options, inputs: Vec<Option<usize>>, output: usize) -> usize {
        self.operators.push(Made {
            node: self.current,
            inputs,
            output,
            options,
        });
        self.operators.len() - 1
    }

    /// An operator of TFLite's whose place in the graph another takes.
    pub fn patch(&mut self, operator: usize, patch: Patch) {
        self.patches.insert(operator, patch);
    }

    // Orders.

    /// The same elements in another shape.
    pub fn reshaped(&mut self, tensor: usize, shape: &[usize], like: Quantisation) -> usize {
        if self.tensors[tensor].shape == shape {
            return tensor;
        }
        let name = self.tensors[tensor].name.clone();
        let output = self.tensor(&name, shape, like);
        self.emit(
            Options::Reshape { new_shape: None },
            vec![Some(tensor)],
            output,
        );
        output
    }

    /// A tensor of `shape` in `order`, where the value of that shape lies as `stored` says.
    pub fn in_order(&mut self, stored: &Stored, shape: &[usize], order: &[usize]) -> usize {
        let like = stored.quantisation;
        if stored.shape == shape {
            return self.transposed(stored.tensor, shape, &stored.order, order, like);
        }
        // It was reshaped from another shape, and that is only possible in that shape's order.
        let plainly = plain(stored.shape.len());
        let tensor = self.transposed(stored.tensor, &stored.shape, &stored.order, &plainly, like);
        let tensor = self.reshaped(tensor, shape, like);
        self.transposed(tensor, shape, &plain(shape.len()), order, like)
    }

    fn transposed(
        &mut self,
        tensor: usize,
        shape: &[usize],
        from: &[usize],
        to: &[usize],
        like: Quantisation,
    ) -> usize {
        let target = ordered(shape, to);
        if same_sequence(shape, from, to) {
            return self.reshaped(tensor, &target, like);
        }
        let places = to.iter().map(|d| from.iter().position(|f| f == d));
        let order: Vec<i32> = places.map(|place| place.unwrap_or(0) as i32).collect();
        let name = self.tensors[tensor].name.clone();
        let order = self.integers(&[order.len()], &order);
        let output = self.tensor(&name, &target, like);
        self.emit(Options::Transpose, vec![Some(tensor), Some(order)], output);
        output
    }

    /// A value in an order.
    pub fn value_in(&mut self, value: ValueId, order: &[usize]) -> Lowered<(usize, Quantisation)> {
        let stored = self.activation(value)?;
        let tensor = self.in_order(&stored, self.shape(value), order);
        Ok((tensor, stored.quantisation))
    }

    /// Says where a node's output lies; if the model wants another scale for it, it gets that.
    pub fn set(&mut self, value: ValueId, stored: Stored) -> Lowered {
        let wanted = self.source.values[value].quantisation;
        let stored = match wanted {
            Some(wanted) if wanted != stored.quantisation => {
                let from = stored.quantisation;
                let table = super::functions::table(from, wanted, |x| x);
                let tensor = self.look_up(&stored, wanted, table);
                Stored {
                    tensor,
                    quantisation: wanted,
                    ..stored
                }
            }
            _ => stored,
        };
        if self.stored[value].is_some() {
            return Err(format!("`{}` is written twice", self.name(value)));
        }
        self.stored[value] = Some(stored);
        Ok(())
    }

    /// As [`Self::set`], for a tensor in an order of the value's own shape.
    pub fn set_in(
        &mut self,
        value: ValueId,
        tensor: usize,
        order: Vec<usize>,
        quantisation: Quantisation,
    ) -> Lowered {
        let shape = self.shape(value).to_vec();
        self.set(
            value,
            Stored {
                tensor,
                shape,
                order,
                quantisation,
            },
        )
    }

    /// A function of each element.
    pub fn look_up(&mut self, from: &Stored, to: Quantisation, table: [i8; 256]) -> usize {
        let shape = self.tensors[from.tensor].shape.clone();
        let name = self.tensors[from.tensor].name.clone();
        let output = self.tensor(&name, &shape, to);
        // TANH takes any scales and becomes a table, which the patch replaces.
        let operator = self.emit(Options::Tanh, vec![Some(from.tensor)], output);
        self.patch(operator, Patch::Table(Box::new(table)));
        output
    }

    /// Lets what follows an unsupported node be judged as if that had done its work.
    pub fn pretend(&mut self, node: &Node) {
        for &output in &node.outputs {
            if self.stored[output].is_none() {
                let any = Quantisation {
                    scale: 1.0,
                    zero_point: 0,
                };
                let quantisation = self.source.values[output].quantisation.unwrap_or(any);
                let shape = self.shape(output).to_vec();
                let tensor = self.tensor("", &shape, quantisation);
                self.stored[output] = Some(Stored {
                    tensor,
                    order: plain(shape.len()),
                    shape,
                    quantisation,
                });
            }
        }
    }
}
