//! What the model says: its tensors' shapes, constants and quantisation, checked as they are asked
//! for.

use super::builder::{Lowered, Lowering, canonical};
use crate::graph::Weights;
use crate::import::tflite::{self, ElementType};
use crate::prepare::Quantisation;

impl<'m, 'f> Lowering<'m, 'f> {
    pub fn source(&self, tensor: usize) -> &'m tflite::Tensor<'f> {
        // The reader checked every index.
        &self.model.tensors[tensor]
    }

    pub fn shape(&self, tensor: usize) -> &'m [usize] {
        &self.source(tensor).shape
    }

    /// The shape of an image batch.
    pub fn images(&self, tensor: usize) -> Lowered<[usize; 4]> {
        let shape = self.shape(tensor);
        shape.try_into().map_err(|_| {
            let name = self.name(tensor);
            format!("{name} has shape {shape:?}: four dimensions are needed")
        })
    }

    /// "`name`", for messages.
    pub fn name(&self, tensor: usize) -> String {
        match self.source(tensor).name.as_str() {
            "" => format!("tensor {tensor}"),
            name => format!("`{name}`"),
        }
    }

    /// Required input `index` of an operator.
    pub fn argument(&self, operator: &tflite::Operator, index: usize) -> Lowered<usize> {
        self.optional(operator, index)
            .ok_or_else(|| format!("its input {index} is missing"))
    }

    pub fn optional(&self, operator: &tflite::Operator, index: usize) -> Option<usize> {
        operator.inputs.get(index).copied().flatten()
    }

    /// The only output.
    pub fn result(&self, operator: &tflite::Operator) -> Lowered<usize> {
        match operator.outputs[..] {
            [output] => Ok(output),
            _ => Err(format!(
                "it has {} outputs instead of 1",
                operator.outputs.len()
            )),
        }
    }

    /// The operators that read a tensor.
    pub fn readers(
        &self,
        tensor: usize,
    ) -> impl Iterator<Item = &'m tflite::Operator> + use<'m, 'f> {
        let operators = self.model.operators.iter();
        operators.filter(move |operator| operator.inputs.contains(&Some(tensor)))
    }

    pub fn is_model_output(&self, tensor: usize) -> bool {
        self.model.outputs.contains(&tensor)
    }

    /// The quantisation of an int8 tensor with one scale.
    pub fn quantisation(&self, tensor: usize) -> Lowered<Quantisation> {
        let source = self.source(tensor);
        let name = self.name(tensor);
        if source.element != ElementType::Int8 {
            let element = source.element;
            return Err(format!("{name} has elements of type {element:?}, not Int8"));
        }
        let ([scale], [zero_point]) = (&source.scales[..], &source.zero_points[..]) else {
            let scales = source.scales.len();
            return Err(format!(
                "{name} has {scales} scales: activations need exactly one"
            ));
        };
        if !scale.is_normal() || *scale < 0.0 || !(-128..=127).contains(zero_point) {
            return Err(format!(
                "{name} has scale {scale:e} and zero point {zero_point}: the scale must be a normal \
                 number above zero, the zero point within -128..=127"
            ));
        }
        Ok(Quantisation {
            scale: *scale,
            zero_point: *zero_point as i32,
        })
    }

    /// The shape of a tensor in the graph, unless an operator wants another: the last three
    /// dimensions, all others merged into the height.
    pub fn canonical(&self, tensor: usize) -> Lowered<[usize; 4]> {
        let shape = self.shape(tensor);
        canonical(shape).ok_or_else(|| {
            let name = self.name(tensor);
            format!("{name} has shape {shape:?}: empty, or too large for dimensions of 16 bits")
        })
    }

    /// Whether an input that says sizes says those that the output's tensor is declared with.
    pub fn check_sizes(&self, sizes: usize, declared: &[usize]) -> Lowered {
        let sizes = self.integers(sizes)?;
        let same = sizes
            .iter()
            .copied()
            .eq(declared.iter().map(|&size| size as i64));
        if !same {
            return Err(format!(
                "its output is declared as {declared:?}, {sizes:?} is asked for"
            ));
        }
        Ok(())
    }

    /// The values of a tensor of 32- or 64-bit integers that is constant or follows from shapes.
    pub fn integers(&self, tensor: usize) -> Lowered<Vec<i64>> {
        if let Some(folded) = self.folded.get(&tensor) {
            return Ok(folded.clone());
        }
        let source = self.source(tensor);
        let name = self.name(tensor);
        let data = source
            .data
            .ok_or_else(|| format!("{name} must be constant: shapes cannot change at run time"))?;
        match source.element {
            ElementType::Int32 => {
                let words = data.as_chunks().0.iter();
                Ok(words.map(|&word| i32::from_le_bytes(word).into()).collect())
            }
            ElementType::Int64 => {
                let words = data.as_chunks().0.iter();
                Ok(words.map(|&word| i64::from_le_bytes(word)).collect())
            }
            other => Err(format!(
                "{name} has elements of type {other:?}, not integers"
            )),
        }
    }

    /// The bytes of a constant int8 tensor.
    pub fn bytes(&self, tensor: usize) -> Lowered<Vec<i8>> {
        let source = self.source(tensor);
        let name = self.name(tensor);
        if source.element != ElementType::Int8 {
            let element = source.element;
            return Err(format!("{name} has elements of type {element:?}, not Int8"));
        }
        let data = source
            .data
            .ok_or_else(|| format!("{name} must be constant"))?;
        Ok(data.iter().map(|byte| byte.cast_signed()).collect())
    }

    /// The constants of a layer with weights. `values` is already in the graph's order.
    pub fn weights(
        &self,
        weights: usize,
        bias: Option<usize>,
        channels: usize,
        dimension: usize,
        values: Vec<i8>,
    ) -> Lowered<Weights> {
        let source = self.source(weights);
        let name = self.name(weights);
        if source.zero_points.iter().any(|&zero| zero != 0) {
            return Err(format!("{name} has a zero point other than 0"));
        }
        let scales = source.scales.clone();
        if scales.len() != 1 && scales.len() != channels {
            let found = scales.len();
            return Err(format!(
                "{name} has {found} scales for {channels} output channels"
            ));
        }
        if scales.len() > 1 && usize::try_from(source.quantized_dimension) != Ok(dimension) {
            let found = source.quantized_dimension;
            return Err(format!(
                "{name} has scales along dimension {found}, not {dimension}"
            ));
        }
        if let Some(scale) = scales.iter().find(|s| !s.is_normal() || **s < 0.0) {
            return Err(format!(
                "{name} has scale {scale:e}: a normal number above zero is needed"
            ));
        }
        let bias = match bias {
            None => vec![0; channels],
            Some(tensor) if self.source(tensor).element == ElementType::Int32 => {
                let wide = self.integers(tensor)?;
                wide.into_iter().map(|b| b as i32).collect()
            }
            Some(tensor) => {
                let (name, element) = (self.name(tensor), self.source(tensor).element);
                return Err(format!(
                    "{name} has elements of type {element:?}, not Int32"
                ));
            }
        };
        if bias.len() != channels {
            return Err(format!(
                "it has {} biases for {channels} output channels",
                bias.len()
            ));
        }
        Ok(Weights {
            values,
            scales,
            bias,
        })
    }
}
