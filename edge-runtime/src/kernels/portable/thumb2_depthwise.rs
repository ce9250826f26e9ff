//! The inner loop of 3x3 depthwise convolutions for cores with all of Thumb-2, from Cortex-M3 on.
#![allow(unsafe_code)] // Assembly; every block says why it holds.

use core::arch::naked_asm;
use core::cell::Cell;
use core::marker::PhantomData;

use super::requantise::{Finish, Form};
use crate::kernels::reference::weights::Canonical;

/// What the assembly reads, at the offsets it names; it copies the first twelve words to registers.
#[repr(C)]
#[derive(Clone, Copy)]
struct Arguments {
    rows: [*const Cell<i8>; 3],
    depth: usize,
    weights: *const i8,
    unused: [usize; 3],
    outputs: *const Cell<i8>,
    bias: *const i32,
    multipliers: *const i32,
    shifts: *const i8,
    end: *const Cell<i8>, // 48
    low: u32,             // 52
    zero_point: i32,      // 56
    tie: u32,             // 60
    min: i32,             // 64
    max: i32,             // 68
}

/// A 3x3 layer.
pub(super) struct Nine<'a> {
    /// All but rows and outputs.
    arguments: Arguments,
    run: unsafe extern "C" fn(*const Arguments),
    /// What the pointers point to.
    borrowed: PhantomData<&'a [i32]>,
}

impl<'a> Nine<'a> {
    /// A layer of `depth` channels with weights `[channel][9]`. `None` where the constants do not
    /// suffice or the layer has no fast form of requantisation.
    pub fn new(finish: &Finish<'a>, weights: &Canonical<'a>, depth: usize) -> Option<Self> {
        let fits = depth > 0
            && weights.weights.len() >= depth.checked_mul(9)?
            && weights.bias.len() >= depth
            && finish.multipliers.len() >= depth
            && finish.shifts.len() >= depth;
        let run = match finish.form {
            _ if !fits => return None,
            Form::General => return None,
            Form::Saturate => nine_saturate,
            Form::Tie | Form::Clamp => nine_clamp,
            Form::High => nine_high,
        };
        let nothing = core::ptr::null();
        Some(Self {
            arguments: Arguments {
                rows: [nothing; 3],
                depth,
                weights: weights.weights.as_ptr(),
                unused: [0; 3],
                outputs: nothing,
                bias: weights.bias.as_ptr(),
                multipliers: finish.multipliers.as_ptr(),
                shifts: finish.shifts.as_ptr(),
                end: nothing,
                low: finish.low,
                zero_point: finish.zero_point,
                tie: if matches!(finish.form, Form::Tie) {
                    1 << 31
                } else {
                    0
                },
                min: finish.min.into(),
                max: finish.max.into(),
            },
            run,
            borrowed: PhantomData,
        })
    }

    /// Computes a pixel from three rows of three pixels of `depth` channels each. False, and
    /// nothing done, where their lengths or the output's do not fit.
    #[inline]
    pub fn run(&self, rows: [&[Cell<i8>]; 3], outputs: &[Cell<i8>]) -> bool {
        let depth = self.arguments.depth;
        let line = depth.saturating_mul(3);
        if rows.iter().any(|row| row.len() < line) || outputs.len() != depth {
            return false;
        }
        let mut arguments = self.arguments;
        arguments.rows = rows.map(<[_]>::as_ptr);
        let ends = outputs.as_ptr_range();
        (arguments.outputs, arguments.end) = (ends.start, ends.end);
        // SAFETY: `new` saw at least one channel and, for each, nine weights, a bias, multiplier and
        // shift, borrowed for as long as `self` lives; there are three inputs a row and an output
        // for each. Inputs and outputs are cells.
        unsafe { (self.run)(&raw const arguments) };
        true
    }
}

/// One pixel, 41 instructions a channel with the plain form.
///
/// r0-r2: rows, r3: depth, r4: weights, r5: sum, r6, r7: factors, r8: outputs, r9: bias,
/// r10: multipliers, r11: shifts; `[sp]`: the arguments.
macro_rules! nine {
    ($name:ident, $scale:expr) => {
        /// # Safety
        /// At least one channel, and as many constants, inputs and outputs as `depth` says.
        #[unsafe(naked)]
        #[unsafe(link_section = concat!(".text.dunlin_", stringify!($name)))]
        unsafe extern "C" fn $name(arguments: *const Arguments) {
            naked_asm!(
                ".macro dunlin_row, row",
                "ldrsb r6, [r4, #1]",
                "ldrsb r7, [\\row, r3]",
                "mla r5, r6, r7, r5",
                "ldrsb r6, [r4, #2]",
                "ldrsb r7, [\\row, r3, lsl #1]",
                "mla r5, r6, r7, r5",
                "ldrsb r6, [r4], #3",
                "ldrsb r7, [\\row], #1",
                "mla r5, r6, r7, r5",
                ".endm",
                "push {{r0, r4-r11, lr}}",
                "ldm r0, {{r0-r11}}",
                "1:",
                "ldr r5, [r9], #4",
                "dunlin_row r0",
                "dunlin_row r1",
                "dunlin_row r2",
                "ldr lr, [sp]",
                "ldrb r7, [r11], #1",
                "ldr r6, [r10], #4",
                "ldrd lr, r12, [lr, #52]",
                $scale,
                "strb r12, [r8], #1",
                "ldr lr, [sp]",
                "ldr lr, [lr, #48]",
                "cmp r8, lr",
                "bne 1b",
                "pop {{r0, r4-r11, pc}}",
                ".purgem dunlin_row",
            )
        }
    };
}
/// A shift of -s is the byte 256 - s: 254 less it is s - 2. SSAT shifts by one more.
macro_rules! scale {
    ($start:literal) => {
        concat!(
            "rsb r7, r7, #254
             lsl r12, r12, r7
             ",
            $start,
            "
             smlal lr, r12, r5, r6
             asr r12, r12, r7
             ssat r12, #8, r12, asr #1
             "
        )
    };
}
macro_rules! clamp {
    () => {
        "ldr lr, [sp]
         ldrd r6, lr, [lr, #64]
         cmp r12, r6
         it lt
         movlt r12, r6
         cmp r12, lr
         it gt
         movgt r12, lr"
    };
}
nine!(nine_saturate, scale!(""));
nine!(
    nine_clamp,
    concat!(
        scale!(
            "ldr r6, [sp]
             ldr r6, [r6, #60]
             and r6, r6, r5
             subs lr, lr, r6
             sbc r12, r12, #0
             ldr r6, [r10, #-4]"
        ),
        clamp!()
    )
);
nine!(
    nine_high,
    concat!(
        "lsl r5, r5, r7
         smlal lr, r12, r5, r6
         ",
        clamp!()
    )
);
