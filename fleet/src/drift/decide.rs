//! From a statistic to a p-value, and from p-values to an alarm.

use super::{FALSE_DISCOVERY_RATE, FeatureDrift, RESAMPLES};

/// Resamples that the tail is fitted to.
const TAIL: usize = RESAMPLES / 20;

/// Share of the null distribution at or above `psi`. Where fewer than [`TAIL`] resamples reach it,
/// the tail is continued as an exponential with the mean excess of those [`TAIL`]: PSI is
/// asymptotically a weighted sum of χ² variables, whose tail is exponential and, with more than two
/// degrees of freedom, falls off faster and faster, so that the continuation errs on the large side.
pub(super) fn tail_probability(sorted: &[f64], psi: f64) -> f64 {
    let reached = sorted.len() - sorted.partition_point(|&x| x < psi);
    if reached >= TAIL {
        return (reached + 1) as f64 / (sorted.len() + 1) as f64;
    }
    let tail = &sorted[sorted.len() - TAIL..];
    let excess = tail.iter().sum::<f64>() / TAIL as f64 - tail[0];
    let share = (TAIL + 1) as f64 / (sorted.len() + 1) as f64;
    // A feature that is constant in training has no spread at all: any difference is certain, as
    // far as this many resamples can tell.
    if excess <= f64::MIN_POSITIVE {
        return 1.0 / (sorted.len() + 1) as f64;
    }
    share * (-(psi - tail[0]) / excess).exp()
}

/// Benjamini-Hochberg at [`FALSE_DISCOVERY_RATE`], then the floor. Marks what drifted and returns
/// the smallest adjusted p-value.
pub(super) fn reject(features: &mut [FeatureDrift]) -> f64 {
    let count = features.len() as f64;
    let mut order: Vec<usize> = (0..features.len()).collect();
    order.sort_by(|&a, &b| features[a].p.total_cmp(&features[b].p));
    let mut adjusted = 1.0f64;
    for (rank, &index) in order.iter().enumerate().rev() {
        adjusted = adjusted.min(features[index].p * count / (rank + 1) as f64);
        let feature = &mut features[index];
        feature.drifted = adjusted <= FALSE_DISCOVERY_RATE && feature.psi > feature.floor;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_goes_on_as_an_exponential_and_meets_the_counts() {
        // Quantiles of the exponential distribution: P(X >= x) is exp(-x).
        let n = RESAMPLES as f64;
        let sorted: Vec<f64> = (0..RESAMPLES)
            .map(|i| -(1.0 - (i as f64 + 0.5) / n).ln())
            .collect();
        for x in [0.1, 1.0, 2.0, 4.0, 8.0, 12.0] {
            let ratio = tail_probability(&sorted, x) / (-x).exp();
            assert!((0.6..1.7).contains(&ratio), "at {x}: {ratio}");
        }
        let mut last = 1.0;
        for step in 0..200 {
            let p = tail_probability(&sorted, f64::from(step) * 0.05);
            assert!(p > 0.0 && p <= last, "{step}");
            last = p;
        }
    }

    #[test]
    fn benjamini_hochberg_steps_up_and_the_floor_holds() {
        let feature = |index, p, psi| FeatureDrift {
            index,
            psi,
            floor: 0.3,
            p,
            drifted: false,
        };
        // Alone, 0.006 would need 0.005; with 0.004 below it, both pass at 2/2 * 0.01.
        let mut features = [feature(0, 0.006, 1.0), feature(1, 0.004, 1.0)];
        assert!((reject(&mut features) - 0.006).abs() < 1e-12);
        assert!(features.iter().all(|f| f.drifted));
        let mut features = [feature(0, 0.006, 1.0), feature(1, 0.5, 1.0)];
        assert!((reject(&mut features) - 0.012).abs() < 1e-12);
        assert!(!features[0].drifted && !features[1].drifted);
        let mut features = [feature(0, 1e-9, 0.29), feature(1, 1e-9, 0.31)];
        reject(&mut features);
        assert!(!features[0].drifted && features[1].drifted);
    }
}
