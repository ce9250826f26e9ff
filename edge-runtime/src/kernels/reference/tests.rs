//! Known answers, computed by hand, and naive oracles that share no code with the kernels.

use super::Window;
use super::conv_2d::{Conv2d, conv_2d};
use super::fully_connected::{FullyConnected, fully_connected};
use super::max_pool_2d::{MaxPool2d, max_pool_2d};
use super::requantise::{Requantise, Rounding, doubling_high_multiply, rounding_divide_by_power};
use super::softmax::{Softmax, softmax};
use super::weights::Canonical;
use core::cell::Cell;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// Multiplies by one half: 2^30 / 2^31 with no shift.
const HALF: [i32; 4] = [1 << 30; 4];
const NO_SHIFT: [i8; 4] = [0; 4];

fn halving(zero_point: i32) -> Requantise {
    Requantise {
        rounding: Rounding::Double,
        zero_point,
        min: -128,
        max: 127,
    }
}

/// Weights and biases with one half as multiplier.
fn halved<'a>(weights: &'a [i8], bias: &'a [i32]) -> Canonical<'a> {
    Canonical {
        weights,
        taps: weights.len() / bias.len(),
        bias,
        multipliers: &HALF,
        shifts: &NO_SHIFT,
    }
}

/// Values as a kernel reads them.
pub(super) fn cells(values: &mut [i8]) -> &[Cell<i8>] {
    Cell::from_mut(values).as_slice_of_cells()
}

/// What a kernel writes over `N` zeros for this input.
fn run<const N: usize>(kernel: impl Fn(&[Cell<i8>], &[Cell<i8>]), input: &[i8]) -> [i8; N] {
    let mut output = [0; N];
    kernel(cells(&mut input.to_vec()), cells(&mut output));
    output
}

/// As [`run`], for `count` outputs.
pub(super) fn run_vec(
    kernel: impl Fn(&[Cell<i8>], &[Cell<i8>]),
    input: &[i8],
    count: usize,
) -> Vec<i8> {
    let mut output = vec![0; count];
    kernel(cells(&mut input.to_vec()), cells(&mut output));
    output
}

#[test]
fn fully_connected_by_hand() {
    let settings = FullyConnected {
        inputs: 3,
        outputs: 2,
        weights: halved(&[1, 2, 3, -1, 0, 5], &[10, -7]),
        requantise: halving(-1),
    };
    let output: [i8; 2] = run(|x, y| fully_connected(&settings, x, y), &[4, -5, 6]);
    // 10 + 4 - 10 + 18 = 22, halved 11, less 1; -7 - 4 + 30 = 19, halved 9.5 -> 10, less 1.
    assert_eq!(output, [10, 9]);
}

#[test]
fn convolution_by_hand_reads_the_zero_point_outside() {
    let window = Window {
        input: [2, 2, 1],
        output: [2, 2, 1],
        kernel: [3, 3],
        stride: [1, 1],
        padding: [1, 1],
        dilation: [1, 1],
    };
    let settings = Conv2d {
        window,
        pad: 2,
        weights: halved(&[1, 1, 1, 1, 10, 1, 1, 1, 1], &[0]),
        requantise: halving(0),
    };
    let output: [i8; 4] = run(|x, y| conv_2d(&settings, x, y), &[1, 2, 3, 4]);
    // Five taps on padding give 10 everywhere; then ten times the middle and once the others.
    assert_eq!(output, [29 / 2 + 1, 38 / 2, 47 / 2 + 1, 56 / 2]);
}

#[test]
fn convolution_by_hand_with_stride_dilation_and_channels() {
    let window = Window {
        input: [1, 5, 2],
        output: [1, 2, 2],
        kernel: [1, 2],
        stride: [1, 2],
        padding: [0, 0],
        dilation: [1, 2],
    };
    let settings = Conv2d {
        window,
        pad: 0,
        weights: halved(&[1, 0, 0, 2, 3, 3, -3, -3], &[0, 100]),
        requantise: halving(0),
    };
    let output: [i8; 4] = run(
        |x, y| conv_2d(&settings, x, y),
        &[1, 2, 9, 9, 3, 4, 9, 9, 5, 6],
    );
    // Pixels 0 and 2: 1 + 8 = 9 -> 5, 100 + 9 - 21 = 88 -> 44; pixels 2 and 4: 15 -> 8, 88 -> 44.
    assert_eq!(output, [5, 44, 8, 44]);
}

