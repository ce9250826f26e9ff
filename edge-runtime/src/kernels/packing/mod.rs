//! Layouts of packed weights: what a kernel streams through, described so that any target can read
//! it back one weight at a time.
//!
//! The compiler writes them, the fast kernels read them in order, and the decoders here let the
//! reference kernels execute the same image anywhere.

pub mod affine;
pub mod depthwise_16x4;
pub mod depthwise_dsp;
pub mod dot_16x4;
pub mod dsp_blocks;
pub mod dsp_forms;
pub mod dsp_panels;
pub mod mve;
pub mod mve_dense;
pub mod mve_depthwise;
pub mod mve_depthwise_any;
pub mod mve_direct;
pub mod mve_panel;
pub mod pair_blocks;
pub mod rows_128;
pub mod winograd_16x2;
pub mod winograd_dsp;
