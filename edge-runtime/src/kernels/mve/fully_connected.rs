//! FULLY_CONNECTED.

use core::cell::Cell;

use super::copy::copy_pieces;
use super::dense::{Dense, dense_i8_1x8};
use super::{mode, start, word_aligned};
pub use crate::kernels::footprint::mve::fully_connected_scratch_len as scratch_len;
use crate::kernels::layer::Layer;
use crate::kernels::packing::mve_dense::{GROUP, packed_len};

/// A fully connected layer with weights in `packing::mve_dense`: `[1, 1, n] -> [1, 1, o]`.
///
/// Exact for all rounding modes, shifts and clamps, as long as no accumulator leaves 32 bits, also
/// after the left shift of its channel (`max(shift, 0)` bits, or `max(shift + 2, 0)` where it is
/// rounded once). Input and output are apart, as the plan places a layer of one pixel.
#[inline(never)] // or the frames of all kernels are one, on the stack of each
pub fn fully_connected_i8_1x8(layer: &Layer<'_>) {
    let inputs = layer.input.len();
    let outputs = layer.output.len();
    let chunks = inputs.div_ceil(16);
    let Some(mode) = mode(layer) else { return };
    if inputs == 0
        || outputs == 0
        || layer.weights.len() != packed_len(inputs, outputs)
        || !word_aligned(layer.weights.as_ptr())
    {
        return;
    }
    let mut input = start(layer.input).cast_const();
    if !inputs.is_multiple_of(16) || !word_aligned(input) {
        let scratch = start(layer.scratch);
        if layer.scratch.len() < chunks * 16 || !word_aligned(scratch) {
            return;
        }
        // SAFETY: the scratch is long enough and overlaps nothing; `inputs` is not zero.
        unsafe { copy_pieces(scratch, input, inputs, 1, 0) };
        // What stays beyond the input meets weights of zero.
        input = scratch;
    }
    let group_len = chunks * GROUP * 16 + 96;
    let whole = outputs / GROUP;
    let weights = layer.weights.as_ptr().wrapping_add(16);
    let mut arguments = Dense {
        input,
        weights,
        weights_end: weights.wrapping_add(whole * group_len),
        output: start(layer.output),
        chunks: chunks as u32,
        zero_point: layer.zero_point,
        min: layer.min.into(),
        max: layer.max.into(),
        mode: mode as u32,
    };
    if whole > 0 {
        // SAFETY: `packed_len` says that the groups are there; `whole * GROUP <= outputs`; the
        // input is `chunks * 16` bytes, in its tensor or in the scratch; the alignments are checked.
        unsafe { dense_i8_1x8(&raw const arguments) };
    }
    if whole * GROUP < outputs {
        let last = [const { Cell::new(0_i8) }; GROUP];
        arguments.weights = arguments.weights_end;
        arguments.weights_end = arguments.weights.wrapping_add(group_len);
        arguments.output = start(&last);
        // SAFETY: as above, with the last group and an output of eight bytes.
        unsafe { dense_i8_1x8(&raw const arguments) };
        for (y, value) in layer.output.iter().skip(whole * GROUP).zip(&last) {
            y.set(value.get());
        }
    }
}
