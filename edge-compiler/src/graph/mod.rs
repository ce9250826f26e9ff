//! The graph: quantised tensors and the operators between them, in the order of execution.
//!
//! All activations are int8 with one scale and zero point per tensor; weights are int8 and
//! symmetric (zero point 0), with one scale per output channel or one for all; biases are int32 in
//! units of `input scale * weight scale`. This is the TFLite quantisation specification.

mod check;
mod error;
mod hash;
#[cfg(test)]
mod tests;

pub use error::GraphError;

use serde::{Deserialize, Serialize};

/// Index of a tensor in [`Graph::tensors`].
pub type TensorId = usize;

/// A network with one input and one output. [`Graph::check`] says whether it is well formed; the
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
}

/// An int8 activation.
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
}

impl Tensor {
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

/// One operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operator {
    /// What it does, with its constants.
    pub kind: OperatorKind,
    /// The tensors it reads; every operator so far reads exactly one.
    pub inputs: Vec<TensorId>,
    /// The tensor it writes; nothing else writes it.
    pub output: TensorId,
}

/// What an operator does. Shapes are given for `input -> output`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OperatorKind {
    /// `y = W x + b` on the flattened input: any shape of `n` elements -> `[1,1,1,o]`.
    FullyConnected {
        /// `[o][n]`.
        weights: Weights,
        /// Fused into the requantisation.
        activation: Activation,
        /// How the int32 sum becomes int8.
        rounding: RoundingMode,
    },
    /// 2-D convolution: `[1,h,w,c] -> [1,h',w',o]`, see [`crate::shape::output_len`].
    Conv2d {
        /// OHWI: `[o][kernel h][kernel w][c]`.
        weights: Weights,
        /// Height, width; each at least 1.
        kernel: [usize; 2],
        /// Vertical, horizontal; each at least 1.
        stride: [usize; 2],
        /// Outside the input lies its zero point.
        padding: Padding,
        /// Vertical, horizontal; each at least 1.
        dilation: [usize; 2],
        /// Fused into the requantisation.
        activation: Activation,
        /// How the int32 sum becomes int8.
        rounding: RoundingMode,
    },
    /// Greatest value of each pool: `[1,h,w,c] -> [1,h',w',c]`, same quantisation on both sides.
    /// Padded places do not take part.
    MaxPool2d {
        /// Height, width of the pool; each at least 1.
        kernel: [usize; 2],
        /// Vertical, horizontal; each at least 1.
        stride: [usize; 2],
        /// Which pools may reach over the border.
        padding: Padding,
    },
    /// The same bytes in another shape of as many elements; same quantisation on both sides.
    Reshape,
    /// Over the channels at each place, in TFLite's fixed-point arithmetic; shape unchanged. The
    /// output's scale is 1/256 and its zero point -128.
    Softmax,
    /// A stand-alone clamp; shape and quantisation unchanged. [`crate::passes::fuse_activations`]
    /// merges it into the operator before it where it can.
    Activation(Activation),
}

impl OperatorKind {
    /// Name in messages and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::FullyConnected { .. } => "FULLY_CONNECTED",
            Self::Conv2d { .. } => "CONV_2D",
            Self::MaxPool2d { .. } => "MAX_POOL_2D",
            Self::Reshape => "RESHAPE",
            Self::Softmax => "SOFTMAX",
            Self::Activation(_) => "CLAMP",
        }
    }

    /// The constants, where the operator has any.
    pub fn weights(&self) -> Option<&Weights> {
        match self {
            Self::FullyConnected { weights, .. } | Self::Conv2d { weights, .. } => Some(weights),
            _ => None,
        }
    }
}

/// Constants of an operator with `o` output channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Symmetric int8; the order is given where they are used, output channels outermost.
    pub values: Vec<i8>,
    /// One for each output channel, or a single one for all; finite and above zero.
    pub scales: Vec<f32>,
    /// One for each output channel, in units of `input scale * weight scale`.
    pub bias: Vec<i32>,
}

impl Weights {
    /// Scale of one output channel; 0 where there is none.
    pub fn scale(&self, channel: usize) -> f32 {
        match self.scales.as_slice() {
            [one] => *one,
            many => many.get(channel).copied().unwrap_or(0.0),
        }
    }
}

/// A clamp in real values, applied to the quantised output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// Nothing but the range of int8.
    None,
    /// At least 0.
    Relu,
    /// 0..=6.
    Relu6,
    /// -1..=1.
    ReluN1To1,
}

impl Activation {
    /// Lowest and highest quantised output, as TFLite computes them: `zero_point + round(x/scale)`,
    /// the quotient in f32, half away from zero, within -128..=127.
    pub fn range(self, scale: f32, zero_point: i32) -> (i8, i8) {
        // `as i32` saturates, so that a tiny scale gives the bound of int8, not nonsense.
        let quantise = |x: f32| {
            zero_point
                .saturating_add((x / scale).round() as i32)
                .clamp(-128, 127) as i8
        };
        match self {
            Self::None => (i8::MIN, i8::MAX),
            Self::Relu => (quantise(0.0), i8::MAX),
            Self::Relu6 => (quantise(0.0), quantise(6.0)),
            Self::ReluN1To1 => (quantise(-1.0), quantise(1.0)),
        }
    }
}

/// How positions outside the input are treated, exactly as in TFLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Padding {
    /// `ceil(input / stride)` outputs; the odd padded row or column lies below or to the right.
    Same,
    /// Only whole kernels.
    Valid,
}

/// How an int32 accumulator becomes int8: see `edge_runtime::format::rounding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoundingMode {
    /// Two roundings, as TFLite's convolution and TensorFlow Lite Micro throughout.
    Double,
    /// One rounding, as LiteRT's reference for fully connected layers.
    Single,
    /// One rounding of a 32-bit high product: the cheapest; for models trained here.
    High32,
}

impl Graph {
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
            OperatorKind::Conv2d { weights, .. } => {
                let places = output.shape[1].saturating_mul(output.shape[2]);
                (weights.values.len() as u64).saturating_mul(places as u64)
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
            OperatorKind::FullyConnected { .. } | OperatorKind::Conv2d { .. } => {
                self.operator_macs(operator)
            }
            OperatorKind::MaxPool2d { kernel, .. } => kernel
                .iter()
                .fold(elements, |work, &n| work.saturating_mul(n as u64)),
            OperatorKind::Softmax => elements.saturating_mul(2),
            OperatorKind::Reshape | OperatorKind::Activation(_) => elements,
        }
    }

    /// SHA-256 of the graph in its canonical form, the same for every target: all that decides its
    /// outputs, and no names.
    pub fn hash(&self) -> [u8; 32] {
        hash::hash(self)
    }

    /// "operator 3 (CONV_2D)", for messages.
    pub(crate) fn describe(&self, operator: usize) -> String {
        match self.operators.get(operator) {
            Some(found) => format!("operator {operator} ({})", found.kind.name()),
            None => format!("operator {operator}"),
        }
    }
}
