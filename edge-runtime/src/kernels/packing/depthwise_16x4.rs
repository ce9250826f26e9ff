//! Packing [`CODE`]: depthwise weights, four kernel rows at a time for sixteen channels at once.
//!
//! For DEPTHWISE_CONV_2D on x86-64, 64-bit ARM and WebAssembly with as many output as input channels. Kernel rows come in
//! *bands* of four, filled up with zero weights, and channels in blocks of sixteen, filled up too.
//!
//! ```text
//! offsets  i32 [block][16]                                -128 * sum(weights of the channel)
//! scales   f32 [block][16]
//! adds     f32 [block][16]
//! weights  i8  [block][band][kernel column][16][4 rows]
//! ```
//!
//! For offsets, scales and adds see [`dot_16x4`](super::dot_16x4).

use crate::kernels::reference::Window;

/// The packing code of images.
pub const CODE: u8 = 17;
/// Channels in a block.
pub const BLOCK: usize = 16;
/// Kernel rows in a band.
pub const BAND: usize = 4;

/// Sizes of the packed weights of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Input channels, and as many output channels.
    pub channels: usize,
    /// Height, width of the kernel.
    pub kernel: [usize; 2],
}

impl Shape {
    /// Of a depthwise convolution.
    pub const fn new(window: &Window) -> Self {
        let [_, _, channels] = window.output;
        Self {
            channels,
            kernel: window.kernel,
        }
    }

    /// Blocks of sixteen channels.
    pub const fn blocks(&self) -> usize {
        self.channels.div_ceil(BLOCK)
    }

    /// Bands of four kernel rows.
    pub const fn bands(&self) -> usize {
        self.kernel[0].div_ceil(BAND)
    }

    /// Bytes before the weights: offsets, scales and adds.
    pub const fn constants_len(&self) -> usize {
        self.blocks().saturating_mul(BLOCK * 12)
    }

    /// Bytes of the weights of one block.
    pub const fn block_len(&self) -> usize {
        self.bands()
            .saturating_mul(self.kernel[1])
            .saturating_mul(BLOCK * BAND)
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

    /// Where the weight of `tap` of `channel` lies, with
    /// `tap = kernel row * kernel width + kernel column`. `None` outside the layer.
    pub fn position(&self, channel: usize, tap: usize) -> Option<usize> {
        let [height, width] = self.kernel;
        let row = tap.checked_div(width)?;
        let column = tap.checked_rem(width)?;
        if channel >= self.channels || row >= height {
            return None;
        }
        let columns = (row / BAND).checked_mul(width)?.checked_add(column)?;
        self.constants_len()
            .checked_add((channel / BLOCK).checked_mul(self.block_len())?)?
            .checked_add(columns.checked_mul(BLOCK * BAND)?)?
            .checked_add((channel % BLOCK) * BAND + row % BAND)
    }

    /// The weight of `tap` of `channel`, see [`position`](Self::position); 0 where there is none.
    pub fn weight(&self, packed: &[u8], channel: usize, tap: usize) -> i8 {
        self.position(channel, tap)
            .and_then(|at| packed.get(at))
            .map_or(0, |byte| byte.cast_signed())
    }
}
