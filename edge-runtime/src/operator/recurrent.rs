//! Operators with states: UNIDIRECTIONAL_SEQUENCE_LSTM and SVDF. Their constants lie in one piece, in
//! the order of the functions here; `FORMAT.md` says the same in words.

use zerocopy::FromBytes;

use super::{Call, Cost, Fault, Inputs, Sharing, product};
use crate::format::{TensorRecord, element, storage};
use crate::kernels::reference::state::State16;
use crate::kernels::reference::svdf::Svdf;
use crate::kernels::reference::unidirectional_sequence_lstm::{Gate, Lstm};

/// Gates of an LSTM: input, forget, cell, output.
const GATES: usize = 4;

/// Multiplier and shift from the input and from the hidden state.
const GATE_WORDS: usize = 4;

/// The constants of an operator, taken from the front.
struct Constants<'a>(Option<&'a [u8]>);

impl<'a> Constants<'a> {
    fn bytes(&mut self, len: Option<usize>) -> &'a [u8] {
        let parts = self.0.and_then(|bytes| bytes.split_at_checked(len?));
        self.0 = parts.map(|(_, rest)| rest);
        parts.map(|(taken, _)| taken).unwrap_or_default()
    }

    fn i8s(&mut self, len: Option<usize>) -> &'a [i8] {
        <[i8]>::ref_from_bytes(self.bytes(len)).unwrap_or_default()
    }

    fn i16s(&mut self, len: Option<usize>) -> &'a [i16] {
        let bytes = len.and_then(|len| len.checked_mul(2));
        <[i16]>::ref_from_bytes(self.bytes(bytes)).unwrap_or_default()
    }

    fn i32s(&mut self, len: Option<usize>) -> &'a [i32] {
        let bytes = len.and_then(|len| len.checked_mul(4));
        <[i32]>::ref_from_bytes(self.bytes(bytes)).unwrap_or_default()
    }

    /// Whether they are used up and none were missing.
    fn end(&self) -> bool {
        self.0.is_some_and(<[u8]>::is_empty)
    }
}

/// What both have in common: an input, a state, no window, and constants on a boundary of 16 bytes.
fn check_recurrent(call: &Call<'_>) -> Result<(), Fault> {
    call.check_record(Inputs::OneAndState, Sharing::Never)?;
    call.no_window()?;
    call.no_channels()?;
    call.no_clamp()?;
    call.check_weights(call.record.weights_len as usize)
}

fn check_scale(multiplier: i32, shift: i32) -> Result<(), Fault> {
    (multiplier >= 0 && (-31..=30).contains(&shift))
        .then_some(())
        .ok_or(Fault::Parameters)
}

/// A state of so many elements.
fn check_state(state: &TensorRecord, is_wide: bool, len: usize) -> Result<(), Fault> {
    if state.storage != storage::STATE || (state.element == element::I16) != is_wide {
        return Err(Fault::Tensors);
    }
    (state.elements() == len)
        .then_some(())
        .ok_or(Fault::Geometry)
}

pub(crate) fn check_lstm(call: &Call<'_>) -> Result<Cost, Fault> {
    check_recurrent(call)?;
    let (x, y) = (call.x(), call.y());
    let ([height, width, inputs], [out_height, out_width, cells]) = (x.hwc(), y.hwc());
    if [height, width] != [out_height, out_width] {
        return Err(Fault::Geometry);
    }
    check_state(call.second(), false, cells)?;
    let cell = call.tensor(call.record.state).ok_or(Fault::Tensors)?;
    if cell.element != element::I16 {
        return Err(Fault::Tensors);
    }
    check_state(cell, true, cells)?;
    let [power, clip, multiplier, shift, zero_point] = call.record.parameters;
    check_scale(multiplier, shift)?;
    if !(-15..=-9).contains(&power)
        || !(0..=i32::from(i16::MAX)).contains(&clip)
        || !(-128..=127).contains(&zero_point)
    {
        return Err(Fault::Parameters);
    }
    let (settings, fits) = parse_lstm(call);
    if !fits {
        return Err(Fault::Weights);
    }
    let gates = [
        settings.input_gate.as_ref(),
        Some(&settings.forget_gate),
        Some(&settings.cell_gate),
        Some(&settings.output_gate),
    ];
    for gate in gates.into_iter().flatten() {
        check_scale(gate.input_multiplier, gate.input_shift.into())?;
        check_scale(gate.recurrent_multiplier, gate.recurrent_shift.into())?;
    }
    let columns = inputs.saturating_add(cells);
    Ok(Cost::of_macs(product(&[
        height, width, GATES, cells, columns,
    ])?))
}

