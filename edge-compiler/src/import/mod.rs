//! Readers of other tools' model files.

pub mod lower;
pub mod tflite;
