//! Inputs that drive accumulators to their ends.

use edge_compiler::Graph;
use edge_compiler::layer::{LayerKind, LayerSource, layers};

/// `n` bytes that depend on the seed alone.
pub(super) fn noise(seed: u64, n: usize) -> Vec<i8> {
    let mut state = seed * 2 + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8 as i8
    };
    (0..n).map(|_| next()).collect()
}

/// Inputs: noise, both extremes, and for some channels the one that drives the accumulator of a
/// pixel inside the image to its ends.
pub fn rows(graph: &Graph) -> Vec<Vec<i8>> {
    let layer = layers(graph).unwrap().remove(0).unwrap();
    let weights = &graph.operators[0].kind.weights().unwrap().values;
    let len = graph.tensors[0].len();
    let mut rows = vec![
        noise(1, len),
        noise(2, len),
        vec![-128; len],
        vec![127; len],
    ];
    let depth = layer.window.input[2];
    let depthwise = layer.kind == LayerKind::DepthwiseConv2d;
    for channel in 0..layer.bias.len().min(4) {
        for sign in [1, -1] {
            let mut row = noise(channel as u64, len);
            let own = weights.chunks(layer.taps()).nth(channel).unwrap();
            for (tap, &weight) in own.iter().enumerate() {
                let (place, source) = match depthwise {
                    true => (tap, channel),
                    false => (tap / depth, tap % depth),
                };
                if let Some(pixel) = under(&layer, place) {
                    let against = i32::from(weight) * sign < 0;
                    row[pixel * depth + source] = if against { -128 } else { 127 };
                }
            }
            rows.push(row);
        }
    }
    rows
}

/// The input pixel under a tap of the second output pixel of the second row, or of the first one.
fn under(layer: &LayerSource<'_>, place: usize) -> Option<usize> {
    let window = &layer.window;
    let tap = [place / window.kernel[1], place % window.kernel[1]];
    let at = |axis: usize| {
        let output = usize::from(window.output[axis] > 1);
        (output * window.stride[axis] + tap[axis] * window.dilation[axis])
            .checked_sub(window.padding[axis])
            .filter(|at| *at < window.input[axis])
    };
    Some(at(0)? * window.input[1] + at(1)?)
}
