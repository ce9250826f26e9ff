//! Input and output in the same bytes, as close as the memory plan may place them.

use super::average_pool_2d::{AveragePool2d, average_pool_2d};
use super::conv_2d::{Conv2d, conv_2d};
use super::depthwise_conv_2d::{DepthwiseConv2d, depthwise_conv_2d};
use super::max_pool_2d::{MaxPool2d, max_pool_2d};
use super::requantise::{Requantise, Rounding};
use super::tests::{cells, run_vec};
use super::weights::{Canonical, CanonicalDepthwise};
use super::{Window, position};
use core::cell::Cell;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// Any kernel of one input, its settings bound.
type Kernel<'a> = dyn Fn(&[Cell<i8>], &[Cell<i8>]) + 'a;

/// How far above the output's start the input must start: for every output pixel in raster order
/// the outputs up to and including it end at or below the first input that it or a later one needs.
fn distance(window: &Window) -> usize {
    let [height, width, depth] = window.input;
    let [out_height, out_width, channels] = window.output;
    let mut first_needed = height * width * depth;
    let mut distance = 0;
    for index in (0..out_height * out_width).rev() {
        let (y, x) = (index / out_width, index % out_width);
        for [ky, kx] in window.taps() {
            let along = |at, axis: usize, tap, size| {
                position(
                    at,
                    window.stride[axis],
                    tap,
                    window.dilation[axis],
                    window.padding[axis],
                )
                .filter(|&place| place < size)
            };
            if let (Some(row), Some(column)) = (along(y, 0, ky, height), along(x, 1, kx, width)) {
                first_needed = first_needed.min((row * width + column) * depth);
            }
        }
        distance = distance.max(((index + 1) * channels).saturating_sub(first_needed));
    }
    distance
}

/// Runs a kernel with the input `distance` bytes above the output in one arena.
fn run_overlapping(
    kernel: impl Fn(&[Cell<i8>], &[Cell<i8>]),
    input: &[i8],
    count: usize,
    distance: usize,
) -> Vec<i8> {
    let mut arena = vec![0; count.max(distance + input.len())];
    arena[distance..][..input.len()].copy_from_slice(input);
    let all = cells(&mut arena);
    kernel(&all[distance..][..input.len()], &all[..count]);
    arena.truncate(count);
    arena
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_may_overlap_by_the_raster_rule(
        [height, width, depth, factor] in [1_usize..7, 1..7, 1..4, 1..4],
        kernel in [1_usize..4, 1..4],
        stride in [1_usize..3, 1..3],
        dilation in [1_usize..3, 1..3],
        padding in [0_usize..3, 0..3],
        values in prop::collection::vec(any::<i8>(), 600),
    ) {
        let channels = depth * factor;
        let output = [(height - 1) / stride[0] + 1, (width - 1) / stride[1] + 1];
        let window = Window {
            input: [height, width, depth],
            output: [output[0], output[1], channels],
            kernel, stride, padding, dilation,
        };
        let input = &values[..height * width * depth];
        let weights = &values[126..];
        let bias = [5, -7, 300, 0, 1, 2, 3, -400, 9];
        let multipliers = [1 << 30; 9];
        let shifts = [-6; 9];
        let requantise = Requantise { rounding: Rounding::Double, zero_point: 3, min: -128, max: 127 };
        let canonical = Canonical {
            weights, taps: kernel[0] * kernel[1] * depth,
            bias: &bias, multipliers: &multipliers, shifts: &shifts,
        };
        let by_tap = CanonicalDepthwise {
            weights, channels, bias: &bias, multipliers: &multipliers, shifts: &shifts,
        };
        let conv = Conv2d { window, pad: 4, weights: canonical, requantise };
        let depthwise = DepthwiseConv2d { window, pad: 4, weights: by_tap, requantise };
        // Pools keep the channels.
        let pooled = Window { output: [output[0], output[1], depth], ..window };
        let max_pool = MaxPool2d { window: pooled, min: -128, max: 127 };
        let average_pool = AveragePool2d { window: pooled, min: -128, max: 127 };
        let kernels: [(&Kernel<'_>, &Window); 4] = [
            (&|x, y| conv_2d(&conv, x, y), &window),
            (&|x, y| depthwise_conv_2d(&depthwise, x, y), &window),
            (&|x, y| max_pool_2d(&max_pool, x, y), &pooled),
            (&|x, y| average_pool_2d(&average_pool, x, y), &pooled),
        ];
        for (kernel, window) in kernels {
            let count = window.output.iter().product();
            let distance = distance(window);
            let apart = run_vec(kernel, input, count);
            // An average over padding alone leaves what was there.
            let covered = kernel_covers(window);
            let together = run_overlapping(kernel, input, count, distance);
            if covered {
                prop_assert_eq!(apart, together);
            }
        }
    }
}

/// Whether every output has an input under it.
fn kernel_covers(window: &Window) -> bool {
    let places = [0, 1].map(|axis| {
        (0..window.output[axis]).all(|at| {
            (0..window.kernel[axis]).any(|tap| {
                position(
                    at,
                    window.stride[axis],
                    tap,
                    window.dilation[axis],
                    window.padding[axis],
                )
                .is_some_and(|place| place < window.input[axis])
            })
        })
    });
    places == [true, true]
}
