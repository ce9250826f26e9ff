//! Reads TensorFlow Lite's `.tflite` files.
//!
//! [`read`] turns a file into plain values whose indices are all valid; it judges what is damaged
//! or cannot be represented, not what can be executed. Types, quantisation and operators that an
//! image lacks are kept, so that the caller can name all of them at once.
//!
//! A hostile file costs time and memory in proportion to its length and never a panic: see
//! the module `flatbuffer`.

mod builtin;
mod error;
mod flatbuffer;
mod model;
mod options;
mod read;
mod read_options;
mod read_tensor;
mod schema;

#[cfg(test)]
mod tests;

pub use builtin::Builtin;
pub use error::TfliteError;
pub use model::{ElementType, Model, Operator, Tensor};
pub use options::{
    AddSub, Conv2d, DepthwiseConv2d, FullyConnected, FusedActivation, Options, Pool2d, Resize,
    StridedSlice, Svdf, TransposeConv, UnidirectionalSequenceLstm,
};
pub use read::read;
