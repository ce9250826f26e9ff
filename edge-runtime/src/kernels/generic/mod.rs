//! What the kernels of vector instruction sets share: the frames that bring input into scratch row
//! by row, the ends of a layer's constants, pools as plain loops, and the common tests.
//!
//! An instruction set implements `Lanes` and `Columns` and gets CONV_2D, FULLY_CONNECTED and
//! DEPTHWISE_CONV_2D from `run` and `run_depthwise`. All read the packings
//! [`dot_16x4`](super::packing::dot_16x4) and [`depthwise_16x4`](super::packing::depthwise_16x4) and
//! ask for the same scratch: an image for one of them is an image for all of them.
//!
//! `unsafe` is here for pointers into checked slices.
#![allow(unsafe_code)] // vector kernels take pointers
#![allow(dead_code, unused_imports, unused_macros)] // each architecture uses a part; elsewhere only the lengths of scratch are asked for

mod add;
mod constants;
mod depthwise;
pub(crate) mod finish;
mod pool;
mod portable;
mod rows;
mod sparse;
mod table;
pub(crate) mod tile;
mod winograd;

pub use portable::{conv_2d, conv_2d_winograd, depthwise_conv_2d, fully_connected_sparse};

pub(crate) use add::elements as add_elements;
pub(crate) use constants::{Constants, prepared_len};
#[cfg(target_arch = "x86_64")]
pub(crate) use constants::{Form, PREPARED};
#[cfg(target_arch = "x86_64")]
pub(crate) use depthwise::TOGETHER;
pub(crate) use depthwise::{Columns, DepthwiseRow, Source, run_depthwise};
pub(crate) use pool::{Pool, covered, pool, pool_fits};
pub(crate) use rows::{Lanes, Row, run, volume};
pub(crate) use sparse::Sparse;
pub(crate) use table::{limits, table};
pub(crate) use tile::Vectors;
pub(crate) use winograd::{
    CHUNK, Forward, POSITIONS, Products, SUM, TileSums, UNSCALE, Vector, back, run_winograd,
};

use super::reference::Window;

/// Scratch of CONV_2D and FULLY_CONNECTED on packing [`dot_16x4`](super::packing::dot_16x4) in
/// bytes, on any machine. Saturates.
pub const fn conv_2d_scratch_len(window: &Window) -> usize {
    rows::scratch_len(window, 2)
}

/// Scratch of CONV_2D on packing [`winograd_16x2`](super::packing::winograd_16x2) in bytes, on any
/// machine. Saturates.
pub const fn conv_2d_winograd_scratch_len(window: &Window) -> usize {
    winograd::scratch_len(window)
}

/// Scratch of FULLY_CONNECTED on packing [`rows_128`](super::packing::rows_128) in bytes, on any
/// machine. Saturates.
pub const fn fully_connected_sparse_scratch_len(window: &Window) -> usize {
    sparse::scratch_len(window)
}

/// Scratch of DEPTHWISE_CONV_2D on packing [`depthwise_16x4`](super::packing::depthwise_16x4) in
/// bytes, on any machine. Saturates.
pub const fn depthwise_conv_2d_scratch_len(window: &Window) -> usize {
    depthwise::scratch_len(window, 2)
}

#[cfg(all(
    test,
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "wasm32"
    )
))]
mod tests;
