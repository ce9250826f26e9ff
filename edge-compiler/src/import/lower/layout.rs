//! Operators that move whole tensors: reshaping, transposing, joining, padding.

use super::builder::{Lowered, Lowering, axis, fused};
use crate::graph::{Activation, OperatorKind, TensorId};
use crate::import::tflite::{FusedActivation, Operator};
use crate::strided::{self, Dimension};

impl Lowering<'_, '_> {
    /// RESHAPE, SQUEEZE, EXPAND_DIMS: the output's shape is that of its tensor.
    pub fn reshape(&mut self, operator: &Operator) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let value = self.value(input)?;
        let shape = self.canonical(output)?;
        if !self.tensors[value].role.is_activation() {
            let value = self.view(value, shape)?;
            let value = self.relabelled(value, self.quantisation(output)?);
            self.values[output] = Some(value);
            return Ok(());
        }
        let (from, to) = (self.tensors[value].len(), self.source(output).elements());
        if Some(from) != to {
            let name = self.name(output);
            let to = to.map_or("too many".to_owned(), |to| to.to_string());
            return Err(format!(
                "{from} elements go into {name}, which has {to}; where the file leaves a shape open, \
                 convert the model again with a fixed batch (in Keras, `Input(batch_size=1)`)"
            ));
        }
        // LOOKUP keeps the shape.
        let value = self.relabelled(value, self.quantisation(output)?);
        let y = self.output_as(output, shape)?;
        self.push(OperatorKind::Reshape, vec![value], y);
        Ok(())
    }

    pub fn transpose(&mut self, operator: &Operator) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let order = self.integers(self.argument(operator, 1)?)?;
        let x = self.value(input)?;
        let (from, to) = (self.shape(input), self.shape(output));
        let order: Vec<usize> = order
            .into_iter()
            .map(|a| axis(a, from.len()))
            .collect::<Lowered<_>>()?;
        let mut sorted = order.clone();
        sorted.sort_unstable();
        let fits = sorted.iter().copied().eq(0..from.len())
            && order.iter().map(|&i| from[i]).eq(to.iter().copied());
        if !fits {
            return Err(format!("it permutes {from:?} by {order:?} to {to:?}"));
        }
        let (input_strides, output_strides) = (strided::strides(from), strided::strides(to));
        let dimensions: Vec<Dimension> = order
            .iter()
            .zip(output_strides)
            .map(|(&i, output)| Dimension {
                size: from[i],
                input: input_strides[i],
                output,
            })
            .collect();
        let y = self.output(output)?;
        self.copy("TRANSPOSE", strided::copy(&dimensions, 0, 0), x, y)
    }

    pub fn concatenation(
        &mut self,
        operator: &Operator,
        along: i32,
        activation: FusedActivation,
    ) -> Lowered {
        if fused(activation)? != Activation::None {
            return Err("a fused activation".into());
        }
        let output = self.result(operator)?;
        let whole = self.shape(output);
        let along = axis(along.into(), whole.len())?;
        let mut parts = Vec::new();
        let mut at = vec![0; whole.len()];
        for index in 0..operator.inputs.len() {
            let input = self.argument(operator, index)?;
            if self.quantisation(input)? != self.quantisation(output)? {
                let name = self.name(input);
                return Err(format!(
                    "{name} has another scale or zero point than the output"
                ));
            }
            let part = self.shape(input);
            parts.push((self.value(input)?, part.to_vec(), at.clone()));
            at[along] += part.get(along).copied().unwrap_or(0);
        }
        if at[along] != whole[along] {
            return Err(format!(
                "its inputs have {} elements along it, its output {}",
                at[along], whole[along]
            ));
        }
        self.join("CONCATENATION", output, parts)
    }

    /// Stacks tensors along a new dimension.
    pub fn pack(&mut self, operator: &Operator, along: i32) -> Lowered {
        let output = self.result(operator)?;
        let whole = self.shape(output);
        let along = axis(along.into(), whole.len())?;
        let mut parts = Vec::new();
        for index in 0..operator.inputs.len() {
            let input = self.argument(operator, index)?;
            let mut part = self.shape(input).to_vec();
            part.insert(along.min(part.len()), 1);
            let mut at = vec![0; whole.len()];
            at[along] = index;
            parts.push((self.value(input)?, part, at));
        }
        if parts.len() != whole[along] {
            return Err(format!("{} tensors go into {whole:?}", parts.len()));
        }
        self.join("PACK", output, parts)
    }

    /// Copies tensors, each seen in a shape, into places of an output.
    fn join(
        &mut self,
        purpose: &str,
        output: usize,
        parts: Vec<(TensorId, Vec<usize>, Vec<usize>)>,
    ) -> Lowered {
        let whole = self.shape(output);
        let y = self.output(output)?;
        for (value, part, at) in parts {
            if self.tensors[value].len() != part.iter().product::<usize>() {
                return Err(format!("its input has another shape than {part:?}"));
            }
            self.copy(purpose, strided::place(&part, whole, &at), value, y)?;
        }
        Ok(())
    }

    /// PAD with the output's zero point, or PADV2 with a value.
    pub fn pad(&mut self, operator: &Operator, with_value: bool) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let widths = self.integers(self.argument(operator, 1)?)?;
        let value = if with_value {
            let value = self.bytes(self.argument(operator, 2)?)?;
            value.first().copied().ok_or("its value is empty")?
        } else {
            // Within int8, or the tensor would be refused.
            self.quantisation(output)?.zero_point as i8
        };
        let (from, to) = (self.shape(input), self.shape(output));
        let widths: Vec<(usize, usize)> = widths
            .chunks(2)
            .map(|pair| match pair {
                [before, after] => {
                    let before = usize::try_from(*before).map_err(|e| e.to_string())?;
                    let after = usize::try_from(*after).map_err(|e| e.to_string())?;
                    Ok((before, after))
                }
                _ => Err("an odd number of widths".into()),
            })
            .collect::<Lowered<_>>()?;
        let padded = from
            .iter()
            .zip(&widths)
            .map(|(&n, &(b, a))| n.saturating_add(b).saturating_add(a));
        if widths.len() != from.len() || !padded.eq(to.iter().copied()) {
            return Err(format!("it pads {from:?} by {widths:?} to {to:?}"));
        }
        let x = self.value(input)?;
        let y = self.output(output)?;
        if from != to {
            self.push(OperatorKind::Fill { value }, Vec::new(), y);
        }
        let at: Vec<usize> = widths.iter().map(|&(before, _)| before).collect();
        self.copy("PAD", strided::place(from, to, &at), x, y)
    }
}
