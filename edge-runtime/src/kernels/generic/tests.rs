//! Every kernel of the vector instruction sets that the machine has, against the reference on random layers: shapes, windows, zero points, shifts,
//! limits, odd sizes, unaligned tensors, and input and output that overlap as the plan may let
//! them.

use crate::kernels::reference::add::AddFitted;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::{conv_2d_scratch_len, depthwise_conv_2d_scratch_len};
use crate::kernels::layer::Layer;
#[cfg(target_arch = "aarch64")]
use crate::kernels::neon as native;
use crate::kernels::packing::affine::{End, lines, reach};
use crate::kernels::packing::{depthwise_16x4, dot_16x4};
use crate::kernels::reference::Window;
use crate::kernels::reference::conv_2d::{Conv2d, conv_2d};
use crate::kernels::reference::requantise::{Requantise, Rounding};
use crate::kernels::reference::weights::Canonical;
#[cfg(target_arch = "wasm32")]
use crate::kernels::wasm as native;
#[cfg(target_arch = "x86_64")]
use crate::kernels::x86 as native;
use core::cell::Cell;
use native::{add_fitted, average_pool_2d, max_pool_2d};

#[cfg(target_arch = "x86_64")]
mod sparse;
#[cfg(target_arch = "x86_64")]
mod winograd;

type Kernel = fn(&Layer<'_>);

/// A layer that owns its constants.
#[derive(Clone, Debug)]
struct Case {
    window: Window,
    /// Canonical.
    weights: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<i32>,
    shifts: Vec<i8>,
    rounding: Rounding,
    pad: i8,
    zero_point: i8,
    min: i8,
    max: i8,
    input: Vec<i8>,
    /// Bytes before the tensors in the arena.
    skew: usize,
}

/// Sixteen bytes, aligned as the arena is.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Line([u8; 16]);

fn aligned(bytes: &[u8]) -> Vec<Line> {
    let mut lines = vec![Line([0; 16]); bytes.len().div_ceil(16)];
    for (line, bytes) in lines.iter_mut().zip(bytes.chunks(16)) {
        line.0[..bytes.len()].copy_from_slice(bytes);
    }
    lines
}

fn bytes_of(lines: &[Line]) -> &[u8] {
    // SAFETY: a line is sixteen bytes and no padding.
    unsafe { core::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * 16) }
}

fn cells_of(lines: &mut [Line]) -> &[Cell<i8>] {
    // SAFETY: as above; the borrow is exclusive.
    unsafe { core::slice::from_raw_parts(lines.as_mut_ptr().cast(), lines.len() * 16) }
}

fn len([a, b, c]: [usize; 3]) -> usize {
    a * b * c
}

impl Case {
    fn taps(&self) -> usize {
        self.weights.len() / self.bias.len()
    }

    fn requantise(&self) -> Requantise {
        Requantise {
            rounding: self.rounding,
            zero_point: self.zero_point.into(),
            min: self.min,
            max: self.max,
        }
    }

    /// What the reference gives for a convolution with these weights.
    fn expected(&self, weights: &[i8]) -> Vec<i8> {
        let output = vec![Cell::new(0); len(self.window.output)];
        let settings = Conv2d {
            window: self.window,
            pad: self.pad,
            weights: Canonical {
                weights,
                taps: weights.len() / self.bias.len(),
                bias: &self.bias,
                multipliers: &self.multipliers,
                shifts: &self.shifts,
            },
            requantise: self.requantise(),
        };
        let input: Vec<Cell<i8>> = self.input.iter().copied().map(Cell::new).collect();
        conv_2d(&settings, &input, &output);
        output.iter().map(Cell::get).collect()
    }

    /// The end of a channel for sums of `times` its accumulators.
    fn end(&self, channel: usize, weights: impl Iterator<Item = i8>, times: u16) -> Option<End> {
        if cfg!(miri) {
            return None; // the search takes too long there
        }
        Some(End {
            rounding: self.rounding,
            multiplier: self.multipliers[channel],
            shift: self.shifts[channel],
            zero_point: self.zero_point,
            min: self.min,
            max: self.max,
            reach: reach(self.bias[channel], weights),
            times,
        })
    }

    /// Packs with the places that the decoder knows.
    fn pack(&self, len: usize, place: impl Fn(usize, usize) -> (usize, usize)) -> Vec<Line> {
        let mut packed = vec![0; len];
        for channel in 0..self.bias.len() {
            let mut sum = 0;
            for tap in 0..self.taps() {
                let (place, index) = place(channel, tap);
                packed[place] = self.weights[index].cast_unsigned();
                sum += i32::from(self.weights[index]);
            }
            packed[channel * 4..channel * 4 + 4].copy_from_slice(&(sum * -128).to_le_bytes());
        }
        self.put_lines(&mut packed, 1, 1, |channel, tap| place(channel, tap).1);
        aligned(&packed)
    }

