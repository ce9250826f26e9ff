//! What the ends of all kernels need of a layer.

use crate::kernels::layer::Layer;
use crate::kernels::packing::dot_16x4::BLOCK;
use crate::kernels::reference::requantise::Rounding;

/// Constants of the output channels, and the end of all outputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Constants {
    /// Output channels; at least 1.
    pub channels: usize,
    /// One for each channel of each block of sixteen.
    pub offsets: *const i32,
    /// One for each channel.
    pub bias: *const i32,
    pub multipliers: *const i32,
    pub shifts: *const i8,
    pub rounding: Rounding,
    pub zero_point: i32,
    pub min: i8,
    pub max: i8,
    /// How outputs are scaled.
    pub form: Form,
}

/// Forms of requantisation, see `requantise.rs` of the instruction sets. (Channels that neither
/// covers are scaled one by one.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// No output below the zero point: negative accumulators count as 0.
    Relu,
    /// On absolute values.
    Signed,
}

impl Constants {
    /// Of a layer whose packed weights begin with the offsets; `None` where a slice is too short.
    pub(crate) fn new(layer: &Layer<'_>, channels: usize) -> Option<Self> {
        let offsets = layer.weights.as_ptr();
        let fits = channels > 0
            && layer.weights.len() >= channels.div_ceil(BLOCK).checked_mul(BLOCK * 4)?
            && layer.bias.len() >= channels
            && layer.multipliers.len() >= channels
            && layer.shifts.len() >= channels;
        fits.then_some(Self {
            channels,
            offsets: offsets.cast(),
            bias: layer.bias.as_ptr(),
            multipliers: layer.multipliers.as_ptr(),
            shifts: layer.shifts.as_ptr(),
            rounding: layer.rounding,
            zero_point: layer.zero_point,
            min: layer.min,
            max: layer.max,
            form: if i32::from(layer.min) >= layer.zero_point {
                Form::Relu
            } else {
                Form::Signed
            },
        })
    }
}
