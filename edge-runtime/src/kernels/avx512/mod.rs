//! Kernels of x86-64 with AVX-512 (F, BW, VL, VBMI, VBMI2) and VNNI.
//!
//! Activations are unsigned in scratch (`x + 128`), because `vpdpbusd` multiplies unsigned with
//! signed bytes: sixteen lanes of four products, summed in 32 bits without saturation. The offsets
//! in the packed weights take the 128 off again.
//!
//! A function is safe: it does nothing on a machine without these instructions.
#![allow(unsafe_code)] // intrinsics

mod add;
mod conv;
mod depthwise;
mod finish;
mod how;
mod pool;
mod requantise;
mod sparse;
mod winograd;
mod winograd_ends;
mod winograd_products;

pub(crate) use add::add_fitted;
pub use pool::average_pool_2d;

use super::layer::Layer;
use super::x86::detect::{Level, level};

/// The instruction set.
struct Vnni;

/// CONV_2D and FULLY_CONNECTED on packing [`dot_16x4`](super::packing::dot_16x4), tiles of up to
/// 12 pixels by 32 channels. See [`x86::conv_2d`](super::x86::conv_2d).
pub fn conv_2d(layer: &Layer<'_>) {
    if level() >= Level::Avx512Vnni {
        let window = &layer.window;
        let ([rows, columns, _], [rows_out, columns_out, _]) = (window.input, window.output);
        let ([height, width], [top, left]) = (window.kernel, window.padding);
        let pixels = (rows | columns | rows_out | columns_out | height | width) == 1;
        // SAFETY: the machine has the instructions.
        unsafe {
            if pixels && top | left == 0 {
                // Where it finds a slice too short nothing is written.
                let _ = conv::one_pixel(layer);
            } else {
                super::generic::run::<Vnni>(layer);
            }
        }
    }
}

/// DEPTHWISE_CONV_2D on packing [`depthwise_16x4`](super::packing::depthwise_16x4), sixteen channels at
/// a time. See [`x86::depthwise_conv_2d`](super::x86::depthwise_conv_2d).
pub fn depthwise_conv_2d(layer: &Layer<'_>) {
    if level() >= Level::Avx512Vnni {
        // SAFETY: the machine has the instructions.
        unsafe { super::generic::run_depthwise::<Vnni>(layer) }
    }
}

/// CONV_2D on packing [`winograd_16x2`](super::packing::winograd_16x2). See
/// [`x86::conv_2d_winograd`](super::x86::conv_2d_winograd).
pub fn conv_2d_winograd(layer: &Layer<'_>) {
    if level() >= Level::Avx512Vnni {
        // SAFETY: the machine has the instructions.
        unsafe { winograd::run(layer) }
    }
}

/// FULLY_CONNECTED on packing [`rows_128`](super::packing::rows_128). See
/// [`x86::fully_connected_sparse`](super::x86::fully_connected_sparse).
#[inline(always)] // as `flat_layer`
pub fn fully_connected_sparse(layer: &Layer<'_>) {
    if level() >= Level::Avx512Vnni
        && let Some(layer) = super::generic::Sparse::new(layer)
    {
        // SAFETY: the machine has the instructions.
        unsafe { sparse::run(&layer) }
    }
}
