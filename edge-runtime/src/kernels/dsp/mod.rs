//! Arm cores with the DSP extension: Cortex-M4, M7, M33.
//!
//! Names decode as `<operation>_<types>_<tile>`; a tile of 2x2 is two rows by two columns of
//! outputs. Two 16-bit products an instruction (SMLAD) are what the extension offers, so int8
//! operands are widened to pairs of 16 bits, weights when they are packed, activations once for
//! all that reads them.

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
mod winograd_f4_tiles;
mod winograd_tiles;

/// Elements of a tensor; `None` where that is no `usize`.
fn len([height, width, channels]: [usize; 3]) -> Option<usize> {
    height.checked_mul(width)?.checked_mul(channels)
}