    /// Writes the lines of sums of `times` the accumulators, from the `table`th table of words on. `index` is
    /// that of a channel's tap in the weights.
    fn put_lines(
        &self,
        packed: &mut [u8],
        table: usize,
        times: u16,
        index: impl Fn(usize, usize) -> usize,
    ) {
        let lanes = self.bias.len().next_multiple_of(16);
        for block in (0..lanes).step_by(16) {
            let lines = lines(core::array::from_fn(|lane| {
                let channel = block + lane;
                (channel < self.bias.len()).then(|| {
                    let taps = (0..self.taps()).map(|tap| self.weights[index(channel, tap)]);
                    self.end(channel, taps, times)
                })
            }));
            for (lane, [scale, add]) in lines.into_iter().enumerate() {
                let at = (table * lanes + block + lane) * 4;
                packed[at..at + 4].copy_from_slice(&scale.to_le_bytes());
                packed[at + lanes * 4..at + lanes * 4 + 4].copy_from_slice(&add.to_le_bytes());
            }
        }
    }

    /// Runs a kernel in an arena in which the input starts `above` bytes above the output.
    fn run(&self, kernel: Kernel, packed: &[Line], scratch_len: usize, above: usize) -> Vec<i8> {
        let [input_len, output_len] = [self.window.input, self.window.output].map(len);
        let mut arena = vec![
            Line([0x55; 16]);
            (self.skew + above + input_len).max(self.skew + output_len) / 16 + 2
        ];
        let arena = cells_of(&mut arena);
        let input = &arena[self.skew + above..][..input_len];
        let output = &arena[self.skew..][..output_len];
        for (cell, value) in input.iter().zip(&self.input) {
            cell.set(*value);
        }
        let mut scratch = vec![Line([0xaa; 16]); scratch_len.div_ceil(16)];
        kernel(&Layer {
            window: self.window,
            weights: bytes_of(packed),
            bias: &self.bias,
            multipliers: &self.multipliers,
            shifts: &self.shifts,
            rounding: self.rounding,
            pad: self.pad,
            zero_point: self.zero_point.into(),
            min: self.min,
            max: self.max,
            input,
            output,
            scratch: &cells_of(&mut scratch)[..scratch_len],
        });
        for cell in arena[self.skew + above.max(output_len)..]
            .iter()
            .skip(input_len * usize::from(above >= output_len))
        {
            if above < output_len {
                break;
            }
            assert_eq!(cell.get(), 0x55, "written behind the tensors");
        }
        output.iter().map(Cell::get).collect()
    }

    /// How far above the output the input may start at the lowest by the raster rule.
    fn closest(&self) -> usize {
        let Window {
            input: [height, width, depth],
            output: [rows, columns, channels],
            stride,
            padding,
            ..
        } = self.window;
        let mut above = 0_isize;
        let mut lowest = isize::MAX;
        for y in (0..rows).rev() {
            for x in (0..columns).rev() {
                // The first byte that this pixel or a later one needs; padding rounds down.
                let row = (y * stride[0]) as isize - padding[0] as isize;
                let column = (x * stride[1]) as isize - padding[1] as isize;
                let row = row.clamp(0, height as isize - 1);
                let column = column.clamp(0, width as isize - 1);
                lowest = lowest.min((row * width as isize + column) * depth as isize);
                let end = ((y * columns + x + 1) * channels) as isize;
                above = above.max(end - lowest);
            }
        }
        above.max(0) as usize
    }
}

/// The portable kernel, then those of the instruction sets that the machine has.
fn kernels(portable: Kernel, native: Vec<Kernel>) -> impl Iterator<Item = Kernel> {
    core::iter::once(portable).chain(native)
}

