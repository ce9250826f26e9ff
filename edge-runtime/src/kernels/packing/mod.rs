//! Packed weights, read back: with these any host can execute what was packed for another core.

pub mod depthwise_dsp;
pub mod winograd_dsp;
