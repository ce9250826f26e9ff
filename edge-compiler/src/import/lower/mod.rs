//! From a model as a `.tflite` file says it to a [`Graph`].
//!
//! Every operator of the model becomes one or more of the graph's that give the same bytes. Tensors
//! of any rank get a shape of `[1, height, width, channels]` with their elements in the same order;
//! where two operators want different shapes of one tensor, a RESHAPE lies between, which takes no
//! time and no memory. Everything that has no counterpart is collected, not only the first of it.

mod builder;
mod dilation;
mod elementwise;
mod ends;
mod error;
mod integers;
mod layers;
mod layout;
mod mean;
mod pools;
mod recurrent;
mod slices;
mod source;

#[cfg(test)]
mod tests;

pub use error::{ImportError, Unsupported};

use builder::{Lowered, Lowering};

use crate::graph::Graph;
use crate::import::tflite::{self, Model, Options};
use crate::prepare::tables;

/// Which interpreter's results to reproduce where the two differ: in FULLY_CONNECTED.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReferenceRounding {
    /// LiteRT's reference kernels: the accumulator is scaled in f64 and rounded once.
    #[default]
    Litert,
    /// TensorFlow Lite Micro: fixed point, rounded twice.
    Tflm,
}

/// What the caller decides about an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Whose results count.
    pub rounding: ReferenceRounding,
}

/// A model as a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The graph; it passes [`Graph::check`]. [`crate::graph::Operator::source`] is an index into
    /// `operators`.
    pub graph: Graph,
    /// The model's own operators.
    pub operators: Vec<SourceOperator>,
    /// What changed at the model's ends, such as inputs that are int8 now.
    pub notes: Vec<String>,
}

/// An operator of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceOperator {
    /// TFLite's name, such as `CONV_2D`.
    pub name: String,
    /// Names of the tensors that it writes.
    pub outputs: Vec<String>,
}

/// Reads and lowers a `.tflite` file.
///
/// # Errors
/// [`ImportError`].
pub fn import(file: &[u8], options: &ImportOptions) -> Result<Imported, ImportError> {
    lower(&tflite::read(file)?, options)
}

/// Lowers a model.
///
/// # Errors
/// [`ImportError::Unsupported`] with everything that is unsupported, or [`ImportError::Graph`] for a
/// model whose shapes contradict each other.
pub fn lower(model: &Model<'_>, options: &ImportOptions) -> Result<Imported, ImportError> {
    let mut lowering = Lowering::new(model, options.rounding);
    let mut unsupported = lowering.inputs();
    for operator in &model.operators {
        lowering.current = operator.index;
        if lowering.absorbed.contains(&operator.index) {
            continue;
        }
        if let Err(reason) = lowering.operator(operator) {
            let location = operator.outputs.first();
            unsupported.push(Unsupported {
                operator: Some(operator.index),
                name: operator.name(),
                location: location.map_or_else(String::new, |&t| model.tensors[t].name.clone()),
                reason,
            });
            // What follows is judged as if this operator had done its work.
            for &output in &operator.outputs {
                if lowering.values[output].is_none() {
                    let _ = lowering.output(output);
                }
            }
        }
    }
    let outputs = lowering.outputs(&mut unsupported);
    if !unsupported.is_empty() {
        return Err(ImportError::Unsupported(unsupported));
    }
    let source = |operator: &tflite::Operator| SourceOperator {
        name: operator.name(),
        outputs: operator
            .outputs
            .iter()
            .map(|&t| model.tensors[t].name.clone())
            .collect(),
    };
    let inputs: Vec<usize> = model
        .inputs
        .iter()
        .filter_map(|&input| lowering.values[input])
        .collect();
    let (Some((&input, further_inputs)), Some((&output, further_outputs))) =
        (inputs.split_first(), outputs.split_first())
    else {
        return Err(ImportError::Graph(crate::graph::GraphError::Empty));
    };
    let graph = Graph {
        tensors: lowering.tensors,
        operators: lowering.operators,
        input,
        output,
        further_inputs: further_inputs.to_vec(),
        further_outputs: further_outputs.to_vec(),
    };
    graph.check()?;
    Ok(Imported {
        graph,
        operators: model.operators.iter().map(source).collect(),
        notes: lowering.notes,
    })
}

impl Lowering<'_, '_> {
    fn operator(&mut self, operator: &tflite::Operator) -> Lowered {
        if let Some(folded) = self.fold_integers(operator) {
            return folded;
        }
        match &operator.options {
            Options::Add(options) => self.add(operator, options.activation, false),
            Options::Sub(options) => self.add(operator, options.activation, true),
            Options::Mul { activation } => self.mul(operator, *activation),
            Options::Prelu => self.prelu(operator),
            Options::Conv2d(options) => self.conv_2d(operator, options),
            Options::DepthwiseConv2d(options) => self.depthwise_conv_2d(operator, options),
            Options::TransposeConv(options) => self.transpose_conv(operator, options),
            Options::FullyConnected(options) => self.fully_connected(operator, options),
            Options::AveragePool2d(options) => self.pool(operator, options, true),
            Options::MaxPool2d(options) => self.pool(operator, options, false),
            Options::Softmax { beta } => self.softmax(operator, *beta),
            Options::Mean { .. } => self.mean(operator),
            Options::ResizeBilinear(options) => self.resize_bilinear(operator, options),
            Options::ResizeNearestNeighbor(options) => self.resize_nearest(operator, options),
            Options::Relu => self.relu(operator, crate::graph::Activation::Relu),
            Options::Relu6 => self.relu(operator, crate::graph::Activation::Relu6),
            Options::ReluN1To1 => self.relu(operator, crate::graph::Activation::ReluN1To1),
            Options::Logistic => self.table(operator, |x, y| Some(tables::logistic(x, y))),
            Options::Tanh => self.table(operator, |x, y| Some(tables::tanh(x, y))),
            Options::HardSwish => self.table(operator, tables::hard_swish),
            Options::LeakyRelu { alpha } => {
                self.table(operator, |x, y| tables::leaky_relu(x, y, *alpha))
            }
            Options::Quantize => self.quantize(operator),
            Options::Dequantize => self.dequantize(operator),
            Options::Reshape { .. } | Options::Squeeze { .. } => self.reshape(operator),
            Options::ExpandDims => self.reshape(operator),
            Options::Transpose => self.transpose(operator),
            Options::Concatenation { axis, activation } => {
                self.concatenation(operator, *axis, *activation)
            }
            Options::Pack { axis, .. } => self.pack(operator, *axis),
            Options::Unpack { axis, .. } => self.unpack(operator, *axis),
            Options::Split { .. } => self.split(operator),
            Options::SplitV { .. } => self.split_v(operator),
            Options::Slice => self.slice(operator),
            Options::StridedSlice(options) => self.strided_slice(operator, options),
            Options::Pad => self.pad(operator, false),
            Options::PadV2 => self.pad(operator, true),
            Options::SpaceToBatchNd => self.dilated(operator),
            Options::BatchToSpaceNd => {
                Err("it does not close a convolution that SPACE_TO_BATCH_ND opened".into())
            }
            Options::Svdf(options) => self.svdf(operator, options),
            Options::UnidirectionalSequenceLstm(options) => self.lstm(operator, options),
            Options::Unsupported { .. } => Err("there is no such operator here".into()),
        }
    }
}
