//! AVERAGE_POOL_2D.

use core::cell::Cell;

use super::limit::limit;
use super::pool_walk::pools;
use crate::kernels::cases;
use crate::kernels::reference::Window;
use crate::kernels::reference::average_pool_2d::rounded_mean;

/// The mean of each channel under the pool, halves away from zero, limited to `min..=max`; padding
/// does not count. Four channels at a time.
///
/// Input and output, `[height][width][channel]`, may overlap as `Layer` says. An output without any
/// input under it stays as it was, all do where lengths do not fit the window.
pub fn average_pool_i8_1x4(
    window: &Window,
    min: i8,
    max: i8,
    input: &[Cell<i8>],
    output: &[Cell<i8>],
) {
    run::<{ cases::ALL }>(window, [min, max], input, output);
}

/// [`average_pool_i8_1x4`] in these cases; outputs that belong to others stay as they are.
pub(super) fn run<const CASES: u64>(
    window: &Window,
    [min, max]: [i8; 2],
    input: &[Cell<i8>],
    output: &[Cell<i8>],
) {
    pools(window, input, output, |pool, pixel| {
        pool.set_means(input, pixel);
        if CASES & cases::POOL_ANY != 0 && pool.count() > 0 {
            let count = pool.count() as i32;
            let whole = pixel.len() / 4 * 4;
            for (channel, output) in pixel.iter().enumerate().skip(whole) {
                let sum = pool.inputs(input, channel).map(i32::from).sum();
                output.set(rounded_mean(sum, count).unwrap_or(0) as i8);
            }
        }
        if pool.count() > 0 {
            limit::<CASES>(min, max, pixel);
        }
    });
}