#[test]
fn pool_by_hand_ignores_padding() {
    let settings = MaxPool2d {
        window: Window {
            input: [2, 3, 1],
            output: [2, 2, 1],
            kernel: [2, 2],
            stride: [1, 2],
            padding: [0, 0],
            dilation: [1, 1],
        },
        min: -50,
        max: 60,
    };
    let output: [i8; 4] = run(
        |x, y| max_pool_2d(&settings, x, y),
        &[-100, -90, -3, 70, -80, -128],
    );
    assert_eq!(output, [60, -3, 60, -50]);
}

#[test]
fn softmax_by_hand() {
    // A scale of ln 2 / 8: eight steps halve. 2^26 * scale = 5_814_540 = m / 2^31 * 2^23.
    let settings = Softmax {
        channels: 3,
        multiplier: 1_488_522_236,
        left_shift: 23,
        smallest_difference: -248,
    };
    let output: [i8; 6] = run(|x, y| softmax(&settings, x, y), &[8, 0, 0, 127, 127, -128]);
    // 1/2, 1/4, 1/4 of 256; then one half twice and nothing.
    assert_eq!(output, [0, -64, -64, 0, 0, -128]);
}

#[test]
fn the_saturating_case_saturates() {
    assert_eq!(doubling_high_multiply(i32::MIN, i32::MIN), i32::MAX);
    assert_eq!(doubling_high_multiply(i32::MIN, i32::MAX), -i32::MAX);
    let scale = |shift| Rounding::Double.scale(i32::MIN, i32::MIN, shift);
    assert_eq!((scale(0), scale(-31)), (i32::MAX, 1));
}

#[test]
fn the_modes_differ_where_they_should() {
    // 3 * 0.5 * 2^-1 = 0.75: rounded twice 2 -> 1; 1 * 0.5 / 2 = 0.25: twice 1 -> 1, once 0.
    let both = |acc| [Rounding::Double, Rounding::Single].map(|mode| mode.scale(acc, 1 << 30, -1));
    assert_eq!(both(3), [1, 1]);
    assert_eq!(both(1), [1, 0]);
    // Halves: away from zero on the last step of Double, upwards in the others.
    let half = |acc| {
        [
            Rounding::Double.scale(acc, i32::MAX, -1),
            Rounding::Single.scale(acc, 1 << 30, 0),
            Rounding::High32.scale(acc, 1 << 30, 1),
        ]
    };
    assert_eq!(half(-5), [-3, -2, -2]);
    assert_eq!(half(5), [3, 3, 3]);
    assert_eq!(Rounding::Single.scale(i32::MAX, i32::MAX, 30), i32::MAX);
    assert_eq!(Rounding::Single.scale(i32::MIN, i32::MAX, 30), i32::MIN);
}

/// `n / 2^shift`, halves away from zero, in exact arithmetic.
fn away_from_zero(n: i128, shift: u32) -> i128 {
    let divisor = 1_i128 << shift;
    let rounded = (2 * n.abs() + divisor) / (2 * divisor);
    if n < 0 { -rounded } else { rounded }
}

/// `n / 2^shift`, halves upwards.
fn upwards(n: i128, shift: u32) -> i128 {
    (2 * n + (1 << shift)).div_euclid(2 << shift)
}

