//! The model's inputs and outputs. Where a model converts at its ends between int8 and real numbers
//! or uint8, the graph begins and ends with the int8 tensors.

use super::Unsupported;
use super::builder::{Lowered, Lowering};
use crate::graph::TensorId;
use crate::import::tflite::{ElementType, Operator, Options};
use crate::prepare::tables;

impl Lowering<'_, '_> {
    /// A tensor for each input.
    pub fn inputs(&mut self) -> Vec<Unsupported> {
        let mut unsupported = Vec::new();
        for &input in &self.model.inputs {
            if let Err(reason) = self.input(input) {
                unsupported.push(self.end("input", input, reason));
            }
        }
        unsupported
    }

    fn end(&self, name: &str, tensor: usize, reason: String) -> Unsupported {
        Unsupported {
            operator: None,
            name: name.into(),
            location: self.source(tensor).name.clone(),
            reason,
        }
    }

    fn input(&mut self, input: usize) -> Lowered {
        let element = self.source(input).element;
        if element == ElementType::Int8 {
            return self.output(input).map(|_| ());
        }
        let refused = || {
            format!("it has elements of type {element:?}, and not only a QUANTIZE to int8 reads it")
        };
        let mut within = None;
        for reader in self.readers(input) {
            if reader.options != Options::Quantize || self.is_model_output(input) {
                return Err(refused());
            }
            let inner = self.result(reader)?;
            let quantisation = self.quantisation(inner)?;
            if within.is_some_and(|(_, other)| other != quantisation)
                || (element == ElementType::UInt8 && !self.is_shifted_by_128(input, inner))
                || !matches!(element, ElementType::UInt8 | ElementType::Float32)
            {
                return Err(refused());
            }
            within.get_or_insert((inner, quantisation));
            self.absorbed.insert(reader.index);
        }
        let (inner, quantisation) = within.ok_or_else(refused)?;
        let shape = self.canonical(inner)?;
        let value = self.temporary(&self.source(input).name, shape, quantisation);
        self.values[input] = Some(value);
        let outputs = self
            .readers(input)
            .flat_map(|reader| reader.outputs.clone());
        for output in outputs.collect::<Vec<_>>() {
            self.values[output] = Some(value);
        }
        let name = self.name(input);
        self.notes.push(match element {
            ElementType::UInt8 => format!("input {name} is int8 instead of uint8: subtract 128"),
            _ => format!(
                "input {name} is int8 instead of float32: round(x / {}) + {}, limited to -128..=127",
                quantisation.scale, quantisation.zero_point
            ),
        });
        Ok(())
    }

    /// Whether two tensors, one uint8 and one int8, hold the same real numbers.
    fn is_shifted_by_128(&self, unsigned: usize, signed: usize) -> bool {
        let (unsigned, signed) = (self.source(unsigned), self.source(signed));
        match (&unsigned.zero_points[..], &signed.zero_points[..]) {
            ([u], [s]) => unsigned.scales == signed.scales && *u - 128 == *s,
            _ => false,
        }
    }

    /// The tensors that the caller reads.
    pub fn outputs(&mut self, unsupported: &mut Vec<Unsupported>) -> Vec<TensorId> {
        let mut outputs = Vec::new();
        for &output in &self.model.outputs {
            match self.activation(output) {
                Ok(value) => outputs.push(self.written(value)),
                Err(reason) => {
                    // Once is enough where the operator that should write it is unsupported itself.
                    let blamed = unsupported.iter().filter_map(|one| one.operator);
                    let writers = blamed.filter_map(|index| self.model.operators.get(index));
                    if !writers
                        .into_iter()
                        .any(|writer| writer.outputs.contains(&output))
                    {
                        unsupported.push(self.end("output", output, reason));
                    }
                }
            }
        }
        outputs
    }

    /// A tensor that an operator writes: what leads straight from an input to an output is a copy.
    fn written(&mut self, value: TensorId) -> TensorId {
        if self
            .operators
            .iter()
            .any(|operator| operator.output == value)
        {
            return value;
        }
        let tensor = self.tensors[value].clone();
        let output = self.temporary(&tensor.name, tensor.shape, self.quantisation_of(value));
        self.relabel(value, output);
        output
    }

    /// QUANTIZE between two int8 tensors, or to uint8 at the end.
    pub fn quantize(&mut self, operator: &Operator) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        if self.source(output).element == ElementType::UInt8 {
            if !self.is_last(output) || !self.is_shifted_by_128(output, input) {
                return Err(
                    "uint8 is only possible at the model's ends, with the same scale".into(),
                );
            }
            let value = self.activation(input)?;
            self.values[output] = Some(value);
            let name = self.name(output);
            self.notes
                .push(format!("output {name} is int8 instead of uint8: add 128"));
            return Ok(());
        }
        if self.quantisation(input)? == self.quantisation(output)? {
            return self.reshape(operator);
        }
        self.table(operator, tables::quantize)
    }

    /// DEQUANTIZE at the end.
    pub fn dequantize(&mut self, operator: &Operator) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        if !self.is_last(output) {
            return Err("real numbers are only possible at the model's ends".into());
        }
        let value = self.activation(input)?;
        self.values[output] = Some(value);
        let (name, from) = (self.name(output), self.quantisation_of(value));
        self.notes.push(format!(
            "output {name} is int8 instead of float32: (q - {}) * {}",
            from.zero_point, from.scale
        ));
        Ok(())
    }

    fn is_last(&self, tensor: usize) -> bool {
        self.is_model_output(tensor) && self.readers(tensor).next().is_none()
    }
}
