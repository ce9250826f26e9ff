//! Packs weights as `edge_runtime::kernels::packing::dot_16x4` lays them out.

use edge_runtime::kernels::packing::affine::End;
use edge_runtime::kernels::packing::dot_16x4::Shape;
use edge_runtime::kernels::reference::Window;

/// Packs the weights of a convolution, or of a fully connected layer as a 1x1 window.
///
/// `weights` is `[output][kernel row][kernel column][input channel]`, as long as the window says;
/// missing weights count as zero. `ends` are those of the output channels; a channel without one is
/// scaled by its multiplier alone. Bias, multipliers and shifts stay canonical.
pub fn pack(window: &Window, weights: &[i8], ends: &[End]) -> Vec<u8> {
    let shape = Shape::new(window);
    let taps = shape.segments * shape.segment_len;
    super::blocks::pack(
        shape.len(),
        shape.channels,
        taps,
        weights,
        ends,
        |channel, tap| (shape.position(channel, tap), channel * taps + tap),
    )
}
