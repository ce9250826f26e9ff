//! Kernels of the DSP extension (Cortex-M4, M7, M33).

use edge_runtime::format::packing;
use edge_runtime::kernels::footprint::{dsp_blocks, dsp_depthwise, dsp_winograd};
use edge_runtime::kernels::packing::depthwise_dsp::Form;
use edge_runtime::kernels::packing::dsp_blocks::{CHANNELS, Taps, Width};
use edge_runtime::kernels::packing::dsp_forms::Output;
use edge_runtime::kernels::packing::winograd_dsp::{self, Transform};

use super::{Choice, Optimize};
use crate::graph::Graph;
use crate::layer::{LayerKind, LayerSource};
use crate::pack;

/// Every kernel that is exact for the layer.
pub(super) fn candidates(layer: &LayerSource<'_>) -> Vec<Choice> {
    match layer.kind {
        LayerKind::Conv2d => [
            blocks(layer, Width::I16, dsp_blocks::scratch_len(&layer.window)),
            blocks(layer, Width::I8, dsp_blocks::scratch_len(&layer.window)),
        ]
        .into_iter()
        .flatten()
        .chain(winograd(layer, Transform::F2))
        .chain(winograd(layer, Transform::F4))
        .collect(),
        LayerKind::FullyConnected => {
            let scratch = dsp_blocks::fully_connected_scratch_len(&layer.window);
            let widths = [Width::I16, Width::I8].into_iter();
            let mut all: Vec<_> = widths.filter_map(|w| blocks(layer, w, scratch)).collect();
            // Slow and short: see `spare_kernels`.
            all.push(Choice {
                cost: layer.macs() * 12,
                ..Choice::canonical(layer)
            });
            all
        }
        LayerKind::DepthwiseConv2d => depthwise(layer),
        LayerKind::TransposeConv => Vec::new(),
    }
}

/// Fully connected layers below this part of all multiplications do not pay for a fast kernel.
const FEW: u64 = 1000;

