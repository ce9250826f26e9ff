//! Kernels of x86-64: which instruction set the machine has, and what the kernels share.
//!
//! [`conv_2d`], [`fully_connected`], [`depthwise_conv_2d`] and the others run the fastest kernel
//! that the machine has, and a portable one where it has neither; all give the same bytes. The
//! kernels of the instruction sets are in [`avx512`](super::avx512) (unsigned dot products of four
//! bytes, `vpdpbusd`) and [`avx2`](super::avx2) (16-bit pairs, `vpmaddwd`); both read the packings
//! [`dot_16x4`](super::packing::dot_16x4) and [`depthwise_16x4`](super::packing::depthwise_16x4).
//!
//! `unsafe` is here for CPUID and for pointers into checked slices.
#![allow(unsafe_code)] // vector loads and stores, CPUID

mod add;
mod constants;
mod depthwise;
pub mod detect;
mod pool;
mod portable;
mod rows;
mod table;
mod winograd;

pub use table::*;

pub use add::add_fitted;
pub(crate) use pool::covered;
pub use pool::{average_pool_2d, max_pool_2d};
pub(crate) use rows::volume;

pub(crate) use add::elements as add_elements;
pub(crate) use constants::{Constants, Form, PREPARED};
pub(crate) use depthwise::{Columns, DepthwiseRow, Source, TOGETHER, run_depthwise};
pub(crate) use rows::{Lanes, Row, run};
pub(crate) use winograd::{
    CHUNK, POSITIONS, Products, SUM, UNSCALE, Vector, products, run_winograd,
};

use super::layer::Layer;
use super::reference::Window;
use detect::{Level, level};

/// CONV_2D on packing [`dot_16x4`](super::packing::dot_16x4), any window, any rounding.
///
/// Exact for `0 <= multiplier`, as the format has it. With slices that are too short for the
/// window the output stays as it was.
pub fn conv_2d(layer: &Layer<'_>) {
    match level() {
        Level::Avx512Vnni => super::avx512::conv_2d(layer),
        Level::Avx2 => super::avx2::conv_2d(layer),
        Level::None => portable::conv_2d(layer),
    }
}

/// FULLY_CONNECTED, as a 1x1 window on `[1, 1, inputs] -> [1, 1, outputs]`: as [`conv_2d`].
pub fn fully_connected(layer: &Layer<'_>) {
    conv_2d(layer);
}

/// DEPTHWISE_CONV_2D with as many output as input channels, on packing
/// [`depthwise_16x4`](super::packing::depthwise_16x4), any
/// window, any rounding. Else as [`conv_2d`].
pub fn depthwise_conv_2d(layer: &Layer<'_>) {
    match level() {
        Level::Avx512Vnni => super::avx512::depthwise_conv_2d(layer),
        Level::Avx2 => super::avx2::depthwise_conv_2d(layer),
        Level::None => portable::depthwise_conv_2d(layer),
    }
}

/// CONV_2D on packing [`winograd_16x2`](super::packing::winograd_16x2), windows that it
/// [`fits`](super::packing::winograd_16x2::fits), any rounding.
///
/// Exact where [`is_exact`](super::packing::winograd_16x2::is_exact) says so of all output channels,
/// and `0 <= multiplier`. Else as [`conv_2d`].
pub fn conv_2d_winograd(layer: &Layer<'_>) {
    match level() {
        Level::Avx512Vnni => super::avx512::conv_2d_winograd(layer),
        Level::Avx2 => super::avx2::conv_2d_winograd(layer),
        Level::None => portable::conv_2d_winograd(layer),
    }
}

/// Scratch of [`conv_2d_winograd`] in bytes, on any machine. Saturates.
pub const fn conv_2d_winograd_scratch_len(window: &Window) -> usize {
    winograd::scratch_len(window)
}

/// Scratch of [`depthwise_conv_2d`] in bytes, on any machine. Saturates.
pub const fn depthwise_conv_2d_scratch_len(window: &Window) -> usize {
    depthwise::scratch_len(window, 2)
}

/// Scratch of [`conv_2d`] in bytes, on any machine. Saturates.
pub const fn conv_2d_scratch_len(window: &Window) -> usize {
    rows::scratch_len(window, 2)
}

#[cfg(test)]
mod tests;
