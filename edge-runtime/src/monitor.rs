//! What a device counts instead of sending its data: mergeable histograms on the bins of the
//! training data.
//!
//! The counts are flat: for each monitored feature [`BINS`] bins, then [`BINS`] bins of the
//! confidence, then one count per predicted class, then the number of windows. Counts of several
//! devices or rounds are merged by adding element by element (in more than 16 bits).

use crate::format::BINS;
use crate::model::DriftReference;
use core::fmt;

/// Counts windows against a drift reference.
#[derive(Debug)]
pub struct Monitor<'a, 'c> {
    reference: DriftReference<'a>,
    counts: &'c mut [u16],
}

/// Why a monitor cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MonitorError {
    /// The memory for the counts is too short.
    TooSmall {
        /// Counts needed, see [`Monitor::len`].
        needed: usize,
    },
}

impl fmt::Display for MonitorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { needed } => write!(f, "the monitor needs room for {needed} counts"),
        }
    }
}

impl core::error::Error for MonitorError {}

impl<'a, 'c> Monitor<'a, 'c> {
    /// Starts from zero in the first [`Monitor::len`] elements of `counts`.
    ///
    /// # Errors
    ///
    /// [`MonitorError::TooSmall`] with the number of counts needed.
    pub fn new(reference: DriftReference<'a>, counts: &'c mut [u16]) -> Result<Self, MonitorError> {
        let needed = Self::len(reference);
        let counts = counts
            .get_mut(..needed)
            .ok_or(MonitorError::TooSmall { needed })?;
        counts.fill(0);
        Ok(Self { reference, counts })
    }

    /// Counts that a monitor for this reference holds:
    /// `16 * features + 16 + classes + 1`.
    pub fn len(reference: DriftReference<'_>) -> usize {
        Layout::of(reference).windows.saturating_add(1)
    }

    /// Counts one window: its quantised features and the output of the model, both as the session
    /// held them. Counts stop at 65,535; take and [`Monitor::reset`] them before that.
    pub fn record(&mut self, features: &[i8], output: &[i8]) {
        let layout = Layout::of(self.reference);
        let histograms = self.counts.chunks_exact_mut(BINS);
        for ((bins, edges), value) in histograms.zip(self.reference.edges).zip(features) {
            increment(bins.get_mut(bin(edges, *value)));
        }
        if let Some((class, value)) = top(output) {
            let confidence = layout.confidence.saturating_add(confidence_bin(value));
            increment(self.counts.get_mut(confidence));
            if class < self.reference.classes().len() {
                increment(self.counts.get_mut(layout.classes.saturating_add(class)));
            }
        }
        increment(self.counts.get_mut(layout.windows));
    }

    /// The counts, laid out as the module says.
    pub fn counts(&self) -> &[u16] {
        self.counts
    }

    /// Windows since the last reset.
    pub fn windows(&self) -> u16 {
        self.counts.last().copied().unwrap_or(0)
    }

    /// Starts again from zero.
    pub fn reset(&mut self) {
        self.counts.fill(0);
    }

    /// How unlike the training data a window is: the share of its monitored features, scaled to
    /// 0..=255 and rounded down, that lie in their first or last bin or in a bin that no training
    /// window fell in. With quantile edges a training window scores about 32. Zero where nothing
    /// is monitored.
    pub fn novelty(&self, features: &[i8]) -> u8 {
        novelty(self.reference, features)
    }
}

/// See [`Monitor::novelty`].
pub fn novelty(reference: DriftReference<'_>, features: &[i8]) -> u8 {
    let mut seen = 0_u32;
    let mut strange = 0_u32;
    for ((edges, counts), value) in reference.edges.iter().zip(reference.counts).zip(features) {
        let bin = bin(edges, *value);
        let unseen = counts.get(bin).is_none_or(|count| *count == 0);
        seen = seen.saturating_add(1);
        if bin == 0 || bin == BINS - 1 || unseen {
            strange = strange.saturating_add(1);
        }
    }
    let share = u64::from(strange)
        .saturating_mul(255)
        .checked_div(u64::from(seen))
        .unwrap_or(0);
    share.min(255) as u8
}

/// The bin of a quantised feature, 0..=15: the number of its 15 edges that are not above it. What
/// follows the edges in an image, a zero byte, does not matter.
pub fn bin(edges: &[i8], value: i8) -> usize {
    edges
        .iter()
        .take(BINS - 1)
        .filter(|edge| value >= **edge)
        .count()
}

/// The bin of the greatest output, 0..=15: `(q + 128) / 16`.
pub fn confidence_bin(value: i8) -> usize {
    usize::from(value.cast_unsigned() ^ 0x80) / BINS
}

/// The first greatest element of an output and its index; `None` for an empty one.
pub fn top(output: &[i8]) -> Option<(usize, i8)> {
    let mut best = None;
    for (class, value) in output.iter().enumerate() {
        if best.is_none_or(|(_, greatest)| *value > greatest) {
            best = Some((class, *value));
        }
    }
    best
}

/// Where the parts of the counts start.
struct Layout {
    confidence: usize,
    classes: usize,
    windows: usize,
}

impl Layout {
    fn of(reference: DriftReference<'_>) -> Self {
        let confidence = reference.features().saturating_mul(BINS);
        let classes = confidence.saturating_add(BINS);
        let windows = classes.saturating_add(reference.classes().len());
        Self {
            confidence,
            classes,
            windows,
        }
    }
}

fn increment(count: Option<&mut u16>) {
    if let Some(count) = count {
        *count = count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests;
