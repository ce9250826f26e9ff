//! ADD and SUB as one product sum.
#![allow(unsafe_code)] // Assembly: the compiler does not keep the constants in registers.

use core::arch::naked_asm;
use core::cell::Cell;

use crate::kernels::cases;
use crate::kernels::reference::add::AddFitted;

/// Adds two tensors of the same shape, element by element; the shortest slice decides. The output
/// may be either input, or begin below the inputs that it overlaps. Fast for shifts of 20 to 23.
pub fn add_fitted_i8_4(settings: &AddFitted, inputs: [&[Cell<i8>]; 2], output: &[Cell<i8>]) {
    run::<{ cases::ALL }>(settings, inputs, output);
}

/// [`add_fitted_i8_4`] in these cases; elements that belong to others stay as they are.
pub(super) fn run<const CASES: u64>(
    settings: &AddFitted,
    inputs: [&[Cell<i8>]; 2],
    output: &[Cell<i8>],
) {
    let [one, two] = inputs;
    let kernel: Option<Kernel> = match settings.shift {
        20 if CASES & cases::add_shift(20) != 0 => Some(words_20),
        21 if CASES & cases::add_shift(21) != 0 => Some(words_21),
        22 if CASES & cases::add_shift(22) != 0 => Some(words_22),
        23 if CASES & cases::add_shift(23) != 0 => Some(words_23),
        _ => None,
    };
    let len = one.len().min(two.len()).min(output.len());
    let words = len / 4;
    let mut done = 0;
    if let Some(kernel) = kernel
        && words > 0
    {
        let constants = [settings.a, settings.b, settings.c, words as i32];
        done = words * 4;
        // SAFETY: each slice has at least `words` words; cells may be written through a shared
        // reference, and each word is read before it is written.
        unsafe {
            kernel(
                one.as_ptr().cast(),
                two.as_ptr().cast(),
                output.as_ptr().cast::<i8>().cast_mut(),
                &constants,
            );
        }
        let written = output.get(..done).unwrap_or_default();
        super::limit::limit::<CASES>(settings.min, settings.max, written);
    }
    if CASES & cases::ADD_ANY == 0 {
        return;
    }
    let pairs = one.iter().zip(two).zip(output).skip(done);
    for ((x1, x2), y) in pairs {
        y.set(settings.apply(x1.get(), x2.get()));
    }
}

/// # Safety
/// The fourth constant, at least 1, is how many words of the inputs may be read and of the output
/// written.
type Kernel = unsafe extern "C" fn(*const i8, *const i8, *mut i8, &[i32; 4]);

/// An element of the words in r7 and r8; `$from` and `$other` extract the byte.
macro_rules! element {
    ($sum:literal, $byte:literal) => {
        concat!(
            "sxtb ",
            $sum,
            ", r7",
            $byte,
            "\n",
            "sxtb r14, r8",
            $byte,
            "\n",
            "mla ",
            $sum,
            ", ",
            $sum,
            ", r3, r5\n",
            "mla ",
            $sum,
            ", r14, r4, ",
            $sum,
            "\n",
        )
    };
}

macro_rules! words {
    ($name:ident, $shift:literal) => {
        /// # Safety
        /// See [`Kernel`].
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            one: *const i8,
            two: *const i8,
            output: *mut i8,
            constants: &[i32; 4],
        ) {
            naked_asm!(
                dsp_cpu!(),
                "
                push {{r4-r11, lr}}
                ldm r3, {{r3-r6}}
            1:  ldr r7, [r0], #4
                ldr r8, [r1], #4
                ",
                element!("r9", ""),
                element!("r10", ", ror #8"),
                element!("r11", ", ror #16"),
                element!("r12", ", ror #24"),
                concat!("ssat r9, #8, r9, asr #", $shift),
                concat!("ssat r10, #8, r10, asr #", $shift),
                concat!("ssat r11, #8, r11, asr #", $shift),
                concat!("ssat r12, #8, r12, asr #", $shift),
                "
                strb r9, [r2], #4
                strb r10, [r2, #-3]
                strb r11, [r2, #-2]
                strb r12, [r2, #-1]
                subs r6, #1
                bne 1b
                pop {{r4-r11, pc}}
                "
            )
        }
    };
}

words!(words_20, "20");
words!(words_21, "21");
words!(words_22, "22");
words!(words_23, "23");
