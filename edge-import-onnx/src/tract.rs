//! What tract does: shapes, and running a model of real numbers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::model::ParseResult;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::type_proto;
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto,
};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::{Factoid, InferenceModelExt};
use tract_onnx::tract_hir::internal::DimLike;

use crate::constant::{Constant, Data};
use crate::error::OnnxError;
use crate::proto::{MOST_ELEMENTS, elements};
use crate::source::{REQUANTISE, Source, ValueId};

/// A runnable model of real numbers.
pub struct Runner {
    plan: Arc<TypedRunnableModel>,
    /// Shapes of its inputs.
    pub inputs: Vec<Vec<usize>>,
}

/// Runs a piece of tract; its errors and panics become text.
pub fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    // Nothing that `work` leaves half done is looked at afterwards.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        // The alternate form has the causes too.
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied());
            // It may be that of an error, which has a backtrace in it.
            let text = text.and_then(|text| text.split("\n\nStack backtrace").next());
            let text = text.unwrap_or("without a message");
            Err(format!("tract failed: {text}"))
        }
    }
}

/// Operators that may work on constants alone: their results have at most as many elements as the
/// product of their inputs' says. tract works those out, and nothing may make it reserve what no
/// machine has.
const ON_CONSTANTS: [&str; 17] = [
    "Add",
    "Cast",
    "Ceil",
    "Concat",
    "Div",
    "Floor",
    "Gather",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "Reshape",
    "Shape",
    "Slice",
    "Squeeze",
    "Sub",
    "Unsqueeze",
];
/// Dimensions of a tensor whose shape is asked for.
const MOST_RANK: usize = 64;

/// Whether what tract works out by itself stays small.
fn bounded(source: &Source) -> Result<(), OnnxError> {
    let lens = source
        .values
        .iter()
        .map(|value| Some(value.constant.as_ref()?.len()));
    let mut lens: Vec<Option<usize>> = lens.collect();
    for node in &source.nodes {
        let inputs = || node.inputs.iter().flatten();
        let len = if node.operator == "Shape" {
            Some(MOST_RANK)
        } else {
            let product = inputs().try_fold(1_usize, |n, &input| {
                Some(n.saturating_mul(lens[input]?.max(1)))
            });
            match product {
                // A sum, which a product of ones is not.
                Some(n) if node.operator == "Concat" => Some(n.saturating_mul(node.inputs.len())),
                other => other,
            }
        };
        let Some(len) = len else {
            continue;
        };
        if !ON_CONSTANTS.contains(&node.operator.as_str()) || len > MOST_ELEMENTS {
            let (name, operator) = (&source.values[node.outputs[0]].name, &node.operator);
            return Err(OnnxError::Shapes(format!(
                "`{name}` is a {operator} of constants, or too large a one: fold it away"
            )));
        }
        for &output in &node.outputs {
            lens[output] = Some(len);
        }
    }
    Ok(())
}

/// Fills in the shape of every value, and makes those constant that do not depend on the inputs.
///
/// # Errors
/// [`OnnxError::Shapes`].
pub fn infer_shapes(source: &mut Source) -> Result<(), OnnxError> {
    bounded(source)?;
    let model = model(source);
    let found = guarded(|| {
        let ParseResult {
            mut model,
            outlets_by_name,
            ..
        } = tract_onnx::onnx().parse(&model, None)?;
        model.analyse(false)?;
        let mut found = Vec::new();
        for (value, known) in source.values.iter().enumerate() {
            let Some(outlet) = outlets_by_name.get(&name(value)) else {
                found.push(None);
                continue;
            };
            let fact = model.outlet_fact(*outlet)?;
            let shape = fact.shape.concretize().and_then(|shape| {
                let sizes = shape.iter().map(|d| d.to_usize().ok());
                sizes.collect::<Option<Vec<usize>>>()
            });
            let constant = match fact.value.concretize() {
                Some(tensor) if known.constant.is_none() => constant(&tensor),
                _ => None,
            };
            found.push(Some((shape, constant)));
        }
        Ok(found)
    });
    let found = found.map_err(OnnxError::Shapes)?;
    for (value, found) in source.values.iter_mut().zip(found) {
        let Some((shape, constant)) = found else {
            continue;
        };
        if value.constant.is_some() {
            continue;
        }
        let shape = shape.or_else(|| constant.as_ref().map(|c| c.shape.clone()));
        let fits = |shape: &Vec<usize>| elements(shape).is_some_and(|n| n > 0);
        let Some(shape) = shape.filter(fits) else {
            let reason = format!("that of `{}` stays open, is empty or too large", value.name);
            return Err(OnnxError::Shapes(reason));
        };
        value.shape = shape;
        value.constant = constant;
    }
    let constant: Vec<bool> = source.values.iter().map(|v| v.constant.is_some()).collect();
    source
        .nodes
        .retain(|node| !node.outputs.iter().all(|&output| constant[output]));
    Ok(())
}

