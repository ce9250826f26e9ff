//! Has the field left the training data? A test on merged histograms.
//!
//! Devices send counts, not windows: per feature a histogram over the 16 bins that the model image
//! carries. The statistic is the population stability index (PSI) of the fleet's histogram against
//! the reference. Its distribution without drift is *not* χ²: windows of one machine resemble each
//! other, so fifty machines are closer to fifty draws than to fifty times thirty. It is found by
//! resampling the training windows machine by machine ([`NullModel`]), on both sides of the
//! comparison, so that it holds the spread between machines, the reference's own finite sample and
//! the size of the round.
//!
//! A feature has drifted when Benjamini-Hochberg over all features rejects it **and** its PSI is
//! above a floor: any difference becomes significant with enough windows, only large ones matter.

mod decide;
mod null;

#[cfg(test)]
mod tests;

pub(crate) use null::{MIN_MACHINES, expect};
pub use null::{NullModel, RESAMPLES, TrainingWindows};

/// Bins of every histogram; the same as in the model image.
pub const BINS: usize = edge_runtime::format::BINS;
/// False discovery rate of Benjamini-Hochberg over the features.
pub const FALSE_DISCOVERY_RATE: f64 = 0.01;
/// What a feature's PSI must exceed beyond the mean of its null distribution. That mean is about
/// `(bins - 1) * (1/n + 1/m)` for independent windows and larger for machines that differ, so the
/// whole floor scales with the sample as FACTS asks for.
pub const EFFECT_FLOOR: f64 = 0.2;
/// A count added to every bin that can be hit, so that an empty bin has a finite logarithm.
const PSEUDO_COUNT: f64 = 0.5;

/// One histogram.
pub type Histogram = [u64; BINS];

/// What one device counted, in the layout of the model's drift reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceCounts {
    /// The device.
    pub device: u64,
    /// Windows counted.
    pub windows: u64,
    /// One histogram per monitored feature.
    pub features: Vec<Histogram>,
    /// Histogram of the top output value.
    pub confidence: Histogram,
    /// Windows per predicted class.
    pub classes: Vec<u64>,
}

impl DeviceCounts {
    /// Splits the flat counts of a device's monitor: `features` histograms of [`BINS`], the
    /// confidence histogram, one count per class, the number of windows. `None` when `counts` is
    /// too short for that.
    #[must_use]
    pub fn from_flat(device: u64, features: usize, counts: &[u64]) -> Option<Self> {
        let (histograms, rest) = counts.split_at_checked(features * BINS)?;
        let (confidence, rest) = rest.split_first_chunk::<BINS>()?;
        let (windows, classes) = rest.split_last()?;
        Some(Self {
            device,
            windows: *windows,
            features: histograms.as_chunks::<BINS>().0.to_vec(),
            confidence: *confidence,
            classes: classes.to_vec(),
        })
    }
}

/// The drift of one feature.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureDrift {
    /// Index of the feature in the model's input.
    pub index: usize,
    /// Population stability index of the fleet against the reference, at least 0.
    pub psi: f64,
    /// What `psi` must exceed for an alarm, whatever its p-value.
    pub floor: f64,
    /// Probability of at least this `psi` without drift, 0..=1.
    pub p: f64,
    /// Rejected by Benjamini-Hochberg and above the floor.
    pub drifted: bool,
}

/// How far one device takes part in what changed.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceDrift {
    /// The device.
    pub device: u64,
    /// Windows it counted.
    pub windows: u64,
    /// Its part of the PSI: weighted by windows, the mean over all devices is the fleet's PSI,
    /// averaged over the drifted features (over all, where none drifted). About 0, or below, for a
    /// device that goes on as in training.
    pub psi: f64,
}

/// What [`NullModel::test`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftReport {
    /// At least one feature drifted.
    pub alarm: bool,
    /// Windows tested, of all devices together.
    pub windows: u64,
    /// One entry per monitored feature, in their order.
    pub features: Vec<FeatureDrift>,
    /// PSI of the confidence; 0 where the reference has none. Reported beside the alarm and never
    /// raising it: a model is surer of its training windows than of any others.
    pub confidence_psi: f64,
    /// Probability of at least this `confidence_psi` among training windows, 0..=1.
    pub confidence_p: f64,
    /// Smallest p-value of a feature, adjusted by Benjamini-Hochberg, 0..=1.
    pub p: f64,
    /// Devices, the one that takes most part first.
    pub devices: Vec<DeviceDrift>,
    /// First round of the run of alarms that this one belongs to; filled by
    /// [`Fleet::drift`](crate::Fleet::drift), which remembers the rounds.
    pub since: Option<u32>,
}

