//! Kernels for the DSP extension of Armv7E-M and Armv8-M (Cortex-M4, M7, M33): two 16-bit
//! multiplications an instruction (SMLAD).
//!
//! Names decode as `<operation>_<types>_<tile>`; a tile of 2x2 is two rows by two columns of
//! outputs. Operands of 8 bits are widened to pairs of 16, weights when they are packed, activations
//! once for all that reads them.
//!
//! Data accesses may be unaligned, so `CCR.UNALIGN_TRP` must be clear, as it is from reset.

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

pub mod add;
pub mod average_pool;
mod copy;
pub mod depthwise;
pub mod depthwise_general;
mod depthwise_rows;
mod limit;
pub mod max_pool;
mod pool_walk;
pub mod winograd;
pub mod winograd_f4;
mod winograd_f4_inputs;
mod winograd_f4_tiles;
mod winograd_inputs;
mod winograd_tiles;

/// Elements of a tensor; `None` where that is no `usize`.
fn len([height, width, channels]: [usize; 3]) -> Option<usize> {
    height.checked_mul(width)?.checked_mul(channels)
}
