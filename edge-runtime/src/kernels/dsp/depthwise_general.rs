//! DEPTHWISE_CONV_2D with any window and any number of outputs an input channel.
#![allow(unsafe_code)] // Assembly: the compiler has no other way to SXTB16 and SMLATB.

use crate::kernels::reference::{Window, runs};
use core::arch::naked_asm;

use super::len;
use crate::kernels::layer::Layer;

/// Whether [`depthwise_i8_1x4`] can run a window: no extent is 0, and none is 2^15 or more.
pub(super) fn fits(window: &Window) -> bool {
    let shapes = [window.input, window.output];
    let steps = [
        window.kernel,
        window.stride,
        window.dilation,
        window.padding,
    ];
    let small = |extent: &usize| *extent < 1 << 15;
    shapes
        .iter()
        .flatten()
        .all(|extent| *extent > 0 && small(extent))
        && steps.iter().flatten().all(small)
}

/// Runs a layer on canonical weights, `[row][column][output channel]`, any rounding mode; leaves
/// the output as it is where a length is wrong. Four outputs at a time where one or a multiple of 4
/// comes from each input channel; words may be unaligned.
pub fn depthwise_i8_1x4(layer: &Layer<'_>) {
    let window = &layer.window;
    let [_, _, channels] = window.input;
    let [out_height, out_width, out_channels] = window.output;
    let [kernel_height, kernel_width] = window.kernel;
    let taps = kernel_height.checked_mul(kernel_width);
    if !fits(window)
        || !out_channels.is_multiple_of(channels)
        || Some(layer.input.len()) != len(window.input)
        || Some(layer.output.len()) != len(window.output)
        || Some(layer.weights.len()) != taps.and_then(|taps| taps.checked_mul(out_channels))
        || layer.bias.len() != out_channels
        || layer.multipliers.len() != out_channels
        || layer.shifts.len() != out_channels
    {
        return;
    }
    let multiplier = out_channels.checked_div(channels).unwrap_or(1);
    let kernel: Option<Kernel> = if multiplier == 1 {
        Some(four_inputs)
    } else if multiplier.is_multiple_of(4) {
        Some(one_input)
    } else {
        None
    };
    let mut pixels = runs(layer.output, out_channels);
    for y in 0..out_height {
        let rows = Taps::new(y, 0, layer);
        for x in 0..out_width {
            let columns = Taps::new(x, 1, layer);
            let Some(pixel) = pixels.next() else { return };
            let at = Place { rows, columns };
            let mut quads = pixel.chunks_exact(4);
            let mut done = 0;
            if let Some(kernel) = kernel {
                for (quad, outputs) in quads.by_ref().enumerate() {
                    let sums = at.four(layer, quad * 4, multiplier, kernel);
                    for (next, (output, sum)) in outputs.iter().zip(sums).enumerate() {
                        output.set(requantise(layer, quad * 4 + next, sum));
                    }
                    done = quad * 4 + 4;
                }
            }
            for (channel, output) in pixel.iter().enumerate().skip(done) {
                let bias = layer.bias.get(channel).copied().unwrap_or(0);
                let sum = at.one(layer, channel, multiplier, bias);
                output.set(requantise(layer, channel, sum));
            }
        }
    }
}

fn requantise(layer: &Layer<'_>, channel: usize, sum: i32) -> i8 {
    let multiplier = layer.multipliers.get(channel).copied().unwrap_or(0);
    let shift = layer.shifts.get(channel).copied().unwrap_or(0);
    let value = layer
        .rounding
        .scale(sum, multiplier, shift)
        .saturating_add(layer.zero_point);
    value.max(layer.min.into()).min(layer.max.into()) as i8
}

/// The taps of an axis, for one output: those from `begin` to before `end` lie on the input.
#[derive(Clone, Copy)]
struct Taps {
    begin: usize,
    end: usize,
    count: usize,
    /// Where on the input `begin` lies, if any does.
    first: usize,
}

impl Taps {
    fn new(output: usize, axis: usize, layer: &Layer<'_>) -> Self {
        let window = &layer.window;
        let of = |values: &[usize]| values.get(axis).copied().unwrap_or(1);
        let [extent, count] = [of(&window.input), of(&window.kernel)];
        let [stride, dilation, padding] =
            [&window.stride, &window.dilation, &window.padding].map(|values| of(values));
        let dilation = dilation.max(1);
        let position = output * stride;
        let begin = padding.saturating_sub(position).div_ceil(dilation);
        let end = (extent + padding)
            .saturating_sub(position)
            .div_ceil(dilation);
        let begin = begin.min(count);
        let first = (position + begin * dilation).saturating_sub(padding);
        let end = end.clamp(begin, count);
        Self {
            begin,
            end,
            count,
            first,
        }
    }
}

/// An output's window.
#[derive(Clone, Copy)]
struct Place {
    rows: Taps,
    columns: Taps,
}

