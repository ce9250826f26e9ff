//! What is packed reads back as it was.

use super::*;
use edge_runtime::kernels::packing::mve_dense::MveDense;
use edge_runtime::kernels::packing::mve_depthwise::{self, MveDepthwise};
use edge_runtime::kernels::packing::mve_depthwise_any::MveDepthwiseAny;
use edge_runtime::kernels::packing::mve_direct::{self, MveDirect};
use edge_runtime::kernels::packing::mve_panel::MvePanel;
use proptest::prelude::*;

fn outputs(rounding: Rounding) -> Outputs {
    Outputs {
        rounding,
        zero_point: -128,
        min: -128,
        max: 127,
    }
}

proptest! {
    #[test]
    fn reads_back(
        taps in 1_usize..700,
        count in 1_usize..12,
        seed in any::<u64>(),
        rounding in prop_oneof![
            Just(Rounding::Double), Just(Rounding::Single), Just(Rounding::High32)
        ],
    ) {
        let mut state = seed | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as i32
        };
        let weights: Vec<i8> = (0..taps * count).map(|_| next() as i8).collect();
        let bias: Vec<i32> = (0..count).map(|_| next()).collect();
        let multipliers: Vec<i32> = (0..count).map(|_| next()).collect();
        let shifts: Vec<i8> = (0..count).map(|_| -2 - (next() % 9) as i8).collect();
        let channels = Channels { bias: &bias, multipliers: &multipliers, shifts: &shifts };
        let mode = mode(&outputs(rounding), &shifts);
        let packed = panel(&weights, taps, &channels, mode);
        prop_assert_eq!(packed.len(), mve_panel::packed_len(taps, count));
        let panel = MvePanel { packed: &packed, taps };
        let packed = dense(&weights, taps, &channels, mode);
        prop_assert_eq!(packed.len(), mve_dense::packed_len(taps, count));
        let dense = MveDense { packed: &packed, taps };
        for channel in 0..count {
            for tap in 0..taps {
                let expected = i32::from(weights[channel * taps + tap]);
                prop_assert_eq!(panel.weight(channel, tap), expected);
                prop_assert_eq!(dense.weight(channel, tap), expected);
            }
            prop_assert_eq!(panel.bias(channel), bias[channel]);
            prop_assert_eq!(panel.multiplier(channel), multipliers[channel]);
            prop_assert_eq!(panel.shift(channel), shifts[channel]);
            prop_assert_eq!(dense.bias(channel), bias[channel]);
            prop_assert_eq!(dense.multiplier(channel), multipliers[channel]);
            prop_assert_eq!(dense.shift(channel), shifts[channel]);
        }
    }
}

/// Distinct enough: neighbours differ whatever the layout.
fn some_weights(count: usize) -> Vec<i8> {
    (0..count).map(|i| (i * 31 + i / 7) as i8).collect()
}

#[test]
fn depthwise_reads_back() {
    let (bias, multipliers, shifts) = ([1, -2, 3], [4, 5, 6], [-7, -8, -9]);
    let channels = Channels {
        bias: &bias,
        multipliers: &multipliers,
        shifts: &shifts,
    };
    let weights = some_weights(27);
    let packed = depthwise(&weights, &channels, Mode::Single);
    assert_eq!(packed.len(), mve_depthwise::packed_len(3));
    let read = MveDepthwise { packed: &packed };
    for channel in 0..3 {
        for tap in 0..9 {
            let expected = i32::from(weights[tap * 3 + channel]);
            assert_eq!(read.weight(channel, tap), expected);
        }
        assert_eq!(read.bias(channel), bias[channel]);
        assert_eq!(read.multiplier(channel), multipliers[channel]);
        assert_eq!(read.shift(channel), shifts[channel]);
    }
}

#[test]
fn any_depthwise_reads_back() {
    let bias: Vec<i32> = (0..19).map(|i| i * 7).collect();
    let multipliers: Vec<i32> = (0..19).map(|i| 1000 - i).collect();
    let shifts: Vec<i8> = (0..19).map(|i| -i).collect();
    let channels = Channels {
        bias: &bias,
        multipliers: &multipliers,
        shifts: &shifts,
    };
    let weights = some_weights(19 * 10);
    let packed = depthwise_any(&weights, 10, &channels, Rounding::Single);
    assert_eq!(packed.len(), mve_depthwise_any::packed_len(10, 19));
    let read = MveDepthwiseAny {
        packed: &packed,
        taps: 10,
    };
    for channel in 0..19 {
        for tap in 0..10 {
            let expected = i32::from(weights[tap * 19 + channel]);
            assert_eq!(read.weight(channel, tap), expected);
        }
        assert_eq!(read.bias(channel), bias[channel]);
        assert_eq!(read.multiplier(channel), multipliers[channel]);
        assert_eq!(read.shift(channel), shifts[channel]);
    }
}

#[test]
fn direct_reads_back() {
    let (bias, multipliers, shifts) = ([1, -2, 3, 4], [4, 5, 6, 7], [-7, -8, -9, -3]);
    let channels = Channels {
        bias: &bias,
        multipliers: &multipliers,
        shifts: &shifts,
    };
    let weights = some_weights(4 * 9 * 32);
    let packed = direct(&weights, 32, &channels, Mode::Double);
    assert_eq!(packed.len(), mve_direct::packed_len(32, 4));
    let read = MveDirect {
        packed: &packed,
        inputs: 32,
    };
    for channel in 0..4 {
        for tap in 0..9 * 32 {
            let expected = i32::from(weights[channel * 9 * 32 + tap]);
            assert_eq!(read.weight(channel, tap), expected);
        }
        assert_eq!(read.bias(channel), bias[channel]);
        assert_eq!(read.multiplier(channel), multipliers[channel]);
        assert_eq!(read.shift(channel), shifts[channel]);
    }
}

#[test]
fn the_cheapest_mode() {
    let relu = outputs(Rounding::Double);
    assert_eq!(mode(&relu, &[-3, 0]), Mode::DoubleRelu);
    assert_eq!(mode(&relu, &[-3, 1]), Mode::DoubleAny);
    let linear = Outputs {
        zero_point: 4,
        ..relu
    };
    assert_eq!(mode(&linear, &[-3, -1]), Mode::Double);
    assert_eq!(mode(&linear, &[-3, 0]), Mode::DoubleAny);
    assert_eq!(
        mode(&Outputs { max: 100, ..linear }, &[-3]),
        Mode::DoubleAny
    );
    let single = outputs(Rounding::Single);
    assert_eq!(mode(&single, &[-2]), Mode::Single);
    assert_eq!(mode(&single, &[-1]), Mode::SingleAny);
}
