//! Multiply-accumulate operations of an operator as its record says it, padding included.

use edge_runtime::format::{OperatorRecord, opcode};
use edge_runtime::{Model, TensorInfo};

/// Of one inference; 0 for operators that do not multiply and accumulate. The sum over a model is
/// what its header says.
pub fn of(model: &Model<'_>, record: &OperatorRecord) -> u64 {
    let tensor = |index: u16| model.tensors().nth(index.into()).unwrap_or_default();
    let [first, second] = record.inputs;
    let (x, y) = (tensor(first), tensor(record.output));
    let [rows, columns] = record.kernel.map(u64::from);
    let window = rows * columns;
    match record.opcode {
        opcode::FULLY_CONNECTED => elements(&x) * elements(&y),
        opcode::CONV_2D => elements(&y) * window * channels(&x),
        opcode::DEPTHWISE_CONV_2D => elements(&y) * window,
        opcode::TRANSPOSE_CONV => elements(&x) * window * channels(&y),
        // Four gates, each over the input and over the hidden state, at every pixel.
        opcode::LSTM => elements(&y) * 4 * (channels(&x) + channels(&y)),
        opcode::SVDF => {
            let state = tensor(second);
            let filters = u64::from(state.shape[2]);
            filters * (elements(&x) + channels(&state))
        }
        _ => 0,
    }
}

fn elements(tensor: &TensorInfo) -> u64 {
    tensor.len as u64
}

fn channels(tensor: &TensorInfo) -> u64 {
    tensor.shape[3].into()
}
