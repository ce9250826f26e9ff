//! Operators that move or rename elements.

use edge_compiler::import::tflite::{FusedActivation, Options};
use edge_compiler::prepare::Quantisation;

use super::builder::{Builder, Lowered, Stored, ordered, plain};
use super::pools::axis;
use super::weights::operand;
use crate::proto::Attributes;
use crate::source::Node;

impl Builder<'_> {
    /// Nothing moves yet: who reads the result finds the elements in the old order.
    pub fn reshape(&mut self, node: &Node) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        let stored = self.activation(input)?;
        let shape = self.shape(output).to_vec();
        let order = plain(stored.shape.len());
        let long = |order: &[usize]| -> Vec<usize> {
            order
                .iter()
                .copied()
                .filter(|&i| stored.shape[i] != 1)
                .collect()
        };
        if long(&stored.order) == long(&order) {
            let tensor = self.reshaped(stored.tensor, &shape, stored.quantisation);
            return self.set_in(output, tensor, plain(shape.len()), stored.quantisation);
        }
        self.set(output, stored)
    }

    /// Nothing moves at all: only the order is another one.
    pub fn transpose(&mut self, node: &Node) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        let shape = self.shape(input);
        let rank = shape.len();
        let permutation: Vec<usize> = match node.attributes.as_slice().ints("perm") {
            None => (0..rank).rev().collect(),
            Some(all) => all.iter().map(|&a| axis(a, rank)).collect::<Lowered<_>>()?,
        };
        let mut sorted = permutation.clone();
        sorted.sort_unstable();
        if sorted != plain(rank) || ordered(shape, &permutation) != self.shape(output) {
            return Err(format!("it permutes {shape:?} by {permutation:?}"));
        }
        let mut stored = self.activation(input)?;
        if stored.shape != shape {
            let tensor = self.in_order(&stored, shape, &plain(rank));
            stored = Stored {
                tensor,
                shape: shape.to_vec(),
                order: plain(rank),
                ..stored
            };
        }
        // Dimension i of the output is dimension permutation[i] of the input.
        let places = stored
            .order
            .iter()
            .map(|d| permutation.iter().position(|p| p == d));
        let order: Vec<usize> = places.map(|place| place.unwrap_or(0)).collect();
        self.set_in(output, stored.tensor, order, stored.quantisation)
    }

    pub fn concat(&mut self, node: &Node) -> Lowered {
        let output = node.outputs[0];
        let shape = self.shape(output);
        let along = axis(node.attributes.as_slice().int("axis", 0), shape.len())?;
        let inputs: Vec<usize> = node.inputs.iter().flatten().copied().collect();
        let mut first = None;
        for &input in &inputs {
            if self.source.values[input].constant.is_none() {
                let own = self.activation(input)?.quantisation;
                if *first.get_or_insert(own) != own
                    && self.source.values[output].quantisation.is_none()
                {
                    return self.required(output).map(|_| ());
                }
            }
        }
        let first = first.ok_or("all of its inputs are constant")?;
        let to = self.source.values[output].quantisation.unwrap_or(first);
        let order = self.common_order(&inputs, shape.len());
        let mut parts = Vec::new();
        for input in inputs {
            let own = self.shape(input);
            if own.len() != shape.len() {
                return Err(format!("inputs of different ranks for {shape:?}"));
            }
            let tensor = if let Some(constant) = &self.source.values[input].constant {
                let (values, from) = operand(constant)?;
                let table = super::functions::table(from, to, |x| x);
                let places = crate::constant::permutation(own, &order);
                let values: Vec<i8> = places
                    .iter()
                    .filter_map(|&p| values.get(p))
                    .map(|&v| table[(i32::from(v) + 128) as usize])
                    .collect();
                let Quantisation { scale, zero_point } = to;
                self.constants(&ordered(own, &order), &values, vec![scale], zero_point, 0)
            } else {
                let (tensor, from) = self.value_in(input, &order)?;
                if from == to {
                    tensor
                } else {
                    let table = super::functions::table(from, to, |x| x);
                    let stored = Stored {
                        tensor,
                        shape: own.to_vec(),
                        order: order.clone(),
                        quantisation: from,
                    };
                    self.look_up(&stored, to, table)
                }
            };
            parts.push(Some(tensor));
        }
        let place = order.iter().position(|&d| d == along).unwrap_or(0);
        let y = self.tensor(self.name(output), &ordered(shape, &order), to);
        let options = Options::Concatenation {
            axis: place as i32,
            activation: FusedActivation::None,
        };
        self.emit(options, parts, y);
        self.set_in(output, y, order, to)
    }

    pub fn pad(&mut self, node: &Node) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        let attributes = node.attributes.as_slice();
        let mode = attributes.text("mode").unwrap_or("constant");
        if mode != "constant" {
            return Err(format!("the mode `{mode}`"));
        }
        let (shape, to_shape) = (self.shape(input), self.shape(output));
        let rank = shape.len();
        let constant = |index: usize| self.source.constant(node, index);
        let pads = match (node.input(1), attributes.ints("pads")) {
            (Some(_), _) => constant(1).and_then(|pads| pads.integers()),
            (None, stated) => stated,
        };
        let pads = pads.ok_or("its widths must be constant")?;
        let value = match node.input(2) {
            Some(_) => constant(2).and_then(|value| value.single()),
            None => Some(attributes.float("value", 0.0)),
        };
        let value = value.ok_or("its value must be a constant")?;
        let axes: Vec<usize> = match node.input(3) {
            None => plain(rank),
            Some(_) => {
                let axes = constant(3).and_then(|axes| axes.integers());
                let axes = axes.ok_or("its axes must be constant")?;
                axes.iter()
                    .map(|&a| axis(a, rank))
                    .collect::<Lowered<_>>()?
            }
        };
        if pads.len() != 2 * axes.len() {
            return Err(format!(
                "{} widths for {} dimensions",
                pads.len(),
                axes.len()
            ));
        }
        let mut widths = vec![[0_i32; 2]; rank];
        for (i, &along) in axes.iter().enumerate() {
            for (side, &pad) in [pads[i], pads[i + axes.len()]].iter().enumerate() {
                let fits = i32::try_from(pad).ok().filter(|&pad| pad >= 0);
                widths[along][side] = fits.ok_or("negative or too large widths")?;
            }
        }
        let stored = self.activation(input)?;
        let q = stored.quantisation;
        let order = if stored.shape == shape {
            stored.order
        } else {
            plain(rank)
        };
        let (x, _) = self.value_in(input, &order)?;
        let turned: Vec<i32> = order.iter().flat_map(|&d| widths[d]).collect();
        let widths = self.integers(&[rank, 2], &turned);
        let y = self.tensor(self.name(output), &ordered(to_shape, &order), q);
        if value == 0.0 {
            self.emit(Options::Pad, vec![Some(x), Some(widths)], y);
        } else {
            let quantised = (value / q.scale).round_ties_even() as i32;
            let quantised = quantised.saturating_add(q.zero_point).clamp(-128, 127) as i8;
            let value = self.constants(&[1], &[quantised], vec![q.scale], q.zero_point, 0);
            self.emit(Options::PadV2, vec![Some(x), Some(widths), Some(value)], y);
        }
        self.set_in(output, y, order, q)
    }
}
