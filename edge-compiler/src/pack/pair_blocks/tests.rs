use super::*;
use edge_runtime::kernels::packing::pair_blocks::PairBlocks;
use edge_runtime::kernels::reference::weights::Weights as _;
use proptest::prelude::*;

fn decoded(words: &[i32], channels: usize, taps: usize) -> Vec<i32> {
    let packed = PairBlocks {
        words,
        taps,
        bias: &[],
        multipliers: &[],
        shifts: &[],
    };
    let channel = |channel| (0..taps).map(move |tap| packed.weight(channel, tap));
    (0..channels).flat_map(channel).collect()
}

fn words(bytes: &[u8]) -> Vec<i32> {
    let (words, []) = bytes.as_chunks::<4>() else {
        panic!("{} bytes are no words", bytes.len())
    };
    words.iter().map(|word| i32::from_le_bytes(*word)).collect()
}

proptest! {
    #![proptest_config(crate::testing::cases(300))]

    #[test]
    fn decoding_gives_the_weights_back(
        channels in 1_usize..10,
        taps in 1_usize..20,
        least in -128_i8..=-1,
        values in prop::collection::vec(any::<i8>(), 200),
    ) {
        let weights: Vec<i8> = values[..channels * taps].iter().map(|w| (*w).max(least)).collect();
        match pack(&weights, taps) {
            Some(packed) => {
                let expected: Vec<i32> = weights.iter().map(|w| i32::from(*w)).collect();
                prop_assert_eq!(decoded(&words(&packed), channels, taps), expected);
            }
            None => prop_assert!(weights.contains(&-128)),
        }
    }
}

#[test]
fn long_runs_only_where_they_fit() {
    let run = |weights: &[i8]| pack(weights, weights.len()).map(|bytes| words(&bytes)[0]);
    assert_eq!(run(&[127, -127, 1, 0]), Some(4));
    assert_eq!(run(&[127, -127, 1, 1]), Some(2));
    assert_eq!(run(&[0, 0, 127, -127, 127]), Some(4));
    assert_eq!(run(&[-128, 127]), Some(4));
    assert_eq!(run(&[-128, -128]), None);
    assert_eq!(run(&[0, -128, -128, 0]), Some(2));
    assert_eq!(run(&[]), None);
}
