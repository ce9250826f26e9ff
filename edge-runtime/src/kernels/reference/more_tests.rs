//! Known answers and naive oracles for the operators without a sum over a whole window of channels,
//! and for the other convolutions.

use super::add::{Add, AddFitted, add, add_fitted};
use super::average_pool_2d::{AveragePool2d, average_pool_2d};
use super::broadcast::{Broadcast, Operand};
use super::copy::{Copy, copy, fill};
use super::depthwise_conv_2d::{DepthwiseConv2d, depthwise_conv_2d};
use super::lookup::lookup;
use super::mean::{Mean, mean};
use super::mul::Mul;
use super::prelu::Prelu;
use super::requantise::{Requantise, Rounding};
use super::resize_bilinear::{BilinearAxis, ResizeBilinear, resize_bilinear};
use super::resize_nearest::{ResizeNearest, resize_nearest};
use super::state::State16;
use super::svdf::{Svdf, svdf};
use super::tests::{cells, run_vec};
use super::transpose_conv::{TransposeConv, transpose_conv};
use super::unidirectional_sequence_lstm::{Gate, Lstm, unidirectional_sequence_lstm};
use super::weights::{Canonical, CanonicalDepthwise, Weights};
use super::{Window, clamp, reshape};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// Settings that leave a small sum as it is.
const UNCHANGED: Requantise = Requantise {
    rounding: Rounding::Single,
    zero_point: 0,
    min: -128,
    max: 127,
};
/// With a shift of 1: one.
const ONE: i32 = 1 << 30;

/// Through the trait's own loops, weight by weight.
struct OneByOne<'a>(Canonical<'a>);

impl Weights for OneByOne<'_> {
    fn weight(&self, channel: usize, tap: usize) -> i32 {
        self.0.weight(channel, tap)
    }
    fn bias(&self, channel: usize) -> i32 {
        self.0.bias(channel)
    }
    fn multiplier(&self, channel: usize) -> i32 {
        self.0.multiplier(channel)
    }
    fn shift(&self, channel: usize) -> i8 {
        self.0.shift(channel)
    }
}

#[test]
fn add_by_hand() {
    // Scales 1, 1/2 and 1: the greater input halves, the other quarters, the sum doubles.
    let settings = Add {
        broadcast: Broadcast::none(3),
        multipliers: [1 << 30, 1 << 30, 1 << 30],
        shifts: [0, -1, -18],
        zero_points: [1, -2, 3],
        left_shift: 20,
        subtract: false,
        min: -100,
        max: 90,
    };
    let run = |settings: &Add| {
        let mut x1 = [11, 101, -120];
        let output = cells(&mut x1);
        let inputs = [
            Operand::Activation(output),
            Operand::Constant(&[4, 100, -8]),
        ];
        add(settings, inputs, output);
        x1
    };
    // 10 + 3, 100 + 51, -121 - 3; plus 3, limited.
    assert_eq!(run(&settings), [16, 90, -100]);
    let difference = Add {
        subtract: true,
        ..settings
    };
    // 10 - 3, 100 - 51, -121 + 3.
    assert_eq!(run(&difference), [10, 52, -100]);
}

#[test]
fn fitted_add_rounds_down() {
    let settings = AddFitted {
        a: 3,
        b: -1,
        c: 1,
        shift: 1,
        min: -20,
        max: 20,
    };
    let output = run_vec(
        |x, y| {
            let inputs = [Operand::Activation(x), Operand::Constant(&[1])];
            let broadcast = Broadcast {
                shape: [1, 2, 2],
                strides: [[0, 2, 1], [0; 3]],
            };
            add_fitted(&settings, &broadcast, inputs, y);
        },
        &[1, -1, 100, -100],
        4,
    );
    assert_eq!(output, [1, -2, 20, -20]);
}

#[test]
fn products_by_hand() {
    let settings = Mul {
        broadcast: Broadcast::none(1),
        multiplier: ONE,
        shift: -1,
        zero_points: [2, -3, 5],
        min: -128,
        max: 127,
    };
    // 5 * 6 / 4 = 7.5; -5 * 6 / 4 = -7.5, halved to -15 and rounded away from zero.
    assert_eq!([settings.apply(7, 3), settings.apply(-3, 3)], [13, -3]);
    let settings = Prelu {
        broadcast: Broadcast::none(1),
        multipliers: [ONE, ONE],
        shifts: [1, -3],
        zero_points: [1, 2, 3],
    };
    // 9 + 3; -8 * 4 / 16 + 3.
    assert_eq!([settings.apply(10, 6), settings.apply(-7, 6)], [12, 1]);
}

