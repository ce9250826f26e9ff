//! The inner loop: four sums of products over paired weights and activations.

use core::cell::Cell;

use crate::kernels::packing::pair_blocks::{CHANNELS, QUAD_WORDS};

/// Adds to each sum the products of its channel's weights with the activations, in runs of four
/// taps (`long`) or two, see [`crate::kernels::packing::pair_blocks`]. Stops with the shorter of
/// the two; wraps.
#[inline]
pub(super) fn dot(sums: &mut [i32; CHANNELS], x: &[Cell<i32>], quads: &[[i32; QUAD_WORDS]], long: bool) {
    let (pairs, _) = x.as_chunks::<2>();
    let count = pairs.len().min(quads.len());
    if count == 0 {
        return;
    }
    #[cfg(all(target_arch = "arm", feature = "thumb2"))]
    thumb2::dot(sums, pairs, quads, count, long);
    #[cfg(not(all(target_arch = "arm", feature = "thumb2")))]
    if long {
        plain::<true>(sums, pairs, quads);
    } else {
        plain::<false>(sums, pairs, quads);
    }
}

#[cfg(not(all(target_arch = "arm", feature = "thumb2")))]
fn plain<const LONG: bool>(
    sums: &mut [i32; CHANNELS],
    x: &[[Cell<i32>; 2]],
    quads: &[[i32; QUAD_WORDS]],
) {
    const HALF: i32 = 1 << 15;
    let [mut a, mut b, mut c, mut d] = *sums;
    for ([x0, x1], [a0, a1, b0, b1, c0, c1, d0, d1]) in x.iter().zip(quads) {
        let (x0, x1) = (x0.get(), x1.get());
        let add = |sum: i32, w0: &i32, w1: &i32| {
            let (first, second) = (w0.wrapping_mul(x0), w1.wrapping_mul(x1));
            if LONG {
                sum.wrapping_add(first.wrapping_add(second).wrapping_add(HALF) >> 16)
            } else {
                sum.wrapping_add(first.wrapping_add(HALF) >> 16)
                    .wrapping_add(second.wrapping_add(HALF) >> 16)
            }
        };
        a = add(a, a0, a1);
        b = add(b, b0, b1);
        c = add(c, c0, c1);
        d = add(d, d0, d1);
    }
    *sums = [a, b, c, d];
}

/// The loop for cores with all of Thumb-2, from Cortex-M3 on.
// The compiler keeps neither the four sums nor the eight operands in registers.
#[cfg(all(target_arch = "arm", feature = "thumb2"))]
#[allow(unsafe_code)]
mod thumb2 {
    use core::arch::naked_asm;
    use core::cell::Cell;

    use super::{CHANNELS, QUAD_WORDS};

    pub(super) fn dot(
        sums: &mut [i32; CHANNELS],
        x: &[[Cell<i32>; 2]],
        quads: &[[i32; QUAD_WORDS]],
        count: usize,
        long: bool,
    ) {
        if count == 0 || count > x.len() || count > quads.len() {
            return;
        }
        let (x, quads) = (x.as_ptr().cast(), quads.as_ptr().cast());
        if long {
            // SAFETY: four sums; `count` is at least one, and there are two words of `x` and eight
            // of weights for each quad that it counts.
            unsafe { runs_of_4(sums, x, quads, count) }
        } else {
            // SAFETY: as above.
            unsafe { runs_of_2(sums, x, quads, count) }
        }
    }

    /// A loop over quads: 19 instructions for 16 products with runs of two taps, 15 with four, and
    /// two for the loop, which does two quads at a time; it starts in its middle if they are odd.
    /// r0: 2^15, r1: activations, r2: weights, r3: pairs of quads, r4-r7: sums.
    macro_rules! dot {
        ($name:ident, $add:literal) => {
            /// # Safety
            /// `quads` is at least one; `x` has two words for each, `weights` eight.
            #[unsafe(naked)]
            #[unsafe(link_section = concat!(".text.dunlin_", stringify!($name)))]
            unsafe extern "C" fn $name(
                sums: *mut [i32; CHANNELS],
                x: *const i32,
                weights: *const i32,
                quads: usize,
            ) {
                naked_asm!(
                    ".macro dunlin_add sum, w0, w1",
                    $add,
                    ".endm",
                    ".macro dunlin_quad",
                    "ldrd r8, r9, [r1], #8",
                    "ldm r2!, {{r10, r11, r12, lr}}",
                    "dunlin_add r4, r10, r11",
                    "dunlin_add r5, r12, lr",
                    "ldm r2!, {{r10, r11, r12, lr}}",
                    "dunlin_add r6, r10, r11",
                    "dunlin_add r7, r12, lr",
                    ".endm",
                    "push {{r0, r4-r11, lr}}",
                    "ldm r0, {{r4-r7}}",
                    "mov r0, #0x8000",
                    "lsrs r3, r3, #1",
                    "bcc 2f",
                    "add r3, r3, #1",
                    "b 3f",
                    "2:",
                    "dunlin_quad",
                    "3:",
                    "dunlin_quad",
                    "subs r3, r3, #1",
                    "bne 2b",
                    "pop {{r0}}",
                    "stm r0, {{r4-r7}}",
                    "pop {{r4-r11, pc}}",
                    ".purgem dunlin_add",
                    ".purgem dunlin_quad",
                )
            }
        };
    }
    dot!(
        runs_of_2,
        "mla \\w0, \\w0, r8, r0
         mla \\w1, \\w1, r9, r0
         add \\sum, \\sum, \\w0, asr #16
         add \\sum, \\sum, \\w1, asr #16"
    );
    dot!(
        runs_of_4,
        "mla \\w0, \\w0, r8, r0
         mla \\w0, \\w1, r9, \\w0
         add \\sum, \\sum, \\w0, asr #16"
    );
}
