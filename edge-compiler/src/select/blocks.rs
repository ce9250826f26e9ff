//! Kernels of x86-64, 64-bit ARM and WebAssembly: one packing for all three.

use edge_runtime::format::packing;
use edge_runtime::kernels::generic;
use edge_runtime::kernels::packing::affine::End;
use edge_runtime::kernels::packing::winograd_16x2::{BLOCK, OUTPUTS, SIDE};
use edge_runtime::kernels::reference::Window;

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
        cost: layer.macs() / 16,
        ..Choice::REFERENCE
    };
    match layer.kind {
        LayerKind::Conv2d => {
            let direct = choice(
                packing::DOT_16X4,
                generic::conv_2d_scratch_len(window),
                pack::dot_16x4::pack(window, &layer.weights, &ends),
            );
            // Where it is no faster nothing speaks for it: its weights are many times as many.
            let cost = winograd_cost(window);
            let winograd = (set == InstructionSet::X86 && cost < direct.cost)
                .then(|| pack::winograd_16x2::pack(window, &layer.weights, &ends))
                .flatten();
            let winograd = winograd.map(|packed| Choice {
                cost,
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

/// What Winograd's kernel takes, in the unit of `macs / 16` for the direct one, which is 3/20 of a cycle
/// with AVX-512. Counted on layers from 1x1 to 32x32 pixels: half a cycle for a product of vectors, of
/// two tiles at least as many as for three, because their weights come slowly; 65 for the input of a tile
/// and 60 for its output, sixteen channels each.
fn winograd_cost(window: &Window) -> u64 {
    let [_, _, depth] = window.input.map(|extent| extent as u64);
    let [height, width, channels] = window.output.map(|extent| extent as u64);
    let [outputs, side, block] = [OUTPUTS, SIDE, BLOCK].map(|extent| extent as u64);
    let tiles = height.div_ceil(outputs) * width.div_ceil(outputs);
    let computed = match tiles {
        0..=2 => 3,
        _ => tiles.next_multiple_of(4),
    };
    let products = computed * side * side * depth * channels / 64;
    let ends = tiles * (depth * 65 + channels * 60) / block;
    (products + ends) * 20 / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As timed: of few pixels a direct convolution takes less than whole tiles.
    #[test]
    fn winograd_is_for_more_than_a_few_pixels() {
        let wins = |height, width, channels| {
            let window = Window {
                input: [height, width, channels],
                output: [height, width, channels],
                kernel: [3, 3],
                stride: [1, 1],
                padding: [1, 1],
                dilation: [1, 1],
            };
            winograd_cost(&window) < (height * width * channels * channels * 9 / 16) as u64
        };
        for (height, width) in [(1, 1), (2, 2), (4, 4), (5, 5), (1, 9), (25, 1), (5, 3)] {
            assert!(!wins(height, width, 64), "{height}x{width}");
        }
        assert!(!wins(7, 7, 16) && !wins(5, 3, 80));
        for (height, width, channels) in [(7, 7, 64), (8, 8, 64), (16, 16, 32), (32, 32, 16)] {
            assert!(wins(height, width, channels), "{height}x{width}x{channels}");
        }
    }
}
