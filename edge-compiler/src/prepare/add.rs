//! ADD and SUB.

use edge_runtime::kernels::reference::add::{Add, AddFitted};
use edge_runtime::kernels::reference::broadcast::Broadcast;

use super::{Quantisation, multiplier};
use crate::pack::add_fit::{self, Search};

/// Bits by which TFLite raises int8 inputs.
const LEFT_SHIFT: u32 = 20;

/// Settings of an ADD, or a SUB, with the outputs limited to `min..=max`.
///
/// `None` also where the output's scale is below about 2^-19 of the greater input's: there LiteRT
/// stops (ADD) or shifts by a negative number of bits (SUB).
pub fn add(
    broadcast: Broadcast,
    inputs: [Quantisation; 2],
    output: Quantisation,
    subtract: bool,
    min: i8,
    max: i8,
) -> Option<Add> {
    let [first, second] = inputs;
    // Doubled in f32, divided in f64; the power of two is exact in either.
    let twice_greatest = f64::from(2.0 * first.scale.max(second.scale));
    let real_output = twice_greatest / f64::from((1_u32 << LEFT_SHIFT) as f32 * output.scale);
    if real_output.is_nan() || real_output >= 1.0 {
        return None;
    }
    let m1 = multiplier(f64::from(first.scale) / twice_greatest)?;
    let m2 = multiplier(f64::from(second.scale) / twice_greatest)?;
    let m = multiplier(real_output)?;
    if m.shift > 0 {
        return None;
    }
    Some(Add {
        broadcast,
        multipliers: [m1.value, m2.value, m.value],
        shifts: [m1.shift, m2.shift, m.shift],
        zero_points: [first.zero_point, second.zero_point, output.zero_point],
        left_shift: LEFT_SHIFT,
        subtract,
        min,
        max,
    })
}

/// The same function as one product sum, proven over all 65,536 pairs; `None` where none was found.
pub fn fitted(add: &Add) -> Option<AddFitted> {
    let real = |index: usize| {
        f64::from(add.multipliers[index]) * 2f64.powi(i32::from(add.shifts[index]) - 31)
    };
    let scale = f64::from(1_u32 << add.left_shift) * real(2);
    let (a, b) = (real(0) * scale, real(1) * scale);
    let search = Search {
        slopes: [a, if add.subtract { -b } else { b }],
        min: add.min,
        max: add.max,
    };
    add_fit::fit(&search, |x1, x2| add.apply(x1, x2)).map(|found| AddFitted {
        a: found.a,
        b: found.b,
        c: found.c,
        shift: found.shift,
        min: add.min,
        max: add.max,
    })
}
