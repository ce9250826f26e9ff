//! What classical vibration monitoring reaches: thresholds on RMS and kurtosis, no spectrum.

use crate::dataset::Dataset;
use crate::float_model::argmax;

/// Root mean square and kurtosis of a window, its mean removed.
pub fn indicators(samples: &[f32]) -> [f64; 2] {
    let n = samples.len() as f64;
    let mean = samples.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let moment = |power| {
        let deviations = samples.iter().map(|&x| (f64::from(x) - mean).powi(power));
        deviations.sum::<f64>() / n
    };
    let variance = moment(2).max(f64::MIN_POSITIVE);
    [variance.sqrt(), moment(4) / (variance * variance)]
}

/// Accuracy on `test` of the best of several grids of thresholds on RMS and kurtosis: thresholds at
/// quantiles of `train`, 2 to 64 intervals an axis, each cell given its most frequent class (or, if
/// empty, the most frequent of all). Choosing the grid by `test` errs on its side.
pub fn threshold_accuracy(train: &Dataset, test: &Dataset) -> f64 {
    let describe = |data: &Dataset| -> Vec<([f64; 2], usize)> {
        let rows = data.rows.iter();
        rows.map(|row| (indicators(&row.samples), usize::from(row.label)))
            .collect()
    };
    let (known, asked) = (describe(train), describe(test));
    let classes = train.labels.len();
    if known.is_empty() || asked.is_empty() {
        return 0.0;
    }
    let sorted: [Vec<f64>; 2] = std::array::from_fn(|axis| {
        let mut values: Vec<f64> = known.iter().map(|(x, _)| x[axis]).collect();
        values.sort_by(f64::total_cmp);
        values
    });
    let mut best = 0.0;
    for intervals in [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64] {
        let cell = |x: &[f64; 2]| {
            let at: [usize; 2] = std::array::from_fn(|axis| {
                let below = sorted[axis].partition_point(|value| value <= &x[axis]);
                (below * intervals / (known.len() + 1)).min(intervals - 1)
            });
            at[0] * intervals + at[1]
        };
        let mut counts = vec![vec![0u32; classes]; intervals * intervals];
        let mut all = vec![0u32; classes];
        for (x, class) in &known {
            counts[cell(x)][*class] += 1;
            all[*class] += 1;
        }
        let right = asked.iter().filter(|(x, class)| {
            let counts = &counts[cell(x)];
            let given = if counts.iter().all(|&n| n == 0) {
                argmax(&all)
            } else {
                argmax(counts)
            };
            given == *class
        });
        best = f64::max(best, right.count() as f64 / asked.len() as f64);
    }
    best
}
