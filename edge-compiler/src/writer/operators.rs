//! Operator records and their constants.

use edge_runtime::format::{ALIGNMENT, NO_TENSOR, OperatorRecord, opcode, packing, rounding};
use zerocopy::{FromZeros, IntoBytes};

use super::{narrow, recurrent};
use crate::aligned::LINE;
use crate::error::CompileError;
use crate::graph::{Graph, Operator, OperatorKind, StridedCopy, Tensor};
use crate::layer::LayerSource;
use crate::pack::Constants;
use crate::plan::MemoryPlan;
use crate::prepare;
use crate::scales;
use crate::select::{self, Choice};
use edge_runtime::kernels::reference::broadcast::Broadcast;
use edge_runtime::kernels::reference::requantise::Rounding;

/// Where the records go and what they may refer to.
pub(super) struct Writer<'a> {
    pub graph: &'a Graph,
    pub plan: &'a MemoryPlan,
    pub layers: &'a [Option<LayerSource<'a>>],
    pub kernels: &'a [Choice],
    pub constants: &'a mut Constants,
}

/// One record for each operator. The graph has passed its check, which covers every index and
/// every cast to 16 bits here.
pub(super) fn records(writer: &mut Writer<'_>) -> Result<Vec<OperatorRecord>, CompileError> {
    (0..writer.graph.operators.len())
        .map(|index| writer.record(index))
        .collect()
}

