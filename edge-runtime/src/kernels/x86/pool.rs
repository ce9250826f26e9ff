//! AVERAGE_POOL_2D and MAX_POOL_2D: the common loops, compiled for what the machine has.

use core::cell::Cell;

use super::detect::{Level, level};
use crate::kernels::generic::{Pool, pool as all, pool_fits};
use crate::kernels::reference::Window;

/// The mean of each channel under the pool, halves rounded away from zero, limited to `min..=max`;
/// padding does not count. Dilation 1; at most 65,536 elements in a pool.
///
/// `input` is `[height][width][channel]`, `output` likewise, with as many channels. With slices
/// that are too short for the window the output stays as it was.
pub fn average_pool_2d(
    window: &Window,
    [min, max]: [i8; 2],
    input: &[Cell<i8>],
    output: &[Cell<i8>],
) {
    dispatch(Pool::Average, window, [min, max], input, output);
}

/// The greatest value of each channel under the pool, limited to `min..=max`; else as
/// [`average_pool_2d`], without a limit of elements.
pub fn max_pool_2d(window: &Window, [min, max]: [i8; 2], input: &[Cell<i8>], output: &[Cell<i8>]) {
    dispatch(Pool::Max, window, [min, max], input, output);
}

fn dispatch(pool: Pool, window: &Window, limits: [i8; 2], input: &[Cell<i8>], output: &[Cell<i8>]) {
    if !pool_fits(window, input, output) {
        return;
    }
    let settings = (pool, window, limits);
    match level() {
        Level::Avx512Vnni if pool == Pool::Average => {
            super::super::avx512::average_pool_2d(window, limits, input, output);
        }
        // SAFETY: the machine has the instructions.
        Level::Avx512Vnni => unsafe { avx512(settings, input, output) },
        // SAFETY: as above.
        Level::Avx2 => unsafe { avx2(settings, input, output) },
        Level::None => all(settings, input, output),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn avx512(settings: (Pool, &Window, [i8; 2]), input: &[Cell<i8>], output: &[Cell<i8>]) {
    all(settings, input, output);
}

#[target_feature(enable = "avx2,fma")]
fn avx2(settings: (Pool, &Window, [i8; 2]), input: &[Cell<i8>], output: &[Cell<i8>]) {
    all(settings, input, output);
}