#[test]
fn tables_start_at_the_lowest_input() {
    let mut table = [0; 256];
    table[0] = 7;
    table[127] = 8;
    table[255] = 9;
    let mut values = [-128, -1, 127, 5];
    let in_place = cells(&mut values);
    lookup(&table, in_place, in_place);
    assert_eq!(values, [7, 8, 9, 0]);
}

#[test]
fn means_by_hand() {
    let settings = Mean {
        outer: 2,
        reduce: 3,
        inner: 2,
        multiplier: 715_827_883, // a third
        shift: 0,
        zero_points: [1, -4],
    };
    let input = [1, 2, 3, 4, 8, 9, -1, -2, -3, -4, -5, -6];
    let output = run_vec(|x, y| mean(&settings, x, y), &input, 4);
    // (0 + 2 + 7) / 3, (1 + 3 + 8) / 3, (-2 - 4 - 6) / 3, (-3 - 5 - 7) / 3; less 4.
    assert_eq!(output, [-1, 0, -8, -9]);
}

#[test]
fn average_pool_by_hand_ignores_padding() {
    let settings = AveragePool2d {
        window: Window {
            input: [2, 2, 1],
            output: [2, 2, 1],
            kernel: [2, 2],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
        },
        min: -3,
        max: 100,
    };
    let output = run_vec(|x, y| average_pool_2d(&settings, x, y), &[1, 2, -4, -5], 4);
    // -6 / 4 = -1.5 away from zero; -3 / 2 likewise; -9 / 2 limited.
    assert_eq!(output, [-2, -2, -3, -3]);
}

#[test]
fn resizing_by_hand() {
    let settings = ResizeNearest {
        input: [2, 1, 2],
        rows: &[0, 1, 1, 2],
        columns: &[0, 0],
    };
    let output = run_vec(|x, y| resize_nearest(&settings, x, y), &[1, 2, 3, 4], 16);
    let rows = [[1, 2, 1, 2], [3, 4, 3, 4], [3, 4, 3, 4], [0, 0, 0, 0]];
    assert_eq!(output, rows.concat());

    let axis = |scale| BilinearAxis { scale, offset: 0 };
    let settings = ResizeBilinear {
        input: [1, 2, 1],
        output: [1, 4],
        vertical: axis(1024),
        horizontal: axis(512),
    };
    let output = run_vec(|x, y| resize_bilinear(&settings, x, y), &[-3, 4], 4);
    // Half-way 0.5, away from zero; past the end the last one.
    assert_eq!(output, [-3, 1, 4, 4]);
}

#[test]
fn copies_with_strides_and_holes() {
    // A 2x3 matrix transposed, into the middle of a filled 5x2 one.
    let mut settings = Copy {
        sizes: [1, 1, 1, 1, 3, 2],
        input_strides: [0, 0, 0, 0, 1, 3],
        output_strides: [0, 0, 0, 0, 2, 1],
        input_start: 0,
        output_start: 2,
    };
    let input = [1, 2, 3, 4, 5, 6];
    let run = |settings: &Copy| {
        run_vec(
            |x, y| {
                fill(9, y);
                copy(settings, Operand::Activation(x), y);
            },
            &input,
            10,
        )
    };
    assert_eq!(run(&settings), [9, 9, 1, 4, 2, 5, 3, 6, 9, 9]);
    // Backwards, and past the beginning.
    settings.input_strides[4] = -1;
    settings.input_start = 1;
    assert_eq!(run(&settings), [9, 9, 2, 5, 1, 4, 9, 3, 9, 9]);
    settings.sizes[0] = 0;
    assert_eq!(run(&settings), [9; 10]);
}

