//! A link that loses and doubles frames.

use std::collections::VecDeque;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// One direction of a link: frames go in, most come out, some twice, in order. The same seed loses
/// the same frames.
#[derive(Debug)]
pub struct LossyLink {
    rng: ChaCha8Rng,
    loss: f64,
    duplication: f64,
    queue: VecDeque<Vec<u8>>,
    /// Frames that never come out.
    pub lost: u64,
    /// Frames that come out twice.
    pub duplicated: u64,
}

impl LossyLink {
    /// A link that loses and doubles these shares (0..=1) of its frames.
    pub fn new(seed: u64, loss: f64, duplication: f64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            loss,
            duplication,
            queue: VecDeque::new(),
            lost: 0,
            duplicated: 0,
        }
    }

    /// Puts a frame in.
    pub fn send(&mut self, frame: Vec<u8>) {
        if self.rng.random_bool(self.loss) {
            self.lost += 1;
            return;
        }
        if self.rng.random_bool(self.duplication) {
            self.duplicated += 1;
            self.queue.push_back(frame.clone());
        }
        self.queue.push_back(frame);
    }

    /// Takes the next frame out; `None` when nothing is under way.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        self.queue.pop_front()
    }

    /// Forgets what is under way, as a restart of either end does.
    pub fn clear(&mut self) {
        self.lost += self.queue.len() as u64;
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loses_and_doubles_the_share_it_was_given_and_keeps_the_order() {
        let mut link = LossyLink::new(1, 0.05, 0.05);
        for i in 0..20_000_u32 {
            link.send(i.to_le_bytes().to_vec());
        }
        let out: Vec<_> = std::iter::from_fn(|| link.receive()).collect();
        assert_eq!(out.len() as u64, 20_000 - link.lost + link.duplicated);
        assert!((800..1200).contains(&link.lost) && (750..1150).contains(&link.duplicated));
        let numbers: Vec<_> = out
            .iter()
            .map(|frame| u32::from_le_bytes(frame.as_slice().try_into().expect("four bytes")))
            .collect();
        assert!(numbers.is_sorted());
    }

    #[test]
    fn the_same_seed_loses_the_same_frames() {
        let run = || {
            let mut link = LossyLink::new(9, 0.3, 0.3);
            (0..100_u8).for_each(|i| link.send(vec![i]));
            std::iter::from_fn(|| link.receive()).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }
}
