//! Kernels for cores with Helium (M-profile vector extension, integer): Cortex-M52, M55, M85.
//!
//! Names: `<operation>_<type>_<pixels>x<channels>`, the tile that one turn of the inner loop
//! computes. Every kernel gives the bytes of its twin in [`super::reference`].
//!
//! The assembly names its CPU (`.cpu cortex-m55`), because link-time optimisation assembles it
//! without the options of the target; so it also builds without `-C target-cpu`. No target of
//! Rust's has Helium, which is why the folder is behind a feature.
//!
//! `unsafe` is for the assembly and for pointers into the arena, which input, output and scratch
//! share. A kernel checks every length that it relies on and leaves the output as it was where
//! they do not fit; what it cannot check, the memory plan's overlap rule, only decides what bytes
//! come out, not whether an access is in bounds.
#![allow(unsafe_code)] // Helium is reached by assembly alone: there are no stable intrinsics.

pub mod add;
mod any;
pub mod conv_2d;
pub mod conv_3x3;
mod copy;
mod dense;
pub mod depthwise_any;
pub mod depthwise_conv_2d;
mod direct;
mod epilogue;
pub mod fully_connected;
mod panel;
pub mod pool;
mod ring;
mod strip;
mod strip_relu;
mod table;

pub use table::*;

use core::cell::Cell;

use super::layer::Layer;

/// How accumulators become outputs; the first word of a packed layer. See `packing::mve`.
pub(crate) use super::packing::mve::Mode;

/// First byte of a slice of the arena, for reading and writing: `Cell` allows both.
fn start(cells: &[Cell<i8>]) -> *mut i8 {
    cells.as_ptr().cast_mut().cast()
}

/// Whether a pointer is a multiple of 4: vector loads of words need it.
fn word_aligned<T>(pointer: *const T) -> bool {
    pointer.addr().is_multiple_of(4)
}

/// The mode of a packed layer, made safe for the clamp that the layer asks for: the two fast modes
/// do not clamp beyond int8.
fn mode(layer: &Layer<'_>) -> Option<Mode> {
    let mode = Mode::of(layer.weights)?;
    let whole = layer.min == i8::MIN && layer.max == i8::MAX;
    Some(match mode {
        Mode::DoubleRelu | Mode::Double if !whole => Mode::DoubleAny,
        other => other,
    })
}

/// A byte in each byte of a word.
fn splat(value: i8) -> u32 {
    u32::from(value.cast_unsigned()).wrapping_mul(0x0101_0101)
}
