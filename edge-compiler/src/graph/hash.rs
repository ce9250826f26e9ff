//! The canonical form of a graph and its hash.

use sha2::{Digest, Sha256};

use super::{Activation, Graph, Operator, OperatorKind, Padding, RoundingMode, Weights};

pub(super) fn hash(graph: &Graph) -> [u8; 32] {
    let mut hash = Canonical(Sha256::new());
    hash.bytes(b"dunlin graph 1\0");
    hash.number(graph.tensors.len());
    for tensor in &graph.tensors {
        tensor.shape.iter().for_each(|&d| hash.number(d));
        hash.bytes(&tensor.scale.to_le_bytes());
        hash.bytes(&tensor.zero_point.to_le_bytes());
    }
    hash.number(graph.operators.len());
    for operator in &graph.operators {
        hash.operator(operator);
    }
    hash.number(graph.input);
    hash.number(graph.output);
    hash.0.finalize().into()
}

/// Every list is preceded by its length and every number is a `u64`, so that two graphs never
/// give the same bytes.
struct Canonical(Sha256);

impl Canonical {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn number(&mut self, n: usize) {
        self.bytes(&(n as u64).to_le_bytes());
    }

    fn pair(&mut self, pair: &[usize; 2]) {
        pair.iter().for_each(|&n| self.number(n));
    }

    fn operator(&mut self, operator: &Operator) {
        self.number(operator.inputs.len());
        operator.inputs.iter().for_each(|&i| self.number(i));
        self.number(operator.output);
        match &operator.kind {
            OperatorKind::FullyConnected {
                weights,
                activation,
                rounding,
            } => {
                self.number(1);
                self.weights(weights);
                self.activation(*activation);
                self.rounding(*rounding);
            }
            OperatorKind::Conv2d {
                weights,
                kernel,
                stride,
                padding,
                dilation,
                activation,
                rounding,
            } => {
                self.number(2);
                self.weights(weights);
                self.pair(kernel);
                self.pair(stride);
                self.padding(*padding);
                self.pair(dilation);
                self.activation(*activation);
                self.rounding(*rounding);
            }
            OperatorKind::MaxPool2d {
                kernel,
                stride,
                padding,
            } => {
                self.number(3);
                self.pair(kernel);
                self.pair(stride);
                self.padding(*padding);
            }
            OperatorKind::Reshape => self.number(4),
            OperatorKind::Softmax => self.number(5),
            OperatorKind::Activation(activation) => {
                self.number(6);
                self.activation(*activation);
            }
        }
    }

    fn weights(&mut self, weights: &Weights) {
        self.number(weights.values.len());
        let values: Vec<u8> = weights.values.iter().map(|v| v.to_le_bytes()[0]).collect();
        self.bytes(&values);
        self.number(weights.scales.len());
        weights
            .scales
            .iter()
            .for_each(|s| self.bytes(&s.to_le_bytes()));
        self.number(weights.bias.len());
        weights
            .bias
            .iter()
            .for_each(|b| self.bytes(&b.to_le_bytes()));
    }

    fn activation(&mut self, activation: Activation) {
        self.number(match activation {
            Activation::None => 0,
            Activation::Relu => 1,
            Activation::Relu6 => 2,
            Activation::ReluN1To1 => 3,
        });
    }

    fn padding(&mut self, padding: Padding) {
        self.number(match padding {
            Padding::Same => 0,
            Padding::Valid => 1,
        });
    }

    fn rounding(&mut self, rounding: RoundingMode) {
        self.number(match rounding {
            RoundingMode::Double => 1,
            RoundingMode::Single => 2,
            RoundingMode::High32 => 3,
        });
    }
}