pub(crate) fn lstm<'a>(call: &Call<'a>) -> Lstm<'a> {
    parse_lstm(call).0
}

/// The settings, and whether the constants are as long as they must be.
fn parse_lstm<'a>(call: &Call<'a>) -> (Lstm<'a>, bool) {
    let [
        cell_power,
        cell_clip,
        hidden_multiplier,
        hidden_shift,
        hidden_zero_point,
    ] = call.record.parameters;
    let ([_, _, inputs], [_, _, cells]) = (call.x().hwc(), call.y().hwc());
    let mut constants = Constants(Some(call.weights()));
    let mut scales = constants.i32s(Some(GATES * GATE_WORDS)).iter().copied();
    let mut word = move || scales.next().unwrap_or(0);
    // What does not fit 8 bits is refused while the model is loaded.
    let mut scale = move || (word(), i8::try_from(word()).unwrap_or(i8::MAX));
    let mut gate = [(); GATES].map(|()| {
        let ((input_multiplier, input_shift), (recurrent_multiplier, recurrent_shift)) =
            (scale(), scale());
        Gate {
            input_weights: &[],
            input_bias: &[],
            recurrent_weights: &[],
            recurrent_bias: &[],
            input_multiplier,
            input_shift,
            recurrent_multiplier,
            recurrent_shift,
        }
    });
    for gate in &mut gate {
        gate.input_bias = constants.i32s(Some(cells));
        gate.recurrent_bias = constants.i32s(Some(cells));
    }
    for gate in &mut gate {
        gate.input_weights = constants.i8s(cells.checked_mul(inputs));
        gate.recurrent_weights = constants.i8s(cells.checked_mul(cells));
    }
    let [input_gate, forget_gate, cell_gate, output_gate] = gate;
    let settings = Lstm {
        inputs,
        cells,
        input_gate: Some(input_gate),
        forget_gate,
        cell_gate,
        output_gate,
        cell_power,
        cell_clip: i16::try_from(cell_clip).unwrap_or(0),
        hidden_multiplier,
        hidden_shift: hidden_shift.clamp(-31, 30) as i8,
        hidden_zero_point,
    };
    (settings, constants.end())
}

pub(crate) fn check_svdf(call: &Call<'_>) -> Result<Cost, Fault> {
    check_recurrent(call)?;
    call.no_state()?;
    let (x, y, state) = (call.x(), call.y(), call.second());
    let [height, filters, memory] = state.hwc();
    check_state(state, true, product(&[filters, memory])? as usize)?;
    let [rank, to_state, state_shift, to_output, output_shift] = call.record.parameters;
    check_scale(to_state, state_shift)?;
    check_scale(to_output, output_shift)?;
    let rank = usize::try_from(rank).map_err(|_| Fault::Parameters)?;
    if height != 1 || rank.checked_mul(y.elements()) != Some(filters) {
        return Err(Fault::Geometry);
    }
    if !parse_svdf(call).1 {
        return Err(Fault::Weights);
    }
    Ok(Cost::of_macs(product(&[
        filters,
        x.elements().saturating_add(memory),
    ])?))
}

pub(crate) fn svdf<'a>(call: &Call<'a>) -> Svdf<'a> {
    parse_svdf(call).0
}

/// As [`parse_lstm`].
fn parse_svdf<'a>(call: &Call<'a>) -> (Svdf<'a>, bool) {
    let [
        rank,
        state_multiplier,
        state_shift,
        output_multiplier,
        output_shift,
    ] = call.record.parameters;
    let [_, filters, memory] = call.second().hwc();
    let (inputs, units) = (call.x().elements(), call.y().elements());
    let mut constants = Constants(Some(call.weights()));
    let settings = Svdf {
        inputs,
        rank: usize::try_from(rank).unwrap_or(0),
        memory,
        feature_bias: constants.i32s(Some(filters)),
        bias: constants.i32s(Some(units)),
        time_weights: constants.i16s(filters.checked_mul(memory)),
        feature_weights: constants.i8s(filters.checked_mul(inputs)),
        state_multiplier,
        state_shift: state_shift.clamp(-31, 30) as i8,
        output_multiplier,
        output_shift: output_shift.clamp(-31, 30) as i8,
        zero_point: call.y().zero_point,
    };
    (settings, constants.end())
}

/// The 16-bit values of a state.
pub(crate) fn state<'a>(call: &Call<'a>, tensor: &TensorRecord) -> State16<'a> {
    let rest = call
        .arena
        .get(tensor.arena_offset as usize..)
        .unwrap_or_default();
    State16(
        rest.get(..tensor.elements().saturating_mul(2))
            .unwrap_or_default(),
    )
}
