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
    /// Likewise, not a number where a channel has no exact affine form.
    pub scales: *const f32,
    pub adds: *const f32,
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
    /// What an instruction set computes from all this once for a layer: [`PREPARED`] bytes for
    /// each block of sixteen channels.
    pub prepared: *const u8,
}

/// Bytes of prepared constants for sixteen channels.
pub(crate) const PREPARED: usize = 640;

/// Bytes of prepared constants of a layer. Saturates.
pub(crate) const fn prepared_len(channels: usize) -> usize {
    channels.div_ceil(BLOCK).saturating_mul(PREPARED)
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
    /// Of a layer whose packed weights begin with the offsets, and whose scratch with the prepared
    /// constants; `None` where a slice is too short.
    #[inline(always)] // what a kernel does without is not written either
    pub(crate) fn new(layer: &Layer<'_>, channels: usize) -> Option<Self> {
        let block_lanes = channels.div_ceil(BLOCK).checked_mul(BLOCK)?;
        let offsets = layer.weights.as_ptr().cast::<i32>();
        let scales = offsets.wrapping_add(block_lanes).cast::<f32>();
        let fits = channels > 0
            && layer.weights.len() >= block_lanes.checked_mul(12)?
            && layer.bias.len() >= channels
            && layer.multipliers.len() >= channels
            && layer.shifts.len() >= channels
            && layer.scratch.len() >= prepared_len(channels);
        fits.then_some(Self {
            channels,
            offsets,
            scales,
            adds: scales.wrapping_add(block_lanes),
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
            prepared: layer.scratch.as_ptr().cast(),
        })
    }
}
