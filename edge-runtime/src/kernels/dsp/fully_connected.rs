//! FULLY_CONNECTED over streams of [`crate::kernels::packing::dsp_blocks`].

use super::super::layer::Layer;
use super::super::packing::dsp_blocks::Width;
use super::super::packing::dsp_panels::is_direct;
use super::job::Driven;
use super::stream::Stream;
use super::widen::{Rows, widen_1};
use super::{matmul_1x4, matmul_direct_1x4};

pub use super::super::packing::dsp_panels::fully_connected_scratch_len as scratch_len;

/// The kernels for a width of weights.
struct Kernels {
    width: Width,
    widened: &'static Driven,
    direct: &'static Driven,
}

/// FULLY_CONNECTED with 16-bit weights (packing 1). Leaves the output as it is where lengths do
/// not fit together, alignment is missing or the window is not 1x1 on one pixel.
pub fn fully_connected_i16_1x4(layer: &Layer<'_>) {
    const KERNELS: Kernels = Kernels {
        width: Width::I16,
        widened: &matmul_1x4::I16,
        direct: &matmul_direct_1x4::I16,
    };
    fully_connected(layer, &KERNELS);
}

/// FULLY_CONNECTED with 8-bit weights (packing 2), else as [`fully_connected_i16_1x4`].
pub fn fully_connected_i8_1x4(layer: &Layer<'_>) {
    const KERNELS: Kernels = Kernels {
        width: Width::I8,
        widened: &matmul_1x4::I8,
        direct: &matmul_direct_1x4::I8,
    };
    fully_connected(layer, &KERNELS);
}

fn fully_connected(layer: &Layer<'_>, kernels: &Kernels) {
    let window = &layer.window;
    let ([1, 1, inputs], [1, 1, outputs], [1, 1]) = (window.input, window.output, window.kernel)
    else {
        return;
    };
    let scratch = layer.scratch.as_ptr().cast::<u32>().cast_mut();
    // The product with 8 in `scratch_len` must not wrap.
    if inputs == 0
        || inputs >= 1 << 24
        || layer.input.len() < inputs
        || layer.output.len() < outputs
        || layer.scratch.len() < scratch_len(window)
        || !scratch.is_aligned()
    {
        return;
    }
    let input = layer.input.as_ptr();
    if is_direct(window) {
        // Borrowed, not moved: a move is a copy on the stack. Here and below.
        let mut stream = Stream::new(layer, kernels.width, kernels.direct, input.cast());
        if let Some(stream) = &mut stream {
            // SAFETY: the input holds `inputs` bytes, whole groups of four; all of them are read
            // before the only block is written.
            unsafe { stream.run(1) };
        }
        return;
    }
    let rows = Rows {
        rows: 1,
        skip: 0,
        groups: inputs / 4,
        rest: inputs % 4,
    };
    let mut stream = Stream::new(layer, kernels.width, kernels.widened, scratch);
    if let Some(stream) = &mut stream {
        // SAFETY: `inputs` bytes of input are read; the scratch holds 8 bytes for each four of them
        // or part of it. Scratch overlaps nothing, and the cells are of this thread.
        unsafe {
            widen_1(input.cast(), scratch, &raw const rows);
            stream.run(1);
        }
    }
}
