//! Kernels of x86-64, 64-bit ARM and WebAssembly: one packing for all three.

use edge_runtime::format::packing;
use edge_runtime::kernels::generic;
use edge_runtime::kernels::packing::affine::End;

use super::{Choice, InstructionSet};
use crate::layer::{LayerKind, LayerSource};
use crate::pack;

/// Every kernel that is exact for the layer.
pub(super) fn candidates(layer: &LayerSource<'_>, set: InstructionSet) -> Vec<Choice> {
    let window = &layer.window;
    let channels = layer.multipliers.iter().zip(&layer.shifts);
    let ends: Vec<End> = channels
        .zip(&layer.bounds)
        .map(|((&multiplier, &shift), bound)| End {
            // The proof bounds them by 32 bits.
            reach: [bound.least as i32, bound.greatest as i32],
            rounding: layer.rounding,
            multiplier,
            shift,
            // A graph that passed its check has zero points of 8 bits.
            zero_point: layer.zero_point as i8,
            min: layer.min,
            max: layer.max,
            times: 1,
        })
        .collect();
    let choice = |packing, scratch, packed| Choice {
        packing,
        scratch,
        packed,
        channels_apart: true,
        as_convolution: false,
        fitted: None,
        cost: layer.macs() / 16,
    };
    match layer.kind {
        LayerKind::Conv2d => {
            let direct = choice(
                packing::DOT_16X4,
                generic::conv_2d_scratch_len(window),
                pack::dot_16x4::pack(window, &layer.weights, &ends),
            );
            let winograd = (set == InstructionSet::X86)
                .then(|| pack::winograd_16x2::pack(window, &layer.weights, &ends))
                .flatten();
            let winograd = winograd.map(|packed| Choice {
                cost: layer.macs() / 24,
                ..choice(
                    packing::WINOGRAD_16X2,
                    generic::conv_2d_winograd_scratch_len(window),
                    packed,
                )
            });
            [Some(direct), winograd].into_iter().flatten().collect()
        }
        LayerKind::FullyConnected => {
            let dense = choice(
                packing::DOT_16X4,
                generic::conv_2d_scratch_len(window),
                pack::dot_16x4::pack(window, &layer.weights, &ends),
            );
            // Behind a ReLU whose zero is -128.
            let sparse = (set == InstructionSet::X86 && layer.pad == i8::MIN)
                .then(|| pack::rows_128::pack(window, &layer.weights, &ends))
                .flatten();
            let sparse = sparse.map(|packed| Choice {
                cost: layer.macs() / 24,
                ..choice(
                    packing::ROWS_128,
                    generic::fully_connected_sparse_scratch_len(window),
                    packed,
                )
            });
            [Some(dense), sparse].into_iter().flatten().collect()
        }
        LayerKind::DepthwiseConv2d if window.input[2] == window.output[2] => {
            // The packer reads them tap by tap.
            let weights: Vec<i8> = pack::canonical(layer)
                .iter()
                .map(|weight| weight.cast_signed())
                .collect();
            vec![choice(
                packing::DEPTHWISE_16X4,
                generic::depthwise_conv_2d_scratch_len(window),
                pack::depthwise_16x4::pack(window, &weights, &ends),
            )]
        }
        LayerKind::DepthwiseConv2d | LayerKind::TransposeConv => Vec::new(),
    }
}
