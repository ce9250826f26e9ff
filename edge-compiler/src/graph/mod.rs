//! The graph: quantised tensors and the operators between them, in the order of execution.
//!
//! All activations are int8 with one scale and zero point per tensor; weights are int8 and
//! symmetric (zero point 0), with one scale per output channel or one for all; biases are int32 in
//! units of `input scale * weight scale`. This is the TFLite quantisation specification.

mod check;
mod error;
mod hash;
mod operator;
mod parameters;
mod recurrent;
#[cfg(test)]
mod tests;

pub use error::GraphError;
pub use operator::{Convolution, Operator, OperatorKind};
pub use parameters::{
    Activation, COPY_RANK, Padding, RoundingMode, SlidingWindow, StridedCopy, Weights,
};
pub use recurrent::{Lstm, LstmGate, Svdf};

use serde::{Deserialize, Serialize};

/// Index of a tensor in [`Graph::tensors`].
pub type TensorId = usize;

/// A network. [`Graph::check`] says whether it is well formed; the
/// other methods and the passes expect that it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// Every activation, the input included.
    pub tensors: Vec<Tensor>,
    /// In the order of execution: an operator stands behind those whose outputs it reads.
    pub operators: Vec<Operator>,
    /// The tensor that the caller fills.
    pub input: TensorId,
    /// The tensor that the caller reads.
    pub output: TensorId,
    /// Tensors that the caller fills besides `input`.
    #[serde(default)]
    pub further_inputs: Vec<TensorId>,
    /// Tensors that the caller reads besides `output`.
    #[serde(default)]
    pub further_outputs: Vec<TensorId>,
}

/// An int8 tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// For people; not part of the image, nor of [`Graph::hash`].
    pub name: String,
    /// Batch (always 1), height, width, channels; each 1..=65535.
    pub shape: [usize; 4],
    /// `real = scale * (q - zero_point)`; finite and above zero.
    pub scale: f32,
    /// -128..=127.
    pub zero_point: i32,
    /// What it is for.
    #[serde(default)]
    pub role: Role,
}

/// What a tensor is for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Role {
    /// Written by an operator or the caller, read by operators or the caller.
    #[default]
    Activation,
    /// Its values, row-major; see [`OperatorKind::may_read_constants`].
    Constant(Vec<i8>),
    /// Kept between runs by the recurrent operator that names it; starts at the zero point.
    State {
        /// Whether its elements have 16 bits.
        wide: bool,
    },
}

impl Role {
    /// Whether it is [`Role::Activation`].
    pub fn is_activation(&self) -> bool {
        *self == Self::Activation
    }
}

impl Tensor {
    /// An activation.
    pub fn activation(
        name: impl Into<String>,
        shape: [usize; 4],
        scale: f32,
        zero_point: i32,
    ) -> Self {
        Self {
            name: name.into(),
            shape,
            scale,
            zero_point,
            role: Role::Activation,
        }
    }

    /// Bytes of one element.
    pub fn element_bytes(&self) -> usize {
        match self.role {
            Role::State { wide: true } => 2,
            _ => 1,
        }
    }

    /// Elements, which are also its bytes in the arena; saturating.
    pub fn len(&self) -> usize {
        self.shape
            .iter()
            .fold(1, |n: usize, &d| n.saturating_mul(d))
    }

    /// Whether a dimension is zero, which [`Graph::check`] refuses.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Graph {
    /// A graph of one input and one output.
    pub fn new(
        tensors: Vec<Tensor>,
        operators: Vec<Operator>,
        input: TensorId,
        output: TensorId,
    ) -> Self {
        Self {
            tensors,
            operators,
            input,
            output,
            further_inputs: Vec::new(),
            further_outputs: Vec::new(),
        }
    }

    /// Whether the graph is well formed: indices, order, shapes, quantisation, lengths.
    ///
    /// # Errors
    /// The first fault found, naming the operator or tensor.
    pub fn check(&self) -> Result<(), GraphError> {
        check::check(self)
    }

    /// Multiply-accumulate operations of one inference, padded ones included; saturating. Zero for
    /// operators whose tensors do not exist.
    pub fn macs(&self) -> u64 {
        self.operators
            .iter()
            .map(|operator| self.operator_macs(operator))
            .fold(0, u64::saturating_add)
    }

