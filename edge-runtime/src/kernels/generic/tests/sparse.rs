//! Fully connected kernels that skip inputs, against the reference.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::{Case, Line, aligned, bytes_of, case, config, kernels};
use crate::kernels::generic::{self, fully_connected_sparse_scratch_len};
use crate::kernels::packing::{dot_16x4, rows_128};
use crate::kernels::reference::Window;

/// As the compiler packs for [`rows_128`].
fn pack(case: &Case) -> Vec<Line> {
    let window = &case.window;
    let inputs = case.taps();
    let packed = case.pack(rows_128::len(window), |channel, input| {
        let at = rows_128::position(window, channel, input);
        (at.unwrap(), channel * inputs + input)
    });
    assert_eq!(
        rows_128::constants_len(case.bias.len()),
        dot_16x4::Shape::new(window).constants_len()
    );
    packed
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let packed = pack(case);
    let inputs = case.taps();
    for (index, weight) in case.weights.iter().enumerate() {
        let (output, input) = (index / inputs, index % inputs);
        let found = rows_128::weight(&case.window, bytes_of(&packed), output, input);
        prop_assert_eq!(found, *weight);
    }
    let expected = case.expected(&case.weights);
    let scratch = fully_connected_sparse_scratch_len(&case.window);
    let native = crate::kernels::x86::sparse_implementations();
    for (index, kernel) in kernels(generic::fully_connected_sparse, native).enumerate() {
        let actual = case.run(kernel, &packed, scratch, expected.len());
        prop_assert_eq!(&actual, &expected, "kernel {}", index);
    }
    Ok(())
}

/// Sixteens of inputs: few, or more than 4,096.
fn inputs() -> impl Strategy<Value = usize> {
    let (few, many) = if cfg!(miri) { (4, 0) } else { (20, 1) };
    prop_oneof![20 => 1_usize..few, many => Just(300)]
}

/// Bound of chunks of 128 output channels.
const CHUNKS: usize = if cfg!(miri) { 2 } else { 4 };

proptest! {
    #![proptest_config(config(if cfg!(miri) { 2 } else { 200 }))]

    #[test]
    fn sparse_layers_are_exact(
        (mut case, zeros) in (inputs(), 1..CHUNKS)
            .prop_map(|(inputs, channels)| Window {
                input: [1, 1, inputs * 16],
                output: [1, 1, channels * 128],
                kernel: [1, 1],
                stride: [1, 1],
                padding: [0, 0],
                dilation: [1, 1],
            })
            .prop_flat_map(|window| {
                let zeros = prop::collection::vec(0..3_u8, window.input[2]);
                (case(window, window.input[2]), zeros)
            }),
        all in prop::sample::select(vec![0_u8, 1, 2, 3]),
    ) {
        for (input, zero) in case.input.iter_mut().zip(zeros) {
            if zero < all {
                *input = -128;
            }
        }
        check(&case)?;
    }
}
