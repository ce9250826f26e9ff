//! Which raw windows of a round come home: a bounded pool in the board's memory.
//!
//! Windows pass once, and how many may be sent is only known at the end of the round. So the pool
//! takes every window in and, when it is full, gives up the one it misses least; at the end of the
//! round it goes on giving up until no more are left than may be sent.
//!
//! The rule misses the one of the closest pair that is closer to the rest: what stays
//! covers what the round looked like, the rare and the new included. Distance is the sum of absolute
//! differences of the quantised features. (On drifting sensor data, choosing by the model's
//! uncertainty was worse than drawing at random; this was better.) [`Selection::Random`] gives each
//! window of the round the same chance, for comparison.

use edge_sync::message::Selection;

#[cfg(test)]
mod tests;

/// What is known of a window in the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Number of the window since boot.
    pub window: u32,
    /// Class that the model answered.
    pub class: u8,
    /// Its output, 0..=255 (the int8 value plus 128).
    pub confidence: u8,
}

/// A place of the pool: what the board declares memory for, beside samples and features.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    candidate: Candidate,
    /// Random draw: the pool keeps the greatest.
    draw: u64,
    /// Which row of samples and features belongs to it.
    row: u16,
    /// Row of the nearest other window in the pool; meaningless while it is alone.
    nearest: u16,
    /// Distance to that one; `u32::MAX` while it is alone.
    distance: u32,
}

impl Place {
    /// An empty place, to fill an array with.
    pub const EMPTY: Self = Self {
        candidate: Candidate {
            window: 0,
            class: 0,
            confidence: 0,
        },
        draw: 0,
        row: 0,
        nearest: 0,
        distance: 0,
    };
}

/// The memory of a pool. It holds as many windows as all three have room for, less one: a place
/// stays free for the window that arrives.
#[derive(Debug)]
pub struct PoolMemory<'b> {
    /// One for each window.
    pub places: &'b mut [Place],
    /// Rows of raw samples.
    pub samples: &'b mut [f32],
    /// Rows of quantised features.
    pub features: &'b mut [i8],
}

/// The pool.
#[derive(Debug)]
pub struct Pool<'b> {
    /// The first `len` are held, in the order of arrival. The rows of all are distinct.
    places: &'b mut [Place],
    rows: Rows<'b>,
    len: usize,
    selection: Selection,
    random: u64,
}

/// Samples and features by row.
#[derive(Debug)]
struct Rows<'b> {
    samples: &'b mut [f32],
    /// Samples of a row.
    window: usize,
    features: &'b mut [i8],
    /// Features of a row.
    width: usize,
}

impl Rows<'_> {
    fn samples(&self, row: u16) -> &[f32] {
        let at = usize::from(row) * self.window;
        self.samples.get(at..at + self.window).unwrap_or_default()
    }

    fn features(&self, row: u16) -> &[i8] {
        let at = usize::from(row) * self.width;
        self.features.get(at..at + self.width).unwrap_or_default()
    }

    fn store(&mut self, row: u16, samples: &[f32], features: &[i8]) {
        let at = usize::from(row) * self.window;
        let place = self.samples.get_mut(at..at + self.window);
        copy(place.unwrap_or_default(), samples);
        let at = usize::from(row) * self.width;
        let place = self.features.get_mut(at..at + self.width);
        copy(place.unwrap_or_default(), features);
    }

    /// Sum of the absolute differences of the features.
    fn distance(&self, a: u16, b: u16) -> u32 {
        let pairs = self.features(a).iter().zip(self.features(b));
        pairs.fold(0, |sum: u32, (a, b)| {
            sum.saturating_add(u32::from(a.abs_diff(*b)))
        })
    }
}

