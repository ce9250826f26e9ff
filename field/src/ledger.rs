//! What the devices really produced, and the truth about it. Neither the devices nor the server
//! can see the ledger: it judges them, and it plays the person who labels samples.

use std::collections::BTreeMap;

/// Names a window: device, boot epoch, number of the window in that epoch.
pub type WindowKey = (u64, u32, u32);

/// One window that a device has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Round in which it was sensed, from 0.
    pub round: usize,
    /// Class it really was.
    pub truth: u16,
    /// Class the device answered.
    pub answer: u8,
    /// Class the first model answers for the same samples.
    pub first_model: u8,
}

/// All windows ever answered.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<WindowKey, Entry>,
}

impl Ledger {
    /// Notes a window.
    pub fn note(&mut self, key: WindowKey, entry: Entry) {
        self.entries.insert(key, entry);
    }

    /// Windows answered so far.
    pub fn produced(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The label that a person would give to a window; `None` for one that was never produced.
    pub fn truth(&self, key: WindowKey) -> Option<u16> {
        self.entries.get(&key).map(|entry| entry.truth)
    }

    /// Windows that were produced and are not among `stored` with the answer that was given.
    pub fn missing(&self, stored: &BTreeMap<WindowKey, u8>) -> u64 {
        let is_missing =
            |(key, entry): &(&WindowKey, &Entry)| stored.get(key) != Some(&entry.answer);
        self.entries.iter().filter(is_missing).count() as u64
    }

    /// How the answers of one round compare with the truth.
    pub fn score(&self, round: usize, classes: usize, answer: impl Fn(&Entry) -> u8) -> Score {
        let mut score = Score {
            windows: 0,
            right: 0,
            per_class: vec![(0, 0); classes],
        };
        for entry in self.entries.values().filter(|entry| entry.round == round) {
            let right = u64::from(u16::from(answer(entry)) == entry.truth);
            score.windows += 1;
            score.right += right;
            if let Some((seen, hit)) = score.per_class.get_mut(usize::from(entry.truth)) {
                *seen += 1;
                *hit += right;
            }
        }
        score
    }
}

/// Right answers of one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// Windows in the round.
    pub windows: u64,
    /// Right answers.
    pub right: u64,
    /// Windows and right answers of each class.
    pub per_class: Vec<(u64, u64)>,
}

impl Score {
    /// Share of right answers; 0 in a round without windows.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.windows.max(1) as f64
    }

    /// Recall of each class; `None` where the round had none of it.
    pub fn recall(&self) -> Vec<Option<f64>> {
        self.per_class
            .iter()
            .map(|&(seen, hit)| (seen > 0).then(|| hit as f64 / seen as f64))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(round: usize, truth: u16, answer: u8) -> Entry {
        Entry {
            round,
            truth,
            answer,
            first_model: 0,
        }
    }

    #[test]
    fn scores_a_round_and_finds_what_is_missing() {
        let mut ledger = Ledger::default();
        ledger.note((1, 1, 0), entry(0, 0, 0));
        ledger.note((1, 1, 1), entry(0, 1, 0));
        ledger.note((2, 1, 0), entry(1, 1, 1));
        let score = ledger.score(0, 3, |entry| entry.answer);
        assert_eq!((score.windows, score.accuracy()), (2, 0.5));
        assert_eq!(score.recall(), [Some(1.0), Some(0.0), None]);
        assert_eq!(
            ledger.missing(&BTreeMap::from([
                ((1, 1, 0), 0),
                ((1, 1, 1), 1),
                ((7, 7, 7), 0)
            ])),
            2
        );
        assert_eq!(ledger.truth((2, 1, 0)), Some(1));
        assert_eq!(ledger.truth((2, 2, 0)), None);
    }
}