/// Values of a small deterministic sequence.
fn sequence(count: usize, seed: i32) -> Vec<i8> {
    (0..count as i32)
        .map(|i| ((i * 37 + seed * 11) % 19 - 9) as i8)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn depthwise_convolution_is_the_naive_sum(
        [height, width, depth, factor] in [1_usize..7, 1..7, 1..4, 1..4],
        kernel in [1_usize..4, 1..4],
        stride in [1_usize..4, 1..4],
        dilation in [1_usize..3, 1..3],
        padding in [0_usize..3, 0..3],
        pad in -5_i8..5,
        seed in 0..100,
    ) {
        let channels = depth * factor;
        let output = [(height - 1) / stride[0] + 1, (width - 1) / stride[1] + 1];
        let window = Window {
            input: [height, width, depth],
            output: [output[0], output[1], channels],
            kernel, stride, padding, dilation,
        };
        let input = sequence(height * width * depth, seed);
        let weights: Vec<i8> = sequence(kernel[0] * kernel[1] * channels, seed + 1).iter().map(|w| w / 4).collect();
        let bias: Vec<i32> = (0..channels as i32).collect();
        let settings = DepthwiseConv2d {
            window,
            pad,
            weights: CanonicalDepthwise {
                weights: &weights,
                channels,
                bias: &bias,
                multipliers: &vec![ONE; channels],
                shifts: &vec![1; channels],
            },
            requantise: UNCHANGED,
        };
        let mut expected = Vec::new();
        for y in 0..output[0] {
            for x in 0..output[1] {
                for o in 0..channels {
                    let mut sum = o as i32;
                    for ky in 0..kernel[0] {
                        for kx in 0..kernel[1] {
                            let row = (y * stride[0] + ky * dilation[0]) as isize - padding[0] as isize;
                            let column = (x * stride[1] + kx * dilation[1]) as isize - padding[1] as isize;
                            let inside = (0..height as isize).contains(&row) && (0..width as isize).contains(&column);
                            let value = if inside {
                                input[(row as usize * width + column as usize) * depth + o / factor]
                            } else {
                                pad
                            };
                            sum += i32::from(value) * i32::from(weights[(ky * kernel[1] + kx) * channels + o]);
                        }
                    }
                    expected.push(sum.clamp(-128, 127) as i8);
                }
            }
        }
        let actual = run_vec(|x, y| depthwise_conv_2d(&settings, x, y), &input, expected.len());
        prop_assert_eq!(actual, expected);
    }

    #[test]
    fn transposed_convolution_scatters(
        [height, width, depth, channels] in [1_usize..5, 1..5, 1..4, 1..4],
        kernel in [1_usize..4, 1..4],
        stride in [1_usize..4, 1..4],
        padding in [0_usize..2, 0..2],
        extra in [0_usize..2, 0..2],
        zero_point in -5_i8..5,
        seed in 0..100,
    ) {
        let size = |n: usize, axis: usize| {
            ((n - 1) * stride[axis] + kernel[axis] + extra[axis]).saturating_sub(2 * padding[axis]).max(1)
        };
        let output = [size(height, 0), size(width, 1)];
        let window = Window {
            input: [height, width, depth],
            output: [output[0], output[1], channels],
            kernel, stride, padding,
            dilation: [1, 1],
        };
        let input = sequence(height * width * depth, seed);
        let taps = kernel[0] * kernel[1] * depth;
        let weights: Vec<i8> = sequence(channels * taps, seed + 1).iter().map(|w| w / 4).collect();
        let bias: Vec<i32> = weights
            .chunks(taps)
            .map(|row| -i32::from(zero_point) * row.iter().map(|w| i32::from(*w)).sum::<i32>())
            .collect();
        let canonical = Canonical {
            weights: &weights,
            taps,
            bias: &bias,
            multipliers: &vec![ONE; channels],
            shifts: &vec![1; channels],
        };
        let mut sums = vec![0_i32; output[0] * output[1] * channels];
        for y in 0..height {
            for x in 0..width {
                for ky in 0..kernel[0] {
                    for kx in 0..kernel[1] {
                        let row = (y * stride[0] + ky) as isize - padding[0] as isize;
                        let column = (x * stride[1] + kx) as isize - padding[1] as isize;
                        if !(0..output[0] as isize).contains(&row) || !(0..output[1] as isize).contains(&column) {
                            continue;
                        }
                        for o in 0..channels {
                            for d in 0..depth {
                                let value = i32::from(input[(y * width + x) * depth + d]) - i32::from(zero_point);
                                let weight = weights[((o * kernel[0] + ky) * kernel[1] + kx) * depth + d];
                                sums[(row as usize * output[1] + column as usize) * channels + o] += value * i32::from(weight);
                            }
                        }
                    }
                }
            }
        }
        let expected: Vec<i8> = sums.iter().map(|sum| (*sum).clamp(-128, 127) as i8).collect();
        let settings = TransposeConv { window, pad: zero_point, weights: canonical, requantise: UNCHANGED };
        let actual = run_vec(|x, y| transpose_conv(&settings, x, y), &input, expected.len());
        prop_assert_eq!(&actual, &expected);
        // The same weights one by one, through the trait's own loops.
        let settings = TransposeConv { window, pad: zero_point, weights: OneByOne(canonical), requantise: UNCHANGED };
        let actual = run_vec(|x, y| transpose_conv(&settings, x, y), &input, expected.len());
        prop_assert_eq!(actual, expected);
    }

    /// Settings that fit nothing, with every number drawn at random: no kernel panics.
    #[test]
    fn nothing_panics(
        n in prop::collection::vec(prop_oneof![4 => 0_usize..5, 1 => any::<usize>()], 24),
        i in prop::collection::vec(any::<i32>(), 12),
        shifts in prop::collection::vec(any::<i8>(), 6),
        lengths in [0_usize..40, 0..40, 0..40],
    ) {
        // Loops are bounded by the shapes of a loaded model; here by hand.
        let small = |k: usize| n[k] % 5;
        let window = Window {
            input: [n[0], n[1], n[2]],
            output: [small(3), small(4), small(5)],
            kernel: [small(6), small(7)],
            stride: [n[8], n[9]],
            padding: [n[10], n[11]],
            dilation: [n[12], n[13]],
        };
        let mut x = sequence(lengths[0], 1);
        let mut z = sequence(lengths[1], 2);
        let weights = sequence(lengths[2], 3);
        let (x, y) = (cells(&mut x), cells(&mut z));
        let (min, max) = (shifts[0], shifts[1]);
        let requantise = Requantise { rounding: Rounding::Double, zero_point: i[0], min, max };
        let canonical = Canonical { weights: &weights, taps: n[14], bias: &i, multipliers: &i, shifts: &shifts };
        transpose_conv(&TransposeConv { window, pad: min, weights: canonical, requantise }, x, y);
        let by_tap = CanonicalDepthwise { weights: &weights, channels: n[14], bias: &i, multipliers: &i, shifts: &shifts };
        depthwise_conv_2d(&DepthwiseConv2d { window, pad: min, weights: by_tap, requantise }, x, y);
        super::conv_2d::conv_2d(&super::conv_2d::Conv2d { window, pad: min, weights: canonical, requantise }, x, y);
        average_pool_2d(&AveragePool2d { window, min, max }, x, y);
        let broadcast = Broadcast { shape: [n[0], n[1], n[2]], strides: [[n[3], n[4], n[5]], [n[6], n[7], n[8]]] };
        let inputs = [Operand::Activation(x), Operand::Constant(&weights)];
        let settings = Add {
            broadcast,
            multipliers: [i[0], i[1], i[2]],
            shifts: [shifts[0], shifts[1], shifts[2]],
            zero_points: [i[3], i[4], i[5]],
            left_shift: n[9] as u32,
            subtract: n[10] % 2 == 0,
            min,
            max,
        };
        add(&settings, inputs, y);
        let fitted = AddFitted { a: i[0], b: i[1], c: i[2], shift: n[9] as u32, min, max };
        add_fitted(&fitted, &broadcast, inputs, y);
        let settings = Mul { broadcast, multiplier: i[0], shift: shifts[0], zero_points: [i[1], i[2], i[3]], min, max };
        super::mul::mul(&settings, inputs, y);
        let settings = Prelu { broadcast, multipliers: [i[0], i[1]], shifts: [shifts[0], shifts[1]], zero_points: [i[2], i[3], i[4]] };
        super::prelu::prelu(&settings, x, inputs[1], y);
        let settings = Mean {
            outer: n[0], reduce: n[1], inner: n[2], multiplier: i[0], shift: shifts[0], zero_points: [i[1], i[2]],
        };
        mean(&settings, x, y);
        let places: Vec<u16> = n.iter().map(|n| *n as u16).collect();
        resize_nearest(&ResizeNearest { input: [n[0], n[1], n[2]], rows: &places, columns: &places }, x, y);
        let settings = ResizeBilinear {
            input: [n[0], n[1], n[2]],
            output: [n[3], n[4]],
            vertical: BilinearAxis { scale: i[0], offset: i[1] },
            horizontal: BilinearAxis { scale: i[2], offset: i[3] },
        };
        resize_bilinear(&settings, x, y);
        let strides = |k: usize| std::array::from_fn(|j| n[k + j] as isize);
        let settings = Copy {
            sizes: std::array::from_fn(|k| small(k) % 4),
            input_strides: strides(6),
            output_strides: strides(12),
            input_start: n[18],
            output_start: n[19],
        };
        copy(&settings, inputs[0], y);
        let gate = Gate {
            input_weights: &weights, input_bias: &i, recurrent_weights: &weights, recurrent_bias: &i,
            input_multiplier: i[0], input_shift: shifts[0], recurrent_multiplier: i[1], recurrent_shift: shifts[1],
        };
        let settings = Lstm {
            inputs: n[0], cells: n[1], input_gate: None, forget_gate: gate, cell_gate: gate, output_gate: gate,
            cell_power: i[2], cell_clip: i[3] as i16, hidden_multiplier: i[4], hidden_shift: shifts[2], hidden_zero_point: i[5],
        };
        let mut hidden = vec![1; n[1].min(40)];
        unidirectional_sequence_lstm(&settings, x, cells(&mut hidden), State16(x), y);
        let settings = Svdf {
            inputs: n[0], rank: n[1], memory: small(2), feature_weights: &weights, feature_bias: &i,
            time_weights: &[1, -2, 3], bias: &i, state_multiplier: i[0], state_shift: shifts[0],
            output_multiplier: i[1], output_shift: shifts[1], zero_point: i[2],
        };
        svdf(&settings, x, State16(y), y);
        clamp::clamp(min, max, x, y);
        reshape::reshape(x, y);
    }
}
