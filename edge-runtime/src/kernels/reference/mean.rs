//! MEAN.

use core::cell::Cell;

use super::requantise::{Rounding, limit};

/// Settings of [`mean`].
///
/// The input is `[outer][reduce][inner]`, the output `[outer][inner]`. Axes that do not lie beside
/// each other need a transposition first.
#[derive(Clone, Copy, Debug)]
pub struct Mean {
    /// Elements before the axes that vanish.
    pub outer: usize,
    /// Elements of the axes that vanish.
    pub reduce: usize,
    /// Elements after them.
    pub inner: usize,
    /// Of a sum of `reduce` elements: see [`Rounding::Double`].
    pub multiplier: i32,
    /// Of a sum of `reduce` elements: see [`Rounding::Double`].
    pub shift: i8,
    /// Of input and output, each -128..=127.
    pub zero_points: [i32; 2],
}

/// `y = limit(scale(sum(x) - reduce * z_in) + z_out, -128, 127)`: LiteRT's int8 reference kernel, one
/// arithmetic for all axes.
pub fn mean(settings: &Mean, input: &[Cell<i8>], output: &[Cell<i8>]) {
    let Mean {
        outer,
        reduce,
        inner,
        ..
    } = *settings;
    let [z_in, z_out] = settings.zero_points;
    if inner == 0 {
        return; // not `outer` times nothing
    }
    let places = (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i)));
    for ((o, i), y) in places.zip(output) {
        let start = o.saturating_mul(reduce).saturating_mul(inner);
        let values = input.get(start.saturating_add(i)..).unwrap_or_default();
        // `step_by(0)` panics.
        let column = values.iter().step_by(inner.max(1)).take(reduce);
        let sum = column.fold(0_i32, |sum, x| {
            sum.wrapping_add(i32::from(x.get()).wrapping_sub(z_in))
        });
        let scaled = Rounding::Double.scale(sum, settings.multiplier, settings.shift);
        y.set(limit(scaled.saturating_add(z_out), i8::MIN, i8::MAX));
    }
}
