//! Kernels of Helium (Cortex-M52, M55, M85).

use edge_runtime::format::packing;
use edge_runtime::kernels::footprint::mve;

use super::Choice;
use crate::layer::{LayerKind, LayerSource};
use crate::pack;
use crate::pack::mve::{
    Channels, Outputs, dense, depthwise, depthwise_any, direct, exact, mode, panel,
};

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
        cost: layer.macs() / 8,
        ..Choice::REFERENCE
    };
    let window = &layer.window;
    match layer.kind {
        LayerKind::Conv2d if mve::supports_3x3(window) => vec![choice(
            packing::MVE_DIRECT,
            mve::scratch_len_3x3(window),
            direct(&layer.weights, window.input[2], &channels, mode),
        )],
        LayerKind::Conv2d => vec![choice(
            packing::MVE_PANEL,
            mve::scratch_len(window),
            panel(&layer.weights, layer.taps(), &channels, mode),
        )],
        LayerKind::FullyConnected => vec![choice(
            packing::MVE_DENSE,
            mve::fully_connected_scratch_len(window),
            dense(&layer.weights, layer.taps(), &channels, mode),
        )],
        LayerKind::DepthwiseConv2d if mve::supports_depthwise(window) => {
            // The packer reads them tap by tap.
            let weights: Vec<i8> = pack::canonical(layer)
                .iter()
                .map(|weight| weight.cast_signed())
                .collect();
            vec![choice(
                packing::MVE_DEPTHWISE,
                mve::scratch_len_depthwise(window),
                depthwise(&weights, &channels, mode),
            )]
        }
        LayerKind::DepthwiseConv2d if mve::supports_depthwise_any(window) => {
            let taps = layer.taps();
            let weights: Vec<i8> = pack::canonical(layer)
                .iter()
                .map(|weight| weight.cast_signed())
                .collect();
            vec![choice(
                packing::MVE_DEPTHWISE_ANY,
                mve::scratch_len_depthwise_any(window),
                depthwise_any(&weights, taps, &channels, layer.rounding),
            )]
        }
        LayerKind::DepthwiseConv2d | LayerKind::TransposeConv => Vec::new(),
    }
}
