//! Layouts of packed weights, and plain decoders of them: with a decoder the reference kernels can
//! execute an image of any target on any machine.

pub mod affine;
pub mod depthwise_16x4;
pub mod dot_16x4;
