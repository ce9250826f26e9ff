//! Layouts of packed weights: what a kernel streams through, described so that any target can read
//! it back one weight at a time.
//!
//! The compiler writes them, the fast kernels read them in order, and the decoders here let the
//! reference kernels execute the same image anywhere.

pub mod dsp_blocks;
//! Packed weights, read back: with these any host can execute what was packed for another core.

pub mod depthwise_dsp;
pub mod winograd_dsp;
//! Layouts of packed weights, read one value at a time: any core can run a layer that was packed
//! for another one, slowly, and tests can compare.

pub mod mve;
pub mod mve_dense;
pub mod mve_panel;
//! Layouts of packed weights, and plain decoders of them: with a decoder the reference kernels can
//! execute an image of any target on any machine.

pub mod depthwise_16x4;
pub mod dot_16x4;
