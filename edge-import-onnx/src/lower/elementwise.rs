//! Operators that treat each element by itself.

use edge_compiler::import::tflite::{AddSub, Options};
use edge_compiler::prepare::Quantisation;

use super::builder::{Builder, Lowered, Stored, ordered, plain};
use super::functions;
use super::weights::operand;
use crate::constant::Constant;
use crate::source::{Node, ValueId};

impl Builder<'_> {
    /// A function of one element, or a change of scale.
    pub fn function(&mut self, node: &Node) -> Lowered {
        let of = functions::function(self.source, node);
        let of = of.ok_or("its bounds must be constant, the lower one not above the upper one")?;
        self.tabulated(node, self.argument(node, 0)?, of)
    }

    fn tabulated(&mut self, node: &Node, input: ValueId, of: impl Fn(f64) -> f64) -> Lowered {
        let output = node.outputs[0];
        let stored = self.activation(input)?;
        let keeps = matches!(node.operator.as_str(), "Relu" | "Clip" | "Max" | "Min");
        let to = match self.source.values[output].quantisation {
            Some(to) => to,
            None if keeps => stored.quantisation,
            None => match super::own_quantisation(&node.operator) {
                Some(to) => to,
                None => self.required(output)?,
            },
        };
        let clamp = node.clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        let table = functions::table(stored.quantisation, to, |x| {
            of(x).clamp(clamp.0.into(), clamp.1.into())
        });
        let tensor = self.look_up(&stored, to, table);
        self.set(
            output,
            Stored {
                tensor,
                quantisation: to,
                ..stored
            },
        )
    }

    /// Two operands. With a single constant it is a function of one element.
    pub fn binary(&mut self, node: &Node) -> Lowered {
        let (first, second) = (self.argument(node, 0)?, self.argument(node, 1)?);
        if node.inputs.len() != 2 {
            return Err(format!("{} inputs: two are possible", node.inputs.len()));
        }
        let constant = |value: ValueId| self.source.values[value].constant.as_ref();
        let one = |value: ValueId| constant(value).and_then(Constant::single).map(f64::from);
        let of = functions::of_two(&node.operator).ok_or("it is no operator of two operands")?;
        let same = |value: ValueId| self.shape(value) == self.shape(node.outputs[0]);
        match (one(first), one(second)) {
            (Some(c), _) if same(second) => return self.tabulated(node, second, |x| of(c, x)),
            (_, Some(c)) if same(first) => return self.tabulated(node, first, |x| of(x, c)),
            _ => {}
        }
        match node.operator.as_str() {
            "Add" => self.broadcast(node, [first, second], None, |activation| {
                Options::Add(AddSub {
                    activation,
                    pot_scale_int16: false,
                })
            }),
            "Sub" => self.broadcast(node, [first, second], None, |activation| {
                Options::Sub(AddSub {
                    activation,
                    pot_scale_int16: false,
                })
            }),
            "Mul" => self.broadcast(node, [first, second], None, |activation| Options::Mul {
                activation,
            }),
            "Div" => {
                let divisor = constant(second).ok_or("it divides by an activation")?;
                let inverse = divisor.floats().iter().map(|x| x.recip()).collect();
                let inverse = Constant {
                    shape: divisor.shape.clone(),
                    data: crate::constant::Data::Float(inverse),
                };
                let inputs = [first, second];
                self.broadcast(node, inputs, Some(&inverse), |activation| Options::Mul {
                    activation,
                })
            }
            _ => Err("one of its inputs must be a single constant".into()),
        }
    }

    pub fn prelu(&mut self, node: &Node) -> Lowered {
        let (x, slope) = (self.argument(node, 0)?, self.argument(node, 1)?);
        if self.source.values[slope].constant.is_none() {
            return Err("its slope must be constant".into());
        }
        self.broadcast(node, [x, slope], None, |_| Options::Prelu)
    }

    /// An operator of two operands in a common order of dimensions; `instead` takes the place of
    /// the second.
    fn broadcast(
        &mut self,
        node: &Node,
        inputs: [ValueId; 2],
        instead: Option<&Constant>,
        options: impl Fn(edge_compiler::import::tflite::FusedActivation) -> Options,
    ) -> Lowered {
        let output = node.outputs[0];
        let to = self.required(output)?;
        let shape = self.shape(output);
        let order = self.common_order(&inputs, shape.len());
        let x = self.operand(inputs[0], None, &order)?;
        let y = self.operand(inputs[1], instead, &order)?;
        let (activation, rest) = self.clamp(node, to);
        let result = self.tensor(self.name(output), &ordered(shape, &order), to);
        self.emit(options(activation), vec![Some(x), Some(y)], result);
        let result = self.clamped(result, to, rest);
        self.set_in(output, result, order, to)
    }

    /// The order that spares most transpositions: that of the first activation of full rank which
    /// does not lie as its shape says.
    pub fn common_order(&self, inputs: &[ValueId], rank: usize) -> Vec<usize> {
        let orders = inputs.iter().filter_map(|&input| {
            let stored = self.stored[input].as_ref()?;
            let whole = stored.shape.len() == rank && stored.shape == self.shape(input);
            (whole && stored.order != plain(rank)).then(|| stored.order.clone())
        });
        orders.into_iter().next().unwrap_or_else(|| plain(rank))
    }

    /// A tensor for an operand, with as many dimensions as `order`, which it is in.
    fn operand(
        &mut self,
        value: ValueId,
        instead: Option<&Constant>,
        order: &[usize],
    ) -> Lowered<usize> {
        let rank = order.len();
        let wide = |shape: &[usize]| -> Lowered<Vec<usize>> {
            let missing = rank
                .checked_sub(shape.len())
                .ok_or("an input of higher rank")?;
            Ok([&vec![1; missing][..], shape].concat())
        };
        if let Some(constant) = instead.or(self.source.values[value].constant.as_ref()) {
            let shape = wide(&constant.shape)?;
            let (values, Quantisation { scale, zero_point }) = operand(constant)?;
            let places = crate::constant::permutation(&shape, order);
            let values: Vec<i8> = places
                .iter()
                .filter_map(|&p| values.get(p).copied())
                .collect();
            let shape = ordered(&shape, order);
            return Ok(self.constants(&shape, &values, vec![scale], zero_point, 0));
        }
        let stored = self.activation(value)?;
        let shape = self.shape(value);
        if shape.len() == rank {
            return Ok(self.in_order(&stored, shape, order));
        }
        let like = stored.quantisation;
        let tensor = self.in_order(&stored, shape, &plain(shape.len()));
        let shape = wide(shape)?;
        let tensor = self.reshaped(tensor, &shape, like);
        let stored = Stored {
            tensor,
            order: plain(rank),
            shape: shape.clone(),
            quantisation: like,
        };
        Ok(self.in_order(&stored, &shape, order))
    }
}