impl Writer<'_> {
    fn record(&mut self, index: usize) -> Result<OperatorRecord, CompileError> {
        let graph = self.graph;
        let operator = &graph.operators[index];
        let output = &graph.tensors[operator.output];
        let input = operator
            .inputs
            .first()
            .map_or(output, |&i| &graph.tensors[i]);
        let mut inputs = [NO_TENSOR; 2];
        for (slot, &tensor) in inputs.iter_mut().zip(&operator.inputs) {
            *slot = tensor as u16;
        }
        let (scratch, scratch_len) = self.plan.scratch[index];
        let mut record = OperatorRecord {
            packing: self.kernels[index].packing,
            clamp_min: i8::MIN,
            clamp_max: i8::MAX,
            inputs,
            output: operator.output as u16,
            kernel: [1; 2],
            stride: [1; 2],
            dilation: [1; 2],
            scratch: narrow("bytes of arena", scratch as u64)?,
            scratch_len: narrow("bytes of scratch", scratch_len as u64)?,
            ..OperatorRecord::new_zeroed()
        };
        if let Some(activation) = operator.kind.activation() {
            (record.clamp_min, record.clamp_max) =
                activation.range(output.scale, output.zero_point);
        }
        if let Some(window) = operator.kind.window() {
            record.kernel = narrow_pair(window.kernel);
            record.stride = narrow_pair(window.stride);
            record.dilation = narrow_pair(window.dilation);
            record.padding = window.before(input);
        }
        let refused = || CompileError::Scales {
            operator: graph.describe(index),
        };
        match &operator.kind {
            OperatorKind::FullyConnected { .. } => {
                record.opcode = match self.kernels[index].as_convolution {
                    true => opcode::CONV_2D,
                    false => opcode::FULLY_CONNECTED,
                };
                self.layer(&mut record, index)?;
            }
            OperatorKind::Conv2d(_) => {
                record.opcode = opcode::CONV_2D;
                self.layer(&mut record, index)?;
            }
            OperatorKind::DepthwiseConv2d(_) => {
                record.opcode = opcode::DEPTHWISE_CONV_2D;
                self.layer(&mut record, index)?;
            }
            OperatorKind::TransposeConv { padding, .. } => {
                record.opcode = opcode::TRANSPOSE_CONV;
                record.padding = narrow_pair(*padding);
                self.layer(&mut record, index)?;
            }
            OperatorKind::MaxPool2d { .. } => record.opcode = opcode::MAX_POOL_2D,
            OperatorKind::AveragePool2d { .. } => record.opcode = opcode::AVERAGE_POOL_2D,
            OperatorKind::Reshape => record.opcode = opcode::RESHAPE,
            OperatorKind::Softmax { beta } => {
                record.opcode = opcode::SOFTMAX;
                let refused = || CompileError::SoftmaxScale {
                    operator: graph.describe(index),
                    scale: input.scale,
                };
                record.parameters =
                    scales::softmax_parameters(input.scale, *beta).ok_or_else(refused)?;
            }
            OperatorKind::Activation(_) => record.opcode = opcode::CLAMP,
            OperatorKind::Add { .. } => {
                record.opcode = opcode::ADD;
                record.parameters = match self.kernels[index].fitted {
                    Some(fitted) => [fitted.a, fitted.b, fitted.c, fitted.shift as i32, 0],
                    None => {
                        let add = select::add(graph, operator).ok_or_else(refused)?;
                        let [a, b, c] = add.shifts.map(|shift| shift.to_le_bytes()[0]);
                        let [first, second, sum] = add.multipliers;
                        let shifts = i32::from_le_bytes([a, b, c, add.left_shift as u8]);
                        [first, second, sum, shifts, i32::from(add.subtract)]
                    }
                };
            }
            OperatorKind::Mul { .. } => {
                record.opcode = opcode::MUL;
                let pair = [quantisation(input), self.second(operator)];
                let none = Broadcast::none(0);
                let mul = prepare::mul::mul(none, pair, quantisation(output), -128, 127);
                let mul = mul.ok_or_else(refused)?;
                record.parameters = [mul.multiplier, mul.shift.into(), 0, 0, 0];
            }
            OperatorKind::Prelu => {
                record.opcode = opcode::PRELU;
                let (x, alpha) = (quantisation(input), self.second(operator));
                let none = Broadcast::none(0);
                let prelu = prepare::prelu::prelu(none, x, alpha, quantisation(output));
                let prelu = prelu.ok_or_else(refused)?;
                let ([m, n], [s, t]) = (prelu.multipliers, prelu.shifts);
                record.parameters = [m, n, s.into(), t.into(), 0];
            }
            OperatorKind::Lookup { table, .. } => {
                record.opcode = opcode::LOOKUP;
                self.weights(&mut record, table.as_bytes())?;
            }
            OperatorKind::Copy { copy, .. } => {
                record.opcode = opcode::COPY;
                let words = copy_words(copy).ok_or(CompileError::TooLarge {
                    what: "elements from one to the next of a copy",
                    found: u64::from(u32::MAX),
                })?;
                self.weights(&mut record, words.as_bytes())?;
            }
            OperatorKind::Fill { value } => {
                record.opcode = opcode::FILL;
                (record.clamp_min, record.clamp_max) = (*value, *value);
            }
            OperatorKind::Mean {
                outer,
                reduce,
                inner,
            } => {
                record.opcode = opcode::MEAN;
                let (x, y) = (quantisation(input), quantisation(output));
                let mean = prepare::mean::mean(x, y, *reduce);
                let mean = mean.ok_or_else(refused)?;
                // Tensors have fewer than 2^31 elements.
                let [outer, reduce, inner] = [outer, reduce, inner].map(|&n| n as i32);
                record.parameters = [outer, reduce, inner, mean.value, mean.shift.into()];
            }
            OperatorKind::ResizeNearest { rows, columns } => {
                record.opcode = opcode::RESIZE_NEAREST;
                let tables = [rows.as_slice(), columns].concat();
                self.weights(&mut record, tables.as_bytes())?;
            }
            OperatorKind::ResizeBilinear {
                align_corners,
                half_pixel_centers,
            } => {
                record.opcode = opcode::RESIZE_BILINEAR;
                let alignment = prepare::resize::Alignment {
                    align_corners: *align_corners,
                    half_pixel_centers: *half_pixel_centers,
                };
                let axis = |i: usize| {
                    let (from, to) = (input.shape[i], output.shape[i]);
                    prepare::resize::bilinear(from, to, alignment).ok_or_else(refused)
                };
                let (rows, columns) = (axis(1)?, axis(2)?);
                record.parameters = [rows.scale, rows.offset, columns.scale, columns.offset, 0];
            }
            OperatorKind::Lstm(lstm) => {
                let packed = recurrent::lstm(&mut record, operator, lstm, &graph.tensors);
                self.weights(&mut record, &packed.ok_or_else(refused)?)?;
            }
            OperatorKind::Svdf(svdf) => {
                let packed = recurrent::svdf(&mut record, operator, svdf, &graph.tensors);
                self.weights(&mut record, &packed.ok_or_else(refused)?)?;
            }
        }
        Ok(record)
    }

    fn second(&self, operator: &Operator) -> prepare::Quantisation {
        // An operator of two inputs, or it did not pass the graph's check.
        quantisation(&self.graph.tensors[operator.inputs[1]])
    }

    fn push(&mut self, bytes: &[u8], alignment: usize) -> Result<u32, CompileError> {
        let start = self.constants.push(bytes, alignment) as u64;
        narrow("bytes of constants", start)
    }

    fn weights(&mut self, record: &mut OperatorRecord, bytes: &[u8]) -> Result<(), CompileError> {
        record.weights = self.push(bytes, weights_alignment(record.packing))?;
        record.weights_len = narrow("bytes of weights", bytes.len() as u64)?;
        Ok(())
    }

    /// The constants of a layer with weights, in the packing that was chosen for it.
    fn layer(&mut self, record: &mut OperatorRecord, index: usize) -> Result<(), CompileError> {
        // Every operator with weights has a layer.
        let Some(layer) = &self.layers[index] else {
            return Ok(());
        };
        record.rounding = match layer.rounding {
            Rounding::Double => rounding::DOUBLE,
            Rounding::Single => rounding::SINGLE,
            Rounding::High32 => rounding::HIGH_32,
        };
        let choice = &self.kernels[index];
        self.weights(record, &choice.packed)?;
        if choice.channels_apart {
            record.bias = self.push(layer.bias.as_bytes(), 4)?;
            record.multipliers = self.push(layer.multipliers.as_bytes(), 4)?;
            record.shifts = self.push(layer.shifts.as_bytes(), 4)?;
        }
        Ok(())
    }
}

fn quantisation(tensor: &Tensor) -> prepare::Quantisation {
    prepare::Quantisation {
        scale: tensor.scale,
        zero_point: tensor.zero_point,
    }
}

/// Sizes, strides of the input, strides of the output, both starts.
fn copy_words(copy: &StridedCopy) -> Option<Vec<i32>> {
    let mut words = Vec::with_capacity(20);
    for &size in &copy.sizes {
        words.push(i32::try_from(size).ok()?);
    }
    for &stride in copy.input_strides.iter().chain(&copy.output_strides) {
        words.push(i32::try_from(stride).ok()?);
    }
    for start in [copy.input_start, copy.output_start] {
        words.push(i32::try_from(start).ok()?);
    }
    Some(words)
}

fn narrow_pair(pair: [usize; 2]) -> [u16; 2] {
    pair.map(|n| n as u16)
}

/// Where weights of a packing start: those of the vector kernels on a line of the cache, if the image
/// does.
pub(super) const fn weights_alignment(code: u8) -> usize {
    if code >= packing::DOT_16X4 {
        LINE
    } else {
        ALIGNMENT
    }
}
