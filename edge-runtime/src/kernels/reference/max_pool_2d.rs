//! MAX_POOL_2D.

use core::cell::Cell;

use super::Window;
use super::requantise::limit;

/// Settings of [`max_pool_2d`].
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2d {
    /// Shapes, pool, stride, padding; dilation 1.
    pub window: Window,
    /// Lowest output after the fused activation.
    pub min: i8,
    /// Highest output after the fused activation.
    pub max: i8,
}

/// The greatest value of each channel under the pool, limited to `min..=max`; padding does not
/// count. `input` is `[height][width][channel]`, `output` likewise.
pub fn max_pool_2d(settings: &MaxPool2d, input: &[Cell<i8>], output: &[Cell<i8>]) {
    let window = &settings.window;
    for (at, pixel) in window.outputs(output) {
        for (channel, y) in pixel.iter().enumerate() {
            let under = window.taps().filter_map(|tap| {
                let x = window.pixel(input, at, tap)?.get(channel)?;
                Some(x.get())
            });
            let greatest = under.max().unwrap_or(i8::MIN);
            y.set(limit(greatest.into(), settings.min, settings.max));
        }
    }
}
