//! Records of the recurrent operators: parameters and the constants in one piece, as `FORMAT.md` of
//! the runtime says.

use edge_runtime::format::{OperatorRecord, opcode};
use zerocopy::IntoBytes;

use crate::graph::{Lstm, Operator, Svdf, Tensor};
use crate::prepare::{self, lstm};

/// Fills in opcode, state and parameters and gives the constants; `None` for scales that the
/// arithmetic cannot express. `tensors` are all of the graph's.
pub(super) fn lstm(
    record: &mut OperatorRecord,
    operator: &Operator,
    constants: &Lstm,
    tensors: &[Tensor],
) -> Option<Vec<u8>> {
    let [input, hidden, cell] = operator.inputs[..] else {
        return None;
    };
    record.opcode = opcode::LSTM;
    record.state = cell as u16;
    let (input, hidden, cell) = (&tensors[input], &tensors[hidden], &tensors[cell]);
    let shown = lstm::hidden(constants.hidden_scale)?;
    record.parameters = [
        lstm::cell_power(cell.scale)?,
        lstm::cell_clip(constants.cell_clip, cell.scale).into(),
        shown.value,
        shown.shift.into(),
        constants.hidden_zero_point,
    ];
    let (columns, cells) = (input.shape[3], constants.cells());
    let (mut scales, mut biases, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for gate in constants.gates() {
        let of = lstm::GateScales {
            input_weights: gate.input_scale,
            recurrent_weights: gate.recurrent_scale,
        };
        for multiplier in lstm::gate(of, input.scale, hidden.scale)? {
            scales.extend([multiplier.value, multiplier.shift.into()]);
        }
        let from_input =
            lstm::folded_bias(&gate.input_weights, columns, &gate.bias, input.zero_point);
        let from_hidden = lstm::folded_bias(&gate.recurrent_weights, cells, &[], hidden.zero_point);
        biases.extend([from_input, from_hidden].concat());
        weights.extend_from_slice(&gate.input_weights);
        weights.extend_from_slice(&gate.recurrent_weights);
    }
    Some([scales.as_bytes(), biases.as_bytes(), weights.as_bytes()].concat())
}

/// As [`lstm`].
pub(super) fn svdf(
    record: &mut OperatorRecord,
    operator: &Operator,
    constants: &Svdf,
    tensors: &[Tensor],
) -> Option<Vec<u8>> {
    let [input, state] = operator.inputs[..] else {
        return None;
    };
    record.opcode = opcode::SVDF;
    let (input, state, output) = (&tensors[input], &tensors[state], &tensors[operator.output]);
    let Svdf {
        feature_scale,
        time_scale,
        ..
    } = *constants;
    let [to_state, to_output] = prepare::svdf::svdf(
        input.scale,
        feature_scale,
        state.scale,
        time_scale,
        output.scale,
    )?;
    record.parameters = [
        i32::try_from(constants.rank).ok()?,
        to_state.value,
        to_state.shift.into(),
        to_output.value,
        to_output.shift.into(),
    ];
    let columns = input.len();
    let features = lstm::folded_bias(&constants.feature_weights, columns, &[], input.zero_point);
    Some(
        [
            features.as_bytes(),
            constants.bias.as_bytes(),
            constants.time_weights.as_bytes(),
            constants.feature_weights.as_bytes(),
        ]
        .concat(),
    )
}
