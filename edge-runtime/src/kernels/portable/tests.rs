//! Every kernel against the definition, on random shapes, roundings and overlapping placements.

use core::cell::Cell;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::conv_2d::{conv_2d_pairs, scratch_len};
use super::depthwise_conv_2d::{self, depthwise_conv_2d};
use super::{add, pool_2d};
use crate::kernels::layer::Layer;
use crate::kernels::packing::pair_blocks::{CHANNELS, PairBlocks, block_words, runs_fit, taps};
use crate::kernels::raster_gap;
use crate::kernels::reference::Window;
use crate::kernels::reference::add::{self as plain_add, AddFitted};
use crate::kernels::reference::average_pool_2d::{AveragePool2d, average_pool_2d};
use crate::kernels::reference::broadcast::{Broadcast, Operand};
use crate::kernels::reference::max_pool_2d::{MaxPool2d, max_pool_2d};
use crate::kernels::reference::requantise::Rounding;
use crate::kernels::reference::table::{run_conv, run_depthwise};
use crate::kernels::reference::weights::{Canonical, CanonicalDepthwise};

/// Bytes around every buffer that no kernel may touch.
const GUARD: usize = 32;

pub fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

type Pool<'a> = &'a dyn Fn(&[Cell<i8>], &[Cell<i8>]);

/// A generator of test data: proptest draws only its seed, so that shapes shrink and data do not.
pub struct Data(pub u64);

impl Data {
    pub fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as u32
    }

    pub fn within(&mut self, least: i32, most: i32) -> i32 {
        least + (self.next() % (most - least + 1) as u32) as i32
    }

    pub fn i8s(&mut self, count: usize, most: i32) -> Vec<i8> {
        (0..count).map(|_| self.within(-most, most) as i8).collect()
    }
}

/// What a layer computes besides its window and weights.
#[derive(Clone, Debug)]
pub struct Channels {
    pub rounding: Rounding,
    pub bias: Vec<i32>,
    pub multipliers: Vec<i32>,
    pub shifts: Vec<i8>,
    pub pad: i8,
    pub zero_point: i32,
    pub min: i8,
    pub max: i8,
}

impl Channels {
    pub fn draw(data: &mut Data, count: usize) -> Self {
        let rounding =
            [Rounding::Double, Rounding::Single, Rounding::High32][data.next() as usize % 3];
        let shifts = match rounding {
            Rounding::High32 => 0..=7,
            _ => [-9..=-7, -12..=-2, -31..=2, -1..=0][data.next() as usize % 4].clone(),
        };
        // Sums of a few thousand at most, so that ties and both signs occur.
        let least = if rounding == Rounding::High32 {
            1 << 20
        } else {
            1 << 30
        };
        let zero_point = data.within(-128, 127);
        let (min, max) = match data.next() % 4 {
            0 => (-128, 127),
            1 => (zero_point as i8, 127),
            2 => (zero_point as i8, data.within(zero_point, 127) as i8),
            _ => (data.within(-128, 0) as i8, data.within(1, 127) as i8),
        };
        let zero_point = if data.next().is_multiple_of(3) {
            -128
        } else {
            zero_point
        };
        Self {
            rounding,
            bias: (0..count).map(|_| data.within(-20_000, 20_000)).collect(),
            multipliers: (0..count)
                .map(|_| match data.next() % 8 {
                    0 => least,
                    1 => 0,
                    _ => data.within(least, i32::MAX - 1),
                })
                .collect(),
            shifts: (0..count)
                .map(|_| data.within(*shifts.start(), *shifts.end()) as i8)
                .collect(),
            pad: data.within(-128, 127) as i8,
            zero_point,
            min,
            max,
        }
    }
}

/// Memory of a layer: words, so that it is aligned as the arena is.
struct Memory(Vec<u128>);

impl Memory {
    fn new(len: usize) -> Self {
        Self(vec![
            0x5555_5555_5555_5555_5555_5555_5555_5555;
            len.div_ceil(16)
        ])
    }

    fn cells(&mut self) -> &[Cell<i8>] {
        let bytes = zerocopy::IntoBytes::as_mut_bytes(self.0.as_mut_slice());
        let bytes = <[i8] as zerocopy::FromBytes>::mut_from_bytes(bytes).unwrap();
        Cell::from_mut(bytes).as_slice_of_cells()
    }
}

