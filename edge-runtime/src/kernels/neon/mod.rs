//! Kernels of 64-bit ARM: NEON, which all have, and where the machine has them dot products of
//! bytes (`sdot`) or products of byte matrices (`smmla`).
//!
//! [`conv_2d`], [`fully_connected`], [`depthwise_conv_2d`] and the others run the fastest kernel
//! that the machine has; all give the same bytes. They read the packings
//! [`dot_16x4`](super::packing::dot_16x4) and [`depthwise_16x4`](super::packing::depthwise_16x4).
//!
//! `unsafe` is here for the instructions and for pointers into checked slices.
#![allow(unsafe_code)] // vector loads and stores, instructions without a stable intrinsic

mod add;
pub mod detect;
mod lanes;
mod matrix;

pub use add::add_fitted;

use super::generic;
use super::layer::Layer;
use super::reference::Window;
use core::cell::Cell;
use detect::{Level, level};
use generic::{Pool, pool, pool_fits};
use lanes::{Dots, Products};
use matrix::Matrices;

generic::table!();

/// CONV_2D on packing [`dot_16x4`](super::packing::dot_16x4), any window, any rounding: tiles of up
/// to 6 pixels by 16 channels.
///
/// Exact for `0 <= multiplier`, as the format has it. With slices that are too short for the
/// window the output stays as it was.
pub fn conv_2d(layer: &Layer<'_>) {
    // SAFETY: the machine has the instructions.
    unsafe {
        match level() {
            Level::Matrix => generic::run::<Matrices>(layer),
            Level::Dot => generic::run::<Dots>(layer),
            Level::Neon => generic::run::<Products>(layer),
        }
    }
}

/// FULLY_CONNECTED, as a 1x1 window on `[1, 1, inputs] -> [1, 1, outputs]`: as [`conv_2d`].
pub fn fully_connected(layer: &Layer<'_>) {
    conv_2d(layer);
}

/// DEPTHWISE_CONV_2D with as many output as input channels, on packing
/// [`depthwise_16x4`](super::packing::depthwise_16x4), any window, any rounding. Else as
/// [`conv_2d`].
pub fn depthwise_conv_2d(layer: &Layer<'_>) {
    // SAFETY: the machine has the instructions.
    unsafe {
        match level() {
            Level::Matrix | Level::Dot => generic::run_depthwise::<Dots>(layer),
            Level::Neon => generic::run_depthwise::<Products>(layer),
        }
    }
}

/// The mean of each channel under the pool, halves rounded away from zero, limited to `min..=max`;
/// padding does not count. Dilation 1; at most 65,536 elements in a pool.
///
/// `input` is `[height][width][channel]`, `output` likewise, with as many channels. With slices
/// that are too short for the window the output stays as it was.
pub fn average_pool_2d(window: &Window, limits: [i8; 2], input: &[Cell<i8>], output: &[Cell<i8>]) {
    if pool_fits(window, input, output) {
        pool((Pool::Average, window, limits), input, output);
    }
}

/// The greatest value of each channel under the pool, limited to `min..=max`; else as
/// [`average_pool_2d`], without a limit of elements.
pub fn max_pool_2d(window: &Window, limits: [i8; 2], input: &[Cell<i8>], output: &[Cell<i8>]) {
    if pool_fits(window, input, output) {
        pool((Pool::Max, window, limits), input, output);
    }
}

/// The kernels for convolutions, or depthwise ones, of each level that the machine has.
#[cfg(test)]
pub(super) fn implementations(depthwise: bool) -> std::vec::Vec<fn(&Layer<'_>)> {
    let all: [(Level, [fn(&Layer<'_>); 2]); 3] = [
        (
            Level::Neon,
            // SAFETY: it is the baseline.
            [
                |layer| unsafe { generic::run::<Products>(layer) },
                |layer| unsafe { generic::run_depthwise::<Products>(layer) },
            ],
        ),
        (
            Level::Dot,
            // SAFETY: only taken where the machine has it.
            [
                |layer| unsafe { generic::run::<Dots>(layer) },
                |layer| unsafe { generic::run_depthwise::<Dots>(layer) },
            ],
        ),
        (
            Level::Matrix,
            // SAFETY: as above.
            [
                |layer| unsafe { generic::run::<Matrices>(layer) },
                |layer| unsafe { generic::run_depthwise::<Matrices>(layer) },
            ],
        ),
    ];
    let here = all.into_iter().filter(|(needed, _)| level() >= *needed);
    here.map(|(_, kernels)| kernels[usize::from(depthwise)])
        .collect()
}
