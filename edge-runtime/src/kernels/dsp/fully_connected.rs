//! FULLY_CONNECTED over streams of [`crate::kernels::packing::dsp_blocks`].
//!
//! Small networks consist of nothing else, and their arenas are small: whole blocks are run from a
//! [`Job`] alone, without a [`Layer`] on the stack.

use core::cell::Cell;

use super::super::layer::Layer;
use super::super::packing::dsp_blocks::{CHANNELS, HEADER, Taps, Width, block_len};
use super::super::packing::dsp_forms::Form;
use super::super::packing::dsp_panels::is_direct;
use super::job::{self, Driven, Job};
use super::stream::{Stream, ends};
use super::widen::{Rows, widen_1};
use super::{matmul_1x4, matmul_direct_1x4};
use crate::kernels::cases;
use crate::operator::{Call, layers};

pub use super::super::packing::dsp_panels::fully_connected_scratch_len as scratch_len;

/// The kernels for a width of weights.
struct Kernels {
    width: Width,
    widened: &'static Driven,
    direct: &'static Driven,
}

const fn i16<const CASES: u64>() -> &'static Kernels {
    const {
        &Kernels {
            width: Width::I16,
            widened: matmul_1x4::i16::<CASES>(),
            direct: matmul_direct_1x4::i16::<CASES>(),
        }
    }
}

const fn i8<const CASES: u64>() -> &'static Kernels {
    const {
        &Kernels {
            width: Width::I8,
            widened: matmul_1x4::i8::<CASES>(),
            direct: matmul_direct_1x4::i8::<CASES>(),
        }
    }
}

/// FULLY_CONNECTED with 16-bit weights (packing 1). Leaves the output as it is where lengths do
/// not fit together, alignment is missing or the window is not 1x1 on one pixel.
pub fn fully_connected_i16_1x4(layer: &Layer<'_>) {
    of_layer(layer, i16::<{ cases::ALL }>());
}

/// FULLY_CONNECTED with 8-bit weights (packing 2), else as [`fully_connected_i16_1x4`].
pub fn fully_connected_i8_1x4(layer: &Layer<'_>) {
    of_layer(layer, i8::<{ cases::ALL }>());
}

/// [`fully_connected_i16_1x4`] of an operator.
pub(super) fn run_i16<const CASES: u64>(call: &Call<'_>) {
    run::<CASES>(call, i16::<CASES>());
}

/// [`fully_connected_i8_1x4`] of an operator.
pub(super) fn run_i8<const CASES: u64>(call: &Call<'_>) {
    run::<CASES>(call, i8::<CASES>());
}

fn of_layer(layer: &Layer<'_>, kernels: &Kernels) {
    let whole = Whole {
        input: layer.input,
        output: layer.output,
        scratch: layer.scratch,
        weights: layer.weights,
        zero_point: layer.zero_point,
        clamp: [layer.min, layer.max],
    };
    let [_, _, inputs] = layer.window.input;
    let [_, _, outputs] = layer.window.output;
    let same = layer.input.len() == inputs && layer.output.len() == outputs;
    if let Some((kernel, job)) = &prepare::<{ cases::ALL }>(&whole, kernels).filter(|_| same) {
        // SAFETY: `prepare` checked the lengths of panel, stream and output.
        unsafe { kernel(&raw const *job) };
    } else {
        fully_connected::<{ cases::ALL }>(layer, kernels);
    }
}

#[inline(never)]
fn run<const CASES: u64>(call: &Call<'_>, kernels: &Kernels) {
    if let Some((kernel, job)) = &of_call::<CASES>(call, kernels) {
        // SAFETY: `prepare` checked the lengths of panel, stream and output.
        unsafe { kernel(&raw const *job) };
    } else if CASES & (cases::PARTIAL | cases::RAW) != 0 {
        rest::<CASES>(call, kernels);
    }
}

#[inline(never)] // Its frame is gone before the kernel runs.
fn of_call<const CASES: u64>(call: &Call<'_>, kernels: &Kernels) -> Option<(job::Kernel, Job)> {
    let record = call.record;
    let [x, _] = record.inputs;
    let (x, y) = (call.tensor(x)?, call.tensor(record.output)?);
    let place = |offset: u32, len: u32| call.arena.get(offset as usize..)?.get(..len as usize);
    let whole = Whole {
        input: place(x.arena_offset, x.len)?,
        output: place(y.arena_offset, y.len)?,
        scratch: place(record.scratch, record.scratch_len)?,
        weights: call.weights(),
        zero_point: y.zero_point,
        clamp: [record.clamp_min, record.clamp_max],
    };
    prepare::<CASES>(&whole, kernels)
}