/// A model that gives `wanted`.
///
/// # Errors
/// What tract says.
pub fn runner(source: &Source, wanted: &[ValueId]) -> Result<Runner, String> {
    let model = model(source);
    let plan = guarded(|| {
        let ParseResult {
            mut model,
            outlets_by_name,
            ..
        } = tract_onnx::onnx().parse(&model, None)?;
        let outlet = |&value: &ValueId| {
            let found = outlets_by_name.get(&name(value)).copied();
            found.ok_or_else(|| TractError::msg(format!("nothing writes {}", name(value))))
        };
        let outlets: Vec<OutletId> = wanted.iter().map(outlet).collect::<TractResult<_>>()?;
        model.select_output_outlets(&outlets)?;
        model.into_optimized()?.into_runnable()
    })?;
    let inputs = source
        .inputs
        .iter()
        .map(|i| source.values[i.value].shape.clone());
    Ok(Runner {
        plan,
        inputs: inputs.collect(),
    })
}

impl Runner {
    /// The wanted values for one sample: all inputs, one behind another.
    ///
    /// # Errors
    /// What tract says.
    pub fn run(&self, sample: &[f32]) -> Result<Vec<Vec<f32>>, String> {
        guarded(|| {
            let mut rest = sample;
            let mut inputs = TVec::new();
            for shape in &self.inputs {
                let len = shape.iter().product();
                let (input, behind) = rest
                    .split_at_checked(len)
                    .ok_or_else(|| TractError::msg("the sample is too short"))?;
                rest = behind;
                inputs.push(Tensor::from_shape(shape, input)?.into());
            }
            let outputs = self.plan.run(inputs)?;
            let floats = |tensor: &TValue| -> TractResult<Vec<f32>> {
                let tensor = tensor.cast_to::<f32>()?;
                Ok(tensor
                    .to_plain_array_view::<f32>()?
                    .iter()
                    .copied()
                    .collect())
            };
            outputs.iter().map(floats).collect()
        })
    }
}

/// Every value has a name of its own, whatever the file called it.
fn name(value: ValueId) -> String {
    format!("v{value}")
}

/// The source as a model of real numbers, with constants and shapes that were checked. It names no
/// outputs: tract would forget what it knows of an input that is one.
fn model(source: &Source) -> ModelProto {
    let constants = source.values.iter().enumerate();
    let initializer = constants
        .filter_map(|(value, known)| Some(tensor(name(value), known.constant.as_ref()?)))
        .collect();
    let input = source.inputs.iter().map(|input| {
        let shape = &source.values[input.value].shape;
        let dim = shape.iter().map(|&size| Dimension {
            denotation: String::new(),
            value: Some(dimension::Value::DimValue(size as i64)),
        });
        let shape = TensorShapeProto { dim: dim.collect() };
        information(input.value, shape)
    });
    let node = source.nodes.iter().map(|node| {
        let operator = match node.operator.as_str() {
            REQUANTISE => "Identity",
            other => other,
        };
        let input = |input: &Option<ValueId>| input.map_or_else(String::new, name);
        NodeProto {
            input: node.inputs.iter().map(input).collect(),
            output: node.outputs.iter().map(|&output| name(output)).collect(),
            // What tract says of it should find it in the file.
            name: node.outputs.first().map_or_else(String::new, |&output| {
                let name = &source.values[output].name;
                format!("operator {} ({operator}) at `{name}`", node.source)
            }),
            op_type: operator.into(),
            attribute: node.attributes.clone(),
            ..NodeProto::default()
        }
    });
    let graph = GraphProto {
        name: "graph".into(),
        node: node.collect(),
        initializer,
        input: input.collect(),
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: source.version,
        }],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

fn information(value: ValueId, shape: TensorShapeProto) -> ValueInfoProto {
    ValueInfoProto {
        name: name(value),
        r#type: Some(TypeProto {
            denotation: String::new(),
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: DataType::Float.into(),
                shape: Some(shape),
            })),
        }),
        doc_string: String::new(),
    }
}

fn tensor(name: String, constant: &Constant) -> TensorProto {
    let (data_type, raw_data) = match &constant.data {
        Data::Integer(values) => {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes());
            (DataType::Int64, bytes.collect())
        }
        _ => {
            let values = constant.floats();
            let bytes = values.iter().flat_map(|v| v.to_le_bytes());
            (DataType::Float, bytes.collect())
        }
    };
    TensorProto {
        dims: constant.shape.iter().map(|&size| size as i64).collect(),
        data_type: data_type.into(),
        name,
        raw_data,
        ..TensorProto::default()
    }
}

/// A value that tract worked out.
fn constant(tensor: &Tensor) -> Option<Constant> {
    let shape = tensor.shape().to_vec();
    let data = if tensor.datum_type().is_float() {
        let tensor = tensor.cast_to::<f32>().ok()?;
        Data::Float(
            tensor
                .to_plain_array_view::<f32>()
                .ok()?
                .iter()
                .copied()
                .collect(),
        )
    } else {
        let tensor = tensor.cast_to::<i64>().ok()?;
        Data::Integer(
            tensor
                .to_plain_array_view::<i64>()
                .ok()?
                .iter()
                .copied()
                .collect(),
        )
    };
    Some(Constant { shape, data })
}
