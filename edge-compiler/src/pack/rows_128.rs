//! Packs weights as `edge_runtime::kernels::packing::rows_128` lays them out.

use edge_runtime::kernels::packing::affine::End;
use edge_runtime::kernels::packing::rows_128::{fits, len, position};
use edge_runtime::kernels::reference::Window;

/// Packs the weights of a fully connected layer as a 1x1 window; `None` where the kernel does not
/// take it.
///
/// `weights` is `[output][input]`; `ends` are those of the output channels; a channel without one is
/// scaled by its multiplier alone. Bias, multipliers and shifts stay canonical.
pub fn pack(window: &Window, weights: &[i8], ends: &[End]) -> Option<Vec<u8>> {
    let ([_, _, inputs], [_, _, channels]) = (window.input, window.output);
    if !fits(window) || weights.len() != channels * inputs {
        return None;
    }
    let place = |channel, input| (position(window, channel, input), channel * inputs + input);
    Some(super::blocks::pack(
        len(window),
        channels,
        inputs,
        weights,
        ends,
        place,
    ))
}

#[cfg(test)]
mod tests {
    use edge_runtime::kernels::packing::rows_128::weight;

    use super::*;

    #[test]
    fn the_decoder_gives_the_weights_back() {
        let window = Window {
            input: [1, 1, 48],
            output: [1, 1, 256],
            kernel: [1, 1],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
        };
        let weights: Vec<i8> = (0..48 * 256_u64)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as i8)
            .collect();
        let packed = pack(&window, &weights, &[]).unwrap();
        for (index, expected) in weights.iter().enumerate() {
            let found = weight(&window, &packed, index / 48, index % 48);
            assert_eq!(found, *expected);
        }
        let odd = Window {
            output: [1, 1, 100],
            ..window
        };
        assert_eq!(pack(&odd, &weights[..4800], &[]), None);
    }
}
