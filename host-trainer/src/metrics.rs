//! How good a classifier is.

use serde::{Deserialize, Serialize};

/// Figures of one evaluation. A figure whose denominator is zero is 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Share of rows classified correctly, 0..=1.
    pub accuracy: f64,
    /// Mean of [`Metrics::f1`] over the classes that occur, 0..=1.
    pub macro_f1: f64,
    /// Per class: of the rows given this class, the share that has it.
    pub precision: Vec<f64>,
    /// Per class: of the rows that have it, the share given it.
    pub recall: Vec<f64>,
    /// Per class: harmonic mean of precision and recall.
    pub f1: Vec<f64>,
    /// `confusion[actual][predicted]`, rows counted.
    pub confusion: Vec<Vec<u64>>,
}

impl Metrics {
    /// Counts pairs of (actual, predicted) class; pairs outside `0..classes` are ignored.
    pub fn from_pairs(classes: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut confusion = vec![vec![0u64; classes]; classes];
        for (actual, predicted) in pairs {
            if let Some(count) = confusion
                .get_mut(actual)
                .and_then(|row| row.get_mut(predicted))
            {
                *count += 1;
            }
        }
        Self::from_confusion(confusion)
    }

    /// Works the figures out from a square matrix `confusion[actual][predicted]`.
    pub fn from_confusion(confusion: Vec<Vec<u64>>) -> Self {
        let classes = confusion.len();
        let ratio = |part: u64, whole: u64| {
            if whole == 0 {
                0.0
            } else {
                part as f64 / whole as f64
            }
        };
        let total: u64 = confusion.iter().flatten().sum();
        let correct: u64 = (0..classes).map(|c| confusion[c][c]).sum();
        let support: Vec<u64> = confusion.iter().map(|row| row.iter().sum()).collect();
        let given: Vec<u64> = (0..classes)
            .map(|c| confusion.iter().map(|row| row[c]).sum())
            .collect();
        let precision: Vec<f64> = (0..classes)
            .map(|c| ratio(confusion[c][c], given[c]))
            .collect();
        let recall: Vec<f64> = (0..classes)
            .map(|c| ratio(confusion[c][c], support[c]))
            .collect();
        let f1: Vec<f64> = (0..classes)
            .map(|c| ratio(2 * confusion[c][c], given[c] + support[c]))
            .collect();
        let present = support.iter().filter(|&&n| n > 0).count();
        let macro_f1 = if present == 0 {
            0.0
        } else {
            let sum: f64 = (0..classes)
                .filter(|&c| support[c] > 0)
                .map(|c| f1[c])
                .sum();
            sum / present as f64
        };
        Self {
            accuracy: ratio(correct, total),
            macro_f1,
            precision,
            recall,
            f1,
            confusion,
        }
    }

    /// Rows counted.
    pub fn rows(&self) -> u64 {
        self.confusion.iter().flatten().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_example() {
        // actual 0: 3 right, 1 taken for 1; actual 1: 2 right, 2 taken for 0; class 2 never occurs.
        let pairs = [
            (0, 0),
            (0, 0),
            (0, 0),
            (0, 1),
            (1, 1),
            (1, 1),
            (1, 0),
            (1, 0),
        ];
        let m = Metrics::from_pairs(3, pairs);
        assert_eq!(m.accuracy, 5.0 / 8.0);
        assert_eq!(m.precision, vec![3.0 / 5.0, 2.0 / 3.0, 0.0]);
        assert_eq!(m.recall, vec![3.0 / 4.0, 2.0 / 4.0, 0.0]);
        let f0 = 2.0 * 0.6 * 0.75 / (0.6 + 0.75);
        assert!((m.f1[0] - f0).abs() < 1e-12);
        assert!((m.macro_f1 - (m.f1[0] + m.f1[1]) / 2.0).abs() < 1e-12);
        assert_eq!(m.rows(), 8);
    }

    #[test]
    fn nothing_counted_gives_zeros_not_nan() {
        let m = Metrics::from_pairs(2, []);
        assert_eq!((m.accuracy, m.macro_f1), (0.0, 0.0));
    }
}
