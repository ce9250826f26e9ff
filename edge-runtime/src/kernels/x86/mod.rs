//! Kernels of x86-64: which instruction set the machine has, and what the kernels share.
//!
//! [`conv_2d`], [`fully_connected`], [`depthwise_conv_2d`] and the others run the fastest kernel
//! that the machine has, and a portable one where it has neither; all give the same bytes. The
//! kernels of the instruction sets are in [`avx512`](super::avx512) (unsigned dot products of four
//! bytes, `vpdpbusd`) and [`avx2`](super::avx2) (16-bit pairs, `vpmaddwd`); both read the packings
//! [`dot_16x4`](super::packing::dot_16x4), [`depthwise_16x4`](super::packing::depthwise_16x4) and
//! [`winograd_16x2`](super::packing::winograd_16x2).
//!
//! `unsafe` is here for CPUID and for pointers into checked slices.
#![allow(unsafe_code)] // vector loads and stores, CPUID

mod add;
pub mod detect;
mod pool;

pub use add::add_fitted;
pub use pool::{average_pool_2d, max_pool_2d};

use super::generic;
use super::layer::Layer;
use detect::{Level, level};

generic::table!(CONV_2D_WINOGRAD, FULLY_CONNECTED_SPARSE);

/// CONV_2D, 3x3 with stride 1.
pub const CONV_2D_WINOGRAD: Kernel = kernel(
    opcode::CONV_2D,
    packing::WINOGRAD_16X2,
    |call| layers::check_conv(call, &packed::WINOGRAD_16X2),
    |call| conv_2d_winograd(&layers::layer(call)),
);

/// FULLY_CONNECTED that skips inputs.
pub const FULLY_CONNECTED_SPARSE: Kernel = kernel(
    opcode::FULLY_CONNECTED,
    packing::ROWS_128,
    |call| layers::check_fully_connected(call, &packed::ROWS_128),
    |call| fully_connected_sparse(&layers::flat_layer(call)),
);

/// CONV_2D on packing [`dot_16x4`](super::packing::dot_16x4), any window, any rounding.
///
/// Exact for `0 <= multiplier`, as the format has it. With slices that are too short for the
/// window the output stays as it was.
pub fn conv_2d(layer: &Layer<'_>) {
    match level() {
        Level::Avx512Vnni => super::avx512::conv_2d(layer),
        Level::Avx2 => super::avx2::conv_2d(layer),
        Level::None => generic::conv_2d(layer),
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
        Level::None => generic::depthwise_conv_2d(layer),
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
        Level::None => generic::conv_2d_winograd(layer),
    }
}

/// FULLY_CONNECTED on packing [`rows_128`](super::packing::rows_128), windows that it
/// [`fits`](super::packing::rows_128::fits), any rounding. Skips inputs of -128, so that its time
/// depends on the input.
///
/// Exact for `0 <= multiplier`. Else as [`conv_2d`].
#[inline(always)] // as `flat_layer`
pub fn fully_connected_sparse(layer: &Layer<'_>) {
    match level() {
        Level::Avx512Vnni => super::avx512::fully_connected_sparse(layer),
        Level::Avx2 => super::avx2::fully_connected_sparse(layer),
        Level::None => generic::fully_connected_sparse(layer),
    }
}

#[cfg(test)]
type Run = fn(&Layer<'_>);

/// The Winograd kernels of each instruction set that the machine has.
#[cfg(test)]
pub(super) fn winograd_implementations() -> std::vec::Vec<Run> {
    use super::{avx2, avx512};
    let all: [(Level, Run); 2] = [
        (Level::Avx2, avx2::conv_2d_winograd),
        (Level::Avx512Vnni, avx512::conv_2d_winograd),
    ];
    let here = all.into_iter().filter(|(needed, _)| level() >= *needed);
    here.map(|(_, kernel)| kernel).collect()
}

/// The sparse kernels of each instruction set that the machine has.
#[cfg(test)]
pub(super) fn sparse_implementations() -> std::vec::Vec<Run> {
    use super::{avx2, avx512};
    let all: [(Level, Run); 2] = [
        (Level::Avx2, avx2::fully_connected_sparse),
        (Level::Avx512Vnni, avx512::fully_connected_sparse),
    ];
    let here = all.into_iter().filter(|(needed, _)| level() >= *needed);
    here.map(|(_, kernel)| kernel).collect()
}

/// The kernels for convolutions, or depthwise ones, of each instruction set that the machine has.
#[cfg(test)]
pub(super) fn implementations(depthwise: bool) -> std::vec::Vec<Run> {
    use super::{avx2, avx512};
    let all: [(Level, [Run; 2]); 2] = [
        (Level::Avx2, [avx2::conv_2d, avx2::depthwise_conv_2d]),
        (
            Level::Avx512Vnni,
            [avx512::conv_2d, avx512::depthwise_conv_2d],
        ),
    ];
    let here = all.into_iter().filter(|(needed, _)| level() >= *needed);
    here.map(|(_, kernels)| kernels[usize::from(depthwise)])
        .collect()
}
