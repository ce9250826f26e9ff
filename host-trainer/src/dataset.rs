//! Labelled windows of raw samples, and how they are split.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// One labelled window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Raw samples as the sensor delivers them; [`Dataset::window`] of them, all finite.
    pub samples: Vec<f32>,
    /// Index into [`Dataset::labels`].
    pub label: u16,
    /// Machine, session or whatever else makes rows resemble each other: a split by group never
    /// cuts one.
    pub group: u32,
    /// How often training draws the row in relation to the others, above zero; 1 is usual. Where
    /// rows differ in weight they are drawn with replacement.
    pub weight: f32,
}

impl Row {
    /// A row of weight 1.
    pub fn new(samples: Vec<f32>, label: u16, group: u32) -> Self {
        Self {
            samples,
            label,
            group,
            weight: 1.0,
        }
    }
}

/// Labelled windows of one length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// Samples in each row.
    pub window: usize,
    /// Names of the classes, in the order of the model's outputs.
    pub labels: Vec<String>,
    /// The rows that can be used.
    pub rows: Vec<Row>,
    /// What was left out and why.
    pub rejected: Rejected,
}

/// Why a row was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reason {
    /// A value is not a number.
    Nan,
    /// A value is infinite.
    Infinite,
    /// Nothing on the line, or a label without values.
    Empty,
    /// More or fewer values than the other rows, or a value missing in between.
    Ragged,
    /// A label outside the classes of this data.
    UnknownLabel,
    /// Text that is not in the format.
    Unparsable,
}

impl Reason {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 6] = [
        Self::Nan,
        Self::Infinite,
        Self::Empty,
        Self::Ragged,
        Self::UnknownLabel,
        Self::Unparsable,
    ];

    /// The reason in a few words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Nan => "a value is not a number",
            Self::Infinite => "a value is infinite",
            Self::Empty => "no values",
            Self::Ragged => "wrong number of values",
            Self::UnknownLabel => "unknown label",
            Self::Unparsable => "not in the format",
        }
    }
}

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRow {
    /// File it came from, as given by the user.
    pub file: String,
    /// Its line, counted from 1.
    pub line: usize,
    /// Why.
    pub reason: Reason,
}

/// All rows that were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// One entry for each row, in the order of reading.
    pub rows: Vec<RejectedRow>,
}

impl Rejected {
    /// Rows left out for one reason.
    pub fn count(&self, reason: Reason) -> usize {
        self.rows.iter().filter(|row| row.reason == reason).count()
    }

    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl std::fmt::Display for Rejected {
    /// One line per reason, with the first place; nothing if no row was left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        for reason in Reason::ALL {
            if let Some(first) = self.rows.iter().find(|row| row.reason == reason) {
                write!(
                    f,
                    "{separator}{} rows left out: {} (first: {} line {})",
                    self.count(reason),
                    reason.text(),
                    first.file,
                    first.line
                )?;
                separator = "\n";
            }
        }
        Ok(())
    }
}

/// What training learns from, stops by, and is judged by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Weights are fitted to these rows.
    pub train: Dataset,
    /// Early stopping looks at these.
    pub validation: Dataset,
    /// Never seen before the final evaluation.
    pub test: Dataset,
}

/// Why a data set cannot be split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// A split by group needs one group for each part.
    #[error(
        "a split by machine needs at least 3 machines, the data has {found}: add data from more machines"
    )]
    TooFewGroups {
        /// Groups in the data.
        found: usize,
    },
    /// The shares of validation and test leave nothing to train on.
    #[error("validation and test together must leave rows to train on")]
    NothingLeft,
}

impl Split {
    /// Adds newly labelled rows to the training rows, weighted so that together they make up
    /// `new_share` (above 0, below 1) of what training draws; without new rows nothing changes.
    /// Validation and test stay as they are.
    pub fn with_labelled(&self, labelled: &Dataset, new_share: f64) -> Self {
        let mut split = self.clone();
        if labelled.rows.is_empty() {
            return split;
        }
        let old: f64 = self
            .train
            .rows
            .iter()
            .map(|row| f64::from(row.weight))
            .sum();
        let each = old * new_share / (1.0 - new_share) / labelled.rows.len() as f64;
        split.train.rows.extend(labelled.rows.iter().map(|row| Row {
            weight: each as f32,
            ..row.clone()
        }));
        split
    }
}

