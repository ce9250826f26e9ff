//! MAX_POOL_2D.

use super::Window;

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
pub fn max_pool_2d(settings: &MaxPool2d, input: &[i8], output: &mut [i8]) {
    let window = &settings.window;
    let [_, width, channels] = window.output;
    let [kernel_height, kernel_width] = window.kernel;
    if channels == 0 || width == 0 {
        return;
    }
    for (index, pixel) in output.chunks_exact_mut(channels).enumerate() {
        let at = [index / width, index % width];
        pixel.fill(i8::MIN);
        for ky in 0..kernel_height {
            for kx in 0..kernel_width {
                let under = window.pixel(input, at, [ky, kx]).unwrap_or_default();
                for (y, x) in pixel.iter_mut().zip(under) {
                    *y = (*y).max(*x);
                }
            }
        }
        super::clamp::clamp(settings.min, settings.max, pixel);
    }
}
