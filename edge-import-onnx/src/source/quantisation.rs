//! QuantizeLinear and DequantizeLinear: what they say becomes a property of values.

use edge_compiler::prepare::Quantisation;
use tract_onnx::pb::NodeProto;

use super::read::Reader;
use super::{Element, Node, REQUANTISE};
use crate::constant::{Constant, Data, round_half_even};
use crate::proto::{self, Attributes};

/// Scales and zero points of one of the two operators.
struct Parameters {
    scales: Vec<f32>,
    zero_points: Vec<i32>,
    /// Lowest and highest quantised value.
    range: (i32, i32),
    axis: i64,
}

impl Parameters {
    /// As of an int8 activation.
    fn activation(&self) -> Result<Quantisation, String> {
        let ([scale], [zero_point]) = (&self.scales[..], &self.zero_points[..]) else {
            let scales = self.scales.len();
            return Err(format!(
                "an activation with {scales} scales: exactly one is needed"
            ));
        };
        let shift = match self.range {
            (-128, 127) => 0,
            (0, 255) => 128,
            _ => return Err("an activation that is neither int8 nor uint8".into()),
        };
        Ok(Quantisation {
            scale: *scale,
            zero_point: zero_point - shift,
        })
    }

    /// The dimension that the scales belong to; 0 for a single scale.
    fn axis(&self, shape: &[usize]) -> Result<usize, String> {
        if self.scales.len() == 1 {
            return Ok(0);
        }
        let from_front = if self.axis < 0 {
            self.axis + shape.len() as i64
        } else {
            self.axis
        };
        let axis = usize::try_from(from_front).unwrap_or(usize::MAX);
        if shape.get(axis) == Some(&self.scales.len()) {
            return Ok(axis);
        }
        let (scales, axis) = (self.scales.len(), self.axis);
        Err(format!(
            "{scales} scales along dimension {axis} of {shape:?}"
        ))
    }
}

impl Reader {
    fn parameters(&self, node: &NodeProto, quantised: Option<&str>) -> Result<Parameters, String> {
        if node.int("block_size", 0) != 0 {
            return Err("scales for blocks of elements".into());
        }
        let constant = |index: usize| {
            let value = self.argument(node, index)?;
            let constant = self.source.values[value].constant.as_ref();
            constant.ok_or_else(|| format!("its input {index} must be constant"))
        };
        let scales = constant(1)?.floats();
        let fine = |scale: &f32| scale.is_normal() && *scale > 0.0;
        if scales.is_empty() || !scales.iter().all(fine) {
            return Err("its scales must be normal numbers above zero".into());
        }
        let zero_name = node.input.get(2).filter(|name| !name.is_empty());
        let named = |name: &str| self.types.get(name).copied();
        let stated = node.attribute("output_dtype").map(|a| a.i as i32);
        let kind = zero_name
            .and_then(|name| named(name))
            .or_else(|| quantised.and_then(named))
            .or(stated.filter(|&kind| kind != 0));
        // Without a zero point the standard's type is uint8.
        let uint8 = (0, 255);
        let range = kind.map_or(Some(uint8), proto::quantised_range);
        let range = range.ok_or("its quantised type is not int8, uint8 or int32")?;
        let zero_points = match zero_name {
            None => vec![0; scales.len()],
            Some(_) => {
                let zeros = constant(2)?
                    .integers()
                    .ok_or("its zero point is no integer")?;
                zeros.iter().map(|&zero| zero as i32).collect()
            }
        };
        if zero_points.len() != scales.len() {
            let zeros = zero_points.len();
            return Err(format!("{} scales with {zeros} zero points", scales.len()));
        }
        let inside = |zero: &i32| (range.0..=range.1).contains(zero);
        if !zero_points.iter().all(inside) {
            return Err("a zero point outside its type".into());
        }
        Ok(Parameters {
            scales,
            zero_points,
            range,
            axis: node.int("axis", 1),
        })
    }

