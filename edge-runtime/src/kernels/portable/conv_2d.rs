//! CONV_2D and FULLY_CONNECTED.

use core::cell::Cell;

use super::dot::dot;
use super::gather::Gather;
use super::requantise::Finish;
use super::words;
use crate::kernels::layer::Layer;
use crate::kernels::packing::pair_blocks::{self, CHANNELS, PairBlocks, QUAD, QUAD_WORDS};
use crate::kernels::reference::Window;
use crate::kernels::reference::table::run_conv;

/// Bytes of scratch of [`conv_2d_pairs`]: the window of one output pixel, two bytes a tap.
pub const fn scratch_len(window: &Window) -> usize {
    let quads = pair_blocks::taps(window).div_ceil(QUAD);
    quads.wrapping_mul(2 * QUAD)
}

/// A convolution, or a fully connected layer as a window of one pixel, with weights in
/// [`pair_blocks`]; every window, stride, padding, dilation and rounding mode. Exact if
/// [`pair_blocks::fits`] and the blocks name runs that fit.
///
/// Each output pixel is computed whole, from a copy of what lies under its window, so the raster
/// rule holds. With less scratch than [`scratch_len`] the layer runs by the plain decoder.
pub fn conv_2d_pairs(layer: &Layer<'_>) {
    let window = &layer.window;
    let [height, width, channels] = window.output;
    let quads = pair_blocks::taps(window).div_ceil(QUAD);
    let weights = PairBlocks::of(layer).words;
    let Some(x) = words(layer.scratch).get(..quads.wrapping_mul(2)) else {
        return run_conv(layer, PairBlocks::of);
    };
    if channels == 0 || quads == 0 {
        return run_conv(layer, PairBlocks::of);
    }
    let finish = Finish::new(layer);
    let gather = Gather::new(window, layer.pad, layer.input);
    #[cfg(all(target_arch = "arm", feature = "thumb2"))]
    let fast = super::thumb2::Blocks::new(&finish, weights, layer.bias, x, channels);
    let mut pixels = layer.output.chunks_exact(channels);
    for y in 0..height {
        for column in 0..width {
            let Some(pixel) = pixels.next() else { return };
            gather.pairs([y, column], x);
            #[cfg(all(target_arch = "arm", feature = "thumb2"))]
            let done = fast.as_ref().map_or(0, |fast| fast.run(pixel));
            #[cfg(not(all(target_arch = "arm", feature = "thumb2")))]
            let done = 0_usize;
            if done < channels {
                run_blocks(done, layer.bias, &finish, weights, x, pixel);
            }
        }
    }
}

/// The blocks of a pixel from channel `channel` on, a multiple of four.
fn run_blocks(
    mut channel: usize,
    bias: &[i32],
    finish: &Finish<'_>,
    weights: &[i32],
    x: &[Cell<i32>],
    pixel: &[Cell<i8>],
) {
    let block = (x.len() / 2).wrapping_mul(QUAD_WORDS).wrapping_add(1);
    let blocks = weights.chunks_exact(block.max(1)).skip(channel / CHANNELS);
    let outputs = pixel.get(channel..).unwrap_or_default().chunks(CHANNELS);
    let biases = bias.get(channel..).unwrap_or_default().chunks(CHANNELS);
    for (block, (outputs, bias)) in blocks.zip(outputs.zip(biases)) {
        let mut sums = [0; CHANNELS];
        for (sum, bias) in sums.iter_mut().zip(bias) {
            *sum = *bias;
        }
        if let Some((run, quads)) = block.split_first() {
            let (quads, _) = quads.as_chunks::<QUAD_WORDS>();
            dot(&mut sums, x, quads, *run == 4);
        }
        finish.write(channel, &sums, outputs);
        channel = channel.wrapping_add(CHANNELS);
    }
}
