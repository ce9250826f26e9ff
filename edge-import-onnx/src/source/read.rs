//! From the file's nodes to those of [`Source`].

use std::collections::HashMap;

use edge_compiler::import::lower::{SourceOperator, Unsupported};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{ModelProto, NodeProto, ValueInfoProto};

use super::{Element, Input, Node, Output, Source, Value, ValueId};
use crate::constant::{Constant, Data};
use crate::error::OnnxError;
use crate::lower::is_supported;
use crate::proto::{self, Attributes};

/// The source while it grows.
pub(super) struct Reader {
    pub source: Source,
    /// The value behind each of the file's names.
    pub names: HashMap<String, ValueId>,
    /// Lowest and highest value of quantised constants by name, for zero points and weights.
    pub types: HashMap<String, i32>,
}

/// Takes the file apart.
///
/// # Errors
/// [`OnnxError::Read`], or [`OnnxError::Unsupported`] with every operator that is unknown and every
/// quantisation that int8 cannot hold.
pub fn read(model: &ModelProto) -> Result<Source, OnnxError> {
    let (version, graph) = proto::graph(model)?;
    let mut reader = Reader {
        source: Source {
            version,
            values: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            operators: graph.node.iter().map(operator).collect(),
        },
        names: HashMap::new(),
        types: HashMap::new(),
    };
    let mut unsupported = Vec::new();
    for tensor in &graph.initializer {
        match proto::constant(tensor) {
            Ok(constant) => {
                let value = reader.source.add_constant(tensor.name.clone(), constant);
                reader.names.insert(tensor.name.clone(), value);
                reader.types.insert(tensor.name.clone(), tensor.data_type);
            }
            Err(reason) => unsupported.push(end("constant", &tensor.name, reason)),
        }
    }
    for input in &graph.input {
        // Old files list their constants among the inputs.
        if reader.names.contains_key(&input.name) {
            continue;
        }
        if let Err(reason) = reader.input(input) {
            unsupported.push(end("input", &input.name, reason));
        }
    }
    for (index, node) in graph.node.iter().enumerate() {
        if let Err(reason) = reader.node(index, node) {
            unsupported.push(Unsupported {
                operator: Some(index),
                name: node.op_type.clone(),
                location: location(node),
                reason,
            });
        }
    }
    for output in &graph.output {
        let element = match element(output) {
            Ok((element, _)) => element,
            Err(reason) => {
                unsupported.push(end("output", &output.name, reason));
                continue;
            }
        };
        match reader.names.get(&output.name) {
            Some(&value) => reader.source.outputs.push(Output {
                value,
                name: output.name.clone(),
                element,
            }),
            // Its writer is unsupported, or the file is damaged.
            None if unsupported.is_empty() => {
                let reason = format!("nothing writes its output `{}`", output.name);
                return Err(OnnxError::Read(reason));
            }
            None => {}
        }
    }
    if !unsupported.is_empty() {
        return Err(OnnxError::Unsupported(unsupported));
    }
    if reader.source.inputs.is_empty() || reader.source.outputs.is_empty() {
        return Err(OnnxError::Read("it has no inputs or no outputs".into()));
    }
    Ok(reader.source)
}

fn end(name: &str, location: &str, reason: String) -> Unsupported {
    Unsupported {
        operator: None,
        name: name.into(),
        location: location.into(),
        reason,
    }
}

fn operator(node: &NodeProto) -> SourceOperator {
    SourceOperator {
        name: node.op_type.clone(),
        outputs: node.output.clone(),
    }
}

/// What finds a node in the file: its name, else that of its first output.
fn location(node: &NodeProto) -> String {
    match node.name.as_str() {
        "" => node.output.first().cloned().unwrap_or_default(),
        name => name.into(),
    }
}

/// The type of an end, and its shape.
fn element(info: &ValueInfoProto) -> Result<(Element, Option<Vec<usize>>), String> {
    let kind = info.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let Some(Type::TensorType(tensor)) = kind else {
        return Err("it is not a tensor".into());
    };
    let element = match DataType::try_from(tensor.elem_type) {
        Ok(DataType::Float) => Element::Float,
        Ok(DataType::Int8) => Element::Int8,
        Ok(DataType::Uint8) => Element::Uint8,
        Ok(other) => return Err(format!("it has elements of type {other:?}")),
        Err(_) => return Err(format!("it has elements of type {}", tensor.elem_type)),
    };
    let shape = tensor.shape.as_ref().and_then(|shape| {
        let dimensions = shape.dim.iter().enumerate().map(|(i, d)| match d.value {
            Some(Dimension::DimValue(size)) => usize::try_from(size).ok().filter(|&n| n > 0),
            // The batch.
            _ => (i == 0).then_some(1),
        });
        dimensions.collect()
    });
    Ok((element, shape))
}

impl Reader {
    fn input(&mut self, info: &ValueInfoProto) -> Result<(), String> {
        let (element, shape) = element(info)?;
        let shape = shape.ok_or(
            "a dimension other than the first is open: export the model with fixed shapes",
        )?;
        proto::elements(&shape).ok_or("it is too large")?;
        let value = self.add(&info.name);
        self.source.values[value].shape = shape;
        self.source.inputs.push(Input { value, element });
        Ok(())
    }

    /// A new activation.
    pub fn add(&mut self, name: &str) -> ValueId {
        self.source.values.push(Value {
            name: name.into(),
            ..Value::default()
        });
        let value = self.source.values.len() - 1;
        self.names.insert(name.into(), value);
        value
    }

