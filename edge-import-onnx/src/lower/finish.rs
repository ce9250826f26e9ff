//! From a grown TFLite model to a graph.

use edge_compiler::graph::{GraphError, OperatorKind};
use edge_compiler::import::lower::{ImportError, Imported};
use edge_compiler::import::tflite::{Builtin, Model, Operator, Tensor};

use super::builder::{Builder, Patch};
use crate::error::OnnxError;
use crate::source::Node;

impl<'s> Builder<'s> {
    /// The whole model.
    pub fn model(&self) -> Model<'_> {
        let tensors = self.tensors.iter().map(|raw| Tensor {
            name: raw.name.clone(),
            shape: raw.shape.clone(),
            shape_signature: Vec::new(),
            element: raw.element,
            scales: raw.scales.clone(),
            zero_points: raw.zero_points.clone(),
            quantized_dimension: raw.dimension,
            data: raw.data.as_deref(),
            is_variable: false,
        });
        let operators = self
            .operators
            .iter()
            .enumerate()
            .map(|(index, made)| Operator {
                index,
                builtin: Builtin::CUSTOM,
                custom_name: Some(
                    self.source
                        .nodes
                        .get(made.node)
                        .map_or_else(|| "Transpose".into(), |node| node.operator.clone()),
                ),
                version: 1,
                inputs: made.inputs.clone(),
                outputs: vec![made.output],
                intermediates: Vec::new(),
                options: made.options.clone(),
            });
        Model {
            description: String::new(),
            tensors: tensors.collect(),
            operators: operators.collect(),
            inputs: self.input_tensors.clone(),
            outputs: self.output_tensors.clone(),
        }
    }

    /// The node that an operator of the TFLite model stems from.
    pub fn node_of(&self, operator: usize) -> Option<&'s Node> {
        self.source.nodes.get(self.operators.get(operator)?.node)
    }

    /// Puts in what TFLite has no operators for, and the file's indices.
    pub fn finish(&self, imported: &mut Imported) -> Result<(), OnnxError> {
        for operator in &mut imported.graph.operators {
            let Some(made) = operator.source else {
                continue;
            };
            let node = self.node_of(made);
            operator.source = node.map(|node| node.source);
            match (&mut operator.kind, self.patches.get(&made)) {
                // Relabelling is an identity; every other table here stands for a patch.
                (OperatorKind::Lookup { table, function }, Some(Patch::Table(patch)))
                    if function != "IDENTITY" =>
                {
                    *table = patch.to_vec();
                }
                (
                    OperatorKind::ResizeNearest { rows, columns },
                    Some(Patch::Nearest {
                        rows: own_rows,
                        columns: own_columns,
                    }),
                ) => {
                    rows.clone_from(own_rows);
                    columns.clone_from(own_columns);
                }
                (OperatorKind::TransposeConv { padding, .. }, Some(Patch::Cut(cut))) => {
                    *padding = *cut;
                }
                _ => {}
            }
        }
        let checked: Result<(), GraphError> = imported.graph.check();
        checked.map_err(|error| OnnxError::Graph(ImportError::Graph(error)))
    }
}
