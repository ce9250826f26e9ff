//! ADD and SUB.

use edge_runtime::kernels::reference::add::{Add, AddFitted};
use edge_runtime::kernels::reference::broadcast::Broadcast;

use super::{Quantisation, multiplier};

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
///
/// Factors that fit int16 (a dual multiply-accumulate holds both) come first, but seldom have the
/// bits; no sum leaves int32 in either case.
pub fn fitted(add: &Add) -> Option<AddFitted> {
    let real = |index: usize| {
        f64::from(add.multipliers[index]) * 2f64.powi(i32::from(add.shifts[index]) - 31)
    };
    let scale = f64::from(1_u32 << add.left_shift) * real(2);
    let (a, mut b) = (real(0) * scale, real(1) * scale);
    if add.subtract {
        b = -b;
    }
    let table = Table::new(add);
    let factor = |x: f64, shift: i32| (x * 2f64.powi(shift)).round() as i64;
    let fit = |limit: i64| {
        // The more bits, the nearer the line; a few steps down cost little and sometimes fit better.
        let fits = |&shift: &i32| factor(a, shift).abs().max(factor(b, shift).abs()) <= limit - 2;
        let most = (0..=30).rev().find(fits)?;
        (most.saturating_sub(3).max(0)..=most)
            .rev()
            .flat_map(|shift| neighbours().map(move |(da, db)| (shift, da, db)))
            .find_map(|(shift, da, db)| {
                table.offset(factor(a, shift) + da, factor(b, shift) + db, shift as u32)
            })
    };
    fit(i16::MAX.into()).or_else(|| fit(1 << 23))
}

/// Small changes to both factors, the smallest first.
fn neighbours() -> impl Iterator<Item = (i64, i64)> {
    let mut all: Vec<_> = (-2..=2)
        .flat_map(|a| (-2..=2).map(move |b| (a, b)))
        .collect();
    all.sort_by_key(|(a, b): &(i64, i64)| a * a + b * b);
    all.into_iter()
}

/// All 65,536 outputs, each with its pair of inputs.
struct Table<'a> {
    add: &'a Add,
    rows: Vec<(i64, i64, i64)>,
}

impl<'a> Table<'a> {
    fn new(add: &'a Add) -> Self {
        let pairs = (i8::MIN..=i8::MAX).flat_map(|x1| (i8::MIN..=i8::MAX).map(move |x2| (x1, x2)));
        let row = |(x1, x2)| (i64::from(x1), i64::from(x2), i64::from(add.apply(x1, x2)));
        Self {
            add,
            rows: pairs.map(row).collect(),
        }
    }

    /// The offset with which these factors and this shift give every output.
    fn offset(&self, a: i64, b: i64, shift: u32) -> Option<AddFitted> {
        let (min, max) = (i64::from(self.add.min), i64::from(self.add.max));
        let bound = i64::from(i32::MAX) - 128 * (a.abs() + b.abs());
        // Each output y asks for `y << shift <= sum + c < (y + 1) << shift`, but the clamp lets the
        // lowest one be lower still and the highest one higher.
        let (mut least, mut greatest) = (-bound, bound);
        for &(x1, x2, y) in &self.rows {
            let sum = x1 * a + x2 * b;
            if y > min {
                least = least.max((y << shift) - sum);
            }
            if y < max {
                greatest = greatest.min(((y + 1) << shift) - 1 - sum);
            }
            if least > greatest {
                return None;
            }
        }
        let fitted = AddFitted {
            a: i32::try_from(a).ok()?,
            b: i32::try_from(b).ok()?,
            c: i32::try_from(least.midpoint(greatest)).ok()?,
            shift,
            min: self.add.min,
            max: self.add.max,
        };
        // Proven with the kernel's own arithmetic.
        let equal =
            |&(x1, x2, y): &(i64, i64, i64)| i64::from(fitted.apply(x1 as i8, x2 as i8)) == y;
        self.rows.iter().all(equal).then_some(fitted)
    }
}