impl Dataset {
    /// The same labels and window without rows.
    pub fn empty_like(&self) -> Self {
        Self {
            window: self.window,
            labels: self.labels.clone(),
            rows: Vec::new(),
            rejected: Rejected::default(),
        }
    }

    /// Adds copies of all rows of `other`, which has the same window and labels.
    pub fn extend(&mut self, other: &Self) {
        self.rows.extend(other.rows.iter().cloned());
    }

    /// Rows of each class.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.labels.len()];
        for row in &self.rows {
            if let Some(count) = counts.get_mut(usize::from(row.label)) {
                *count += 1;
            }
        }
        counts
    }

    /// Group numbers, ascending, each once.
    pub fn groups(&self) -> Vec<u32> {
        let mut groups: Vec<u32> = self.rows.iter().map(|row| row.group).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// Moves whole groups into validation and test until each has its share (0..1) of the groups,
    /// at least one. The same seed gives the same split.
    ///
    /// # Errors
    /// [`SplitError::TooFewGroups`] below three groups, [`SplitError::NothingLeft`] if the shares
    /// leave no group to train on.
    pub fn split_by_group(
        self,
        validation: f64,
        test: f64,
        seed: u64,
    ) -> Result<Split, SplitError> {
        let mut groups = self.groups();
        if groups.len() < 3 {
            return Err(SplitError::TooFewGroups {
                found: groups.len(),
            });
        }
        groups.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let (validation, test) = held_out_groups(groups.len(), validation, test);
        if test + validation >= groups.len() {
            return Err(SplitError::NothingLeft);
        }
        let in_test = &groups[..test];
        let in_validation = &groups[test..test + validation];
        Ok(self.distribute(|_, row| {
            if in_test.contains(&row.group) {
                Part::Test
            } else if in_validation.contains(&row.group) {
                Part::Validation
            } else {
                Part::Train
            }
        }))
    }

    /// Splits row by row, each class in the same shares. Only for data whose rows carry no machine
    /// or session: rows that resemble each other land on both sides, so figures from such a split
    /// are optimistic. The same seed gives the same split.
    ///
    /// # Errors
    /// [`SplitError::NothingLeft`] if the shares leave no row to train on.
    pub fn split_by_row(self, validation: f64, test: f64, seed: u64) -> Result<Split, SplitError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut parts = vec![Part::Train; self.rows.len()];
        for class in 0..self.labels.len() {
            let mut members: Vec<usize> = (0..self.rows.len())
                .filter(|&i| usize::from(self.rows[i].label) == class)
                .collect();
            members.shuffle(&mut rng);
            let share = |of: f64| (members.len() as f64 * of).round() as usize;
            let (test, validation) = (share(test), share(validation));
            for (position, &row) in members.iter().enumerate() {
                parts[row] = match position {
                    p if p < test => Part::Test,
                    p if p < test + validation => Part::Validation,
                    _ => Part::Train,
                };
            }
        }
        let split = self.distribute(|index, _| parts[index]);
        if split.train.rows.is_empty() {
            return Err(SplitError::NothingLeft);
        }
        Ok(split)
    }

    fn distribute(self, part: impl Fn(usize, &Row) -> Part) -> Split {
        let mut split = Split {
            train: self.empty_like(),
            validation: self.empty_like(),
            test: self.empty_like(),
        };
        split.train.rejected = self.rejected;
        for (index, row) in self.rows.into_iter().enumerate() {
            match part(index, &row) {
                Part::Train => split.train.rows.push(row),
                Part::Validation => split.validation.rows.push(row),
                Part::Test => split.test.rows.push(row),
            }
        }
        split
    }
}

/// How many of these groups become validation and test, at least one each.
pub(crate) fn held_out_groups(groups: usize, validation: f64, test: f64) -> (usize, usize) {
    let share = |of: f64| ((groups as f64 * of).round() as usize).max(1);
    (share(validation), share(test))
}

#[derive(Clone, Copy)]
enum Part {
    Train,
    Validation,
    Test,
}

#[cfg(test)]
#[path = "dataset_tests.rs"]
mod tests;
