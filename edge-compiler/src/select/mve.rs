//! Kernels of Helium (Cortex-M52, M55, M85).

use edge_runtime::format::packing;
use edge_runtime::kernels::footprint::mve;

use super::Choice;
use crate::layer::{LayerKind, LayerSource};
use crate::pack::mve::{Channels, Outputs, dense, exact, mode, panel};

/// Every kernel that is exact for the layer.
pub(super) fn candidates(layer: &LayerSource<'_>) -> Vec<Choice> {
    let channels = layer.shifts.iter().zip(&layer.bounds);
    let all_exact = channels.into_iter().all(|(&shift, bound)| {
        let bound = u32::try_from(bound.partial).unwrap_or(u32::MAX);
        exact(layer.rounding, shift, bound)
    });
    if !all_exact {
        return Vec::new();
    }
    let mode = mode(
        &Outputs {
            rounding: layer.rounding,
            zero_point: layer.zero_point,
            min: layer.min,
            max: layer.max,
        },
        &layer.shifts,
    );
    let channels = Channels {
        bias: &layer.bias,
        multipliers: &layer.multipliers,
        shifts: &layer.shifts,
    };
    let choice = |packing, scratch, packed| Choice {
        packing,
        scratch,
        packed,
        channels_apart: false,
        fitted: None,
        cost: layer.macs() / 8,
    };
    match layer.kind {
        LayerKind::Conv2d => vec![choice(
            packing::MVE_PANEL,
            mve::scratch_len(&layer.window),
            panel(layer.weights, layer.taps(), &channels, mode),
        )],
        LayerKind::FullyConnected => vec![choice(
            packing::MVE_DENSE,
            mve::fully_connected_scratch_len(&layer.window),
            dense(layer.weights, layer.taps(), &channels, mode),
        )],
        LayerKind::DepthwiseConv2d | LayerKind::TransposeConv => Vec::new(),
    }
}
