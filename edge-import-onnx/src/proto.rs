//! What the file says, as far as it concerns single tensors and attributes.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use tract_onnx::prelude::Framework;

use crate::constant::{Constant, Data};
use crate::error::OnnxError;
use crate::tract::guarded;

/// Most elements of one tensor.
pub const MOST_ELEMENTS: usize = 1 << 28;

/// The message.
pub fn decode(file: &[u8]) -> Result<ModelProto, OnnxError> {
    let mut reader = file;
    let read = guarded(|| tract_onnx::onnx().proto_model_for_read(&mut reader));
    read.map_err(OnnxError::Read)
}

/// The version of the standard operators, and the graph.
pub fn graph(model: &ModelProto) -> Result<(i64, &GraphProto), OnnxError> {
    let standard = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let version = model
        .opset_import
        .iter()
        .find(|import| standard(&import.domain))
        .map_or(0, |import| import.version);
    if version < 7 {
        let reason = format!("its operators are of version {version}: at least 7 is needed");
        return Err(OnnxError::Read(reason));
    }
    let graph = model.graph.as_ref();
    let graph = graph.ok_or_else(|| OnnxError::Read("it holds no graph".into()))?;
    Ok((version, graph))
}

/// Elements of a shape; `None` for a dimension below 0 or too many.
pub fn elements(shape: &[usize]) -> Option<usize> {
    let product = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d))?;
    (product <= MOST_ELEMENTS).then_some(product)
}

/// A constant, by its type: real numbers and integers as they are.
pub fn constant(tensor: &TensorProto) -> Result<Constant, String> {
    let name = &tensor.name;
    if tensor.data_location.unwrap_or(0) != 0 || !tensor.external_data.is_empty() {
        return Err(format!(
            "`{name}` lies in another file: save the model as one file"
        ));
    }
    let shape: Option<Vec<usize>> = tensor
        .dims
        .iter()
        .map(|&d| usize::try_from(d).ok())
        .collect();
    let shape = shape.ok_or_else(|| format!("`{name}` has a negative dimension"))?;
    let len = elements(&shape).ok_or_else(|| format!("`{name}` is too large"))?;
    let data_type = DataType::try_from(tensor.data_type);
    let raw = &tensor.raw_data;
    fn words<const N: usize, T>(raw: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        raw.as_chunks::<N>()
            .0
            .iter()
            .map(|&word| read(word))
            .collect()
    }
    let narrow = || tensor.int32_data.iter().map(|&v| i64::from(v));
    let data = match data_type {
        Ok(DataType::Float) if raw.is_empty() => Data::Float(tensor.float_data.clone()),
        Ok(DataType::Float) => Data::Float(words(raw, f32::from_le_bytes)),
        Ok(DataType::Double) if raw.is_empty() => {
            Data::Float(tensor.double_data.iter().map(|&v| v as f32).collect())
        }
        Ok(DataType::Double) => Data::Float(words(raw, |w| f64::from_le_bytes(w) as f32)),
        Ok(DataType::Int64) if raw.is_empty() => Data::Integer(tensor.int64_data.clone()),
        Ok(DataType::Int64) => Data::Integer(words(raw, i64::from_le_bytes)),
        Ok(DataType::Int32 | DataType::Int8 | DataType::Uint8 | DataType::Bool)
            if raw.is_empty() =>
        {
            Data::Integer(narrow().collect())
        }
        Ok(DataType::Int32) => Data::Integer(words(raw, |w| i32::from_le_bytes(w).into())),
        Ok(DataType::Int8) => Data::Integer(words(raw, |w| i8::from_le_bytes(w).into())),
        Ok(DataType::Uint8 | DataType::Bool) => {
            Data::Integer(words(raw, |w| u8::from_le_bytes(w).into()))
        }
        other => {
            let kind = other.map_or_else(|n| n.to_string(), |known| format!("{known:?}"));
            return Err(format!("`{name}` has elements of type {kind}"));
        }
    };
    let found = match &data {
        Data::Float(values) => values.len(),
        Data::Integer(values) => values.len(),
        Data::Quantised { values, .. } => values.len(),
    };
    if found != len {
        return Err(format!("`{name}` has {found} elements for shape {shape:?}"));
    }
    Ok(Constant { shape, data })
}

/// The lowest value of a type of quantised elements, and the highest.
pub fn quantised_range(data_type: i32) -> Option<(i32, i32)> {
    match DataType::try_from(data_type) {
        Ok(DataType::Int8) => Some((-128, 127)),
        Ok(DataType::Uint8) => Some((0, 255)),
        Ok(DataType::Int32) => Some((i32::MIN, i32::MAX)),
        _ => None,
    }
}

/// Attributes by name, with the defaults of the standard.
pub trait Attributes {
    fn attribute(&self, name: &str) -> Option<&AttributeProto>;

    fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.f)
    }

    fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| &a.ints[..])
    }

    fn text(&self, name: &str) -> Option<&str> {
        let attribute = self.attribute(name)?;
        std::str::from_utf8(&attribute.s).ok()
    }
}

impl Attributes for [AttributeProto] {
    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.iter().find(|attribute| attribute.name == name)
    }
}

impl Attributes for NodeProto {
    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.as_slice().attribute(name)
    }
}