/// What it takes to run whole blocks.
struct Whole<'a> {
    input: &'a [Cell<i8>],
    output: &'a [Cell<i8>],
    scratch: &'a [Cell<i8>],
    weights: &'a [u8],
    zero_point: i32,
    clamp: [i8; 2],
}

/// Of a layer whose outputs fill blocks and are requantised in the kernel, what runs it; its input is
/// widened already. `None` for others, and where lengths do not fit together.
#[inline(always)]
fn prepare<const CASES: u64>(whole: &Whole<'_>, kernels: &Kernels) -> Option<(job::Kernel, Job)> {
    let Whole {
        input,
        output,
        scratch,
        weights,
        ..
    } = *whole;
    let (inputs, outputs) = (input.len(), output.len());
    let form = Form::from_code(*weights.first()?)?;
    let blocks = weights.get(HEADER..)?;
    let taps = Taps {
        rows: 1,
        row: inputs,
    };
    let len = block_len(kernels.width, form, taps)?.checked_mul(outputs / CHANNELS)?;
    if outputs == 0
        || !outputs.is_multiple_of(CHANNELS)
        || form == Form::Raw
        || !form.suits(kernels.width)
        || CASES & cases::form(kernels.width, form) == 0
        || inputs == 0
        || inputs >= 1 << 24
        || blocks.len() < len
        || !blocks.as_ptr().cast::<u32>().is_aligned()
    {
        return None;
    }
    let input = input.as_ptr().cast::<u8>();
    let is_direct = outputs == CHANNELS && inputs.is_multiple_of(4);
    let (driven, panel) = if is_direct && CASES & cases::DIRECT != 0 {
        (kernels.direct, input.cast())
    } else if CASES & cases::WIDENED == 0 {
        return None;
    } else {
        let len = inputs.div_ceil(4) * 8;
        let panel = scratch.get(..len)?.as_ptr().cast::<u32>().cast_mut();
        let rows = Rows {
            rows: 1,
            skip: 0,
            groups: inputs / 4,
            rest: inputs % 4,
        };
        if !panel.is_aligned() {
            return None;
        }
        // SAFETY: `inputs` bytes of input are read; the panel holds 8 bytes for each four of them or
        // part of it. Scratch overlaps nothing, and the cells are of this thread.
        unsafe { widen_1(input, panel, &raw const rows) };
        (kernels.widened, panel.cast_const())
    };
    let output = output.as_ptr().cast::<u8>().cast_mut();
    let words = taps.words();
    let [min, max] = ends(form, weights, whole.zero_point, whole.clamp);
    let job = Job {
        panel,
        output,
        second: output,
        output_end: output.wrapping_add(outputs),
        panel_end: panel.wrapping_byte_add(driven.word * words),
        entry: (driven.entry)(words),
        form: form.code().into(),
        weights: blocks.as_ptr(),
        pairs: 1,
        stride: outputs,
        min,
        max,
    };
    Some((driven.kernel, job))
}

/// Outputs that fill no block, and [`Form::Raw`].
#[inline(never)]
fn rest<const CASES: u64>(call: &Call<'_>, kernels: &Kernels) {
    fully_connected::<CASES>(&layers::flat_layer(call), kernels);
}

fn fully_connected<const CASES: u64>(layer: &Layer<'_>, kernels: &Kernels) {
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
        if CASES & cases::DIRECT == 0 {
            return;
        }
        // Borrowed, not moved: a move is a copy on the stack. Here and below.
        let mut stream = Stream::<CASES>::new(layer, kernels.width, kernels.direct, input.cast());
        if let Some(stream) = &mut stream {
            // SAFETY: the input holds `inputs` bytes, whole groups of four; all of them are read
            // before the only block is written.
            unsafe { stream.run(1) };
        }
        return;
    }
    if CASES & cases::WIDENED == 0 {
        return;
    }
    let rows = Rows {
        rows: 1,
        skip: 0,
        groups: inputs / 4,
        rest: inputs % 4,
    };
    let mut stream = Stream::<CASES>::new(layer, kernels.width, kernels.widened, scratch);
    if let Some(stream) = &mut stream {
        // SAFETY: `inputs` bytes of input are read; the scratch holds 8 bytes for each four of them
        // or part of it. Scratch overlaps nothing, and the cells are of this thread.
        unsafe {
            widen_1(input.cast(), scratch, &raw const rows);
            stream.run(1);
        }
    }
}