impl Place {
    /// The accumulators of four outputs. Lengths were checked.
    fn four(self, layer: &Layer<'_>, first: usize, multiplier: usize, kernel: Kernel) -> [i32; 4] {
        let [_, width, channels] = layer.window.input;
        let out_channels = layer.window.output[2];
        let [dilation_y, dilation_x] = layer.window.dilation;
        let Self { rows, columns } = self;
        let mut sums = [0; 4];
        for (sum, bias) in sums.iter_mut().zip(layer.bias.iter().skip(first)) {
            *sum = *bias;
        }
        let padding = [layer.pad; 4];
        let walk = |sums, [top, bottom]: [usize; 2], [left, right]: [usize; 2], inside: bool| {
            if top >= bottom || left >= right {
                return sums;
            }
            let wide = right - left;
            let weight = (top * columns.count + left) * out_channels + first;
            // SAFETY: the taps lie in the kernel, whose weights' length was checked. Inside, they
            // lie on the input, whose length was checked, too; outside, all steps are 0 and four
            // bytes of padding are read again and again.
            unsafe {
                let (input, step, row_step) = if inside {
                    let input = (rows.first * width + columns.first) * channels
                        + first.checked_div(multiplier).unwrap_or(0);
                    let step = dilation_x * channels;
                    let row_step = (dilation_y * width * channels).wrapping_sub(wide * step);
                    (layer.input.as_ptr().cast::<i8>().add(input), step, row_step)
                } else {
                    (padding.as_ptr(), 0, 0)
                };
                let mut walk = Walk {
                    sums,
                    input,
                    weights: layer.weights.as_ptr().add(weight),
                    step,
                    weight_step: out_channels,
                    columns: wide,
                    row_step,
                    weight_row_step: (columns.count - wide) * out_channels,
                    rows: bottom - top,
                };
                kernel(&mut walk);
                walk.sums
            }
        };
        let (all, inner) = ([0, columns.count], [rows.begin, rows.end]);
        sums = walk(sums, inner, [columns.begin, columns.end], true);
        sums = walk(sums, [0, rows.begin], all, false);
        sums = walk(sums, [rows.end, rows.count], all, false);
        sums = walk(sums, inner, [0, columns.begin], false);
        walk(sums, inner, [columns.end, columns.count], false)
    }

    /// The accumulator of one output.
    fn one(self, layer: &Layer<'_>, channel: usize, multiplier: usize, bias: i32) -> i32 {
        let [_, width, channels] = layer.window.input;
        let out_channels = layer.window.output[2];
        let [dilation_y, dilation_x] = layer.window.dilation;
        let Self { rows, columns } = self;
        let mut sum = bias;
        for ky in 0..rows.count {
            for kx in 0..columns.count {
                let inside =
                    ky >= rows.begin && ky < rows.end && kx >= columns.begin && kx < columns.end;
                let x = if inside {
                    let row = rows.first + (ky - rows.begin) * dilation_y;
                    let column = columns.first + (kx - columns.begin) * dilation_x;
                    let at = (row * width + column) * channels
                        + channel.checked_div(multiplier).unwrap_or(0);
                    layer.input.get(at).map_or(0, |x| x.get())
                } else {
                    layer.pad
                };
                let at = (ky * columns.count + kx) * out_channels + channel;
                let weight = layer.weights.get(at).copied().unwrap_or(0).cast_signed();
                sum = sum.wrapping_add(i32::from(x) * i32::from(weight));
            }
        }
        sum
    }
}

/// A walk over taps; the assembly knows the offsets.
#[repr(C)]
struct Walk {
    sums: [i32; 4],
    input: *const i8,
    weights: *const u8,
    /// Bytes from a tap to the next of its row.
    step: usize,
    weight_step: usize,
    /// Taps of a row.
    columns: usize,
    /// Bytes from the end of a row of taps to the next.
    row_step: usize,
    weight_row_step: usize,
    rows: usize,
}

/// # Safety
/// Taps as [`Walk`] says, at least one row and column, may be read: a byte or, for
/// [`four_inputs`], four of the input, four of the weights.
type Kernel = unsafe extern "C" fn(&mut Walk);

macro_rules! walk {
    ($name:ident, $($tap:literal,)+) => {
        /// # Safety
        /// See [`Kernel`].
        #[unsafe(naked)]
        unsafe extern "C" fn $name(walk: &mut Walk) {
            naked_asm!(
                dsp_cpu!(),
                "
                push {{r0, r4-r11, lr}}
                mov r2, r0
                ldm r2!, {{r8-r11}}
                ldrd r0, r1, [r2]
                ldrd r3, r4, [r2, #8]
            1:  ldr r5, [r2, #16]
            2:
                ",
                $($tap,)+
                "
                subs r5, #1
                bne 2b
                ldrd r6, r7, [r2, #20]
                add r0, r0, r6
                add r1, r1, r7
                ldr r5, [r2, #28]
                subs r5, #1
                str r5, [r2, #28]
                bne 1b
                pop {{r0}}
                stm r0, {{r8-r11}}
                pop {{r4-r11, pc}}
                "
            )
        }
    };
}

walk!(
    one_input,
    "ldrsb r12, [r0]",
    "ldr lr, [r1]",
    "add r0, r0, r3",
    "add r1, r1, r4",
    "sxtb16 r6, lr",
    "sxtb16 r7, lr, ror #8",
    "smlabb r8, r6, r12, r8",
    "smlabb r9, r7, r12, r9",
    "smlatb r10, r6, r12, r10",
    "smlatb r11, r7, r12, r11",
);
walk!(
    four_inputs,
    "ldr r12, [r0]",
    "ldr lr, [r1]",
    "add r0, r0, r3",
    "add r1, r1, r4",
    "sxtb16 r6, lr",
    "sxtb16 r7, r12",
    "sxtb16 lr, lr, ror #8",
    "sxtb16 r12, r12, ror #8",
    "smlabb r8, r6, r7, r8",
    "smlatt r10, r6, r7, r10",
    "smlabb r9, lr, r12, r9",
    "smlatt r11, lr, r12, r11",
);
