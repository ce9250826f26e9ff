//! From [`Source`] to a graph, by way of the operators of TFLite, whose lowering knows the rest.

mod builder;
mod convolutions;
mod elementwise;
mod ends;
mod finish;
pub mod functions;
mod layers;
mod moving;
mod pools;
mod resize;
mod slices;
mod weights;

pub use ends::End;

use edge_compiler::import::lower::{self as tflite, ImportError, Imported, Unsupported};
use edge_compiler::prepare::Quantisation;

use self::builder::{Builder, Lowered};
use crate::error::OnnxError;
use crate::source::{COMPOSED, Node, REQUANTISE, Source};
use crate::{OnnxModel, OnnxOptions};

/// Operators that give their output the scale of their input, if it has none of its own.
const PASSING: [&str; 13] = [
    "AveragePool",
    "Flatten",
    "Gather",
    "GlobalMaxPool",
    "MaxPool",
    "Pad",
    "Reshape",
    "Resize",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Further operators that read activations.
const OTHERS: [&str; 16] = [
    "Add",
    "BatchNormalization",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Div",
    "Gemm",
    "GlobalAveragePool",
    "MatMul",
    "Max",
    "Min",
    "Mul",
    "PRelu",
    "ReduceMean",
    "Softmax",
    "Sub",
];

/// Operators that the reader resolves, and those that work out shapes: they vanish before.
const FOLDED: [&str; 6] = ["Cast", "Constant", "Dropout", "Identity", "Shape", "Size"];

/// Whether there is an operator of the standard here.
pub fn is_supported(operator: &str) -> bool {
    passes_through(operator)
        || OTHERS.contains(&operator)
        || FOLDED.contains(&operator)
        || operator == "Pow"
        || functions::NAMES.contains(&operator)
}

/// Whether an operator's output has its input's scale unless the model says otherwise.
pub fn passes_through(operator: &str) -> bool {
    PASSING.contains(&operator)
}

/// The scale of an operator's output where its range is known beforehand: those of TFLite.
pub fn own_quantisation(operator: &str) -> Option<Quantisation> {
    let quantisation = |scale, zero_point| Some(Quantisation { scale, zero_point });
    match operator {
        "Softmax" | "Sigmoid" | "HardSigmoid" => quantisation(1.0 / 256.0, -128),
        "Tanh" | "Softsign" => quantisation(1.0 / 128.0, 0),
        _ => None,
    }
}

/// Lowers a model whose shapes are known.
///
/// # Errors
/// [`OnnxError::Unsupported`] with everything that is unsupported, [`OnnxError::Graph`] for a model
/// that contradicts itself.
pub fn lower(source: &Source, options: &OnnxOptions) -> Result<OnnxModel, OnnxError> {
    let mut builder = Builder::new(source);
    let mut unsupported = builder.inputs(options.ends);
    for (index, node) in source.nodes.iter().enumerate() {
        builder.current = index;
        if let Err(reason) = builder.node(node) {
            unsupported.push(builder.unsupported(node, reason));
            builder.pretend(node);
        }
    }
    let outputs = builder.outputs(options.ends, &mut unsupported);
    if !unsupported.is_empty() {
        return Err(OnnxError::Unsupported(unsupported));
    }
    let lowered = tflite::lower(&builder.model(), &options.import);
    let mut imported = lowered.map_err(|error| builder.translate(error))?;
    builder.finish(&mut imported)?;
    let Imported { graph, .. } = imported;
    Ok(OnnxModel {
        imported: Imported {
            graph,
            operators: source.operators.clone(),
            notes: builder.notes,
        },
        inputs: builder.input_ends,
        outputs,
    })
}

impl Builder<'_> {
    fn node(&mut self, node: &Node) -> Lowered {
        match node.operator.as_str() {
            "Conv" => self.conv(node),
            "ConvTranspose" => self.conv_transpose(node),
            "Gemm" => self.gemm(node),
            "MatMul" => self.mat_mul(node),
            "BatchNormalization" => self.batch_normalization(node),
            "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Pow" => self.binary(node),
            "PRelu" => self.prelu(node),
            "MaxPool" | "AveragePool" => self.pool(node),
            "GlobalMaxPool" => self.global_max_pool(node),
            "GlobalAveragePool" | "ReduceMean" => self.mean(node),
            "Softmax" => self.softmax(node),
            "Resize" => self.resize(node),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => self.reshape(node),
            "Transpose" => self.transpose(node),
            "Concat" => self.concat(node),
            "Pad" => self.pad(node),
            "Slice" => self.slice(node),
            "Split" => self.split(node),
            "Gather" => self.gather(node),
            REQUANTISE | COMPOSED => self.function(node),
            other if functions::NAMES.contains(&other) => self.function(node),
            _ => Err("it reads what is only known at run time: it must be constant".into()),
        }
    }

    /// A node of the file, named.
    fn unsupported(&self, node: &Node, reason: String) -> Unsupported {
        let location = node
            .outputs
            .first()
            .map(|&output| &self.source.values[output].name);
        Unsupported {
            operator: Some(node.source),
            name: match self.source.operators.get(node.source) {
                Some(operator) => operator.name.clone(),
                None => node.operator.clone(),
            },
            location: location.cloned().unwrap_or_default(),
            reason,
        }
    }

    /// Errors of the second half, in terms of the file.
    fn translate(&self, error: ImportError) -> OnnxError {
        match error {
            ImportError::Unsupported(all) => {
                let named = all.into_iter().map(|one| {
                    let node = one.operator.and_then(|index| self.node_of(index));
                    match node {
                        Some(node) => self.unsupported(node, one.reason),
                        None => one,
                    }
                });
                OnnxError::Unsupported(named.collect())
            }
            other => OnnxError::Graph(other),
        }
    }
}
