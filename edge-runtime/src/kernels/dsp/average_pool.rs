//! AVERAGE_POOL_2D.

use core::cell::Cell;

use super::limit::limit;
use super::pool_walk::pools;
use crate::kernels::cases;
use crate::kernels::reference::Window;

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
        let count = pool.count() as i32;
        let mean = |sum: i32| {
            let half = if sum > 0 { count / 2 } else { -(count / 2) };
            (sum + half).checked_div(count).map(|mean| mean as i8)
        };
        for (quad, outputs) in pixel.chunks(4).enumerate() {
            let channel = quad * 4;
            let sums = pool.sums(input, channel);
            if sums.is_none() && CASES & cases::POOL_ANY == 0 {
                continue;
            }
            let sums = sums.unwrap_or_else(|| {
                let mut sums = [0; 4];
                for (next, sum) in sums.iter_mut().take(outputs.len()).enumerate() {
                    *sum = pool.inputs(input, channel + next).map(i32::from).sum();
                }
                sums
            });
            for (output, sum) in outputs.iter().zip(sums) {
                if let Some(mean) = mean(sum) {
                    output.set(mean);
                }
            }
        }
        if count > 0 {
            limit::<CASES>(min, max, pixel);
        }
    });
}
