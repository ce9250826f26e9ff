//! Readers of other tools' model files.

pub mod tflite;