/// Random constants for a window with as many taps, and a random input.
fn case(window: Window, taps: usize) -> impl Strategy<Value = Case> {
    let channels = window.output[2];
    let shifts = prop_oneof![
        8 => prop::collection::vec(-12_i8..=0, channels),
        1 => prop::collection::vec(-31_i8..=30, channels),
    ];
    let bias = prop_oneof![
        8 => prop::collection::vec(-100_000..100_000, channels),
        1 => prop::collection::vec(any::<i32>(), channels),
    ];
    let constants = (
        prop::collection::vec(any::<i8>(), taps * channels),
        bias,
        prop::collection::vec(
            prop_oneof![4 => 1 << 30..=i32::MAX, 1 => 0..=i32::MAX],
            channels,
        ),
        shifts,
    );
    let end = (
        prop::sample::select(vec![Rounding::Double, Rounding::Single, Rounding::High32]),
        any::<i8>(),
        any::<i8>(),
        any::<(i8, i8)>(),
        0..3_u8,
    );
    let input = prop::collection::vec(any::<i8>(), len(window.input));
    (constants, end, input, 0..16_usize).prop_map(
        move |(
            (weights, bias, multipliers, mut shifts),
            (rounding, pad, zero_point, limits, clamp),
            input,
            skew,
        )| {
            if rounding == Rounding::High32 {
                for shift in &mut shifts {
                    *shift = shift.rem_euclid(8);
                }
            }
            let (min, max) = match clamp {
                0 => (-128, 127),
                1 => (zero_point, 127),
                _ => (limits.0.min(limits.1), limits.0.max(limits.1)),
            };
            Case {
                window,
                weights,
                bias,
                multipliers,
                shifts,
                rounding,
                pad,
                zero_point,
                min,
                max,
                input,
                skew,
            }
        },
    )
}

/// Windows as the format lets them be: never wholly outside the input.
fn window(depth: usize, channels: usize) -> impl Strategy<Value = Window> {
    let axis = || {
        (1_usize..7, 1_usize..4, 1_usize..3, 1_usize..30, 0_usize..4).prop_map(
            |(kernel, stride, dilation, input, padding)| {
                let extent = (kernel - 1) * dilation + 1;
                let padding = padding.min(extent - 1);
                let input = input.max(extent);
                let output = (input + padding - extent) / stride + 1;
                // One more where the last window may begin inside and end outside.
                let more = output * stride < input + padding && output % 2 == 0;
                (
                    kernel,
                    stride,
                    dilation,
                    input,
                    padding,
                    output + usize::from(more),
                )
            },
        )
    };
    (axis(), axis()).prop_map(move |(y, x)| Window {
        input: [y.3, x.3, depth],
        output: [y.5, x.5, channels],
        kernel: [y.0, x.0],
        stride: [y.1, x.1],
        padding: [y.4, x.4],
        dilation: [y.2, x.2],
    })
}

fn check_conv(case: &Case) -> Result<(), TestCaseError> {
    let shape = dot_16x4::Shape::new(&case.window);
    let taps = case.taps();
    let packed = case.pack(shape.len(), |channel, tap| {
        (shape.position(channel, tap).unwrap(), channel * taps + tap)
    });
    for channel in 0..case.bias.len() {
        for tap in 0..taps {
            let weight = shape.weight(bytes_of(&packed), channel, tap);
            prop_assert_eq!(weight, case.weights[channel * taps + tap]);
        }
    }
    let expected = case.expected(&case.weights);
    let scratch = conv_2d_scratch_len(&case.window);
    for (index, kernel) in kernels(super::conv_2d, native::implementations(false)).enumerate() {
        for above in [expected.len(), case.closest()] {
            if index == 0 && above < expected.len() {
                continue; // reads a pixel for each channel, and may find it overwritten
            }
            let actual = case.run(kernel, &packed, scratch, above);
            prop_assert_eq!(&actual, &expected, "kernel {} above {}", index, above);
        }
    }
    Ok(())
}

