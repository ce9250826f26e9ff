//! The model's inputs and outputs.

use edge_compiler::import::lower::Unsupported;

use super::builder::{Builder, Stored, channels_last, ordered, plain};
use crate::Ends;
use crate::error::NO_SAMPLES;
use crate::source::{Element, Source, ValueId};

/// An input or output of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// Its name in the file.
    pub name: String,
    /// Its shape in the file.
    pub shape: Vec<usize>,
    /// Dimension `i` of the graph's tensor is dimension `order[i]` of the file's.
    pub order: Vec<usize>,
    /// `real = scale * (q - zero_point)`.
    pub scale: f32,
    /// See `scale`.
    pub zero_point: i32,
}

impl Builder<'_> {
    /// A tensor for each input.
    pub fn inputs(&mut self, ends: Ends) -> Vec<Unsupported> {
        let mut unsupported = Vec::new();
        for input in &self.source.inputs {
            let (value, name) = (input.value, self.name(input.value));
            let shape = self.shape(value).to_vec();
            let Some(quantisation) = self.source.values[value].quantisation else {
                unsupported.push(Unsupported {
                    operator: None,
                    name: "input".into(),
                    location: name.into(),
                    reason: format!(
                        "it has no scale: no QuantizeLinear follows it, and {NO_SAMPLES}"
                    ),
                });
                continue;
            };
            let order = match ends {
                Ends::ChannelsLast if meets_images(self.source, value) => {
                    channels_last(shape.len())
                }
                _ => plain(shape.len()),
            };
            let tensor = self.tensor(name, &ordered(&shape, &order), quantisation);
            self.input_tensors.push(tensor);
            self.note("input", name, &shape, &order, input.element);
            if input.element == Element::Float {
                self.notes.push(format!(
                    "input `{name}` is int8 instead of float32: round(x / {}) + {}, limited to \
                     -128..=127",
                    quantisation.scale, quantisation.zero_point
                ));
            }
            self.input_ends.push(End {
                name: name.into(),
                shape: shape.clone(),
                order: order.clone(),
                scale: quantisation.scale,
                zero_point: quantisation.zero_point,
            });
            self.stored[value] = Some(Stored {
                tensor,
                shape,
                order,
                quantisation,
            });
        }
        unsupported
    }

    fn note(&mut self, end: &str, name: &str, shape: &[usize], order: &[usize], element: Element) {
        if order != plain(shape.len()) {
            let turned = ordered(shape, order);
            self.notes.push(format!(
                "{end} `{name}` has its channels last: {turned:?} instead of {shape:?}"
            ));
        }
        if element == Element::Uint8 {
            let shift = if end == "input" { "subtract" } else { "add" };
            self.notes.push(format!(
                "{end} `{name}` is int8 instead of uint8: {shift} 128"
            ));
        }
    }

    /// Names the tensors that the caller reads.
    pub fn outputs(&mut self, ends: Ends, unsupported: &mut Vec<Unsupported>) -> Vec<End> {
        // What is emitted here belongs to no node.
        self.current = usize::MAX;
        let mut found = Vec::new();
        for output in &self.source.outputs {
            let value = output.value;
            let stored = match self.activation(value) {
                Ok(stored) => stored,
                Err(reason) => {
                    // The input that it stems from was blamed already.
                    if unsupported.is_empty() {
                        unsupported.push(Unsupported {
                            operator: None,
                            name: "output".into(),
                            location: output.name.clone(),
                            reason,
                        });
                    }
                    continue;
                }
            };
            let shape = self.shape(value);
            let kept = ends == Ends::ChannelsLast && stored.order == channels_last(shape.len());
            let order = if kept && stored.shape == shape {
                stored.order.clone()
            } else {
                plain(shape.len())
            };
            let tensor = self.in_order(&stored, shape, &order);
            self.output_tensors.push(tensor);
            self.note("output", &output.name, shape, &order, output.element);
            let from = stored.quantisation;
            if output.element == Element::Float {
                self.notes.push(format!(
                    "output `{}` is int8 instead of float32: (q - {}) * {}",
                    output.name, from.zero_point, from.scale
                ));
            }
            found.push(End {
                name: output.name.clone(),
                shape: shape.to_vec(),
                order,
                scale: from.scale,
                zero_point: from.zero_point,
            });
        }
        found
    }
}

/// Whether the first operators that care for the order of a value's dimensions want channels last.
fn meets_images(source: &Source, value: ValueId) -> bool {
    let mut open = vec![value];
    let mut seen = vec![false; source.values.len()];
    while let Some(value) = open.pop() {
        if std::mem::replace(&mut seen[value], true) {
            continue;
        }
        for reader in source.readers(value) {
            let node = &source.nodes[reader];
            match node.operator.as_str() {
                "Conv" | "ConvTranspose" | "MaxPool" | "AveragePool" | "GlobalMaxPool"
                | "GlobalAveragePool" | "Resize" | "BatchNormalization" => return true,
                "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Gemm"
                | "MatMul" | "Gather" | "Softmax" | "ReduceMean" => {}
                _ => open.extend(&node.outputs),
            }
        }
    }
    false
}
