use super::*;
use edge_sync::message::Policy;
use std::vec;
use std::vec::Vec;

/// Memory for `places` windows of two samples and `width` features.
struct Owned(Vec<Place>, Vec<f32>, Vec<i8>);

impl Owned {
    fn new(places: usize, width: usize) -> Self {
        Self(
            vec![Place::EMPTY; places],
            vec![0.0; places * 2],
            vec![0; places * width],
        )
    }

    fn memory(&mut self) -> PoolMemory<'_> {
        PoolMemory {
            places: &mut self.0,
            samples: &mut self.1,
            features: &mut self.2,
        }
    }
}

fn candidate(window: usize) -> Candidate {
    Candidate {
        window: window as u32,
        ..Candidate::default()
    }
}

fn offer(pool: &mut Pool<'_>, window: usize, features: &[i8]) {
    pool.offer(candidate(window), &[window as f32, -1.0], features);
}

fn windows(pool: &Pool<'_>) -> Vec<u32> {
    for (candidate, _, samples) in pool.windows() {
        assert_eq!(
            samples,
            [candidate.window as f32, -1.0],
            "another's samples"
        );
    }
    pool.windows().map(|(c, _, _)| c.window).collect()
}

#[test]
fn diverse_gives_up_the_one_of_the_closest_pair_that_is_closer_to_the_rest() {
    let mut owned = Owned::new(5, 1);
    let mut pool = Pool::new(owned.memory(), 2, 1, Policy::default().selection, 1);
    for (window, feature) in [0, 10, 13, 100].into_iter().enumerate() {
        offer(&mut pool, window, &[feature]);
    }
    let scores: Vec<u16> = pool.windows().map(|(_, score, _)| score).collect();
    assert_eq!(scores, [10, 3, 3, 87]);
    // 10 and 13 are the pair; 10 is nearer to 0 than 13 is to 100.
    pool.reduce(3);
    assert_eq!(windows(&pool), [0, 2, 3]);
    let scores: Vec<u16> = pool.windows().map(|(_, score, _)| score).collect();
    assert_eq!(scores, [13, 13, 87]);
    // Of two that are alone the older stays.
    pool.reduce(2);
    pool.reduce(1);
    assert_eq!(windows(&pool), [0]);
    assert_eq!(
        pool.windows().next().map(|(_, score, _)| score),
        Some(u16::MAX)
    );
    pool.reduce(0);
    assert!(pool.is_empty());
}

/// The rule, written down without any bookkeeping.
fn naive(rows: &[Vec<i8>], capacity: usize, end: usize) -> Vec<u32> {
    let distance = |a: usize, b: usize| -> u32 {
        let pairs = rows[a].iter().zip(&rows[b]);
        pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
    };
    let mut pool: Vec<usize> = Vec::new();
    let shrink = |pool: &mut Vec<usize>, to: usize| {
        while pool.len() > to {
            let mut best = (u32::MAX, 0, 0);
            for (i, a) in pool.iter().enumerate() {
                for (j, b) in pool.iter().enumerate() {
                    if i != j && distance(*a, *b) < best.0 {
                        best = (distance(*a, *b), i, j);
                    }
                }
            }
            let (_, i, j) = best;
            let rest = |of: usize| {
                let others = pool.iter().enumerate();
                let others = others.filter(|(other, _)| *other != i && *other != j);
                others.map(|(_, b)| distance(pool[of], *b)).min()
            };
            let (of_i, of_j) = (rest(i), rest(j));
            let gone = match of_i.cmp(&of_j) {
                core::cmp::Ordering::Less => i,
                core::cmp::Ordering::Greater => j,
                core::cmp::Ordering::Equal => i.max(j),
            };
            pool.remove(gone);
        }
    };
    for row in 0..rows.len() {
        pool.push(row);
        shrink(&mut pool, capacity);
    }
    shrink(&mut pool, end);
    pool.into_iter().map(|row| row as u32).collect()
}

#[test]
fn diverse_agrees_with_the_rule_written_without_bookkeeping() {
    for seed in 0..40 {
        let mut state = seed;
        // Values far enough apart that no two distances tie: which of equally close pairs goes
        // first is not part of the rule.
        let rows: Vec<Vec<i8>> = (0..60)
            .map(|_| (0..24).map(|_| random(&mut state) as i8).collect())
            .collect();
        let mut owned = Owned::new(9, 24);
        let mut pool = Pool::new(owned.memory(), 2, 24, Policy::default().selection, 1);
        for (window, row) in rows.iter().enumerate() {
            offer(&mut pool, window, row);
        }
        assert_eq!(windows(&pool), naive(&rows, 8, 8), "seed {seed}");
        pool.reduce(5);
        assert_eq!(windows(&pool), naive(&rows, 8, 5), "seed {seed}");
    }
}

#[test]
fn diverse_keeps_what_is_rare() {
    let mut owned = Owned::new(6, 2);
    let mut pool = Pool::new(owned.memory(), 2, 2, Policy::default().selection, 1);
    let mut state = 5;
    for window in 0..1000 {
        let noise = (random(&mut state) % 8) as i8;
        let features = if window == 700 { [90, -90] } else { [noise, 0] };
        offer(&mut pool, window, &features);
    }
    pool.reduce(2);
    assert!(windows(&pool).contains(&700));
}

#[test]
fn the_smallest_memory_bounds_the_pool() {
    let mut owned = Owned::new(9, 1);
    owned.1.truncate(9); // four rows of two samples
    let mut pool = Pool::new(owned.memory(), 2, 1, Selection::Random, 1);
    assert_eq!(pool.capacity(), 3);
    for window in 0..100 {
        offer(&mut pool, window, &[0]);
    }
    assert_eq!(windows(&pool).len(), 3);
    pool.clear();
    assert!(pool.is_empty());

    for places in [0, 1] {
        let mut owned = Owned::new(places, 1);
        let mut pool = Pool::new(owned.memory(), 2, 1, Policy::default().selection, 1);
        offer(&mut pool, 0, &[0]);
        assert_eq!(pool.len(), 0);
    }
    let mut owned = Owned::new(4, 1);
    let mut pool = Pool::new(owned.memory(), 0, 0, Policy::default().selection, 1);
    pool.offer(candidate(0), &[], &[]);
    assert_eq!(pool.len(), 0);
}

#[test]
fn random_draws_every_window_equally_often_and_the_same_with_the_same_seed() {
    let draw = |seed| {
        let mut owned = Owned::new(9, 1);
        let mut pool = Pool::new(owned.memory(), 2, 1, Selection::Random, seed);
        for window in 0..40 {
            // The features must not matter.
            offer(&mut pool, window, &[window as i8]);
        }
        pool.reduce(2);
        windows(&pool)
    };
    assert_eq!(draw(7), draw(7));
    let mut times = [0_u32; 40];
    for seed in 0..4000 {
        draw(seed).into_iter().for_each(|w| times[w as usize] += 1);
    }
    // 200 expected each; the standard deviation is 13.8.
    assert!(times.iter().all(|&n| (140..260).contains(&n)), "{times:?}");
}

#[test]
fn a_changed_rule_empties_the_pool() {
    let mut owned = Owned::new(3, 1);
    let mut pool = Pool::new(owned.memory(), 2, 1, Selection::Random, 1);
    offer(&mut pool, 0, &[0]);
    pool.set_selection(Selection::Random);
    assert_eq!(pool.len(), 1);
    pool.set_selection(Policy::default().selection);
    assert!(pool.is_empty());
}