/// The expected outputs of a depthwise layer: a convolution with zeros for the other channels.
fn check_depthwise(case: &Case) -> Result<(), TestCaseError> {
    let shape = depthwise_16x4::Shape::new(&case.window);
    let (taps, channels) = (case.taps(), case.bias.len());
    let packed = case.pack(shape.len(), |channel, tap| {
        (
            shape.position(channel, tap).unwrap(),
            tap * channels + channel,
        )
    });
    let mut weights = vec![0; channels * taps * channels];
    for channel in 0..channels {
        for tap in 0..taps {
            let weight = case.weights[tap * channels + channel];
            prop_assert_eq!(shape.weight(bytes_of(&packed), channel, tap), weight);
            weights[(channel * taps + tap) * channels + channel] = weight;
        }
    }
    let expected = case.expected(&weights);
    let scratch = depthwise_conv_2d_scratch_len(&case.window);
    for (index, kernel) in
        kernels(super::depthwise_conv_2d, native::implementations(true)).enumerate()
    {
        for above in [expected.len(), case.closest()] {
            if index == 0 && above < expected.len() {
                continue; // reads a pixel for each channel, and may find it overwritten
            }
            let actual = case.run(kernel, &packed, scratch, above);
            prop_assert_eq!(&actual, &expected, "kernel {} above {}", index, above);
        }
    }
    Ok(())
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(if cfg!(miri) { 2 } else { 200 }))]

    #[test]
    fn convolutions_are_exact(
        case in (1_usize..20, 1_usize..80)
            .prop_flat_map(|(depth, channels)| window(depth, channels))
            .prop_flat_map(|window| case(window, window.kernel[0] * window.kernel[1] * window.input[2]))
    ) {
        check_conv(&case)?;
    }

    #[test]
    fn pointwise_convolutions_are_exact(
        case in (1_usize..8, 1_usize..20, 1_usize..100, 1_usize..140).prop_flat_map(|(height, width, depth, channels)| {
            let window = Window {
                input: [height, width, depth],
                output: [height, width, channels],
                kernel: [1, 1],
                stride: [1, 1],
                padding: [0, 0],
                dilation: [1, 1],
            };
            case(window, depth)
        })
    ) {
        check_conv(&case)?;
    }

    #[test]
    fn fully_connected_layers_are_exact(
        case in (1_usize..200, 1_usize..200).prop_flat_map(|(inputs, outputs)| {
            let window = Window {
                input: [1, 1, inputs],
                output: [1, 1, outputs],
                kernel: [1, 1],
                stride: [1, 1],
                padding: [0, 0],
                dilation: [1, 1],
            };
            case(window, inputs)
        })
    ) {
        check_conv(&case)?;
    }

    #[test]
    fn depthwise_convolutions_are_exact(
        case in (1_usize..50)
            .prop_flat_map(|channels| window(channels, channels))
            .prop_flat_map(|window| case(window, window.kernel[0] * window.kernel[1]))
    ) {
        check_depthwise(&case)?;
    }

    #[test]
    fn fitted_sums_are_exact(
        a in prop::collection::vec(any::<i8>(), 1..300),
        seed in any::<u64>(),
        factors in any::<[i32; 2]>(),
        offset in any::<i32>(),
        shift in 0_u32..32,
        limits in any::<(i8, i8)>(),
        in_place in any::<bool>(),
    ) {
        let b: Vec<i8> = (0..a.len() as u64).map(|i| (seed.wrapping_mul(i + 1) >> 56) as i8).collect();
        let settings = AddFitted {
            a: factors[0], b: factors[1], c: offset, shift, min: limits.0.min(limits.1), max: limits.0.max(limits.1),
        };
        let expected: Vec<i8> = a.iter().zip(&b).map(|(a, b)| {
            let sum = i64::from(*a) * i64::from(factors[0]) + i64::from(*b) * i64::from(factors[1]);
            let sum = ((sum + i64::from(offset)) as i32) >> shift;
            sum.clamp(settings.min.into(), settings.max.into()) as i8
        }).collect();
        let cells = |values: &[i8]| -> Vec<Cell<i8>> { values.iter().copied().map(Cell::new).collect() };
        let (a, b, output) = (cells(&a), cells(&b), cells(&a));
        let output = if in_place { &a } else { &output };
        add_fitted(&settings, &a, &b, output);
        let actual: Vec<i8> = output.iter().map(Cell::get).collect();
        prop_assert_eq!(actual, expected);
    }

    #[test]
    fn pools_are_exact(
        (window, input, limits) in (1_usize..70).prop_flat_map(|channels| window(channels, channels)).prop_flat_map(|mut window| {
            window.dilation = [1, 1];
            let input = prop::collection::vec(any::<i8>(), len(window.input));
            (Just(window), input, any::<(i8, i8)>())
        })
    ) {
        let limits = [limits.0.min(limits.1), limits.0.max(limits.1)];
        let cells: Vec<Cell<i8>> = input.iter().copied().map(Cell::new).collect();
        let [height, width, channels] = window.input;
        let [rows, columns, _] = window.output;
        for average in [false, true] {
            let output = vec![Cell::new(0); len(window.output)];
            let kernel = if average { average_pool_2d } else { max_pool_2d };
            kernel(&window, limits, &cells, &output);
            for (index, actual) in output.iter().enumerate() {
                let (pixel, channel) = (index / channels, index % channels);
                let mut values = Vec::new();
                for ky in 0..window.kernel[0] {
                    for kx in 0..window.kernel[1] {
                        let y = (pixel / columns * window.stride[0] + ky).wrapping_sub(window.padding[0]);
                        let x = (pixel % columns * window.stride[1] + kx).wrapping_sub(window.padding[1]);
                        if y < height && x < width {
                            values.push(i32::from(input[(y * width + x) * channels + channel]));
                        }
                    }
                }
                let (sum, count) = (values.iter().sum::<i32>(), values.len() as i32);
                let value = match (average, values.iter().max()) {
                    (true, Some(_)) => (sum + sum.signum() * (count / 2)) / count,
                    (true, None) => 0,
                    (false, greatest) => greatest.copied().unwrap_or(-128),
                };
                let value = value.clamp(limits[0].into(), limits[1].into());
                prop_assert_eq!(i32::from(actual.get()), value, "output {} of {}", index, rows * columns * channels);
            }
        }
    }
}
