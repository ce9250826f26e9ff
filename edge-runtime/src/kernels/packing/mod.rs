//! Layouts of packed weights, read one value at a time: any core can run a layer that was packed
//! for another one, slowly, and tests can compare.

pub mod mve;
pub mod mve_dense;
pub mod mve_depthwise;
pub mod mve_depthwise_any;
pub mod mve_direct;
pub mod mve_panel;