    /// The share of one operator.
    pub fn operator_macs(&self, operator: &Operator) -> u64 {
        let Some(output) = self.tensors.get(operator.output) else {
            return 0;
        };
        match &operator.kind {
            OperatorKind::FullyConnected { weights, .. } => weights.values.len() as u64,
            OperatorKind::Conv2d(Convolution { weights, .. })
            | OperatorKind::DepthwiseConv2d(Convolution { weights, .. }) => {
                let places = output.shape[1].saturating_mul(output.shape[2]);
                (weights.values.len() as u64).saturating_mul(places as u64)
            }
            OperatorKind::TransposeConv { weights, .. } => {
                let input = operator.inputs.first().and_then(|&i| self.tensors.get(i));
                let places = input.map_or(0, |t| t.shape[1].saturating_mul(t.shape[2]));
                (weights.values.len() as u64).saturating_mul(places as u64)
            }
            OperatorKind::Lstm(lstm) => {
                let steps = output.shape[1].saturating_mul(output.shape[2]);
                let weights = lstm
                    .gates()
                    .into_iter()
                    .map(|gate| (gate.input_weights.len() + gate.recurrent_weights.len()) as u64);
                weights
                    .fold(0, u64::saturating_add)
                    .saturating_mul(steps as u64)
            }
            OperatorKind::Svdf(svdf) => {
                (svdf.feature_weights.len() + svdf.time_weights.len()) as u64
            }
            _ => 0,
        }
    }

    /// Steps of one inference as the runtime counts them, which refuses more than 2^32 - 1:
    /// multiply-accumulate operations, comparisons of pools and elements of the rest; saturating.
    pub fn work(&self) -> u64 {
        self.operators
            .iter()
            .map(|o| self.operator_work(o))
            .fold(0, u64::saturating_add)
    }

    fn operator_work(&self, operator: &Operator) -> u64 {
        let elements = self
            .tensors
            .get(operator.output)
            .map_or(0, |t| t.len() as u64);
        match &operator.kind {
            OperatorKind::FullyConnected { .. }
            | OperatorKind::Conv2d(_)
            | OperatorKind::DepthwiseConv2d(_)
            | OperatorKind::TransposeConv { .. }
            | OperatorKind::Lstm(_)
            | OperatorKind::Svdf(_) => self.operator_macs(operator),
            OperatorKind::MaxPool2d { kernel, .. } | OperatorKind::AveragePool2d { kernel, .. } => {
                kernel
                    .iter()
                    .fold(elements, |work, &n| work.saturating_mul(n as u64))
            }
            OperatorKind::Softmax { .. } => elements.saturating_mul(2),
            OperatorKind::Mean { reduce, .. } => elements.saturating_mul(*reduce as u64),
            OperatorKind::Copy { copy, .. } => copy.elements() as u64,
            OperatorKind::ResizeBilinear { .. } => elements.saturating_mul(4),
            OperatorKind::Reshape
            | OperatorKind::Activation(_)
            | OperatorKind::Add { .. }
            | OperatorKind::Mul { .. }
            | OperatorKind::Prelu
            | OperatorKind::Lookup { .. }
            | OperatorKind::Fill { .. }
            | OperatorKind::ResizeNearest { .. } => elements,
        }
    }

    /// SHA-256 of the graph in its canonical form, the same for every target: all that decides its
    /// outputs, and no names.
    pub fn hash(&self) -> [u8; 32] {
        hash::hash(self)
    }

    /// All tensors that the caller fills.
    pub fn inputs(&self) -> impl Iterator<Item = TensorId> {
        std::iter::once(self.input).chain(self.further_inputs.iter().copied())
    }

    /// All tensors that the caller reads.
    pub fn outputs(&self) -> impl Iterator<Item = TensorId> {
        std::iter::once(self.output).chain(self.further_outputs.iter().copied())
    }

    /// "operator 3 (CONV_2D)", for messages.
    pub(crate) fn describe(&self, operator: usize) -> String {
        match self.operators.get(operator) {
            Some(found) => format!("operator {operator} ({})", found.kind.name()),
            None => format!("operator {operator}"),
        }
    }
}
