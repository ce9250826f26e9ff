//! Streams decode to what went in, and their arithmetic is the reference's.

use super::*;
use edge_runtime::kernels::packing::dsp_blocks::Blocks;
use edge_runtime::kernels::packing::dsp_forms::FIXED_SHIFT;
use edge_runtime::kernels::reference::requantise::{Requantise, Rounding};
use proptest::prelude::*;

fn rounding() -> impl Strategy<Value = Rounding> {
    prop_oneof![
        Just(Rounding::Double),
        Just(Rounding::Single),
        Just(Rounding::High32)
    ]
}

#[derive(Clone, Debug)]
struct Layer {
    taps: Taps,
    weights: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<i32>,
    shifts: Vec<i8>,
    output: Output,
}

impl Layer {
    fn source(&self) -> Source<'_> {
        Source {
            weights: &self.weights,
            taps: self.taps,
            bias: &self.bias,
            multipliers: &self.multipliers,
            shifts: &self.shifts,
            output: self.output,
        }
    }
}

fn layer() -> impl Strategy<Value = Layer> {
    let output = (rounding(), -128i32..=127, any::<i8>(), any::<i8>(), 0..3).prop_map(
        |(rounding, zero_point, a, b, clamp)| Output {
            rounding,
            zero_point: if clamp == 0 { -128 } else { zero_point },
            min: if clamp < 2 { -128 } else { a.min(b) },
            max: if clamp < 2 { 127 } else { a.max(b) },
        },
    );
    (1usize..4, 1usize..20, 1usize..10, output).prop_flat_map(|(rows, row, channels, output)| {
        let taps = Taps { rows, row };
        let shifts = if output.rounding == Rounding::High32 {
            0i8..=7
        } else {
            -16i8..=2
        };
        (
            prop::collection::vec(-127i8..=127, taps.count() * channels),
            prop::collection::vec(-100_000..100_000, channels),
            prop::collection::vec(1 << 30..=i32::MAX, channels),
            prop::collection::vec(shifts, channels),
        )
            .prop_map(move |(weights, bias, multipliers, shifts)| Layer {
                taps,
                weights,
                bias,
                multipliers,
                shifts,
                output,
            })
    })
}

proptest! {
    #[test]
    fn a_stream_decodes_to_its_layer(layer in layer(), wide: bool) {
        let width = if wide { Width::I16 } else { Width::I8 };
        let channels = layer.bias.len();
        let bytes = pack(&layer.source(), width).unwrap();
        let rounding = layer.output.rounding;
        let blocks = Blocks::new(&bytes, width, layer.taps, channels, rounding).unwrap();
        for channel in 0..channels {
            if let Some(value) = constant(&layer.source(), channel) {
                let scaled = rounding.scale(
                    blocks.bias(channel),
                    blocks.multiplier(channel),
                    blocks.shift(channel),
                );
                let output = &layer.output;
                let decoded = (scaled + output.zero_point).clamp(output.min.into(), output.max.into());
                prop_assert_eq!(decoded, i32::from(value));
                prop_assert!((0..layer.taps.count()).all(|tap| blocks.weight(channel, tap) == 0));
                continue;
            }
            for tap in 0..layer.taps.count() {
                prop_assert_eq!(
                    blocks.weight(channel, tap),
                    layer.weights[channel * layer.taps.count() + tap]
                );
            }
            prop_assert_eq!(blocks.bias(channel), layer.bias[channel]);
            prop_assert_eq!(blocks.multiplier(channel), layer.multipliers[channel]);
            prop_assert_eq!(blocks.shift(channel), layer.shifts[channel]);
        }
        let long = bytes.len();
        prop_assert!(Blocks::new(&bytes[..long - 1], width, layer.taps, channels, rounding).is_none());
    }

    #[test]
    fn constants_give_the_bytes_of_the_reference(
        rounding in rounding(),
        acc in -(1i32 << 23) + 1..1 << 23,
        small in -300i32..300,
        narrow: bool,
        multiplier in prop_oneof![1 << 30..=i32::MAX, Just(1 << 30)],
        shift in -36i8..=7,
        zero_point in -128i32..=127,
        limits: [i8; 2],
        relu: bool,
    ) {
        let acc = if narrow { small } else { acc };
        let min = if relu { zero_point as i8 } else { limits[0].min(limits[1]) };
        let output = Output { rounding, zero_point, min, max: limits[0].max(limits[1]).max(min) };
        let channel = Channel { bound: acc.unsigned_abs(), multiplier, shift };
        let expected = Requantise {
            rounding,
            zero_point,
            min: output.min,
            max: output.max,
        }
        .apply(acc, multiplier, shift);
        if let Some(constants) = channel.general(&output) {
            prop_assert_eq!(apply(acc, &constants, &output), expected);
        }
        let open = Output { min: -128, max: 127, ..output };
        if let Some(constants) = channel.linear(&open) {
            let expected = Requantise {
                rounding,
                zero_point,
                min: -128,
                max: 127,
            }
            .apply(acc, multiplier, shift);
            prop_assert_eq!(apply(acc, &constants, &open), expected);
        }
        let free = Output { min: -128, max: 127, zero_point: -128, ..output };
        if let Some(constants) = channel.fixed(&free) {
            let expected = Requantise {
                rounding,
                zero_point: -128,
                min: -128,
                max: 127,
            }
            .apply(acc, multiplier, shift);
            prop_assert_eq!(constants.shift, FIXED_SHIFT);
            prop_assert_eq!(apply(acc, &constants, &free), expected);
        }
    }
}

/// What the kernels compute.
fn apply(acc: i32, constants: &Constants, output: &Output) -> i8 {
    let scaled = acc << constants.left;
    let rounding = if constants.left == 1 { 1 << 31 } else { 0 };
    let high = ((i64::from(scaled) * i64::from(constants.multiplier) + rounding) >> 32) as i32;
    let tie = if acc < 0 { constants.tie } else { 0 };
    let value = (high + constants.addend - tie) >> constants.shift;
    value
        .clamp(-128, 127)
        .clamp(output.min.into(), output.max.into()) as i8
}

#[test]
fn a_weight_that_no_half_word_holds_is_refused() {
    let layer = Layer {
        taps: Taps { rows: 1, row: 1 },
        weights: vec![-1, -128],
        bias: vec![0; 2],
        multipliers: vec![1 << 30; 2],
        shifts: vec![-1; 2],
        output: Output {
            rounding: Rounding::Double,
            zero_point: -128,
            min: -128,
            max: 127,
        },
    };
    assert!(pack(&layer.source(), Width::I8).is_none());
    assert!(pack(&layer.source(), Width::I16).is_some());
}

#[test]
fn wide_accumulators_need_wide_weights() {
    let layer = Layer {
        taps: Taps { rows: 1, row: 1000 },
        weights: vec![127; 1000],
        bias: vec![0],
        multipliers: vec![1 << 30],
        shifts: vec![-3],
        output: Output {
            rounding: Rounding::Double,
            zero_point: 3,
            min: -128,
            max: 127,
        },
    };
    assert!(pack(&layer.source(), Width::I8).is_none());
    let bytes = pack(&layer.source(), Width::I16).unwrap();
    assert_eq!(bytes[0], Form::Linear.code());
}