impl DriftReport {
    /// Indices of the features that drifted, the largest PSI first.
    #[must_use]
    pub fn drifted_features(&self) -> Vec<usize> {
        let mut drifted: Vec<&FeatureDrift> = self.features.iter().filter(|f| f.drifted).collect();
        drifted.sort_by(|a, b| b.psi.total_cmp(&a.psi).then(a.index.cmp(&b.index)));
        drifted.iter().map(|f| f.index).collect()
    }

    /// Median PSI over the features; 0 without features.
    #[must_use]
    pub fn median_psi(&self) -> f64 {
        let mut psi: Vec<f64> = self.features.iter().map(|f| f.psi).collect();
        psi.sort_by(f64::total_cmp);
        psi.get(psi.len() / 2).copied().unwrap_or(0.0)
    }
}

/// Why a drift test cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DriftError {
    /// The reference is empty.
    #[error("the drift reference has {rows} training windows; at least {needed} are needed")]
    TooFewRows {
        /// Windows given.
        rows: usize,
        /// Windows needed.
        needed: usize,
    },
    /// The spread between machines cannot be known from so few.
    #[error(
        "the drift reference has {machines} machines; at least {needed} are needed, or none where \
         every window stands for itself"
    )]
    TooFewMachines {
        /// Machines given.
        machines: usize,
        /// Machines needed.
        needed: usize,
    },
    /// Rows, machines, edges or counts do not fit together.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// What does not fit.
        what: &'static str,
        /// Length expected.
        expected: usize,
        /// Length found.
        found: usize,
    },
}

/// Bin of `value`: how many of the ascending edges are not above it, 0..=15.
#[must_use]
pub fn bin(edges: &[i8; BINS - 1], value: i8) -> u8 {
    edge_runtime::monitor::bin(edges, value) as u8
}

/// Bin of a top output value: 16 equal steps over the `i8` range.
#[must_use]
pub fn confidence_bin(top: i8) -> u8 {
    edge_runtime::monitor::confidence_bin(top) as u8
}

/// Bins that some value can fall into. Quantiles of a coarsely quantised feature coincide, and what
/// lies between two equal edges stays empty for ever; it must not be smoothed into a difference.
fn reachable(edges: &[i8; BINS - 1]) -> [bool; BINS] {
    let mut reachable = [false; BINS];
    for value in i8::MIN..=i8::MAX {
        reachable[usize::from(bin(edges, value))] = true;
    }
    reachable
}

/// Population stability index of two histograms over the `used` bins: at least 0, and 0 when the
/// two are equal in proportion or one of them is empty.
fn psi(field: &Histogram, reference: &Histogram, used: &[bool; BINS]) -> f64 {
    terms(field, reference, used)
        .iter()
        .map(|(difference, log_ratio)| difference * log_ratio)
        .sum()
}

/// Per bin: the difference of the smoothed shares and the logarithm of their ratio.
fn terms(field: &Histogram, reference: &Histogram, used: &[bool; BINS]) -> [(f64, f64); BINS] {
    let mut terms = [(0.0, 0.0); BINS];
    let n = field.iter().sum::<u64>() as f64;
    let m = reference.iter().sum::<u64>() as f64;
    if n == 0.0 || m == 0.0 {
        return terms;
    }
    let pseudo = PSEUDO_COUNT * used.iter().filter(|&&u| u).count() as f64;
    for (((term, &f), &r), _) in terms
        .iter_mut()
        .zip(field)
        .zip(reference)
        .zip(used)
        .filter(|(_, used)| **used)
    {
        let p = (f as f64 + PSEUDO_COUNT) / (n + pseudo);
        let q = (r as f64 + PSEUDO_COUNT) / (m + pseudo);
        *term = (p - q, (p / q).ln());
    }
    terms
}
