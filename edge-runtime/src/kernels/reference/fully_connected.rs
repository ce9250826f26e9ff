//! FULLY_CONNECTED.

use crate::kernels::reference::runs;
use core::cell::Cell;

use super::requantise::Requantise;
use super::weights::Weights;

/// Settings of [`fully_connected`].
#[derive(Clone, Copy, Debug)]
pub struct FullyConnected<W> {
    /// Elements of one input row.
    pub inputs: usize,
    /// Elements of one output row.
    pub outputs: usize,
    /// Channel `o` is output `o`, tap `i` is input `i`.
    pub weights: W,
    /// From a sum to an output.
    pub requantise: Requantise,
}

/// `output[row][o] = requantise(bias[o] + weights[o] · input[row])`, on the raw quantised input.
pub fn fully_connected<W: Weights>(
    settings: &FullyConnected<W>,
    input: &[Cell<i8>],
    output: &[Cell<i8>],
) {
    let FullyConnected {
        inputs,
        outputs,
        weights,
        requantise,
    } = settings;
    if *inputs == 0 || *outputs == 0 {
        return;
    }
    let rows = runs(input, *inputs);
    for (x, row) in rows.zip(runs(output, *outputs)) {
        for (channel, y) in row.iter().enumerate() {
            let acc = weights.dot(channel, 0, x, weights.bias(channel));
            y.set(requantise.apply(acc, weights.multiplier(channel), weights.shift(channel)));
        }
    }
}
