//! Kernels of WebAssembly with 128-bit SIMD: pairs of 16 bits, multiplied and added to 32
//! (`i32x4.dot_i16x8_s`).
//!
//! They read the packings [`dot_16x4`](super::packing::dot_16x4) and
//! [`depthwise_16x4`](super::packing::depthwise_16x4). Products of bytes with sums in 32 bits are in
//! relaxed SIMD only, whose results an engine may choose.
//!
//! `unsafe` is here for pointers into checked slices.
#![allow(unsafe_code)] // vector loads and stores

mod add;
mod lanes;

pub use add::add_fitted;

use super::generic;
use super::layer::Layer;
use super::reference::Window;
use core::cell::Cell;
use generic::{Pool, pool, pool_fits};
use lanes::Pairs;

generic::table!();

/// CONV_2D on packing [`dot_16x4`](super::packing::dot_16x4), any window, any rounding: tiles of up
/// to 2 pixels by 16 channels.
///
/// Exact for `0 <= multiplier`, as the format has it. With slices that are too short for the
/// window the output stays as it was.
pub fn conv_2d(layer: &Layer<'_>) {
    // SAFETY: a program with this module runs only where the instructions are.
    unsafe { generic::run::<Pairs>(layer) }
}

/// FULLY_CONNECTED, as a 1x1 window on `[1, 1, inputs] -> [1, 1, outputs]`: as [`conv_2d`].
pub fn fully_connected(layer: &Layer<'_>) {
    conv_2d(layer);
}

/// DEPTHWISE_CONV_2D with as many output as input channels, on packing
/// [`depthwise_16x4`](super::packing::depthwise_16x4), any window, any rounding. Else as
/// [`conv_2d`].
pub fn depthwise_conv_2d(layer: &Layer<'_>) {
    // SAFETY: a program with this module runs only where the instructions are.
    unsafe { generic::run_depthwise::<Pairs>(layer) }
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

/// The kernels for convolutions, or depthwise ones.
#[cfg(test)]
pub(super) fn implementations(depthwise: bool) -> std::vec::Vec<fn(&Layer<'_>)> {
    std::vec![if depthwise {
        depthwise_conv_2d
    } else {
        conv_2d
    }]
}
