//! FULLY_CONNECTED over streams of [`crate::kernels::packing::dsp_blocks`].

use super::super::layer::Layer;
use super::super::packing::dsp_blocks::{Taps, Width};
use super::super::reference::Window;
use super::matmul::{self, Kernel};
use super::stream::{Entry, Stream};
use super::widen::{Rows, widen_1};

/// Bytes of [`Layer::scratch`]: two for each input, rounded up.
pub const fn scratch_len(window: &Window) -> usize {
    let [_, _, taps] = window.input;
    taps.div_ceil(4).wrapping_mul(8).wrapping_add(15) & !15
}

/// FULLY_CONNECTED with 16-bit weights (packing 1). Leaves the output as it is where lengths do
/// not fit together, alignment is missing or the window is not 1x1 on one pixel.
pub fn fully_connected_i16_1x4(layer: &Layer<'_>) {
    let kernel = (
        matmul::single_i16_1x4 as Kernel,
        matmul::entry_i16_1x4 as Entry,
    );
    fully_connected(layer, Width::I16, kernel);
}

/// FULLY_CONNECTED with 8-bit weights (packing 2), else as [`fully_connected_i16_1x4`].
pub fn fully_connected_i8_1x4(layer: &Layer<'_>) {
    let kernel = (
        matmul::single_i8_1x4 as Kernel,
        matmul::entry_i8_1x4 as Entry,
    );
    fully_connected(layer, Width::I8, kernel);
}

fn fully_connected(layer: &Layer<'_>, width: Width, kernel: (Kernel, Entry)) {
    let window = &layer.window;
    let [_, _, inputs] = window.input;
    let [_, _, outputs] = window.output;
    let scratch = layer.scratch.as_ptr().cast::<u32>().cast_mut();
    // The product with 8 in `scratch_len` must not wrap.
    if window.input != [1, 1, inputs]
        || window.output != [1, 1, outputs]
        || window.kernel != [1, 1]
        || inputs == 0
        || inputs >= 1 << 24
        || layer.input.len() < inputs
        || layer.output.len() < outputs
        || layer.scratch.len() < scratch_len(window)
        || !scratch.is_aligned()
    {
        return;
    }
    let Some(stream) = Stream::new(layer, width, Taps::of(window)) else {
        return;
    };
    let rows = Rows {
        rows: 1,
        skip: 0,
        groups: inputs / 4,
        rest: inputs % 4,
    };
    // SAFETY: `inputs` bytes of input are read; the scratch holds 8 bytes for each four of them or
    // part of it. Scratch overlaps nothing, and the cells are of this thread.
    unsafe {
        widen_1(layer.input.as_ptr().cast(), scratch, &raw const rows);
        stream.run(kernel, scratch, 0, 1, 1);
    }
}
