//! Portable kernels: Cortex-M0 and M3, RISC-V, anything without packed arithmetic.

use edge_runtime::format::packing;
use edge_runtime::kernels::portable::{conv_2d, depthwise_conv_2d};

use super::Choice;
use crate::layer::{LayerKind, LayerSource};
use crate::pack;

/// The most scratch that a window's activations may take, in bytes: a fully connected layer of more
/// inputs than half of it stays canonical.
const MOST_SCRATCH: usize = 8192;

/// Every kernel that is exact for the layer.
pub(super) fn candidates(layer: &LayerSource<'_>) -> Vec<Choice> {
    let fast = match layer.kind {
        LayerKind::Conv2d | LayerKind::FullyConnected => pairs(layer),
        LayerKind::DepthwiseConv2d => channels(layer),
        LayerKind::TransposeConv => None,
    };
    fast.into_iter().collect()
}

fn pairs(layer: &LayerSource<'_>) -> Option<Choice> {
    let scratch = conv_2d::scratch_len(&layer.window);
    if scratch > MOST_SCRATCH {
        return None;
    }
    Some(Choice {
        packing: packing::PAIRS,
        scratch,
        packed: pack::pair_blocks::pack(&layer.weights, layer.taps())?,
        cost: layer.macs() * 130 / 100,
        ..Choice::REFERENCE
    })
}

fn channels(layer: &LayerSource<'_>) -> Option<Choice> {
    let scratch = depthwise_conv_2d::scratch_len(&layer.window);
    if scratch > MOST_SCRATCH {
        return None;
    }
    Some(Choice {
        packing: packing::DEPTHWISE_CHANNELS,
        scratch,
        packed: layer.weights.iter().map(|w| w.cast_unsigned()).collect(),
        cost: layer.macs() * 5,
        ..Choice::REFERENCE
    })
}
