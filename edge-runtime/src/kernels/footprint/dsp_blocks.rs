//! What the convolutions and fully connected layers of the DSP extension can run and need, see
//! [`crate::kernels::packing::dsp_blocks`].

use crate::kernels::packing::dsp_blocks::{CHANNELS, words};
use crate::kernels::reference::Window;

/// Panels of several pairs are filled at once up to this length in bytes, which saves calls.
const PANEL_TARGET: usize = 512;

/// Whether a window is one of these kernels: no dimension of 2^15 or more (channels aside).
pub const fn fits(window: &Window) -> bool {
    const LIMIT: usize = 1 << 15;
    let [height, width, channels] = window.input;
    let [out_height, out_width, out_channels] = window.output;
    let [kernel_height, kernel_width] = window.kernel;
    height < LIMIT
        && width < LIMIT
        && out_height < LIMIT
        && out_width < LIMIT
        && kernel_height < LIMIT
        && kernel_width < LIMIT
        && window.stride[0] < LIMIT
        && window.stride[1] < LIMIT
        && window.padding[0] < LIMIT
        && window.padding[1] < LIMIT
        && window.dilation[0] < LIMIT
        && window.dilation[1] < LIMIT
        && channels > 0
        && out_channels > 0
        && kernel_height > 0
        && kernel_width > 0
}

/// Bytes of [`Layer::scratch`] for [`conv_2d_i16_2x4`] and [`conv_2d_i8_2x4`]: one or more panels of
/// `4 * taps`, and bytes for windows that cannot be read in place (on padding, or of rows that are
/// not a multiple of four bytes). Wraps for windows that do not [`fits`].
pub const fn scratch_len(window: &Window) -> usize {
    let Sizes {
        pair,
        batch,
        gather,
        ..
    } = Sizes::new(window);
    pair.wrapping_mul(batch)
        .wrapping_add(PANEL_SLACK)
        .wrapping_add(gather.wrapping_mul(2))
        .wrapping_add(15)
        & !15
}

/// Bytes of [`Layer::scratch`] for [`fully_connected_i16_1x4`] and [`fully_connected_i8_1x4`]: two
/// for each input, rounded up.
pub const fn fully_connected_scratch_len(window: &Window) -> usize {
    let [_, _, taps] = window.input;
    taps.div_ceil(4).wrapping_mul(8).wrapping_add(15) & !15
}

/// What widening whole groups of four may write beyond the last panel.
pub(crate) const PANEL_SLACK: usize = 8;

/// Lengths that follow from a window.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// Weights of an output channel.
    pub taps: usize,
    /// Bytes of the panel of a pair.
    pub pair: usize,
    /// Pairs to a panel.
    pub batch: usize,
    /// Bytes of one pixel to gather at a time, a multiple of 4; 0 where all is read in place.
    pub gather: usize,
    /// Kernel rows to gather at a time.
    pub rows: i32,
}

impl Sizes {
    /// Those of a window; they wrap for windows that do not [`fits`].
    pub const fn new(window: &Window) -> Self {
        let [_, _, channels] = window.input;
        let [height, width, out_channels] = window.output;
        let [kernel_height, kernel_width] = window.kernel;
        let row = kernel_width.wrapping_mul(channels);
        let taps = row.wrapping_mul(kernel_height);
        let pair = words(taps).wrapping_mul(8);
        let fill = if pair == 0 { 1 } else { PANEL_TARGET / pair };
        let pairs = height.wrapping_mul(width) / 2;
        let batch = if out_channels % CHANNELS != 0 || fill == 0 {
            1
        } else if pairs < fill && pairs > 0 {
            pairs
        } else {
            fill
        };
        let [top, left] = window.padding;
        let pointwise = kernel_height == 1 && kernel_width == 1 && top == 0 && left == 0;
        let whole = row % 4 == 0;
        let (gather, rows) = if whole && pointwise {
            (0, 1)
        } else if whole {
            (row, 1)
        } else {
            (taps.wrapping_add(3) & !3, kernel_height as i32)
        };
        Self {
            taps,
            pair,
            batch,
            gather,
            rows,
        }
    }
}
