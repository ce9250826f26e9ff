//! The inner loops for cores with all of Thumb-2, from Cortex-M3 on.
//!
//! The compiler keeps neither four sums nor their eight operands in registers, and takes three
//! times as many instructions for an output.
#![allow(unsafe_code)] // Assembly; every block says why it holds.

use core::arch::naked_asm;
use core::cell::Cell;
use core::marker::PhantomData;

use super::requantise::{Finish, Form};
use crate::kernels::packing::pair_blocks::{CHANNELS, QUAD_WORDS};

/// What the assembly reads, at the offsets it names.
#[repr(C)]
#[derive(Clone, Copy)]
struct Arguments {
    multipliers: *const i32,  // 0, as the next two: moves from block to block
    shifts: *const i8,        // 4
    outputs: *const Cell<i8>, // 8
    zero_point: i32,          // 12
    low: u32,                 // 16
    bias: *const i32,         // 20: moves too
    x: *const Cell<i32>,      // 24
    quads: usize,             // 28
    blocks: usize,            // 32: counts down
    weights: *const i32,      // 36
    min: i32,                 // 40
    max: i32,                 // 44
    tie: u32,                 // 48
}

/// The whole blocks of four channels of a layer.
pub(super) struct Blocks<'a> {
    /// As the first block of a pixel finds them, but for the outputs.
    arguments: Arguments,
    run: unsafe extern "C" fn(*mut Arguments),
    channels: usize,
    /// What the pointers point to.
    borrowed: PhantomData<(&'a [i32], &'a [Cell<i32>])>,
}

impl<'a> Blocks<'a> {
    /// Those of a layer of `channels` outputs, whose constants are checked here; `x` is where each
    /// pixel's activations will be. `None` without whole blocks, and where the layer has no fast
    /// form of requantisation.
    pub fn new(
        finish: &Finish<'a>,
        weights: &'a [i32],
        bias: &'a [i32],
        x: &'a [Cell<i32>],
        channels: usize,
    ) -> Option<Self> {
        let quads = x.len() / 2;
        let block = quads.checked_mul(QUAD_WORDS)?.checked_add(1)?;
        let constants = bias
            .len()
            .min(finish.multipliers.len())
            .min(finish.shifts.len());
        let blocks = channels.min(constants) / CHANNELS;
        let blocks = blocks.min(weights.len().checked_div(block)?);
        if quads == 0 || blocks == 0 {
            return None;
        }
        let run = match finish.form {
            Form::General => return None,
            Form::Saturate => pixel_saturate,
            Form::Tie if finish.saturates => pixel_tie,
            Form::Clamp | Form::Tie => pixel_clamp,
            Form::High => pixel_high,
        };
        Some(Self {
            arguments: Arguments {
                multipliers: finish.multipliers.as_ptr(),
                shifts: finish.shifts.as_ptr(),
                outputs: core::ptr::null(),
                zero_point: finish.zero_point,
                low: finish.low,
                bias: bias.as_ptr(),
                x: x.as_ptr(),
                quads,
                blocks,
                weights: weights.as_ptr(),
                min: finish.min.into(),
                max: finish.max.into(),
                tie: if matches!(finish.form, Form::Tie) {
                    1 << 31
                } else {
                    0
                },
            },
            run,
            channels: blocks.wrapping_mul(CHANNELS),
            borrowed: PhantomData,
        })
    }

    /// Computes the first outputs of a pixel; returns how many.
    #[inline]
    pub fn run(&self, outputs: &[Cell<i8>]) -> usize {
        if outputs.len() < self.channels {
            return 0;
        }
        let mut arguments = self.arguments;
        arguments.outputs = outputs.as_ptr();
        // SAFETY: `new` saw at least one quad and one block, `4 * blocks` biases, multipliers and
        // shifts, `blocks` times a word and eight for each quad of weights, and two words of `x`
        // for each quad, all borrowed for as long as `self` lives; there are `4 * blocks` outputs.
        // Outputs and `x` are cells; slices of words are aligned.
        unsafe { (self.run)(&raw mut arguments) };
        self.channels
    }
}

