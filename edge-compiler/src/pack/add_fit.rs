//! ADD as one product sum: `clamp((x1 · a + x2 · b + c) >> shift, min, max)`.
//!
//! TFLite scales both inputs and the sum, with a rounding each; that is nearly the rounded real
//! result, and where no input pair lies too near to a half there are integers that give the same
//! bytes. Whether they do is not argued but tried, for all 65,536 pairs.

/// The integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fitted {
    /// Of the first input.
    pub a: i32,
    /// Of the second input.
    pub b: i32,
    /// Zero points and rounding.
    pub c: i32,
    /// Arithmetic, to the right.
    pub shift: u32,
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Input scales divided by the output scale, the second negative for a subtraction: where the
    /// search begins.
    pub slopes: [f64; 2],
    /// Lowest output after the fused activation.
    pub min: i8,
    /// Highest output after the fused activation.
    pub max: i8,
}

/// A bound of `c` that an input pair sets: `c >= bound - a · x1 - b · x2`, or `<=`.
#[derive(Clone, Copy, Debug)]
struct Bound {
    x: [i64; 2],
    bound: i64,
}

impl Bound {
    fn at(self, [a, b]: [i64; 2]) -> i64 {
        self.bound - a * self.x[0] - b * self.x[1]
    }
}

/// Shifts to try, the likeliest first: 21 serves 99 of 100 layers, the others nearly all of the rest.
/// Kernels are fast for these.
pub const SHIFTS: [u32; 4] = [21, 22, 20, 23];

/// The integers that equal `add` for all pairs, with one of [`SHIFTS`]; `None` where there are none
/// near the slopes, or where a sum with them might not fit `i32`.
pub fn fit(search: &Search, add: impl Fn(i8, i8) -> i8) -> Option<Fitted> {
    let pairs: Vec<Pair> = (i8::MIN..=i8::MAX)
        .flat_map(|x1| (i8::MIN..=i8::MAX).map(move |x2| (x1, x2)))
        .map(|(x1, x2)| Pair {
            x: [x1.into(), x2.into()],
            y: add(x1, x2),
        })
        .collect();
    SHIFTS
        .into_iter()
        .find_map(|shift| fit_with(search, &pairs, shift))
}

/// Two inputs and what comes out.
struct Pair {
    x: [i64; 2],
    y: i8,
}

// For given factors each pair bounds `c` from below or above, so the width of what is left is a
// concave function of the factors. The search takes the best factors under the bounds that it has
// met, adds those that they meet first, and ends when none break or no factors are left.
fn fit_with(search: &Search, pairs: &[Pair], shift: u32) -> Option<Fitted> {
    /// Half the side of the square of factors that is searched.
    const REACH: i64 = 96;
    let unit = (1_i64 << shift) as f64;
    let start = search.slopes.map(|slope| (slope * unit).round() as i64);
    let (mut lower, mut upper) = (Vec::new(), Vec::new());
    for &Pair { x, y } in pairs {
        // What the clamp cuts off may lie anywhere beyond.
        if y > search.min {
            let bound = i64::from(y) << shift;
            lower.push(Bound { x, bound });
        }
        if y < search.max {
            let bound = ((i64::from(y) + 1) << shift) - 1;
            upper.push(Bound { x, bound });
        }
    }
    let (mut met_lower, mut met_upper) = (Vec::new(), Vec::new());
    let mut factors = start;
    for _ in 0..200 {
        let least = lower.iter().copied().max_by_key(|bound| bound.at(factors));
        let most = upper.iter().copied().min_by_key(|bound| bound.at(factors));
        let c = match (least, most) {
            (Some(least), Some(most)) if least.at(factors) > most.at(factors) => {
                met_lower.push(least);
                met_upper.push(most);
                factors = widest(start, REACH, &met_lower, &met_upper)?;
                continue;
            }
            (Some(least), Some(most)) => i64::midpoint(least.at(factors), most.at(factors)),
            (Some(bound), None) | (None, Some(bound)) => bound.at(factors),
            (None, None) => 0,
        };
        let [a, b] = factors;
        let largest = 128 * (a.abs() + b.abs()) + c.abs();
        return i32::try_from(largest).is_ok().then_some(Fitted {
            a: a as i32,
            b: b as i32,
            c: c as i32,
            shift,
        });
    }
    None
}

/// The factors that leave `c` the most room; `None` where all leave it none.
fn widest(start: [i64; 2], reach: i64, lower: &[Bound], upper: &[Bound]) -> Option<[i64; 2]> {
    let room = |factors: [i64; 2]| {
        let least = lower.iter().map(|bound| bound.at(factors)).max();
        let most = upper.iter().map(|bound| bound.at(factors)).min();
        least
            .zip(most)
            .map_or(i64::MAX, |(least, most)| most - least)
    };
    let range = |center: i64| center - reach..=center + reach;
    range(start[0])
        .flat_map(|a| range(start[1]).map(move |b| [a, b]))
        .map(|factors| (room(factors), factors))
        .max()
        .filter(|(room, _)| *room >= 0)
        .map(|(_, factors)| factors)
}

#[cfg(test)]
mod tests;
