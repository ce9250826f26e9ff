//! Packing [`CODE`]: dot products of four 8-bit taps at a time for sixteen output channels at once.
//!
//! For CONV_2D and FULLY_CONNECTED on x86-64, 64-bit ARM and WebAssembly. The taps of one output channel are cut into
//! *segments* of taps that lie next to each other in the input: one kernel row (all its columns and
//! channels) where the horizontal dilation is 1, else one tap (all its channels). Each segment is
//! filled up with zeros to a multiple of four taps, a *step*. Output channels come in *blocks* of
//! sixteen, filled up with zero weights, and blocks in *groups* of four; the last group has the one
//! to four blocks that are left.
//!
//! ```text
//! offsets  i32 [block][16]                               -128 * sum(weights of the channel)
//! scales   f32 [block][16]
//! adds     f32 [block][16]
//! weights  i8  [group][segment][step][block of group][16][4]
//! ```
//!
//! The offsets turn sums over `x + 128` (unsigned activations, which the dot-product instructions
//! of x86-64 want) back into sums over `x`: both kinds of kernels run the same image. Scales and
//! adds are what [`lines`](super::affine::lines) gives for a block.

use crate::kernels::reference::Window;

/// The packing code of images.
pub const CODE: u8 = 16;
/// Output channels in a block.
pub const BLOCK: usize = 16;
/// Blocks in a full group.
pub const GROUP: usize = 4;
/// Taps in a step.
pub const STEP: usize = 4;

/// Sizes of the packed weights of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Output channels.
    pub channels: usize,
    /// Segments of each output channel, `kernel height` times the segments of a kernel row.
    pub segments: usize,
    /// Taps of each segment, without the zeros at its end.
    pub segment_len: usize,
}

impl Shape {
    /// Of a convolution, or of a fully connected layer as a 1x1 window. Saturates.
    pub const fn new(window: &Window) -> Self {
        let [_, _, in_channels] = window.input;
        let [_, _, channels] = window.output;
        let [height, width] = window.kernel;
        if window.dilation[1] == 1 {
            Self {
                channels,
                segments: height,
                segment_len: width.saturating_mul(in_channels),
            }
        } else {
            Self {
                channels,
                segments: height.saturating_mul(width),
                segment_len: in_channels,
            }
        }
    }

    /// Steps of a segment.
    pub const fn steps(&self) -> usize {
        self.segment_len.div_ceil(STEP)
    }

    /// Blocks of sixteen output channels.
    pub const fn blocks(&self) -> usize {
        self.channels.div_ceil(BLOCK)
    }

    /// Bytes before the weights: offsets, scales and adds.
    pub const fn constants_len(&self) -> usize {
        self.blocks().saturating_mul(BLOCK * 12)
    }

    /// Bytes of the weights of one block.
    pub const fn block_len(&self) -> usize {
        self.segments
            .saturating_mul(self.steps())
            .saturating_mul(BLOCK * STEP)
    }

    /// Bytes of everything. Saturates.
    pub const fn len(&self) -> usize {
        self.blocks()
            .saturating_mul(self.block_len())
            .saturating_add(self.constants_len())
    }

    /// Whether there is nothing.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the weight of `tap` of `channel` lies, with `tap` counted as in canonical weights:
    /// `(kernel row * kernel width + kernel column) * input channels + input channel`.
    ///
    /// `None` outside the layer.
    pub fn position(&self, channel: usize, tap: usize) -> Option<usize> {
        let segment = tap.checked_div(self.segment_len)?;
        let at = tap.checked_rem(self.segment_len)?;
        if channel >= self.channels || segment >= self.segments {
            return None;
        }
        let block = channel / BLOCK;
        let group = block / GROUP;
        let in_group = (self.blocks() - group * GROUP).min(GROUP);
        let step = segment.checked_mul(self.steps())?.checked_add(at / STEP)?;
        self.constants_len()
            .checked_add((group * GROUP).checked_mul(self.block_len())?)?
            .checked_add(step.checked_mul(in_group * BLOCK * STEP)?)?
            .checked_add((block % GROUP) * BLOCK * STEP + (channel % BLOCK) * STEP + at % STEP)
    }

    /// The weight of `tap` of `channel`, see [`position`](Self::position); 0 where there is none.
    pub fn weight(&self, packed: &[u8], channel: usize, tap: usize) -> i8 {
        self.position(channel, tap)
            .and_then(|at| packed.get(at))
            .map_or(0, |byte| byte.cast_signed())
    }
}
