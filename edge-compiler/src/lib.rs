//! Graph, passes, memory plan, proofs and the writer of Dunlin model images.
//!
//! The way through: a [`Package`] holds a quantised [`Graph`] and everything else that an image
//! binds to it; [`compile`] checks it, runs the [`passes`], packs the constants ([`pack`]), places
//! the tensors ([`plan`]), proves that nothing overflows and that the target has room ([`proofs`]),
//! and writes the image. [`report`] says in words what an image holds.
//!
//! Nothing here panics on a bad graph: every refusal is a typed error that says what to do next.
#![forbid(unsafe_code)]

pub mod aligned;
mod error;
pub mod graph;
pub mod import;
pub mod layer;
pub mod pack;
pub mod package;
pub mod passes;
pub mod plan;
pub mod prepare;
pub mod proofs;
pub mod report;
pub mod run;
pub mod scales;
pub mod select;
pub mod shape;
pub mod source;
mod strided;
pub mod target;
pub mod writer;

#[cfg(test)]
mod testing;

pub use aligned::AlignedBytes;
pub use error::CompileError;
pub use graph::{
    Activation, Convolution, Graph, GraphError, Lstm, LstmGate, Operator, OperatorKind, Padding,
    Role, RoundingMode, StridedCopy, Svdf, Tensor, TensorId, Weights,
};
pub use package::{DriftSpec, FeatureSpec, Package, PackageError};
pub use plan::MemoryPlan;
pub use select::Optimize;
pub use target::{Target, TargetError};
pub use writer::{Compiled, Options, compile, compile_with};
