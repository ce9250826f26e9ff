//! Which windows a kernel can run, and how much scratch it needs. The compiler asks on any machine,
//! so this is apart from the kernels, which build for their own instruction set only.

pub mod dsp_blocks;
pub mod dsp_depthwise;
pub mod dsp_winograd;
pub mod mve;
