//! Shape arithmetic, exactly as TFLite does it.

use crate::graph::Padding;

/// One axis of a convolution or pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Outputs along the axis, at least 1.
    pub output: usize,
    /// Padded elements before the first; what is padded behind the last follows from the lengths.
    pub before: usize,
}

/// Outputs and padding of one axis of `input` elements under a kernel of `kernel` taps that lie
/// `dilation` apart and move by `stride`.
///
/// `Same`: `ceil(input / stride)` outputs, half of the padding (rounded down) before.
/// `Valid`: `ceil((input - reach + 1) / stride)` outputs where `reach = (kernel - 1) * dilation + 1`.
///
/// `None` when a length is zero, a product overflows, or no whole kernel fits.
pub fn output_len(
    padding: Padding,
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
) -> Option<Axis> {
    if input == 0 || kernel == 0 || stride == 0 || dilation == 0 {
        return None;
    }
    let reach = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
    match padding {
        Padding::Same => {
            let output = input.div_ceil(stride);
            let covered = (output - 1).checked_mul(stride)?.checked_add(reach)?;
            Some(Axis {
                output,
                before: covered.saturating_sub(input) / 2,
            })
        }
        // Explicit padding differs between the axes: see `output_plane`.
        Padding::Valid | Padding::Explicit { .. } => {
            let places = input.checked_sub(reach)?.checked_add(1)?;
            Some(Axis {
                output: places.div_ceil(stride),
                before: 0,
            })
        }
    }
}

/// Height and width at once: `[1,h,w,c] -> ([h', w'], [padding above, padding left])`.
/// `None` as for [`output_len`].
pub fn output_plane(
    padding: Padding,
    input: [usize; 4],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
) -> Option<([usize; 2], [usize; 2])> {
    let axis = |i: usize| {
        let (kernel, stride, dilation) = (kernel[i], stride[i], dilation[i]);
        match padding {
            Padding::Explicit { before, after } => {
                let padded = input[i + 1].checked_add(before[i])?.checked_add(after[i])?;
                let whole = output_len(Padding::Valid, padded, kernel, stride, dilation)?;
                Some(Axis {
                    before: before[i],
                    ..whole
                })
            }
            _ => output_len(padding, input[i + 1], kernel, stride, dilation),
        }
    };
    let (rows, columns) = (axis(0)?, axis(1)?);
    Some(([rows.output, columns.output], [rows.before, columns.before]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures read off TFLite models: the keyword spotter's first layer (49x10 under 10x4, stride
    /// 2), the image classifier's strided layer and its shortcut.
    #[test]
    fn same_pads_as_tflite() {
        let same = |i, k, s, d| output_len(Padding::Same, i, k, s, d).unwrap();
        assert_eq!(
            same(49, 10, 2, 1),
            Axis {
                output: 25,
                before: 4
            }
        );
        assert_eq!(
            same(10, 4, 2, 1),
            Axis {
                output: 5,
                before: 1
            }
        );
        assert_eq!(
            same(32, 3, 1, 1),
            Axis {
                output: 32,
                before: 1
            }
        );
        assert_eq!(
            same(32, 3, 2, 1),
            Axis {
                output: 16,
                before: 0
            }
        );
        assert_eq!(
            same(32, 1, 2, 1),
            Axis {
                output: 16,
                before: 0
            }
        );
        assert_eq!(
            same(7, 3, 1, 2),
            Axis {
                output: 7,
                before: 2
            }
        );
        assert_eq!(
            same(1, 5, 1, 1),
            Axis {
                output: 1,
                before: 2
            }
        );
    }

    #[test]
    fn valid_takes_whole_kernels_only() {
        let valid = |i, k, s, d| output_len(Padding::Valid, i, k, s, d);
        assert_eq!(
            valid(5, 2, 2, 1),
            Some(Axis {
                output: 2,
                before: 0
            })
        );
        assert_eq!(
            valid(6, 2, 2, 1),
            Some(Axis {
                output: 3,
                before: 0
            })
        );
        assert_eq!(
            valid(7, 3, 1, 2),
            Some(Axis {
                output: 3,
                before: 0
            })
        );
        assert_eq!(
            valid(5, 5, 3, 1),
            Some(Axis {
                output: 1,
                before: 0
            })
        );
        assert_eq!(valid(4, 5, 1, 1), None);
    }

    /// Against the definition: every output of `Valid` lies inside and one more would not.
    #[test]
    fn valid_is_the_most_that_fits() {
        for input in 1..20 {
            for kernel in 1..6 {
                for stride in 1..5 {
                    for dilation in 1..4 {
                        let last =
                            |outputs: usize| (outputs - 1) * stride + (kernel - 1) * dilation;
                        match output_len(Padding::Valid, input, kernel, stride, dilation) {
                            Some(axis) => {
                                assert!(last(axis.output) < input);
                                assert!(last(axis.output + 1) >= input);
                            }
                            None => assert!(last(1) >= input),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn nonsense_is_none() {
        for padding in [Padding::Same, Padding::Valid] {
            assert_eq!(output_len(padding, 0, 1, 1, 1), None);
            assert_eq!(output_len(padding, 1, 0, 1, 1), None);
            assert_eq!(output_len(padding, 1, 1, 0, 1), None);
            assert_eq!(output_len(padding, 1, 1, 1, 0), None);
            assert_eq!(output_len(padding, 9, usize::MAX, 1, usize::MAX), None);
        }
    }
}
