//! Places buffers in the arena.
//!
//! One pass takes the buffers in some order and puts each at the lowest place that conflicts with
//! none before it. The order decides: the better of the largest first and the last one first, and
//! then one buffer after the other moves in the order, as long as that does not make the arena
//! larger.

use edge_runtime::format::ALIGNMENT;

use super::Lifetime;

/// Moves that are tried.
const ATTEMPTS: usize = 4000;

/// Tensors that share one place, or the scratch of an operator.
pub(super) struct Buffer {
    /// Bytes, a multiple of [`ALIGNMENT`].
    pub len: usize,
    pub lifetime: Lifetime,
}

/// Two buffers that are live at the same time during one operator only, which reads the one and
/// writes the other.
pub(super) struct Overlap {
    pub input: usize,
    pub output: usize,
    /// The output may start this many bytes before the input, or more.
    pub gap: i64,
}

/// Places that a buffer must not start at: more than `after`, less than `before`.
#[derive(Clone, Copy)]
struct Forbidden {
    after: i64,
    before: i64,
}

/// What two buffers that are live together keep between them, as seen from the first: the second
/// starts `below` bytes before it or more, or `above` bytes behind it or more.
#[derive(Clone, Copy)]
struct Distance {
    other: usize,
    below: i64,
    above: i64,
}

/// The offset of each buffer, and the bytes of the whole.
pub(super) fn place(buffers: &[Buffer], overlaps: &[Overlap]) -> (Vec<usize>, usize) {
    let distances = distances(buffers, overlaps);
    let by_size = |&i: &usize| {
        let Buffer { len, lifetime } = &buffers[i];
        // Ties by lifetime, then index: the plan must not depend on anything else.
        (std::cmp::Reverse(*len), lifetime.first, i)
    };
    let last_first = |&i: &usize| {
        let Buffer { lifetime, .. } = &buffers[i];
        // Scratch, live during one operator only, fits in where the tensors leave room.
        let brief = lifetime.first == lifetime.last;
        (brief, std::cmp::Reverse(lifetime.first), by_size(&i))
    };
    let mut orders: [Vec<usize>; 2] = std::array::from_fn(|_| (0..buffers.len()).collect());
    orders[0].sort_by_key(by_size);
    // An output lies below the input that it is written over, so that a chain of them descends: the
    // last one belongs to the bottom.
    orders[1].sort_by_key(last_first);
    let [first, second] = orders.map(|order| {
        let found = in_order(buffers, &distances, &order);
        (order, found)
    });
    let (mut order, mut best) = if second.1.1 < first.1.1 {
        second
    } else {
        first
    };
    // xorshift: any fixed sequence will do.
    let mut state = 0x9e37_79b9_u32;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % below
    };
    let least = buffers.iter().map(|b| b.len).max().unwrap_or(0);
    for _ in 0..ATTEMPTS {
        if order.len() < 2 || best.1 <= least {
            break;
        }
        let (from, to) = (random(order.len()), random(order.len()));
        let moved = order.remove(from);
        order.insert(to, moved);
        let found = in_order(buffers, &distances, &order);
        if found.1 <= best.1 {
            best = found;
        } else {
            let moved = order.remove(to);
            order.insert(from, moved);
        }
    }
    best
}

/// For each buffer what it keeps from the others.
fn distances(buffers: &[Buffer], overlaps: &[Overlap]) -> Vec<Vec<Distance>> {
    let of = |index: usize| {
        let this = &buffers[index];
        let together = buffers
            .iter()
            .enumerate()
            .filter(|&(other, buffer)| other != index && buffer.lifetime.overlaps(&this.lifetime));
        together
            .map(|(other, buffer)| {
                let mut distance = Distance {
                    other,
                    below: buffer.len as i64,
                    above: this.len as i64,
                };
                for overlap in overlaps {
                    if (overlap.input, overlap.output) == (index, other) {
                        distance.below = distance.below.min(overlap.gap);
                    } else if (overlap.input, overlap.output) == (other, index) {
                        distance.above = distance.above.min(overlap.gap);
                    }
                }
                distance
            })
            .collect()
    };
    (0..buffers.len()).map(of).collect()
}

fn in_order(
    buffers: &[Buffer],
    distances: &[Vec<Distance>],
    order: &[usize],
) -> (Vec<usize>, usize) {
    let mut offsets: Vec<Option<i64>> = vec![None; buffers.len()];
    let mut forbidden = Vec::new();
    for &index in order {
        forbidden.clear();
        forbidden.extend(distances[index].iter().filter_map(|distance| {
            // Seen from this buffer the other starts `below` before or `above` behind it; so this
            // one starts `above` before or `below` behind the other.
            let other = offsets[distance.other]?;
            Some(Forbidden {
                after: other - distance.above,
                before: other + distance.below,
            })
        }));
        offsets[index] = Some(lowest(&mut forbidden));
    }
    let ends = offsets.iter().zip(buffers);
    let arena = ends.map(|(offset, buffer)| offset.unwrap_or(0) as usize + buffer.len);
    let arena = arena.max().unwrap_or(0);
    let offsets = offsets.iter().map(|offset| offset.unwrap_or(0) as usize);
    (offsets.collect(), arena)
}

/// The lowest place from 0 on that is not forbidden.
fn lowest(forbidden: &mut [Forbidden]) -> i64 {
    forbidden.sort_unstable_by_key(|range| range.after);
    let mut place = 0;
    for range in forbidden {
        if place > range.after && place < range.before {
            // At least 1 here, so that the cast is safe.
            place = (range.before as usize).next_multiple_of(ALIGNMENT) as i64;
        }
    }
    place
}
