//! A copy of a short input with its padding around it, so that no window reaches beyond it.

use core::sync::atomic::{Ordering, compiler_fence};

use super::bytes::fill;
use crate::kernels::layer::Layer;
use crate::kernels::packing::dsp_panels::padded;

/// Where the input is to be [`padded`], copies it to the scratch and changes the layer so that it reads
/// it there; leaves other layers as they are. `None` where input or scratch are too short.
#[inline(never)] // Its frame is gone before the kernels run.
pub(super) fn pad(layer: &mut Layer<'_>) -> Option<()> {
    let Some(input) = padded(&layer.window) else {
        return Some(());
    };
    let [height, width, channels] = layer.window.input;
    let [top, left] = layer.window.padding;
    let [rows, columns, _] = input;
    // Below 2^15 channels times 2^15 and 2^10: nothing wraps.
    let (from_pitch, pitch) = (width * channels, columns * channels);
    if layer.input.len().checked_div(from_pitch)? < height {
        return None;
    }
    let bytes = (rows * pitch + 15) & !15;
    let (copy, scratch) = layer.scratch.split_at_checked(bytes)?;
    let mut from: *const u8 = layer.input.as_ptr().cast();
    let mut to: *mut u8 = copy.as_ptr().cast::<u8>().cast_mut();
    // SAFETY: the copy has so many bytes, and cells may be written through a shared reference.
    unsafe { fill(to, layer.pad.cast_unsigned(), bytes) };
    to = to.wrapping_add(top * pitch + left * channels);
    let run = from_pitch.min(pitch.wrapping_sub(left * channels));
    for _ in 0..height.min(rows.wrapping_sub(top)) {
        for at in 0..run {
            // SAFETY: `padded` has room for `top` rows and in each for `left` pixels; of the input, whose
            // length was checked, those rows and pixels are copied that follow them in the copy.
            unsafe { to.add(at).write(from.add(at).read()) };
            // Keeps the compiler from calling `memcpy`; programs without gathered rows have no
            // `bytes::copy` either.
            compiler_fence(Ordering::SeqCst);
        }
        to = to.wrapping_add(pitch);
        from = from.wrapping_add(from_pitch);
    }
    layer.window.input = input;
    layer.window.padding = [0, 0];
    layer.input = copy;
    layer.scratch = scratch;
    Some(())
}
