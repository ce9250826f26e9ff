//! Constants of the recurrent operators.

use serde::{Deserialize, Serialize};

/// See [`super::OperatorKind::Lstm`]: int8 weights, 16-bit cell state, no peephole, projection or
/// layer normalisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lstm {
    /// How much of the new value goes into the cell state.
    pub input_gate: LstmGate,
    /// How much of the cell state stays.
    pub forget_gate: LstmGate,
    /// The new value.
    pub cell_gate: LstmGate,
    /// How much of the cell state shows.
    pub output_gate: LstmGate,
    /// Scale of the product of output gate and cell state before it becomes the output.
    pub hidden_scale: f32,
    /// Zero point of that.
    pub hidden_zero_point: i32,
    /// The cell state stays within this real number and its negative; 0 for no limit.
    pub cell_clip: f32,
}

impl Lstm {
    /// Input, forget, cell and output gate.
    pub fn gates(&self) -> [&LstmGate; 4] {
        [
            &self.input_gate,
            &self.forget_gate,
            &self.cell_gate,
            &self.output_gate,
        ]
    }

    /// Cells, as many as outputs of one step.
    pub fn cells(&self) -> usize {
        self.input_gate.bias.len()
    }
}

/// One gate of an LSTM: `W x + R h + b`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LstmGate {
    /// `[cell][input]`.
    pub input_weights: Vec<i8>,
    /// Of all of them.
    pub input_scale: f32,
    /// `[cell][cell]`, the last index that of the hidden state.
    pub recurrent_weights: Vec<i8>,
    /// Of all of them.
    pub recurrent_scale: f32,
    /// One for each cell, in units of `input scale * input weights' scale`.
    pub bias: Vec<i32>,
}

/// See [`super::OperatorKind::Svdf`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Svdf {
    /// Filters that add up to one unit.
    pub rank: usize,
    /// `[filter][input]`.
    pub feature_weights: Vec<i8>,
    /// Of all of them.
    pub feature_scale: f32,
    /// `[filter][memory]`, the oldest step first.
    pub time_weights: Vec<i16>,
    /// Of all of them.
    pub time_scale: f32,
    /// One for each unit, in units of `state scale * time weights' scale`.
    pub bias: Vec<i32>,
}

impl Svdf {
    /// Filters of all units.
    pub fn filters(&self) -> usize {
        self.rank.saturating_mul(self.bias.len())
    }
}
