//! Operator records and their constants.

use edge_runtime::format::{ALIGNMENT, NO_TENSOR, OperatorRecord, opcode, packing, rounding};
use zerocopy::{FromZeros, IntoBytes};

use super::{CompileError, narrow};
use crate::graph::{Activation, Graph, Operator, OperatorKind, RoundingMode, Tensor, Weights};
use crate::pack::{self, Constants, Multiplier};
use crate::{proofs, shape};

/// One record for each operator. The graph has passed its check, which covers every index and
/// every cast to 16 bits here.
pub(super) fn records(
    graph: &Graph,
    constants: &mut Constants,
) -> Result<Vec<OperatorRecord>, CompileError> {
    (0..graph.operators.len())
        .map(|index| record(graph, index, constants))
        .collect()
}

fn record(
    graph: &Graph,
    index: usize,
    constants: &mut Constants,
) -> Result<OperatorRecord, CompileError> {
    let operator = &graph.operators[index];
    let (input, output) = (
        &graph.tensors[operator.inputs[0]],
        &graph.tensors[operator.output],
    );
    let mut record = OperatorRecord {
        packing: packing::CANONICAL,
        clamp_min: i8::MIN,
        clamp_max: i8::MAX,
        inputs: [operator.inputs[0] as u16, NO_TENSOR],
        output: operator.output as u16,
        kernel: [1; 2],
        stride: [1; 2],
        dilation: [1; 2],
        ..OperatorRecord::new_zeroed()
    };
    let clamp = |record: &mut OperatorRecord, activation: &Activation| {
        let (low, high) = activation.range(output.scale, output.zero_point);
        (record.clamp_min, record.clamp_max) = (low, high);
    };
    match &operator.kind {
        OperatorKind::FullyConnected {
            weights,
            activation,
            rounding,
        } => {
            record.opcode = opcode::FULLY_CONNECTED;
            clamp(&mut record, activation);
            pack_layer(&mut record, graph, index, weights, *rounding, constants)?;
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
            record.opcode = opcode::CONV_2D;
            record.kernel = narrow_pair(*kernel);
            record.stride = narrow_pair(*stride);
            record.dilation = narrow_pair(*dilation);
            record.padding = before(*padding, input, *kernel, *stride, *dilation);
            clamp(&mut record, activation);
            pack_layer(&mut record, graph, index, weights, *rounding, constants)?;
        }
        OperatorKind::MaxPool2d {
            kernel,
            stride,
            padding,
        } => {
            record.opcode = opcode::MAX_POOL_2D;
            record.kernel = narrow_pair(*kernel);
            record.stride = narrow_pair(*stride);
            record.padding = before(*padding, input, *kernel, *stride, [1, 1]);
        }
        OperatorKind::Reshape => record.opcode = opcode::RESHAPE,
        OperatorKind::Softmax => {
            record.opcode = opcode::SOFTMAX;
            let refused = || CompileError::SoftmaxScale {
                operator: graph.describe(index),
                scale: input.scale,
            };
            record.parameters = pack::softmax_parameters(input.scale).ok_or_else(refused)?;
        }
        OperatorKind::Activation(activation) => {
            record.opcode = opcode::CLAMP;
            clamp(&mut record, activation);
        }
    }
    Ok(record)
}

fn narrow_pair(pair: [usize; 2]) -> [u16; 2] {
    pair.map(|n| n as u16)
}

/// Rows above and columns left of the input.
fn before(
    padding: crate::Padding,
    input: &Tensor,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
) -> [u16; 2] {
    // A window that gives no plane did not pass the graph's check.
    shape::output_plane(padding, input.shape, kernel, stride, dilation)
        .map_or([0; 2], |(_, before)| narrow_pair(before))
}

/// Multipliers, proofs, and the constants of a layer with weights.
fn pack_layer(
    record: &mut OperatorRecord,
    graph: &Graph,
    index: usize,
    weights: &Weights,
    mode: RoundingMode,
    constants: &mut Constants,
) -> Result<(), CompileError> {
    let operator = &graph.operators[index];
    let input = &graph.tensors[operator.inputs[0]];
    let multipliers = multipliers(graph, index, operator, weights, mode)?;
    proofs::accumulators(graph, index, weights, input.zero_point, &multipliers)?;

    record.rounding = match mode {
        RoundingMode::Double => rounding::DOUBLE,
        RoundingMode::Single => rounding::SINGLE,
        RoundingMode::High32 => rounding::HIGH_32,
    };
    // The proof bounds the folded biases too.
    let bias: Vec<i32> = pack::folded_bias(weights, input.zero_point)
        .iter()
        .map(|&b| b as i32)
        .collect();
    let values: Vec<i32> = multipliers.iter().map(|m| m.value).collect();
    let shifts: Vec<i8> = multipliers.iter().map(|m| m.shift).collect();
    let mut push = |bytes: &[u8], alignment| {
        narrow(
            "bytes of constants",
            constants.push(bytes, alignment) as u64,
        )
    };
    record.weights = push(weights.values.as_bytes(), ALIGNMENT)?;
    record.weights_len = narrow("bytes of weights", weights.values.len() as u64)?;
    record.bias = push(bias.as_bytes(), 4)?;
    record.multipliers = push(values.as_bytes(), 4)?;
    record.shifts = push(shifts.as_bytes(), 4)?;
    Ok(())
}

fn multipliers(
    graph: &Graph,
    index: usize,
    operator: &Operator,
    weights: &Weights,
    rounding: RoundingMode,
) -> Result<Vec<Multiplier>, CompileError> {
    let (input, output) = (
        &graph.tensors[operator.inputs[0]],
        &graph.tensors[operator.output],
    );
    let of_channel = |channel| {
        let real = pack::real_multiplier(&operator.kind, weights, channel, input, output);
        let operator = || graph.describe(index);
        pack::multiplier(real, rounding).ok_or_else(|| CompileError::Multiplier {
            operator: operator(),
            channel,
            real,
            rounding,
        })
    };
    (0..weights.bias.len()).map(of_channel).collect()
}