/// Runs `kernel` where the output lies as high over the input as the raster rule allows, `slack`
/// bytes lower, and gives the outputs.
pub fn run(
    window: &Window,
    channels: &Channels,
    weights: &[u8],
    input: &[i8],
    slack: usize,
    scratch: usize,
    kernel: impl Fn(&Layer<'_>),
) -> Vec<i8> {
    let [height, width, depth] = window.output;
    let count = height * width * depth;
    let gap = raster_gap(window).unwrap() + slack as i64;
    let (from, to) = (gap.max(0) as usize, (-gap).max(0) as usize);
    let end = GUARD + (from + input.len()).max(to + count);
    let (mut arena, mut aside) = (Memory::new(end + GUARD), Memory::new(scratch + GUARD));
    let mut aligned = vec![0_u128; weights.len().div_ceil(16)];
    let copied = zerocopy::IntoBytes::as_mut_bytes(aligned.as_mut_slice());
    copied[..weights.len()].copy_from_slice(weights);
    let (arena, aside) = (arena.cells(), aside.cells());
    let x = &arena[GUARD + from..][..input.len()];
    for (cell, value) in x.iter().zip(input) {
        cell.set(*value);
    }
    let before: Vec<i8> = arena.iter().map(Cell::get).collect();
    kernel(&Layer {
        window: *window,
        weights: &copied[..weights.len()],
        bias: &channels.bias,
        multipliers: &channels.multipliers,
        shifts: &channels.shifts,
        rounding: channels.rounding,
        pad: channels.pad,
        zero_point: channels.zero_point,
        min: channels.min,
        max: channels.max,
        input: x,
        output: &arena[GUARD + to..][..count],
        scratch: &aside[..scratch],
    });
    let outside = |at: &usize| *at < GUARD + to || *at >= GUARD + to + count;
    for at in (0..arena.len()).filter(outside) {
        assert_eq!(arena[at].get(), before[at], "byte {at} beside the output");
    }
    assert!(
        aside[scratch..].iter().all(|cell| cell.get() == 0x55),
        "behind the scratch"
    );
    arena[GUARD + to..][..count].iter().map(Cell::get).collect()
}

/// Windows as loaded models have them: every step of the window touches the input.
pub fn window(depths: impl Strategy<Value = usize>) -> impl Strategy<Value = Window> {
    let axis = (
        1_usize..9,
        1_usize..5,
        1_usize..4,
        1_usize..3,
        any::<u8>(),
        any::<u8>(),
    );
    (axis.clone(), axis, depths, 1_usize..11).prop_map(|(rows, columns, depth, channels)| {
        let axis = |(input, kernel, stride, dilation, before, behind): (
            usize,
            usize,
            usize,
            usize,
            u8,
            u8,
        )| {
            let extent = (kernel - 1) * dilation + 1;
            let before = usize::from(before) % extent;
            let least = extent.saturating_sub(input + before);
            let behind = (usize::from(behind) % extent).max(least.min(extent - 1));
            let total = (input + before + behind).max(extent);
            (
                input,
                (total - extent) / stride + 1,
                kernel,
                stride,
                before,
                dilation,
            )
        };
        let (rows, columns) = (axis(rows), axis(columns));
        Window {
            input: [rows.0, columns.0, depth],
            output: [rows.1, columns.1, channels],
            kernel: [rows.2, columns.2],
            stride: [rows.3, columns.3],
            padding: [rows.4, columns.4],
            dilation: [rows.5, columns.5],
        }
    })
}

/// Common 3x3 windows: input, output, stride, padding.
const WINDOWS: [Window; 6] = {
    const fn window(
        input: [usize; 2],
        output: [usize; 2],
        stride: usize,
        padding: [usize; 2],
    ) -> Window {
        Window {
            input: [input[0], input[1], 1],
            output: [output[0], output[1], 1],
            kernel: [3; 2],
            stride: [stride; 2],
            padding,
            dilation: [1; 2],
        }
    }
    [
        window([7, 5], [7, 5], 1, [1, 1]),
        window([8, 6], [4, 3], 2, [0, 0]),
        window([7, 5], [4, 3], 2, [1, 1]),
        window([5, 6], [3, 4], 1, [0, 0]),
        window([1, 1], [1, 1], 1, [1, 1]),
        window([2, 1], [2, 1], 1, [1, 1]),
    ]
};

/// The packing as its module describes it; the compiler has another.
fn pack(weights: &[i8], taps: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in weights.chunks(taps * CHANNELS) {
        let start = bytes.len();
        let run: i32 = if runs_fit(block, taps, 4) { 4 } else { 2 };
        bytes.extend(run.to_le_bytes());
        for quad in 0..taps.div_ceil(4) {
            for place in 0..8 {
                let weight = |tap| {
                    let channel = block.chunks(taps).nth(place / 2);
                    channel
                        .and_then(|w: &[i8]| w.get(quad * 4 + tap))
                        .copied()
                        .map_or(0, i32::from)
                };
                let tap = place % 2 * 2;
                bytes.extend((weight(tap) + weight(tap + 1) * 65536).to_le_bytes());
            }
        }
        assert_eq!(bytes.len() - start, 4 * block_words(taps));
    }
    bytes
}

fn check_conv(window: &Window, seed: u64, slack: usize, most: i32) {
    let mut data = Data(seed);
    let ([rows, columns, depth], [_, _, count]) = (window.input, window.output);
    let (taps, input) = (taps(window), data.i8s(rows * columns * depth, 128));
    let weights = data.i8s(count * taps, most);
    let channels = Channels::draw(&mut data, count);
    let packed = pack(&weights, taps);
    let bytes: Vec<u8> = weights.iter().map(|w| w.cast_unsigned()).collect();
    let scratch = scratch_len(window);
    let expected = run(window, &channels, &bytes, &input, slack, 0, |layer| {
        run_conv(layer, |layer| Canonical {
            weights: &weights,
            taps,
            bias: layer.bias,
            multipliers: layer.multipliers,
            shifts: layer.shifts,
        });
    });
    let case = std::format!("{window:?} {channels:?}");
    for scratch in [scratch, 0] {
        let actual = run(
            window,
            &channels,
            &packed,
            &input,
            slack,
            scratch,
            conv_2d_pairs,
        );
        assert_eq!(actual, expected, "{case}");
    }
    let decoded = run(window, &channels, &packed, &input, slack, 0, |layer| {
        run_conv(layer, PairBlocks::of);
    });
    assert_eq!(decoded, expected, "decoder: {case}");
}

fn check_depthwise(window: &Window, seed: u64, slack: usize) {
    let mut data = Data(seed);
    let ([rows, columns, depth], [_, _, count]) = (window.input, window.output);
    let [height, width] = window.kernel;
    let (taps, input) = (height * width, data.i8s(rows * columns * depth, 128));
    let weights = data.i8s(count * taps, 127);
    let channels = Channels::draw(&mut data, count);
    let canonical: Vec<i8> = (0..taps * count)
        .map(|at| weights[at % count * taps + at / count])
        .collect();
    let expected = run(window, &channels, &[], &input, slack, 0, |layer| {
        run_depthwise(layer, |layer| CanonicalDepthwise {
            weights: &canonical,
            channels: count,
            bias: layer.bias,
            multipliers: layer.multipliers,
            shifts: layer.shifts,
        });
    });
    let case = std::format!("{window:?} {channels:?}");
    let packed: Vec<u8> = weights.iter().map(|w| w.cast_unsigned()).collect();
    for scratch in [depthwise_conv_2d::scratch_len(window), 0] {
        let actual = run(
            window,
            &channels,
            &packed,
            &input,
            slack,
            scratch,
            depthwise_conv_2d,
        );
        assert_eq!(actual, expected, "{case}");
    }
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn convolutions_are_the_definition(
        window in window(1_usize..10),
        seed in any::<u64>(),
        slack in 0_usize..3,
        most in prop::sample::select(&[6, 40, 63, 127]),
    ) {
        check_conv(&window, seed, slack, most);
    }

    #[test]
    fn depthwise_convolutions_are_the_definition(
        mut window in window(1_usize..10),
        multiplier in 1_usize..4,
        nine in any::<bool>(),
        seed in any::<u64>(),
        slack in 0_usize..3,
    ) {
        if nine {
            let [_, _, depth] = window.input;
            window = WINDOWS[seed as usize % WINDOWS.len()];
            (window.input[2], window.output[2]) = (depth, depth);
        } else {
            window.output[2] = window.input[2] * multiplier;
        }
        check_depthwise(&window, seed, slack);
    }

    #[test]
    fn fully_connected_layers_are_the_definition(
        inputs in 1_usize..70,
        outputs in 1_usize..20,
        seed in any::<u64>(),
        most in prop::sample::select(&[6, 40, 63, 127]),
    ) {
        let window = Window {
            input: [1, 1, inputs],
            output: [1, 1, outputs],
            kernel: [1; 2],
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
        };
        check_conv(&window, seed, 0, most);
    }
}

#[test]
fn runs_at_their_limit_are_exact() {
    let window = Window {
        input: [1, 1, 4],
        output: [1, 1, 4],
        kernel: [1; 2],
        stride: [1; 2],
        padding: [0; 2],
        dilation: [1; 2],
    };
    let weights = [
        127, 127, 127, 127, -127, -127, -127, -127, 127, 127, 1, 0, -128, -127, 0, 0,
    ];
    let channels = Channels {
        rounding: Rounding::Single,
        bias: vec![0; 4],
        multipliers: vec![1 << 30; 4],
        shifts: vec![-8; 4],
        pad: 0,
        zero_point: 0,
        min: -128,
        max: 127,
    };
    for corner in 0..16 {
        let input: Vec<i8> = (0..4)
            .map(|bit| if corner >> bit & 1 == 1 { -128 } else { 127 })
            .collect();
        let dot = |w: &[i8]| {
            w.iter()
                .zip(&input)
                .map(|(w, x)| i32::from(*w) * i32::from(*x))
                .sum::<i32>()
        };
        let expected: Vec<i8> = weights
            .chunks(4)
            .map(|w| ((dot(w) + 256) >> 9).clamp(-128, 127) as i8)
            .collect();
        let actual = run(
            &window,
            &channels,
            &pack(&weights, 4),
            &input,
            0,
            8,
            conv_2d_pairs,
        );
        assert_eq!(actual, expected, "{input:?}");
    }
}

fn cells(values: &mut [i8]) -> &[Cell<i8>] {
    Cell::from_mut(values).as_slice_of_cells()
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn pools_are_the_definition(
        mut window in window(1_usize..10),
        seed in any::<u64>(),
        slack in 0_usize..3,
        [min, max] in prop::sample::select(&[[-128, 127], [-100, 90], [0, 127]]),
    ) {
        window.output[2] = window.input[2];
        // Pools have no dilation: as wide without gaps.
        for axis in [0, 1] {
            window.kernel[axis] = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
        }
        window.dilation = [1, 1];
        let mut data = Data(seed);
        let [rows, columns, depth] = window.input;
        let input = data.i8s(rows * columns * depth, 128);
        let channels = Channels::draw(&mut data, 0);
        let average = AveragePool2d { window, min, max };
        let max = MaxPool2d { window, min, max };
        let run = |kernel: Pool<'_>| {
            run(&window, &channels, &[], &input, slack, 0, |layer| kernel(layer.input, layer.output))
        };
        let expected = run(&|x, y| average_pool_2d(&average, x, y));
        prop_assert_eq!(run(&|x, y| pool_2d::average_pool_2d(&average, x, y)), expected);
        let expected = run(&|x, y| max_pool_2d(&max, x, y));
        prop_assert_eq!(run(&|x, y| pool_2d::max_pool_2d(&max, x, y)), expected);
    }

    #[test]
    fn additions_are_the_definition(
        count in 0_usize..40,
        seed in any::<u64>(),
        (a, b, c) in (any::<i32>(), -70_000..70_000, any::<i32>()),
        shift in 0_u32..32,
        [min, max] in prop::sample::select(&[[-128, 127], [-100, 90], [0, 127]]),
        place in 0..4,
    ) {
        let mut data = Data(seed);
        let mut values = [data.i8s(count, 128), data.i8s(count, 128)];
        let settings = AddFitted { a, b, c, shift, min, max };
        let expected: Vec<i8> = values[0].iter().zip(&values[1]).map(|(x, y)| settings.apply(*x, *y)).collect();
        let [first, second] = &mut values;
        let [first, second] = [cells(first), cells(second)];
        let mut apart = vec![0; count];
        // Apart, over the first input, over the second; and a constant, which the reference does.
        let output = [cells(&mut apart), first, second, first][place as usize];
        let constant: Vec<i8> = second.iter().map(Cell::get).collect();
        let inputs = [
            Operand::Activation(first),
            if place == 3 { Operand::Constant(&constant) } else { Operand::Activation(second) },
        ];
        add::add_fitted(&settings, &Broadcast::none(count), inputs, output);
        let actual: Vec<i8> = output.iter().map(Cell::get).collect();
        prop_assert_eq!(actual, expected);
    }
}

#[test]
fn a_smaller_operand_is_repeated() {
    let settings = AddFitted {
        a: 3,
        b: 5,
        c: 1,
        shift: 1,
        min: -128,
        max: 127,
    };
    let broadcast = Broadcast {
        shape: [1, 2, 2],
        strides: [[0, 2, 1], [0, 0, 1]],
    };
    let (mut x1, mut x2) = ([1, 2, 3, 4], [5, 6]);
    let inputs = [cells(&mut x1), cells(&mut x2)].map(Operand::Activation);
    let (mut actual, mut expected) = ([0; 4], [0; 4]);
    add::add_fitted(&settings, &broadcast, inputs, cells(&mut actual));
    plain_add::add_fitted(&settings, &broadcast, inputs, cells(&mut expected));
    assert_eq!(actual, expected);
    assert_eq!(
        actual,
        [
            (3 + 25 + 1) >> 1,
            (6 + 30 + 1) >> 1,
            (9 + 25 + 1) >> 1,
            (12 + 30 + 1) >> 1
        ]
    );
}
