//! Layouts of packed weights, read one value at a time: any core can run a layer that was packed
//! for another one, slowly, and tests can compare.

pub mod pair_blocks;
