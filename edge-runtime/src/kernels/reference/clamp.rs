//! CLAMP: a stand-alone ReLU, ReLU6 or ReLU_N1_TO_1 on quantised values.

use core::cell::Cell;

use super::requantise::limit;

/// Limits each value to `min..=max`; the shorter slice decides. `output` may be `input`.
pub fn clamp(min: i8, max: i8, input: &[Cell<i8>], output: &[Cell<i8>]) {
    for (x, y) in input.iter().zip(output) {
        y.set(limit(x.get().into(), min, max));
    }
}
