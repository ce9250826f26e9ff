//! Winograd kernels against the reference.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::{Case, Line, aligned, bytes_of, case, config, kernels};
use crate::kernels::generic::{self, conv_2d_winograd_scratch_len};
use crate::kernels::packing::{dot_16x4, winograd_16x2};
use crate::kernels::reference::Window;

/// As the compiler packs for [`winograd_16x2`].
fn winograd(case: &Case) -> Vec<Line> {
    let window = &case.window;
    let depth = window.input[2];
    let mut packed = vec![0; winograd_16x2::len(window)];
    // The constants stand where they do in the other packing.
    let shape = dot_16x4::Shape::new(window);
    let taps = case.taps();
    let constants = case.pack(shape.len(), |channel, tap| {
        (shape.position(channel, tap).unwrap(), channel * taps + tap)
    });
    let len = case.bias.len() * 12;
    packed[..len].copy_from_slice(&bytes_of(&constants)[..len]);
    packed[..case.bias.len() * 4].fill(0);
    case.put_lines(&mut packed, 3, winograd_16x2::SCALE, |channel, tap| {
        channel * taps + tap
    });
    for output in 0..case.bias.len() {
        for input in 0..depth {
            for position in 0..36 {
                let (row, column) = (position / 6, position % 6);
                let (vertical, horizontal) = (winograd_16x2::g(row), winograd_16x2::g(column));
                let sum: i32 = (0..9)
                    .map(|tap| {
                        let w = case.weights[output * taps + tap * depth + input];
                        vertical[tap / 3] * i32::from(w) * horizontal[tap % 3]
                    })
                    .sum();
                let at = winograd_16x2::position(window, [output, input], [row, column]).unwrap();
                let sum = i16::try_from(sum).unwrap();
                packed[at..at + 2].copy_from_slice(&sum.to_le_bytes());
            }
        }
    }
    aligned(&packed)
}

fn check_winograd(case: &Case) -> Result<(), TestCaseError> {
    let packed = winograd(case);
    let taps = case.taps();
    for (index, weight) in case.weights.iter().enumerate() {
        let (output, tap) = (index / taps, index % taps);
        let found = winograd_16x2::weight(&case.window, bytes_of(&packed), output, tap);
        prop_assert_eq!(found, *weight);
    }
    let expected = case.expected(&case.weights);
    let scratch = conv_2d_winograd_scratch_len(&case.window);
    let native = crate::kernels::x86::winograd_implementations();
    for (index, kernel) in kernels(generic::conv_2d_winograd, native).enumerate() {
        for above in [expected.len(), case.closest()] {
            if index == 0 && above < expected.len() {
                continue; // as in `check_conv`
            }
            let actual = case.run(kernel, &packed, scratch, above);
            prop_assert_eq!(&actual, &expected, "kernel {} above {}", index, above);
        }
    }
    Ok(())
}

/// Bounds of extents and of blocks of sixteen channels.
const WIDE: usize = if cfg!(miri) { 6 } else { 24 };
const DEEP: usize = if cfg!(miri) { 2 } else { 4 };

proptest! {
    #![proptest_config(config(if cfg!(miri) { 2 } else { 200 }))]

    #[test]
    fn winograd_convolutions_are_exact(
        case in (prop_oneof![[1..WIDE, 1..WIDE * 2], [WIDE..WIDE * 2, 1..WIDE / 3 + 1]], [1..DEEP, 1..DEEP], [0_usize..3, 0..3], [0_usize..3, 0..3])
            .prop_map(|([height, width], [depth, channels], padding, behind)| {
                let [height, width] = [height.max(3), width.max(3)];
                Window {
                    input: [height, width, depth * 16],
                    output: [
                        height + padding[0] + behind[0] - 2,
                        width + padding[1] + behind[1] - 2,
                        channels * 16,
                    ],
                    kernel: [3, 3],
                    stride: [1, 1],
                    padding,
                    dilation: [1, 1],
                }
            })
            .prop_flat_map(|window| case(window, 9 * window.input[2]))
    ) {
        check_winograd(&case)?;
    }
}
