//! The frame of the fully connected kernels that skip inputs, on packing
//! [`rows_128`](crate::kernels::packing::rows_128).

use super::constants::{Constants, prepared_len};
use crate::kernels::layer::Layer;
use crate::kernels::packing::rows_128::{self, constants_len, fits};
use crate::kernels::reference::Window;

/// Entries of the lists behind the last input, for vectors that end there.
const SLACK: usize = 64;

/// A layer, and room for the list of its inputs that count.
#[derive(Clone, Copy)]
pub(crate) struct Sparse {
    pub constants: Constants,
    /// `[chunk][input][128]`
    pub weights: *const i8,
    /// A multiple of 16.
    pub inputs: usize,
    pub input: *const i8,
    /// As many as `constants.channels`, a multiple of 128.
    pub output: *mut i8,
    /// Room for the rows of a chunk that count: `inputs` and [`SLACK`] more.
    pub rows: *mut u16,
    /// Room for as many activations of up to 16 bits.
    pub values: *mut u8,
}

impl Sparse {
    /// `None` where the window does not fit or a slice is too short.
    #[inline(always)] // as `flat_layer`
    pub(crate) fn new(layer: &Layer<'_>) -> Option<Self> {
        let window = &layer.window;
        let ([_, _, inputs], [_, _, channels]) = (window.input, window.output);
        let enough = fits(window)
            && layer.weights.len() >= rows_128::len(window)
            && layer.scratch.len() >= scratch_len(window)
            && layer.scratch.as_ptr().cast::<i32>().is_aligned()
            && layer.input.len() >= inputs
            && layer.output.len() >= channels;
        if !enough {
            return None;
        }
        let scratch = layer.scratch.as_ptr().cast::<i8>().cast_mut();
        let rows = scratch.wrapping_add(prepared_len(channels));
        Some(Self {
            constants: Constants::new(layer, channels)?,
            weights: layer
                .weights
                .as_ptr()
                .wrapping_add(constants_len(channels))
                .cast(),
            inputs,
            input: layer.input.as_ptr().cast(),
            // `Cell::as_ptr` of the first one would only be good for that one; this is good for all.
            output: layer.output.as_ptr().cast::<i8>().cast_mut(),
            rows: rows.cast(),
            values: rows.wrapping_add((inputs + SLACK) * 2).cast(),
        })
    }
}

/// Scratch in bytes: prepared constants, then the lists. 0 where the window does not fit.
pub(crate) const fn scratch_len(window: &Window) -> usize {
    if !fits(window) {
        return 0;
    }
    let ([_, _, inputs], [_, _, channels]) = (window.input, window.output);
    prepared_len(channels).saturating_add((inputs + SLACK) * 4)
}
