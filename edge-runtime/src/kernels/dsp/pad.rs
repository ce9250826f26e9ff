//! A copy of a short input with its padding around it, so that no window reaches beyond it.

use core::cell::Cell;

use super::len;
use crate::kernels::layer::Layer;
use crate::kernels::packing::dsp_panels::{padded, padded_len};
use crate::kernels::reference::runs;

/// Where the window is to be [`padded`], copies the input to the scratch and changes the layer so that
/// it reads it there; leaves other layers as they are. `None` where input or scratch are too short.
#[inline(never)] // Its frame is gone before the kernels run.
pub(super) fn pad(layer: &mut Layer<'_>) -> Option<()> {
    let Some(window) = padded(&layer.window) else {
        return Some(());
    };
    let [height, width, channels] = layer.window.input;
    let [top, left] = layer.window.padding;
    let [_, columns, _] = window.input;
    if layer.input.len() < len([height, width, channels])? {
        return None;
    }
    let (copy, scratch) = layer.scratch.split_at_checked(padded_len(&window))?;
    // Below 2^15 times a length that was copied: nothing wraps.
    let (pitch, before) = (width * channels, left * channels);
    for (y, row) in runs(copy, columns * channels).enumerate() {
        let start = y.wrapping_sub(top).min(height) * pitch;
        let inputs = layer.input.get(start..start + pitch).unwrap_or_default();
        for (at, cell) in row.iter().enumerate() {
            let input = inputs.get(at.wrapping_sub(before));
            cell.set(input.map_or(layer.pad, Cell::get));
        }
    }
    layer.window = window;
    layer.input = copy;
    layer.scratch = scratch;
    Some(())
}
