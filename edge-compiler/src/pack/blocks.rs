//! What the packings in blocks of sixteen channels have in common: offsets for unsigned activations, affine forms of
//! the requantisation, then weights.

use edge_runtime::kernels::packing::affine::{End, lines};

/// Fills `len` bytes: for each channel the offset `-128 * sum(weights)` as little-endian `i32` at
/// the front, after them the affine form of each end, and each weight at its place. `places` gives, for channel and tap, the place in the
/// packed bytes and the index in `weights`.
pub(super) fn pack(
    len: usize,
    channels: usize,
    taps: usize,
    weights: &[i8],
    ends: &[End],
    places: impl Fn(usize, usize) -> (Option<usize>, usize),
) -> Vec<u8> {
    let mut packed = vec![0; len];
    for channel in 0..channels {
        let mut sum = 0_i32;
        for tap in 0..taps {
            let (place, index) = places(channel, tap);
            let weight = weights.get(index).copied().unwrap_or(0);
            if let Some(byte) = place.and_then(|place| packed.get_mut(place)) {
                *byte = weight.cast_unsigned();
                sum = sum.wrapping_add(weight.into());
            }
        }
        if let Some(offset) = packed.get_mut(channel * 4..channel * 4 + 4) {
            offset.copy_from_slice(&sum.wrapping_mul(-128).to_le_bytes());
        }
    }
    put_lines(&mut packed, channels, 1, ends);
    packed
}

/// Writes the affine forms of the ends: all scales, then all that is added, little-endian `f32` of
/// each channel and of what fills the last block, `table` times as many words behind the front.
pub(super) fn put_lines(packed: &mut [u8], channels: usize, table: usize, ends: &[End]) {
    let lanes = channels.next_multiple_of(16);
    for block in (0..lanes).step_by(16) {
        let lines = lines(core::array::from_fn(|lane| {
            (block + lane < channels).then(|| ends.get(block + lane).copied())
        }));
        for (lane, [scale, add]) in lines.into_iter().enumerate() {
            let lane = block + lane;
            for (index, value) in [(table, scale), (table + 1, add)] {
                let index = index * lanes + lane;
                if let Some(bytes) = packed.get_mut(index * 4..index * 4 + 4) {
                    bytes.copy_from_slice(&value.to_le_bytes());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use edge_runtime::kernels::packing::{affine, depthwise_16x4, dot_16x4};
    use edge_runtime::kernels::reference::{Window, requantise::Rounding};
    use proptest::prelude::*;

    use super::End;

    fn window(depth: usize, channels: usize, kernel: [usize; 2], dilation: usize) -> Window {
        Window {
            input: [9, 9, depth],
            output: [5, 5, channels],
            kernel,
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, dilation],
        }
    }

    fn word(packed: &[u8], index: usize) -> [u8; 4] {
        packed[index * 4..index * 4 + 4].try_into().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn decoders_give_the_weights_back(
            (depth, channels) in (1_usize..9, 1_usize..100),
            kernel in [1_usize..6, 1..4],
            dilation in 1_usize..3,
            seed in any::<u64>(),
        ) {
            let mut state = seed;
            let mut random = |len: usize| -> Vec<i8> {
                (0..len)
                    .map(|_| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        (state >> 56) as i8
                    })
                    .collect()
            };
            let window = window(depth, channels, kernel, dilation);
            let taps = kernel[0] * kernel[1] * depth;
            let weights = random(taps * channels);
            let packed = super::super::dot_16x4::pack(&window, &weights, &[]);
            let shape = dot_16x4::Shape::new(&window);
            prop_assert_eq!(packed.len(), shape.len());
            for channel in 0..channels {
                let row = &weights[channel * taps..][..taps];
                for (tap, weight) in row.iter().enumerate() {
                    prop_assert_eq!(shape.weight(&packed, channel, tap), *weight);
                }
                let sum: i32 = row.iter().map(|w| i32::from(*w)).sum();
                prop_assert_eq!(i32::from_le_bytes(word(&packed, channel)), -128 * sum);
            }

            let taps = kernel[0] * kernel[1];
            let weights = random(taps * channels);
            let window = Window { input: [9, 9, channels], ..window };
            let packed = super::super::depthwise_16x4::pack(&window, &weights, &[]);
            let shape = depthwise_16x4::Shape::new(&window);
            prop_assert_eq!(packed.len(), shape.len());
            for (index, weight) in weights.iter().enumerate() {
                let (tap, channel) = (index / channels, index % channels);
                prop_assert_eq!(shape.weight(&packed, channel, tap), *weight);
            }
        }
    }

    #[test]
    fn each_channel_has_its_line() {
        let end = End {
            rounding: Rounding::Double,
            multiplier: 1_500_000_000,
            shift: -7,
            zero_point: -128,
            min: -128,
            max: 127,
            reach: affine::reach(0, [100; 9].into_iter()),
            times: 1,
        };
        let hopeless = End { shift: 1, ..end };
        let window = window(1, 2, [3, 3], 1);
        let packed = super::super::dot_16x4::pack(&window, &[100; 18], &[end, hopeless]);
        let found = affine::Affine::find(&end).unwrap();
        assert_eq!(f32::from_le_bytes(word(&packed, 16)), found.scale);
        assert_eq!(f32::from_le_bytes(word(&packed, 32)), found.add);
        assert!(f32::from_le_bytes(word(&packed, 17)).is_nan());
        assert!(!f32::from_le_bytes(word(&packed, 18)).is_nan());
    }
}
