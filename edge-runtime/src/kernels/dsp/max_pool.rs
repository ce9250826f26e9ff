//! MAX_POOL_2D.

use core::cell::Cell;

use super::limit::limit;
use super::pool_walk::pools;
use crate::kernels::cases;
use crate::kernels::reference::Window;

/// The greatest value of each channel under the pool, limited to `min..=max`; padding does not
/// count, and -128 is the greatest of none. Four channels at a time.
///
/// Input and output, `[height][width][channel]`, may overlap as `Layer` says. All outputs stay as
/// they were where lengths do not fit the window.
pub fn max_pool_i8_1x4(window: &Window, min: i8, max: i8, input: &[Cell<i8>], output: &[Cell<i8>]) {
    run::<{ cases::ALL }>(window, [min, max], input, output);
}

/// [`max_pool_i8_1x4`] in these cases; outputs that belong to others stay as they are.
pub(super) fn run<const CASES: u64>(
    window: &Window,
    [min, max]: [i8; 2],
    input: &[Cell<i8>],
    output: &[Cell<i8>],
) {
    pools(window, input, output, |pool, pixel| {
        for (quad, outputs) in pixel.chunks(4).enumerate() {
            let channel = quad * 4;
            let greatest = pool.greatest(input, channel);
            if greatest.is_none() && CASES & cases::POOL_ANY == 0 {
                continue;
            }
            let greatest = greatest.unwrap_or_else(|| {
                let mut greatest = [i8::MIN; 4];
                for (next, greatest) in greatest.iter_mut().take(outputs.len()).enumerate() {
                    *greatest = pool.inputs(input, channel + next).max().unwrap_or(i8::MIN);
                }
                greatest
            });
            for (output, greatest) in outputs.iter().zip(greatest) {
                output.set(greatest);
            }
        }
        limit::<CASES>(min, max, pixel);
    });
}