/// Moves choices so that a device needs fewer kernels: a few instructions more, a few kilobytes of
/// flash less.
pub(super) fn spare_kernels(
    candidates: &[Vec<Choice>],
    chosen: &mut [usize],
    layers: &[Option<LayerSource<'_>>],
    optimize: Optimize,
) {
    let all: u64 = layers.iter().flatten().map(LayerSource::macs).sum();
    let of_kind = |kind: LayerKind| {
        let numbered = layers.iter().enumerate();
        let same = numbered.filter(move |(_, l)| l.as_ref().is_some_and(|l| l.kind == kind));
        same.map(|(index, layer)| (index, layer.as_ref().map_or(0, LayerSource::macs)))
    };
    let other = |index: usize, code: u8| {
        let mut choices: std::slice::Iter<'_, Choice> = candidates[index].iter();
        choices.position(|choice| choice.packing == code)
    };
    // The reference kernel, a tenth of the code.
    let dense: u64 = of_kind(LayerKind::FullyConnected)
        .map(|(_, macs)| macs)
        .sum();
    if dense * FEW < all {
        for (index, _) in of_kind(LayerKind::FullyConnected) {
            chosen[index] = other(index, packing::CANONICAL).unwrap_or(chosen[index]);
        }
    }
    // One width of weights for all convolutions.
    let wide: Vec<_> = of_kind(LayerKind::Conv2d)
        .filter(|(index, _)| candidates[*index][chosen[*index]].packing == packing::DSP_I16)
        .map(|(index, _)| (index, other(index, packing::DSP_I8)))
        .collect();
    if optimize == Optimize::Size && wide.iter().all(|(_, narrow)| narrow.is_some()) {
        for (index, narrow) in wide {
            chosen[index] = narrow.unwrap_or(chosen[index]);
        }
    }
    // One form of depthwise weights, and of each transformation: the general one takes an instruction
    // more for one to four outputs.
    for (code, general) in [
        (packing::DSP_DEPTHWISE, Form::Merged as u8),
        (packing::DSP_WINOGRAD_2X2, winograd_dsp::Form::Ties as u8),
        (packing::DSP_WINOGRAD_4X4, winograd_dsp::Form::Ties as u8),
    ] {
        let form = |choice: &Choice| choice.packed.first().copied();
        let is_general = |choice: &Choice| choice.packing == code && form(choice) == Some(general);
        let with_code = (0..chosen.len()).filter(|i| candidates[*i][chosen[*i]].packing == code);
        let moves: Option<Vec<_>> = with_code
            .map(|i| Some((i, candidates[i].iter().position(is_general)?)))
            .collect();
        let moves = moves.unwrap_or_default();
        if moves.iter().any(|(i, general)| chosen[*i] == *general) {
            for (index, general) in moves {
                chosen[index] = general;
            }
        }
    }
}

/// Runs fully connected layers by the kernel of the convolutions, which are as small, if that spares a
/// device the kernel of fully connected ones: if all of them can be, and few multiplications are theirs.
pub(super) fn dense_as_convolutions(
    graph: &Graph,
    layers: &[Option<LayerSource<'_>>],
    picked: &mut [Choice],
) {
    let forms: Vec<u8> = picked
        .iter()
        .filter(|choice| choice.packing == packing::DSP_I8)
        .filter_map(|choice| choice.packed.first().copied())
        .collect();
    let dense = graph.operators.iter().zip(layers).enumerate();
    let dense = dense.filter_map(|(index, (operator, layer))| {
        let layer = layer.as_ref()?;
        (layer.kind == LayerKind::FullyConnected).then_some((index, operator, layer))
    });
    let moves: Option<Vec<(usize, Choice)>> = dense
        .map(|(index, operator, layer)| {
            // Canonical: `spare_kernels` found that they are few.
            let is_canonical = picked[index].packing == packing::CANONICAL;
            let [_, height, width, _] = graph.tensors[operator.inputs[0]].shape;
            let [_, _, channels] = layer.window.output;
            if !is_canonical || height * width != 1 || !channels.is_multiple_of(CHANNELS) {
                return None;
            }
            let scratch = dsp_blocks::scratch_len(&layer.window);
            let choice = blocks(layer, Width::I8, scratch)?;
            let is_known = choice
                .packed
                .first()
                .is_some_and(|form| forms.contains(form));
            is_known.then_some((index, choice))
        })
        .collect();
    for (index, choice) in moves.unwrap_or_default() {
        picked[index] = Choice {
            as_convolution: true,
            ..choice
        };
    }
}

fn blocks(layer: &LayerSource<'_>, width: Width, scratch: usize) -> Option<Choice> {
    let source = pack::dsp_blocks::Source {
        weights: &layer.weights,
        taps: Taps::of(&layer.window),
        bias: &layer.bias,
        multipliers: &layer.multipliers,
        shifts: &layer.shifts,
        output: Output {
            rounding: layer.rounding,
            zero_point: layer.zero_point,
            min: layer.min,
            max: layer.max,
        },
    };
    if !dsp_blocks::fits(&layer.window) {
        return None;
    }
    // Instructions for a word of activations of two pixels, and for a block besides.
    let (code, word, rest) = match width {
        Width::I16 => (packing::DSP_I16, 11, 33),
        Width::I8 => (packing::DSP_I8, 12, 55),
    };
    let [height, width_out, channels] = layer.window.output;
    let pairs = (height * width_out).div_ceil(2) as u64;
    let words = Taps::of(&layer.window).words() as u64;
    let blocks = channels.div_ceil(4) as u64;
    // Activations are widened once.
    let cost = pairs * (blocks * (words * word + rest) + 4 * words + 40);
    Some(Choice {
        packing: code,
        scratch,
        packed: pack::dsp_blocks::pack(&source, width)?,
        channels_apart: false,
        cost,
        ..Choice::REFERENCE
    })
}

/// In the fastest form, and in the one that takes an instruction more for each output.
fn winograd(layer: &LayerSource<'_>, transform: Transform) -> Vec<Choice> {
    if !dsp_winograd::fits(&layer.window) {
        return Vec::new();
    }
    let convolution = pack::winograd_dsp::Convolution {
        weights: &layer.weights,
        bias: &layer.bias,
        multipliers: &layer.multipliers,
        shifts: &layer.shifts,
        rounding: layer.rounding,
        zero_point: layer.zero_point,
        min: layer.min,
    };
    // The transformations cost the more the fewer channels share them.
    let [_, _, depth] = layer.window.input;
    let [_, _, channels] = layer.window.output;
    let few = depth.min(channels) as u64;
    let (code, scratch, rate, tile) = match transform {
        Transform::F2 => (
            packing::DSP_WINOGRAD_2X2,
            dsp_winograd::scratch_len(&layer.window),
            30 + 320 / few,
            2,
        ),
        Transform::F4 => (
            packing::DSP_WINOGRAD_4X4,
            dsp_winograd::scratch_len_4x4(&layer.window),
            17 + 380 / few,
            4,
        ),
    };
    // Whole tiles are computed, two side by side.
    let [height, width, _] = layer.window.output;
    let pixels = height.next_multiple_of(tile) * width.next_multiple_of(2 * tile);
    let macs = (pixels * 9 * depth * channels) as u64;
    let outputs = layer.macs() / (9 * depth as u64).max(1);
    [
        (winograd_dsp::Form::Merged, 0),
        (winograd_dsp::Form::Ties, outputs),
    ]
    .into_iter()
    .filter_map(|(form, more)| {
        Some(Choice {
            packing: code,
            scratch,
            packed: pack::winograd_dsp::pack_as(&convolution, transform, form)?,
            channels_apart: false,
            cost: macs * rate / 100 + more,
            ..Choice::REFERENCE
        })
    })
    .collect()
}

/// Packed and canonical.
fn depthwise(layer: &LayerSource<'_>) -> Vec<Choice> {
    let window = &layer.window;
    let canonical = pack::canonical(layer);
    let general = Choice {
        cost: layer.macs() * 10,
        ..Choice::canonical(layer)
    };
    if !dsp_depthwise::fits(window) {
        return vec![general];
    }
    // The packer reads them tap by tap.
    let weights: Vec<i8> = canonical.iter().map(|w| w.cast_signed()).collect();
    let source = pack::depthwise_dsp::Depthwise {
        weights: &weights,
        bias: &layer.bias,
        multipliers: &layer.multipliers,
        shifts: &layer.shifts,
        rounding: layer.rounding,
        zero_point: layer.zero_point,
        min: layer.min,
    };
    let packed = |packed: Vec<u8>, slower: u64| Choice {
        packing: packing::DSP_DEPTHWISE,
        scratch: dsp_depthwise::scratch_len(window),
        packed,
        channels_apart: false,
        cost: layer.macs() * (170 + slower) / 100,
        ..Choice::REFERENCE
    };
    let best = pack::depthwise_dsp::pack(&source).map(|bytes| packed(bytes, 0));
    let merged = pack::depthwise_dsp::pack_as(&source, Form::Merged).map(|bytes| packed(bytes, 2));
    let merged = merged.filter(|merged| Some(&merged.packed) != best.as_ref().map(|b| &b.packed));
    let small = pack::depthwise_dsp::fits_canonical(&source).then(|| Choice {
        packing: packing::DSP_DEPTHWISE_SMALL,
        scratch: dsp_depthwise::scratch_len_canonical(window),
        packed: canonical,
        cost: layer.macs() * 170 / 100 + 45 * window.output[2] as u64,
        ..Choice::REFERENCE
    });
    [best, merged, small, Some(general)]
        .into_iter()
        .flatten()
        .collect()
}
