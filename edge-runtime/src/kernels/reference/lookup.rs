//! Any function of one int8 value, by a table: LOGISTIC, TANH, HARD_SWISH, LEAKY_RELU, RELU with a
//! change of scale, QUANTIZE from int8 to int8.

use core::cell::Cell;

/// `y = table[x + 128]`; the shorter slice decides. `output` may be `input`.
pub fn lookup(table: &[i8; 256], input: &[Cell<i8>], output: &[Cell<i8>]) {
    for (x, y) in input.iter().zip(output) {
        // Flips the sign bit: -128..=127 becomes 0..=255.
        let index = usize::from(x.get().cast_unsigned() ^ 0x80);
        if let Some(value) = table.get(index) {
            y.set(*value);
        }
    }
}