    pub fn quantize(&mut self, index: usize, node: &NodeProto) -> Result<(), String> {
        let value = self.argument(node, 0)?;
        let parameters = self.parameters(node, None)?;
        let output = node.output.first().ok_or("it has no output")?.clone();
        let name = self.source.values[value].name.clone();
        if let Some(constant) = self.source.values[value].constant.clone() {
            let constant = quantised(&constant, &parameters)?;
            let value = self.source.add_constant(name, constant);
            self.names.insert(output, value);
            return Ok(());
        }
        let quantisation = parameters.activation()?;
        let known = &mut self.source.values[value].quantisation;
        if known.is_none_or(|known| known == quantisation) {
            *known = Some(quantisation);
            return self.alias_to(node, value);
        }
        let requantised = self.add(&output);
        self.source.values[requantised].quantisation = Some(quantisation);
        self.source.nodes.push(Node {
            source: index,
            operator: REQUANTISE.into(),
            inputs: vec![Some(value)],
            outputs: vec![requantised],
            attributes: Vec::new(),
            clamp: None,
            steps: Vec::new(),
        });
        Ok(())
    }

    pub fn dequantize(&mut self, node: &NodeProto) -> Result<(), String> {
        let value = self.argument(node, 0)?;
        let input = self.source.inputs.iter().find(|input| input.value == value);
        let mut parameters = self.parameters(node, node.input.first().map(String::as_str))?;
        if let Some(input) = input {
            parameters.range = match input.element {
                Element::Int8 => (-128, 127),
                Element::Uint8 => (0, 255),
                Element::Float => parameters.range,
            };
        }
        let name = self.source.values[value].name.clone();
        if let Some(constant) = &self.source.values[value].constant {
            let constant = dequantised(constant, &parameters)?;
            let value = self.source.add_constant(name, constant);
            return self.alias_to(node, value);
        }
        let known = self.source.values[value].quantisation;
        // Of a zero point that is left out only QuantizeLinear tells the type.
        let untyped = node.input.get(2).is_none_or(String::is_empty);
        if untyped && known.is_some_and(|known| [known.scale] == parameters.scales[..]) {
            return self.alias_to(node, value);
        }
        let quantisation = parameters.activation()?;
        match known {
            None => self.source.values[value].quantisation = Some(quantisation),
            Some(known) if known == quantisation => {}
            Some(_) => {
                return Err(
                    "its scale or zero point is not that of the QuantizeLinear before".into(),
                );
            }
        }
        self.alias_to(node, value)
    }
}

/// A constant of real numbers as QuantizeLinear makes it.
fn quantised(constant: &Constant, parameters: &Parameters) -> Result<Constant, String> {
    let Data::Float(reals) = &constant.data else {
        return Err("its input is constant and already quantised".into());
    };
    let axis = parameters.axis(&constant.shape)?;
    let inner: usize = constant.shape.iter().skip(axis + 1).product();
    let (low, high) = parameters.range;
    let quantise = |(index, real): (usize, &f32)| {
        let channel = (index / inner.max(1)) % parameters.scales.len();
        let (scale, zero) = (parameters.scales[channel], parameters.zero_points[channel]);
        let rounded = round_half_even(real / scale) as i64 + i64::from(zero);
        (rounded.clamp(low.into(), high.into()) - i64::from(zero)) as i32
    };
    Ok(Constant {
        shape: constant.shape.clone(),
        data: Data::Quantised {
            values: reals.iter().enumerate().map(quantise).collect(),
            scales: parameters.scales.clone(),
            axis,
        },
    })
}

/// Integers under scales.
fn dequantised(constant: &Constant, parameters: &Parameters) -> Result<Constant, String> {
    let integers = match &constant.data {
        Data::Integer(integers) => integers,
        // A QuantizeLinear of real weights stands before.
        Data::Quantised { scales, .. } if *scales == parameters.scales => {
            return Ok(constant.clone());
        }
        _ => return Err("its input is constant and not quantised in the same way".into()),
    };
    let axis = parameters.axis(&constant.shape)?;
    let inner: usize = constant.shape.iter().skip(axis + 1).product();
    let shifted = integers.iter().enumerate().map(|(index, &integer)| {
        let channel = (index / inner.max(1)) % parameters.zero_points.len();
        integer.saturating_sub(parameters.zero_points[channel].into()) as i32
    });
    Ok(Constant {
        shape: constant.shape.clone(),
        data: Data::Quantised {
            values: shifted.collect(),
            scales: parameters.scales.clone(),
            axis,
        },
    })
}