/// One pixel. For each block: the word that tells the runs, then the sums, a quad of taps in 19
/// instructions for runs of two taps and 15 for four, and two for the loop, which does two quads at
/// a time and starts in its middle if they are odd; then four outputs.
///
/// In the loop r0: 2^15, r1: activations, r2: weights, r3: pairs of quads, r4-r7: sums. Then
/// r0: multipliers, r1: shifts, r3: outputs, r8: `zero_point`, r9: `low`. `[sp]`: the arguments.
macro_rules! pixel {
    ($name:ident, $scale:expr) => {
        /// # Safety
        /// At least one block and one quad, and as many constants, activations, weights and outputs
        /// as these say.
        #[unsafe(naked)]
        #[unsafe(link_section = concat!(".text.dunlin_", stringify!($name)))]
        unsafe extern "C" fn $name(arguments: *mut Arguments) {
            naked_asm!(
                ".macro dunlin_quad, add",
                "ldrd r8, r9, [r1], #8",
                "ldm r2!, {{r10, r11, r12, lr}}",
                "\\add r4, r10, r11",
                "\\add r5, r12, lr",
                "ldm r2!, {{r10, r11, r12, lr}}",
                "\\add r6, r10, r11",
                "\\add r7, r12, lr",
                ".endm",
                ".macro dunlin_short, sum, w0, w1",
                "mla \\w0, \\w0, r8, r0",
                "mla \\w1, \\w1, r9, r0",
                "add \\sum, \\sum, \\w0, asr #16",
                "add \\sum, \\sum, \\w1, asr #16",
                ".endm",
                ".macro dunlin_long, sum, w0, w1",
                "mla \\w0, \\w0, r8, r0",
                "mla \\w0, \\w1, r9, \\w0",
                "add \\sum, \\sum, \\w0, asr #16",
                ".endm",
                ".macro dunlin_output, sum",
                "ldrb r11, [r1], #1",
                "ldr r10, [r0], #4",
                $scale,
                "strb r12, [r3], #1",
                ".endm",
                "push {{r0, r4-r11, lr}}",
                "mov lr, r0",
                "ldr r2, [r0, #36]",
                "1:",
                "ldr r8, [lr, #20]",
                "ldm r8!, {{r4-r7}}",
                "str r8, [lr, #20]",
                "ldrd r1, r3, [lr, #24]",
                "ldr r0, [r2], #4",
                "cmp r0, #4",
                "mov r0, #0x8000",
                "beq 5f",
                "lsrs r3, r3, #1",
                "bcc 2f",
                "add r3, r3, #1",
                "b 3f",
                "2:",
                "dunlin_quad dunlin_short",
                "3:",
                "dunlin_quad dunlin_short",
                "subs r3, r3, #1",
                "bne 2b",
                "4:",
                "ldr lr, [sp]",
                "ldm lr, {{r0, r1, r3, r8, r9}}",
                "dunlin_output r4",
                "dunlin_output r5",
                "dunlin_output r6",
                "dunlin_output r7",
                "ldr lr, [sp]",
                "ldr r12, [lr, #32]",
                "stm lr, {{r0, r1, r3}}",
                "subs r12, r12, #1",
                "str r12, [lr, #32]",
                "bne 1b",
                "pop {{r0, r4-r11, pc}}",
                "5:",
                "lsrs r3, r3, #1",
                "bcc 6f",
                "add r3, r3, #1",
                "b 7f",
                "6:",
                "dunlin_quad dunlin_long",
                "7:",
                "dunlin_quad dunlin_long",
                "subs r3, r3, #1",
                "bne 6b",
                "b 4b",
                ".purgem dunlin_quad",
                ".purgem dunlin_short",
                ".purgem dunlin_long",
                ".purgem dunlin_output",
            )
        }
    };
}
/// A shift of -s is the byte 256 - s: 254 less it is s - 2. SSAT shifts by one more.
macro_rules! scale {
    ($start:literal) => {
        concat!(
            "rsb r11, r11, #254
             lsl r12, r8, r11
             ",
            $start,
            "
             smlal lr, r12, \\sum, r10
             asr r12, r12, r11
             ssat r12, #8, r12, asr #1
             "
        )
    };
}
macro_rules! clamp {
    () => {
        "ldr lr, [sp]
         ldrd r10, lr, [lr, #40]
         cmp r12, r10
         it lt
         movlt r12, r10
         cmp r12, lr
         it gt
         movgt r12, lr"
    };
}
pixel!(pixel_saturate, scale!("mov lr, r9"));
pixel!(
    pixel_tie,
    scale!(
        "and lr, \\sum, #0x80000000
         subs lr, r9, lr
         sbc r12, r12, #0"
    )
);
pixel!(
    pixel_clamp,
    concat!(
        scale!(
            "ldr lr, [sp]
             ldr lr, [lr, #48]
             and lr, lr, \\sum
             subs lr, r9, lr
             sbc r12, r12, #0"
        ),
        clamp!()
    )
);
pixel!(
    pixel_high,
    concat!(
        "lsl \\sum, \\sum, r11
         mov lr, r9
         mov r12, r8
         smlal lr, r12, \\sum, r10
         ",
        clamp!()
    )
);
