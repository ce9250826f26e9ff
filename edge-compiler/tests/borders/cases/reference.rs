//! What the reference kernels answer.

use std::cell::Cell;

use edge_compiler::layer::{LayerKind, LayerSource, layers};
use edge_compiler::scales::{folded_bias, multiplier, real_multiplier};
use edge_compiler::{Graph, Operator, RoundingMode};
use edge_runtime::kernels::reference::conv_2d::{Conv2d, conv_2d};
use edge_runtime::kernels::reference::depthwise_conv_2d::{DepthwiseConv2d, depthwise_conv_2d};
use edge_runtime::kernels::reference::fully_connected::{FullyConnected, fully_connected};
use edge_runtime::kernels::reference::requantise::{Requantise, Rounding};
use edge_runtime::kernels::reference::weights::Canonical;

/// What the reference kernels give on canonical weights, for all layers one after the other.
pub fn reference(graph: &Graph, input: &[i8]) -> Vec<i8> {
    let layers = layers(graph).unwrap();
    let layers = layers.iter().flatten().zip(&graph.operators);
    layers
        .flat_map(|(layer, operator)| reference_layer(graph, layer, operator, input))
        .collect()
}

fn reference_layer(
    graph: &Graph,
    layer: &LayerSource<'_>,
    operator: &Operator,
    input: &[i8],
) -> Vec<i8> {
    let (from, to) = (&graph.tensors[0], &graph.tensors[operator.output]);
    let own = operator.kind.weights().unwrap();
    // From the graph, where that says all: the compiler may have changed channels that cannot
    // change their output. How LiteRT's single rounding becomes a multiplier is tested elsewhere.
    let mut layer = layer.clone();
    if layer.rounding != Rounding::Single {
        let mode = match layer.rounding {
            Rounding::High32 => RoundingMode::High32,
            _ => RoundingMode::Double,
        };
        layer.weights = own.values.as_slice().into();
        layer.bias = folded_bias(own, from.zero_point)
            .into_iter()
            .map(|bias| bias as i32)
            .collect();
        for channel in 0..layer.bias.len() {
            let real = real_multiplier(&operator.kind, own, channel, from, to);
            let fixed = multiplier(real, mode).unwrap();
            (layer.multipliers[channel], layer.shifts[channel]) = (fixed.value, fixed.shift);
        }
    }
    let weights = Canonical {
        weights: &layer.weights,
        taps: layer.taps(),
        bias: &layer.bias,
        multipliers: &layer.multipliers,
        shifts: &layer.shifts,
    };
    let requantise = Requantise {
        rounding: layer.rounding,
        zero_point: layer.zero_point,
        min: layer.min,
        max: layer.max,
    };
    let (window, pad) = (layer.window, layer.pad);
    let input: Vec<Cell<i8>> = input.iter().map(|&x| Cell::new(x)).collect();
    let output = vec![Cell::new(0); to.len()];
    match layer.kind {
        LayerKind::FullyConnected => {
            let [inputs, outputs] = [window.input[2], window.output[2]];
            let settings = FullyConnected {
                inputs,
                outputs,
                weights,
                requantise,
            };
            fully_connected(&settings, &input, &output);
        }
        LayerKind::DepthwiseConv2d => {
            let settings = DepthwiseConv2d {
                window,
                pad,
                weights,
                requantise,
            };
            depthwise_conv_2d(&settings, &input, &output);
        }
        _ => {
            let settings = Conv2d {
                window,
                pad,
                weights,
                requantise,
            };
            conv_2d(&settings, &input, &output);
        }
    }
    output.iter().map(Cell::get).collect()
}