fn copy<T: Copy>(to: &mut [T], from: &[T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

impl<'b> Pool<'b> {
    /// An empty pool for windows of `window` samples and `width` features. `seed` decides what is
    /// drawn at random.
    pub fn new(
        memory: PoolMemory<'b>,
        window: usize,
        width: usize,
        selection: Selection,
        seed: u64,
    ) -> Self {
        let rows = memory.samples.len().checked_div(window).unwrap_or(0);
        let wide = memory.features.len().checked_div(width).unwrap_or(0);
        let count = rows.min(wide).min(usize::from(u16::MAX));
        let count = count.min(memory.places.len());
        let places = memory.places.get_mut(..count).unwrap_or_default();
        for (place, row) in places.iter_mut().zip(0..) {
            *place = Place {
                row,
                ..Place::EMPTY
            };
        }
        Self {
            places,
            rows: Rows {
                samples: memory.samples,
                window,
                features: memory.features,
                width,
            },
            len: 0,
            selection,
            random: seed,
        }
    }

    /// Windows that the pool can hold.
    pub fn capacity(&self) -> usize {
        self.places.len().saturating_sub(1)
    }

    /// Windows in the pool.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the pool holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Changes the rule. A change empties the pool: what it holds was kept by another one.
    pub fn set_selection(&mut self, selection: Selection) {
        if selection != self.selection {
            self.selection = selection;
            self.clear();
        }
    }

    /// Empties the pool.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Takes a window in: its raw samples and its quantised features. Costs one distance to each
    /// window in the pool, and again where one of them has to go.
    pub fn offer(&mut self, candidate: Candidate, samples: &[f32], features: &[i8]) {
        if self.capacity() == 0 {
            return;
        }
        let draw = random(&mut self.random);
        let Some((held, [place, ..])) = self.places.split_at_mut_checked(self.len) else {
            return;
        };
        self.rows.store(place.row, samples, features);
        *place = Place {
            candidate,
            draw,
            row: place.row,
            distance: u32::MAX,
            ..Place::EMPTY
        };
        if self.selection != Selection::Random {
            for other in held {
                let distance = self.rows.distance(place.row, other.row);
                if distance < other.distance {
                    (other.nearest, other.distance) = (place.row, distance);
                }
                if distance < place.distance {
                    (place.nearest, place.distance) = (other.row, distance);
                }
            }
        }
        self.len += 1;
        self.reduce(self.capacity());
    }

    /// Gives up windows until no more than `len` are left.
    pub fn reduce(&mut self, len: usize) {
        while self.len > len {
            self.remove(self.least_missed());
        }
    }

    fn held(&self) -> &[Place] {
        self.places.get(..self.len).unwrap_or_default()
    }

    /// Index of the window to give up.
    fn least_missed(&self) -> usize {
        let held = self.held().iter().enumerate();
        if self.selection == Selection::Random {
            return held
                .min_by_key(|(_, place)| place.draw)
                .map_or(0, |(i, _)| i);
        }
        let Some((one, place)) = held.min_by_key(|(_, place)| place.distance) else {
            return 0;
        };
        let Some((other, partner)) = self.find(place.nearest) else {
            return one;
        };
        // How far each of the pair is from the rest.
        let of_one = self.nearest(place.row, Some(partner.row)).1;
        let of_other = self.nearest(partner.row, Some(place.row)).1;
        match of_one.cmp(&of_other) {
            core::cmp::Ordering::Less => one,
            core::cmp::Ordering::Greater => other,
            core::cmp::Ordering::Equal => one.max(other),
        }
    }

    /// Index and place of a held row.
    fn find(&self, row: u16) -> Option<(usize, &Place)> {
        let held = self.held().iter().enumerate();
        held.into_iter().find(|(_, place)| place.row == row)
    }

    /// The held row nearest to `row`, itself and `except` left out, and its distance.
    fn nearest(&self, row: u16, except: Option<u16>) -> (u16, u32) {
        let others = self.held().iter().map(|place| place.row);
        others
            .filter(|other| *other != row && Some(*other) != except)
            .map(|other| (other, self.rows.distance(row, other)))
            .min_by_key(|(_, distance)| *distance)
            .unwrap_or((row, u32::MAX))
    }

    /// Gives up the window at `index`; its row becomes free.
    fn remove(&mut self, index: usize) {
        let Some(tail) = self.places.get_mut(index..self.len) else {
            self.len = 0;
            return;
        };
        let Some(gone) = tail.first().map(|place| place.row) else {
            self.len = 0;
            return;
        };
        tail.rotate_left(1);
        self.len -= 1;
        if self.selection == Selection::Random {
            return;
        }
        for index in 0..self.len {
            let row = match self.places.get(index) {
                Some(place) if place.nearest == gone => place.row,
                _ => continue,
            };
            let (nearest, distance) = self.nearest(row, None);
            if let Some(place) = self.places.get_mut(index) {
                (place.nearest, place.distance) = (nearest, distance);
            }
        }
    }

    /// The windows in the pool in the order of arrival: what is known of them, how far the nearest
    /// other one is (65535 and beyond: 65535; 0 where they are drawn at random), and the samples.
    pub fn windows(&self) -> impl Iterator<Item = (Candidate, u16, &[f32])> {
        self.held().iter().map(|place| {
            let score = match self.selection {
                Selection::Random => 0,
                _ => u16::try_from(place.distance).unwrap_or(u16::MAX),
            };
            (place.candidate, score, self.rows.samples(place.row))
        })
    }
}

/// The next number of SplitMix64, whose state is any 64 bits.
pub(crate) fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
