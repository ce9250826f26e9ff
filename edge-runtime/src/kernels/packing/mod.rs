//! Layouts of packed weights: what a kernel streams through, described so that any target can read
//! it back one weight at a time.
//!
//! The compiler writes them, the fast kernels read them in order, and the decoders here let the
//! reference kernels execute the same image anywhere.

pub mod dsp_blocks;
pub mod dsp_forms;
pub mod dsp_panels;
