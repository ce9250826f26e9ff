//! ADD and SUB as one sum of products that the compiler has proven equal to TFLite's arithmetic.
//!
//! Eight outputs at a time: both inputs are widened to 32 bits, even elements in one vector and odd
//! ones in the other, and `x1 * a + c` is one VMLAS. Of the sums only the high halves count: those
//! of the odd elements are in place already, those of the even ones join them by one VSHRNB. What
//! is left of the shift is done in 16 bits; two floors are one.

use core::arch::naked_asm;
use core::cell::Cell;

use crate::kernels::reference::add::AddFitted;

use super::{splat, start};

/// Whether the vector form is exact: a shift of 16 to 31 bits, or a lower one with sums that keep
/// within 32 bits when they are raised to a shift of 16. Otherwise elements are computed one by one.
pub fn in_vectors(settings: &AddFitted) -> bool {
    let AddFitted { a, b, c, shift, .. } = *settings;
    let factors = u64::from(a.unsigned_abs()) + u64::from(b.unsigned_abs());
    let greatest = factors * 128 + u64::from(c.unsigned_abs());
    match shift {
        0..16 => greatest << (16 - shift) < 1 << 31,
        16..32 => true,
        _ => false,
    }
}

/// [`AddFitted::a`] and so on, raised to a shift of at least 16.
#[repr(C)]
struct Sums {
    a: i32,
    b: i32,
    c: i32,
    /// What is left of the shift: 0 or below.
    shift: i32,
    min: u32,
    max: u32,
}

/// 16 elements for each block.
///
/// # Safety
///
/// `16 * blocks` elements of both inputs can be read and of the output be written; the output does
/// not overlap what of the inputs is read later, that is, elements behind the same place. `blocks`
/// is not zero. The core has Helium and it is enabled.
#[unsafe(naked)]
unsafe extern "C" fn add_blocks(
    sums: *const Sums,
    first: *const i8,
    second: *const i8,
    output: *mut i8,
    blocks: usize,
) {
    naked_asm!(
        r"
        .cpu cortex-m55
        push {{r4-r11, lr}}
        vpush {{d8-d15}}
        ldr lr, [sp, #100]
        ldm r0, {{r4-r9}}
        vdup.32 q7, r4
        vdup.8 q6, r8
        vdup.8 q5, r9
        // The clamp is left out where it is that of int8.
        movw r10, #0x8080
        movt r10, #0x8080
        cmp r8, r10
        bne 2f
        mvn r10, r10
        cmp r9, r10
        bne 2f
        dls lr, lr
    1:
        .macro dunlin_mve_add
        vldrb.s16 q0, [r1], #8
        vldrb.s16 q2, [r2], #8
        vmovlb.s16 q1, q0
        vmovlt.s16 q0, q0
        vmlas.s32 q1, q7, r6
        vmovlb.s16 q3, q2
        vmlas.s32 q0, q7, r6
        vmovlt.s16 q2, q2
        vmla.s32 q1, q3, r5
        vmla.s32 q0, q2, r5
        vshrnb.i32 q0, q1, #16
        vshl.s16 q0, r7
        vqmovnb.s16 q0, q0
        .endm
        dunlin_mve_add
        vstrb.16 q0, [r3], #8
        dunlin_mve_add
        vstrb.16 q0, [r3], #8
        le lr, 1b
        b 3f
    2:
        dls lr, lr
    4:
        dunlin_mve_add
        vmax.s8 q0, q0, q6
        vmin.s8 q0, q0, q5
        vstrb.16 q0, [r3], #8
        dunlin_mve_add
        vmax.s8 q0, q0, q6
        vmin.s8 q0, q0, q5
        vstrb.16 q0, [r3], #8
        le lr, 4b
    3:
        vpop {{d8-d15}}
        pop {{r4-r11, pc}}
        .purgem dunlin_mve_add
        "
    )
}

/// `clamp((x1 * a + x2 * b + c) >> shift, min, max)` of each pair; the shortest slice decides.
///
/// `output` may be either input, or lie before it as the plan's overlap rule allows.
pub fn add_fitted_i8_x16(settings: &AddFitted, inputs: [&[Cell<i8>]; 2], output: &[Cell<i8>]) {
    let [first, second] = inputs;
    let len = first.len().min(second.len()).min(output.len());
    let mut done = 0;
    if in_vectors(settings) && len >= 16 {
        let raise = 16_u32.saturating_sub(settings.shift);
        let sums = Sums {
            a: settings.a << raise,
            b: settings.b << raise,
            c: settings.c << raise,
            shift: -(settings.shift.saturating_sub(16) as i32),
            min: splat(settings.min),
            max: splat(settings.max),
        };
        let blocks = len / 16;
        // SAFETY: no slice is shorter than `16 * blocks`.
        unsafe {
            add_blocks(
                &raw const sums,
                start(first),
                start(second),
                start(output),
                blocks,
            );
        }
        done = blocks * 16;
    }
    let pairs = first.iter().zip(second).zip(output);
    for ((x1, x2), y) in pairs.skip(done) {
        y.set(settings.apply(x1.get(), x2.get()));
    }
}
