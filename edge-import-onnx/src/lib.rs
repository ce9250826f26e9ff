//! ONNX models as graphs of `edge-compiler`.
//!
//! Two kinds of models are read. In a *quantised* one QuantizeLinear and DequantizeLinear stand
//! around the operators (QDQ), and their scales and zero points are taken as they are; activations
//! of uint8 become int8 by shifting the zero point by 128, which changes no real value. A *float*
//! one is calibrated: it runs on samples, the ranges of its activations give their scales, and its
//! weights become int8 with one scale for each output channel. A quantised model that lacks some
//! scales may be calibrated too; what it has is kept.
//!
//! ONNX has channels before rows and columns, images have them last. Convolutions, pools and
//! resizing get channels-last tensors; which order a tensor's elements lie in is followed through
//! the whole graph, so that a transposition costs something only where two operators want different
//! orders. The model's own inputs and outputs are channels-last as well where convolutions meet
//! them, unless [`OnnxOptions::ends`] says otherwise; [`OnnxModel::inputs`] and the notes tell.
//!
//! `tract-onnx` reads the file, infers the shapes and runs a float model for its calibration. It
//! takes minutes to build, which is why this is not a part of `edge-compiler`.
//!
//! Nothing here panics on a bad file. tract might: its panics are caught and become
//! [`OnnxError::Shapes`] or [`OnnxError::Calibration`]. That needs `panic = "unwind"`, the default.
#![forbid(unsafe_code)]

mod calibrate;
mod constant;
mod error;
mod fuse;
mod lower;
mod proto;
mod simplify;
mod source;
mod tract;

pub use calibrate::{Calibration, Range, samples_from};
pub use error::OnnxError;
pub use lower::End;

use edge_compiler::import::lower::{ImportOptions, Imported};

/// What the caller decides about an import.
#[derive(Clone, Debug, Default)]
pub struct OnnxOptions {
    /// How fully connected layers round; convolutions always round twice.
    pub import: ImportOptions,
    /// Samples for what has no scale yet. Without them such tensors are refused.
    pub calibration: Option<Calibration>,
    /// The order of elements in the model's inputs and outputs.
    pub ends: Ends,
}

/// The order of elements in the inputs and outputs of the graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ends {
    /// Images have their channels last, whatever the file says: nothing is transposed at run time.
    #[default]
    ChannelsLast,
    /// As in the file. An image with its channels first is transposed at run time.
    AsInFile,
}

/// An imported model, and how its ends relate to the file's.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxModel {
    /// The graph. [`edge_compiler::Operator::source`] is the index of a node in the file, which
    /// `operators` holds too.
    pub imported: Imported,
    /// The graph's inputs, in the file's order.
    pub inputs: Vec<End>,
    /// The graph's outputs, in the file's order.
    pub outputs: Vec<End>,
}

/// Values in a sample for [`Calibration`]: those of all inputs of a model.
///
/// # Errors
/// As [`import`], as far as shapes need not be inferred.
pub fn sample_len(file: &[u8]) -> Result<usize, OnnxError> {
    let source = source::read(&proto::decode(file)?)?;
    let inputs = source
        .inputs
        .iter()
        .map(|input| source.values[input.value].shape.iter());
    Ok(inputs.map(|shape| shape.product::<usize>()).sum())
}

/// Reads an ONNX file into a graph; what [`import_model`] gives, without the ends.
///
/// # Errors
/// [`OnnxError`].
pub fn import(file: &[u8], options: &OnnxOptions) -> Result<Imported, OnnxError> {
    Ok(import_model(file, options)?.imported)
}

/// Reads an ONNX file into a graph.
///
/// # Errors
/// [`OnnxError`].
pub fn import_model(file: &[u8], options: &OnnxOptions) -> Result<OnnxModel, OnnxError> {
    let mut source = source::read(&proto::decode(file)?)?;
    tract::infer_shapes(&mut source)?;
    let complete = source.clone();
    simplify::simplify(&mut source);
    simplify::pull_scales(&mut source);
    fuse::fuse(&mut source);
    if let Some(calibration) = &options.calibration {
        calibrate::calibrate(&mut source, &complete, calibration)?;
    }
    lower::lower(&source, options)
}