/// Accumulators as they occur, and the extremes.
fn accumulator() -> impl Strategy<Value = i32> {
    prop_oneof![
        any::<i32>(),
        -100_000..100_000,
        prop::sample::select(&[i32::MIN, i32::MIN + 1, -1, 0, 1, i32::MAX]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn double_is_two_exact_roundings(acc in accumulator(), multiplier in any::<i32>(), shift in -31_i8..=30) {
        let left = shift.max(0) as u32;
        let acc = acc >> left; // what is shifted out of an accumulator has no oracle: it wraps
        let shifted = i128::from(acc) << left;
        let product = upwards(shifted * i128::from(multiplier), 31).min(i32::MAX.into());
        let expected = away_from_zero(product, (-i32::from(shift)).max(0) as u32);
        prop_assert_eq!(i128::from(Rounding::Double.scale(acc, multiplier, shift)), expected);
    }

    #[test]
    fn single_is_one_exact_rounding(acc in accumulator(), multiplier in 0..=i32::MAX, shift in -31_i8..=30) {
        let product = i128::from(acc) * i128::from(multiplier);
        let expected = upwards(product, (31 - i32::from(shift)) as u32)
            .clamp(i32::MIN.into(), i32::MAX.into());
        prop_assert_eq!(i128::from(Rounding::Single.scale(acc, multiplier, shift)), expected);
    }

    #[test]
    fn high_32_is_one_exact_rounding(acc in -(1 << 24)..(1 << 24), multiplier in 0..=i32::MAX, shift in 0_i8..=7) {
        let product = (i128::from(acc) << shift) * i128::from(multiplier);
        prop_assert_eq!(i128::from(Rounding::High32.scale(acc, multiplier, shift)), upwards(product, 32));
    }

    #[test]
    fn no_settings_make_scaling_panic(acc in any::<i32>(), multiplier in any::<i32>(), shift in any::<i8>()) {
        for mode in [Rounding::Double, Rounding::Single, Rounding::High32] {
            let _ = mode.scale(acc, multiplier, shift);
        }
    }

    #[test]
    fn division_rounds_halves_away(x in any::<i32>(), exponent in 0_u32..=31) {
        prop_assert_eq!(i128::from(rounding_divide_by_power(x, exponent)), away_from_zero(x.into(), exponent));
    }

    #[test]
    fn softmax_is_close_to_the_real_one(
        input in prop::collection::vec(any::<i8>(), 1..40),
        steps in 1_u32..400,
    ) {
        // A scale of steps / 1000, turned into multiplier and shift as TFLite does.
        let scale = f64::from(steps) / 1000.0;
        let mut fraction = scale * f64::from(1 << 26);
        let mut left_shift = 0;
        while fraction >= 1.0 {
            fraction /= 2.0;
            left_shift += 1;
        }
        let settings = Softmax {
            channels: input.len(),
            multiplier: (fraction * f64::from(1_u32 << 31)).round() as i32,
            left_shift,
            smallest_difference: -((31 << 26) >> left_shift),
        };
        let output = run_vec(|x, y| softmax(&settings, x, y), &input, input.len());
        let exponentials: Vec<f64> = input.iter().map(|x| (f64::from(*x) * scale).exp()).collect();
        let sum: f64 = exponentials.iter().sum();
        for (y, exponential) in output.iter().zip(exponentials) {
            let real = (exponential / sum * 256.0 - 128.0).min(127.0);
            prop_assert!((f64::from(*y) - real).abs() <= 1.0, "{y} {real}");
        }
    }

    #[test]
    fn convolution_is_the_naive_sum(
        [height, width, depth, channels] in [1_usize..7, 1..7, 1..4, 1..5],
        kernel in [1_usize..4, 1..4],
        stride in [1_usize..4, 1..4],
        dilation in [1_usize..3, 1..3],
        padding in [0_usize..3, 0..3],
        zero_point in any::<i8>(),
        values in prop::collection::vec(any::<i8>(), 400),
        bias in prop::collection::vec(-9999..9999, 4),
    ) {
        let output = [(height - 1) / stride[0] + 1, (width - 1) / stride[1] + 1];
        let window = Window {
            input: [height, width, depth],
            output: [output[0], output[1], channels],
            kernel, stride, padding, dilation,
        };
        let input = &values[..height * width * depth];
        let weights = &values[200..200 + channels * kernel[0] * kernel[1] * depth];
        let multipliers = [1 << 30; 4];
        let shifts = [-7; 4];
        let requantise = Requantise {
            rounding: Rounding::Single,
            zero_point: 3,
            min: -100,
            max: 90,
        };
        let settings = Conv2d {
            window,
            pad: zero_point,
            weights: Canonical {
                weights,
                taps: kernel[0] * kernel[1] * depth,
                bias: &bias[..channels],
                multipliers: &multipliers,
                shifts: &shifts,
            },
            requantise,
        };
        let count = output[0] * output[1] * channels;
        let actual = run_vec(|x, y| conv_2d(&settings, x, y), input, count);

        let mut expected = Vec::new();
        for y in 0..output[0] {
            for x in 0..output[1] {
                for channel in 0..channels {
                    let mut sum = bias[channel];
                    for ky in 0..kernel[0] {
                        for kx in 0..kernel[1] {
                            for d in 0..depth {
                                let row = (y * stride[0] + ky * dilation[0]) as isize - padding[0] as isize;
                                let column = (x * stride[1] + kx * dilation[1]) as isize - padding[1] as isize;
                                let inside = row >= 0 && column >= 0
                                    && row < height as isize && column < width as isize;
                                let value = if inside {
                                    input[(row as usize * width + column as usize) * depth + d]
                                } else {
                                    zero_point
                                };
                                let weight = weights[((channel * kernel[0] + ky) * kernel[1] + kx) * depth + d];
                                sum += i32::from(value) * i32::from(weight);
                            }
                        }
                    }
                    let scaled = upwards(i128::from(sum), 8) + 3;
                    expected.push(scaled.clamp(-100, 90) as i8);
                }
            }
        }
        prop_assert_eq!(actual, expected);
    }
}
