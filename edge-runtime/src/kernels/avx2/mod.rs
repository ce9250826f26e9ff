//! Kernels of x86-64 with AVX2.
//!
//! Activations are 16 bits wide in scratch, weights are widened when they are loaded: `vpmaddwd`
//! multiplies sixteen pairs and sums neighbours in 32 bits, which never saturates. (`vpmaddubsw`
//! takes twice as many, but saturates to 16 bits.)
//!
//! A function is safe: it does nothing on a machine without AVX2.
#![allow(unsafe_code)] // intrinsics

mod add;
mod conv;
mod depthwise;
mod finish;
mod requantise;
mod sparse;
mod winograd;

pub(crate) use add::add_fitted;

use super::layer::Layer;
use super::x86::detect::{Level, level};

/// The instruction set.
struct Pairs;

/// CONV_2D and FULLY_CONNECTED on packing [`dot_16x4`](super::packing::dot_16x4), tiles of up to
/// 6 pixels by 8 channels. See [`x86::conv_2d`](super::x86::conv_2d).
pub fn conv_2d(layer: &Layer<'_>) {
    if level() >= Level::Avx2 {
        // SAFETY: the machine has the instructions.
        unsafe { super::generic::run::<Pairs>(layer) }
    }
}

/// DEPTHWISE_CONV_2D on packing [`depthwise_16x4`](super::packing::depthwise_16x4), eight channels at
/// a time. See [`x86::depthwise_conv_2d`](super::x86::depthwise_conv_2d).
pub fn depthwise_conv_2d(layer: &Layer<'_>) {
    if level() >= Level::Avx2 {
        // SAFETY: the machine has the instructions.
        unsafe { super::generic::run_depthwise::<Pairs>(layer) }
    }
}

/// CONV_2D on packing [`winograd_16x2`](super::packing::winograd_16x2). See
/// [`x86::conv_2d_winograd`](super::x86::conv_2d_winograd).
pub fn conv_2d_winograd(layer: &Layer<'_>) {
    if level() >= Level::Avx2 {
        // SAFETY: the machine has the instructions.
        unsafe { winograd::run(layer) }
    }
}

/// FULLY_CONNECTED on packing [`rows_128`](super::packing::rows_128). See
/// [`x86::fully_connected_sparse`](super::x86::fully_connected_sparse).
pub fn fully_connected_sparse(layer: &Layer<'_>) {
    if level() >= Level::Avx2
        && let Some(layer) = super::generic::Sparse::new(layer)
    {
        // SAFETY: the machine has the instructions.
        unsafe { sparse::run(&layer) }
    }
}
