//! Kernels for the DSP extension of Armv7E-M and Armv8-M (Cortex-M4, M7, M33): two 16-bit
//! multiplications an instruction (SMLAD).
//!
//! Names decode: `<operation>_<width of the weights>_<tile>`; `conv_2d_i8_2x4` holds the
//! accumulators of two output pixels and four output channels in registers; for depthwise
//! convolutions a tile of 2x2 is two rows by two columns of outputs. Activations are widened to
//! `i16` once, into scratch, in the order in which SXTB16 leaves them.
//!
//! Data accesses may be unaligned, so `CCR.UNALIGN_TRP` must be clear, as it is from reset.

// Assembly is what this folder is for; each block says why it is sound.
#![allow(unsafe_code)]

/// Lets the assembler take DSP instructions. An Armv7E-M target has them anyway; on an Armv8-M one
/// they are an extension that `-C target-cpu` does not make known to every reader of module-level
/// assembly in LLVM. It changes no attribute but the name of the CPU.
macro_rules! dsp_cpu {
    () => {
        ".cpu cortex-m33"
    };
}

#[macro_use]
mod depthwise_macros;
#[macro_use]
mod frame;
#[macro_use]
mod requantise;

pub mod add;
pub mod average_pool;
mod bytes;
pub mod conv_2d;
mod copy;
pub mod depthwise;
pub mod depthwise_general;
mod depthwise_rows;
pub mod fully_connected;
mod gather;
mod job;
mod limit;
mod matmul_1x4;
mod matmul_2x4;
mod matmul_direct_1x4;
pub mod max_pool;
mod pad;
mod panel;
mod pool_walk;
mod stream;
mod table;
mod widen;
pub mod winograd;
pub mod winograd_f4;
mod winograd_f4_inputs;
mod winograd_f4_tiles;
mod winograd_inputs;
mod winograd_tiles;

pub use table::*;

/// Elements of a tensor; `None` where that is no `usize`.
fn len([height, width, channels]: [usize; 3]) -> Option<usize> {
    height.checked_mul(width)?.checked_mul(channels)
}
