//! Packs weights as `edge_runtime::kernels::packing::winograd_16x2` lays them out.

use edge_runtime::kernels::packing::affine::End;
use edge_runtime::kernels::packing::winograd_16x2::{
    SCALE, SIDE, fits, g, is_exact, len, position,
};
use edge_runtime::kernels::reference::Window;

/// Packs the weights of a convolution; `None` where the kernel does not take the window or is not
/// exact for a channel.
///
/// `weights` is `[output][kernel row][kernel column][input channel]`; `ends` are those of the output
/// channels; a channel without one is scaled by its multiplier alone. Bias, multipliers and shifts
/// stay canonical.
pub fn pack(window: &Window, weights: &[i8], ends: &[End]) -> Option<Vec<u8>> {
    let ([_, _, depth], [_, _, channels]) = (window.input, window.output);
    if !fits(window) || weights.len() != channels * depth * 9 {
        return None;
    }
    if !weights
        .chunks(depth * 9)
        .all(|of| is_exact(of.iter().copied()))
    {
        return None;
    }
    // Offsets and lines; the weights come below.
    let mut packed = super::blocks::pack(len(window), channels, 0, &[], ends, |_, _| (None, 0));
    let of_tiles: Vec<End> = ends
        .iter()
        .map(|end| End {
            times: SCALE,
            ..*end
        })
        .collect();
    super::blocks::put_lines(&mut packed, channels, 3, &of_tiles);
    for output in 0..channels {
        for input in 0..depth {
            let tap = |row: usize, column: usize| {
                i32::from(weights[((output * 3 + row) * 3 + column) * depth + input])
            };
            for row in 0..SIDE {
                for column in 0..SIDE {
                    let (vertical, horizontal) = (g(row), g(column));
                    let mut sum = 0;
                    for (y, v) in vertical.into_iter().enumerate() {
                        for (x, h) in horizontal.into_iter().enumerate() {
                            sum += v * tap(y, x) * h;
                        }
                    }
                    let at = position(window, [output, input], [row, column])?;
                    let sum = i16::try_from(sum).ok()?;
                    packed
                        .get_mut(at..at + 2)?
                        .copy_from_slice(&sum.to_le_bytes());
                }
            }
        }
    }
    Some(packed)
}

#[cfg(test)]
mod tests {
    use edge_runtime::kernels::packing::winograd_16x2::weight;

    use super::*;

    #[test]
    fn the_decoder_gives_the_weights_back() {
        let window = Window {
            input: [9, 9, 32],
            output: [9, 9, 48],
            kernel: [3, 3],
            stride: [1, 1],
            padding: [1, 1],
            dilation: [1, 1],
        };
        let weights: Vec<i8> = (0..48 * 9 * 32_u64)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as i8)
            .collect();
        let packed = pack(&window, &weights, &[]).unwrap();
        for (index, expected) in weights.iter().enumerate() {
            let (output, tap) = (index / 288, index % 288);
            assert_eq!(weight(&window, &packed, output, tap), *expected);
        }
        let strided = Window {
            stride: [2, 2],
            ..window
        };
        assert_eq!(pack(&strided, &weights, &[]), None);
    }
}