    /// The value behind a node's input.
    pub fn argument(&self, node: &NodeProto, index: usize) -> Result<ValueId, String> {
        let name = node.input.get(index).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| format!("its input {index} is missing"))?;
        let value = self.names.get(name).copied();
        value.ok_or_else(|| format!("nothing before it writes its input `{name}`"))
    }

    fn node(&mut self, index: usize, node: &NodeProto) -> Result<(), String> {
        let operator = node.op_type.as_str();
        let standard = matches!(node.domain.as_str(), "" | "ai.onnx");
        let known = match operator {
            "QuantizeLinear" | "DequantizeLinear" => standard || node.domain == "com.microsoft",
            _ => standard && is_supported(operator),
        };
        if !known {
            // What follows is judged as if it had done its work.
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                self.add(name);
            }
            let domain = if standard { "" } else { " in its domain" };
            return Err(format!("there is no such operator{domain} here"));
        }
        let before = self.source.values.len();
        let result = match operator {
            "QuantizeLinear" => self.quantize(index, node),
            "DequantizeLinear" => self.dequantize(node),
            "Constant" => self.constant(node),
            "Identity" | "Dropout" => self.alias(node),
            "Transpose" if self.transposes_constant(node) => self.transposed_constant(node),
            _ => self.plain(index, node),
        };
        if result.is_err() && self.source.values.len() == before {
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                self.add(name);
            }
        }
        result
    }

    fn plain(&mut self, index: usize, node: &NodeProto) -> Result<(), String> {
        let mut inputs = Vec::new();
        for (place, name) in node.input.iter().enumerate() {
            inputs.push(match name.as_str() {
                "" => None,
                _ => Some(self.argument(node, place)?),
            });
        }
        if node.output.iter().filter(|name| !name.is_empty()).count() != node.output.len() {
            return Err("one of its outputs is left out".into());
        }
        let outputs = node.output.iter().map(|name| self.add(name)).collect();
        if node.output.is_empty() {
            return Err("it has no output".into());
        }
        self.source.nodes.push(Node {
            source: index,
            operator: node.op_type.clone(),
            inputs,
            outputs,
            attributes: node.attribute.clone(),
            clamp: None,
            steps: Vec::new(),
        });
        Ok(())
    }

    /// The same value under another name.
    pub fn alias_to(&mut self, node: &NodeProto, value: ValueId) -> Result<(), String> {
        let name = node.output.first().ok_or("it has no output")?;
        self.names.insert(name.clone(), value);
        Ok(())
    }

    fn alias(&mut self, node: &NodeProto) -> Result<(), String> {
        if node.output.iter().filter(|name| !name.is_empty()).count() > 1 {
            return Err("its mask is asked for".into());
        }
        let value = self.argument(node, 0)?;
        if let (Some(name), Some(kind)) = (node.output.first(), self.types.get(&node.input[0])) {
            self.types.insert(name.clone(), *kind);
        }
        self.alias_to(node, value)
    }

    fn constant(&mut self, node: &NodeProto) -> Result<(), String> {
        let name = node.output.first().ok_or("it has no output")?;
        let list = |data| Constant {
            shape: match &data {
                Data::Integer(values) => vec![<[i64]>::len(values)],
                Data::Float(values) => vec![<[f32]>::len(values)],
                Data::Quantised { values, .. } => vec![values.len()],
            },
            data,
        };
        let [attribute] = &node.attribute[..] else {
            return Err("it needs one attribute".into());
        };
        let constant = match (attribute.name.as_str(), &attribute.t) {
            ("value", Some(tensor)) => {
                self.types.insert(name.clone(), tensor.data_type);
                proto::constant(tensor)?
            }
            ("value_float", _) => Constant::scalar(attribute.f),
            ("value_int", _) => Constant {
                shape: Vec::new(),
                data: Data::Integer(vec![attribute.i]),
            },
            ("value_floats", _) => list(Data::Float(attribute.floats.clone())),
            ("value_ints", _) => list(Data::Integer(attribute.ints.clone())),
            (other, _) => return Err(format!("a constant given as `{other}`")),
        };
        let value = self.source.add_constant(name.clone(), constant);
        self.names.insert(name.clone(), value);
        Ok(())
    }

    fn transposes_constant(&self, node: &NodeProto) -> bool {
        let value = node.input.first().and_then(|name| self.names.get(name));
        value.is_some_and(|&value| self.source.values[value].constant.is_some())
    }

    /// Weights that are turned after their DequantizeLinear keep their int8 values.
    fn transposed_constant(&mut self, node: &NodeProto) -> Result<(), String> {
        let value = self.argument(node, 0)?;
        let constant = self.source.values[value].constant.as_ref();
        let constant = constant.ok_or("its input is not constant")?;
        let rank = constant.shape.len();
        let order: Option<Vec<usize>> = match node.ints("perm") {
            None => Some((0..rank).rev().collect()),
            Some(all) => all.iter().map(|&d| usize::try_from(d).ok()).collect(),
        };
        let order = order.unwrap_or_default();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..rank) {
            return Err(format!("it permutes {:?} by {order:?}", constant.shape));
        }
        let turned = constant.permuted(&constant.shape, &order);
        let name = self.source.values[value].name.clone();
        let value = self.source.add_constant(name, turned);
        self.alias_to(node, value)
    }
}
