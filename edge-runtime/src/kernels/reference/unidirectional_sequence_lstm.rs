//! UNIDIRECTIONAL_SEQUENCE_LSTM with int8 activations and weights and a 16-bit cell state, without
//! peephole, projection or layer normalisation: LiteRT's "8x8_16" integer kernel.

use crate::kernels::reference::runs;
use core::cell::Cell;

use super::fixed_point_16::{self, logistic, tanh};
use super::requantise::{Rounding, limit, rounding_divide_by_power};
use super::state::State16;

/// One of the four gates. Weights are `[cell][input]` and `[cell][hidden]`.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// `[cell][input]`.
    pub input_weights: &'a [i8],
    /// One for each cell: the gate's bias, less the input's zero point times the sum of the weights.
    pub input_bias: &'a [i32],
    /// `[cell][cell]`, the last of the hidden state.
    pub recurrent_weights: &'a [i8],
    /// One for each cell: minus the hidden state's zero point times the sum of the weights.
    pub recurrent_bias: &'a [i32],
    /// Scales the sum over the input to Q3.12: see [`Rounding::Double`].
    pub input_multiplier: i32,
    /// As `input_multiplier`.
    pub input_shift: i8,
    /// Scales the sum over the hidden state to Q3.12.
    pub recurrent_multiplier: i32,
    /// As `recurrent_multiplier`.
    pub recurrent_shift: i8,
}

/// Settings of [`unidirectional_sequence_lstm`].
#[derive(Clone, Copy, Debug)]
pub struct Lstm<'a> {
    /// Elements of the input of one step.
    pub inputs: usize,
    /// Cells; as many outputs of one step, and as many elements of the hidden state.
    pub cells: usize,
    /// `None` where it is one minus the forget gate.
    pub input_gate: Option<Gate<'a>>,
    /// How much of the cell state stays.
    pub forget_gate: Gate<'a>,
    /// What is added to the cell state, by way of tanh.
    pub cell_gate: Gate<'a>,
    /// How much of the cell state shows.
    pub output_gate: Gate<'a>,
    /// The cell state's scale is this power of two, -15..=-9.
    pub cell_power: i32,
    /// Greatest magnitude of the cell state; 0 for no limit.
    pub cell_clip: i16,
    /// Scales output gate times tanh (Q0.30) to the output: see [`Rounding::Double`].
    pub hidden_multiplier: i32,
    /// As `hidden_multiplier`.
    pub hidden_shift: i8,
    /// Of the output and of the hidden state.
    pub hidden_zero_point: i32,
}

/// Runs all steps of a sequence.
///
/// `input` is `[step][input]`, `output` `[step][cell]`. `hidden` (int8, one for each cell) and `cell`
/// (16 bits, one for each cell) are the state before and after; where a sequence begins, `hidden` is
/// filled with its zero point and `cell` with zero.
pub fn unidirectional_sequence_lstm(
    settings: &Lstm<'_>,
    input: &[Cell<i8>],
    hidden: &[Cell<i8>],
    cell: State16<'_>,
    output: &[Cell<i8>],
) {
    let Lstm { inputs, cells, .. } = *settings;
    if inputs == 0 || cells == 0 || hidden.len() != cells {
        return;
    }
    let steps = runs(input, inputs);
    for (x, y) in steps.zip(runs(output, cells)) {
        for (index, y) in y.iter().enumerate() {
            y.set(settings.step(index, x, hidden, cell));
        }
        // Only now: every cell saw the hidden state of the step before.
        for (h, y) in hidden.iter().zip(y) {
            h.set(y.get());
        }
    }
}

impl Lstm<'_> {
    /// Updates the state of one cell and gives its output.
    fn step(&self, index: usize, x: &[Cell<i8>], hidden: &[Cell<i8>], cell: State16<'_>) -> i8 {
        let gate = |gate: &Gate<'_>| gate.sum(index, x, hidden);
        let forget = logistic(gate(&self.forget_gate));
        let update = tanh(gate(&self.cell_gate), 3);
        let open = match &self.input_gate {
            Some(input_gate) => logistic(gate(input_gate)),
            None => fixed_point_16::ONE.wrapping_sub(forget),
        };
        let show = logistic(gate(&self.output_gate));

        let kept = scaled_product(forget, cell.get(index), 15);
        let bits = 30_i32.saturating_add(self.cell_power).max(0).unsigned_abs();
        let added = scaled_product(open, update, bits);
        let mut state = kept.saturating_add(added);
        if self.cell_clip > 0 {
            state = state.min(self.cell_clip).max(self.cell_clip.wrapping_neg());
        }
        cell.set(index, state);

        let integer_bits = 15_i32.saturating_add(self.cell_power).max(0).unsigned_abs();
        let shown = i32::from(tanh(state, integer_bits)).wrapping_mul(show.into());
        let scaled = Rounding::Double.scale(shown, self.hidden_multiplier, self.hidden_shift);
        limit(
            scaled.saturating_add(self.hidden_zero_point),
            i8::MIN,
            i8::MAX,
        )
    }
}

impl Gate<'_> {
    /// The argument of the gate's function, Q3.12, saturated after either sum.
    fn sum(&self, index: usize, x: &[Cell<i8>], hidden: &[Cell<i8>]) -> i16 {
        let from_input = Rounding::Double.scale(
            row(self.input_weights, self.input_bias, index, x),
            self.input_multiplier,
            self.input_shift,
        );
        let from_hidden = Rounding::Double.scale(
            row(self.recurrent_weights, self.recurrent_bias, index, hidden),
            self.recurrent_multiplier,
            self.recurrent_shift,
        );
        let first = saturate(from_input);
        saturate(from_hidden.saturating_add(first.into()))
    }
}

/// `bias[index] + weights[index] · x`. Wraps.
fn row(weights: &[i8], bias: &[i32], index: usize, x: &[Cell<i8>]) -> i32 {
    let start = index.saturating_mul(x.len());
    let weights = weights.get(start..).unwrap_or_default();
    let bias = bias.get(index).copied().unwrap_or(0);
    x.iter().zip(weights).fold(bias, |acc, (x, w)| {
        acc.wrapping_add(i32::from(x.get()) * i32::from(*w))
    })
}

/// `a * b / 2^bits`, halves away from zero; the low 16 bits.
fn scaled_product(a: i16, b: i16, bits: u32) -> i16 {
    rounding_divide_by_power(i32::from(a).wrapping_mul(b.into()), bits) as i16
}

fn saturate(x: i32) -> i16 {
    x.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}
