//! ADD and SUB in one linear form.

use core::cell::Cell;

use crate::kernels::reference::add::{self, AddFitted};
use crate::kernels::reference::broadcast::{Broadcast, Operand};
use crate::kernels::reference::requantise::limit;

/// [`AddFitted::apply`] of each pair; fast where both inputs are activations as long as the output,
/// which then have its shape. `output` may be either input.
pub fn add_fitted(
    settings: &AddFitted,
    broadcast: &Broadcast,
    inputs: [Operand<'_>; 2],
    output: &[Cell<i8>],
) {
    match inputs {
        [Operand::Activation(first), Operand::Activation(second)]
            if first.len() == output.len() && second.len() == output.len() =>
        {
            if settings.min == i8::MIN && settings.max == i8::MAX {
                each::<true>(settings, first, second, output);
            } else {
                each::<false>(settings, first, second, output);
            }
        }
        _ => add::add_fitted(settings, broadcast, inputs, output),
    }
}

fn each<const SATURATES: bool>(
    settings: &AddFitted,
    first: &[Cell<i8>],
    second: &[Cell<i8>],
    output: &[Cell<i8>],
) {
    let AddFitted {
        a,
        b,
        c,
        shift,
        min,
        max,
    } = *settings;
    let one = |x1: &Cell<i8>, x2: &Cell<i8>, y: &Cell<i8>| {
        let sum = c
            .wrapping_add(i32::from(x1.get()).wrapping_mul(a))
            .wrapping_add(i32::from(x2.get()).wrapping_mul(b))
            .wrapping_shr(shift);
        y.set(if SATURATES {
            sum.clamp(-128, 127) as i8
        } else {
            limit(sum, min, max)
        });
    };
    // Four at a time, so that the loop itself costs little.
    let ((first, few_first), (second, few_second)) =
        (first.as_chunks::<4>(), second.as_chunks::<4>());
    let (output, few) = output.as_chunks::<4>();
    let fours = first.iter().zip(second).zip(output);
    for (([p, q, r, s], [t, u, v, w]), [e, f, g, h]) in fours {
        one(p, t, e);
        one(q, u, f);
        one(r, v, g);
        one(s, w, h);
    }
    for ((x1, x2), y) in few_first.iter().zip(few_second).zip(few) {
        one(x1, x2, y);
    }
}
