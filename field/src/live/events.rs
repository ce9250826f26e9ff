//! What a loop says of itself while it runs.

use host_trainer::dataset::Rejected;
use host_trainer::train::Progress;

use crate::report::RoundFigures;

/// Something to show.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Rows of the data that cannot be used.
    Rejected(&'a Rejected),
    /// An epoch of a training is over.
    Training {
        /// Whether it is a retraining on labels from the field.
        retraining: bool,
        /// The epoch.
        progress: Progress,
    },
    /// A round is over.
    Round {
        /// Its index, from 0.
        index: usize,
        /// Rounds in all.
        rounds: usize,
        /// What came of it.
        figures: &'a RoundFigures,
    },
}
