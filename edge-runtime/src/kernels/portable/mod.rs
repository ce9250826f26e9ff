//! Kernels for cores without packed or vector arithmetic: Cortex-M0 and M3, RISC-V, anything else.
//! Plain Rust, with one inner loop in Thumb-2 assembly where the feature `thumb2` allows it.
//!
//! Names say operation and, where it matters, the packing of the weights.

pub mod add;
pub mod conv_2d;
pub mod depthwise_conv_2d;
mod dot;
mod gather;
pub mod pool_2d;
mod requantise;
mod table;
#[cfg(all(target_arch = "arm", feature = "thumb2"))]
mod thumb2;
#[cfg(all(target_arch = "arm", feature = "thumb2"))]
mod thumb2_depthwise;

pub use table::*;

use core::cell::Cell;

/// The whole words of a scratch that starts on a word; empty where it does not.
// Rust has no safe way from cells of bytes to cells of words.
#[allow(unsafe_code)]
fn words(scratch: &[Cell<i8>]) -> &[Cell<i32>] {
    if !scratch.as_ptr().addr().is_multiple_of(4) {
        return &[];
    }
    let count = scratch.len() / 4;
    // SAFETY: the pointer is aligned, the words lie within the bytes borrowed for the same time, any
    // bytes are an `i32`, and both views are cells: neither takes the contents for unchanging.
    unsafe { core::slice::from_raw_parts(scratch.as_ptr().cast(), count) }
}

#[cfg(test)]
mod tests;
