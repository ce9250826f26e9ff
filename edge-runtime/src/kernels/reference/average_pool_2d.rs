//! AVERAGE_POOL_2D.

use core::cell::Cell;

use super::Window;
use super::requantise::limit;

/// Settings of [`average_pool_2d`].
#[derive(Clone, Copy, Debug)]
pub struct AveragePool2d {
    /// Shapes, pool, stride, padding; dilation 1.
    pub window: Window,
    /// Lowest output after the fused activation.
    pub min: i8,
    /// Highest output after the fused activation.
    pub max: i8,
}

/// The mean of each channel under the pool, halves away from zero, limited to `min..=max`; padding
/// does not count. Input and output have the same scale and zero point.
///
/// `input` is `[height][width][channel]`, `output` likewise. An output without any input under it,
/// which TFLite refuses, stays as it was.
pub fn average_pool_2d(settings: &AveragePool2d, input: &[Cell<i8>], output: &[Cell<i8>]) {
    let window = &settings.window;
    for (at, pixel) in window.outputs(output) {
        for (channel, y) in pixel.iter().enumerate() {
            let mut sum = 0_i32;
            let mut count = 0_i32;
            for tap in window.taps() {
                let under = window.pixel(input, at, tap);
                if let Some(x) = under.and_then(|x| x.get(channel)) {
                    sum = sum.wrapping_add(x.get().into());
                    count = count.wrapping_add(1);
                }
            }
            if let Some(mean) = rounded_mean(sum, count) {
                y.set(limit(mean, settings.min, settings.max));
            }
        }
    }
}

/// `sum / count`, halves away from zero; `None` for no elements.
pub(crate) fn rounded_mean(sum: i32, count: i32) -> Option<i32> {
    let half = count / 2;
    let nudged = sum.wrapping_add(if sum > 0 { half } else { half.wrapping_neg() });
    nudged.checked_div(count)
}
