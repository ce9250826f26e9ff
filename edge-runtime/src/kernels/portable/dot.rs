//! The inner loop: four sums of products over paired weights and activations.

use core::cell::Cell;

use crate::kernels::packing::pair_blocks::{CHANNELS, QUAD_WORDS};

/// Adds to each sum the products of its channel's weights with the activations, in runs of four
/// taps (`long`) or two, see [`crate::kernels::packing::pair_blocks`]. Stops with the shorter of
/// the two; wraps.
#[inline]
pub(super) fn dot(
    sums: &mut [i32; CHANNELS],
    x: &[Cell<i32>],
    quads: &[[i32; QUAD_WORDS]],
    long: bool,
) {
    let (pairs, _) = x.as_chunks::<2>();
    if long {
        plain::<true>(sums, pairs, quads);
    } else {
        plain::<false>(sums, pairs, quads);
    }
}

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
