//! What the statistic looks like when nothing has changed.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::decide::{reject, tail_probability};
use super::{
    BINS, DeviceCounts, DeviceDrift, DriftError, DriftReport, EFFECT_FLOOR, FeatureDrift,
    Histogram, bin, confidence_bin, psi, reachable, terms,
};

/// Resamples of a null distribution.
pub const RESAMPLES: usize = 1999;
/// Fewest training windows.
const MIN_ROWS: usize = 20;
/// Fewest machines: fewer say nothing about the spread between machines.
pub(crate) const MIN_MACHINES: usize = 5;
/// Machines with fewer windows on average are resampled as blocks, and a device's round consists
/// of many such blocks; those with more stand for a device's whole round.
const ROUND_ROWS: usize = 8;
/// Rounds of more windows are resampled as if they had this many: the null is then a little wider
/// than it need be, and its cost is bounded.
const MAX_WINDOWS: usize = 4096;

/// What a model was trained on, as its devices would have counted it.
#[derive(Clone, Copy, Debug)]
pub struct TrainingWindows<'a> {
    /// Quantised features, one row per window, all of one length.
    pub rows: &'a [Vec<i8>],
    /// Machine (or session) of each row; `None` where every window stands for itself. A machine
    /// should hold what a device shows in one round: where a device stays in one state for a whole
    /// round, but training saw every machine in all of them, number machine *and* state.
    pub machines: Option<&'a [u32]>,
    /// Top output value of each row; `None` to leave the confidence out.
    pub confidences: Option<&'a [i8]>,
    /// Bin edges of the model image, ascending, one set per feature.
    pub edges: &'a [[i8; BINS - 1]],
}

impl TrainingWindows<'_> {
    /// Features, plus one when there is a confidence.
    fn columns(&self) -> usize {
        self.edges.len() + usize::from(self.confidences.is_some())
    }

    /// Do the lengths agree?
    fn check(&self) -> Result<(), DriftError> {
        for row in self.rows {
            expect("features of a training window", self.edges.len(), row.len())?;
        }
        for (what, given) in [
            (
                "machines of the training windows",
                self.machines.map(<[u32]>::len),
            ),
            (
                "confidences of the training windows",
                self.confidences.map(<[i8]>::len),
            ),
        ] {
            expect(what, self.rows.len(), given.unwrap_or(self.rows.len()))?;
        }
        Ok(())
    }

    /// Bin of each value, `[row][column]`, of the rows in `order`.
    fn bins(&self, order: impl IntoIterator<Item = usize>) -> Vec<u8> {
        let mut bins = Vec::with_capacity(self.rows.len() * self.columns());
        for row in order {
            let values = self.rows[row].iter().zip(self.edges);
            bins.extend(values.map(|(&value, edges)| bin(edges, value)));
            bins.extend(self.confidences.map(|top| confidence_bin(top[row])));
        }
        bins
    }
}

/// The reference and the null distributions made from the windows it was fitted to.
///
/// Each resample splits the machines into two halves by chance. One is the reference; from the
/// other the devices of a quiet round are drawn. So no machine is on both sides, as in the field,
/// and the spread between machines, and what the training set happens to miss of it, widen the
/// null; halves are smaller than the whole, which errs on the wide side.
///
/// The confidence is carried along as one more column behind the features.
pub struct NullModel {
    /// Bin of each value, `[row][column]`, rows sorted by machine.
    bins: Vec<u8>,
    /// Features, plus one when there is a confidence.
    columns: usize,
    features: usize,
    /// First row of each machine, and the number of rows at the end.
    machines: Vec<usize>,
    /// A machine has enough rows to stand for a device's round.
    whole_rounds: bool,
    /// Histograms of each machine, `[machine][column]`; empty where a machine is one row.
    machine_counts: Vec<Histogram>,
    used: Vec<[bool; BINS]>,
    reference: Vec<Histogram>,
    seed: u64,
    cache: HashMap<(usize, usize), Arc<Null>>,
}

/// The null distribution for one size of a round.
struct Null {
    /// PSI of each resample, ascending, one list per column.
    sorted: Vec<Vec<f64>>,
    /// Their means.
    means: Vec<f64>,
}

impl NullModel {
    /// Prepares the test against training windows.
    ///
    /// # Errors
    /// [`DriftError`] when there are too few rows or machines, or the lengths do not agree.
    pub fn fit(windows: &TrainingWindows<'_>, seed: u64) -> Result<Self, DriftError> {
        let rows = windows.rows;
        if rows.len() < MIN_ROWS {
            return Err(DriftError::TooFewRows {
                rows: rows.len(),
                needed: MIN_ROWS,
            });
        }
        windows.check()?;
        let features = windows.edges.len();

        // Without machines each row is its own.
        let machine = |row: usize| windows.machines.map_or(row, |m| m[row] as usize);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&row| machine(row));
        let machines: Vec<usize> = (0..rows.len())
            .filter(|&i| i == 0 || machine(order[i]) != machine(order[i - 1]))
            .chain([rows.len()])
            .collect();
        if machines.len() <= MIN_MACHINES {
            return Err(DriftError::TooFewMachines {
                machines: machines.len() - 1,
                needed: MIN_MACHINES,
            });
        }

        let columns = windows.columns();
        let bins = windows.bins(order);
        let mut reference = vec![[0; BINS]; columns];
        count(&bins, &mut reference);
        let mut used: Vec<[bool; BINS]> = windows.edges.iter().map(reachable).collect();
        used.extend(windows.confidences.map(|_| [true; BINS]));
        let mut machine_counts = Vec::new();
        if windows.machines.is_some() {
            machine_counts.resize((machines.len() - 1) * columns, [0; BINS]);
            for (ends, counts) in machines.windows(2).zip(machine_counts.chunks_mut(columns)) {
                count(&bins[ends[0] * columns..ends[1] * columns], counts);
            }
        }
        Ok(Self {
            bins,
            columns,
            features,
            whole_rounds: rows.len() >= ROUND_ROWS * (machines.len() - 1),
            machines,
            machine_counts,
            used,
            reference,
            seed,
            cache: HashMap::new(),
        })
    }

    /// Counts more windows into the reference and leaves the null distributions as they are: what
    /// was added for having changed must not pass for the spread of a field that has not.
    ///
    /// # Errors
    /// [`DriftError::Shape`] when their lengths do not agree with the windows fitted to.
    pub(crate) fn extend_reference(
        &mut self,
        windows: &TrainingWindows<'_>,
    ) -> Result<(), DriftError> {
        windows.check()?;
        expect(
            "columns of the training windows",
            self.columns,
            windows.columns(),
        )?;
        count(&windows.bins(0..windows.rows.len()), &mut self.reference);
        Ok(())
    }

    /// Features tested.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Tests what the devices counted in one round, or over several. Devices that counted nothing
    /// are left out; with no windows at all the report is quiet, with p-values of 1.
    ///
    /// The first test of a size of round takes a fraction of a second, later ones no time.
    ///
    /// # Errors
    /// [`DriftError::Shape`] when a device's histograms are not those of this reference.
    pub fn test(&mut self, devices: &[DeviceCounts]) -> Result<DriftReport, DriftError> {
        let reference = self.reference.clone();
        self.compare(devices, &reference)
    }

    /// As [`NullModel::test`], but against what devices counted before, `reference`, in place of
    /// the training windows. The null distributions remain those of training.
    ///
    /// # Errors
    /// [`DriftError::Shape`] when a device's histograms are not those of this reference.
    pub fn test_against(
        &mut self,
        reference: &[DeviceCounts],
        devices: &[DeviceCounts],
    ) -> Result<DriftReport, DriftError> {
        let reference = self.merged(reference)?;
        self.compare(devices, &reference)
    }

    /// The sum of what devices counted.
    fn merged(&self, devices: &[DeviceCounts]) -> Result<Vec<Histogram>, DriftError> {
        let mut sums = vec![[0u64; BINS]; self.columns];
        for device in devices {
            expect(
                "histograms of a device",
                self.features,
                device.features.len(),
            )?;
            let columns = device.features.iter().chain([&device.confidence]);
            for (sum, counts) in sums.iter_mut().zip(columns) {
                sum.iter_mut()
                    .zip(counts)
                    .for_each(|(sum, count)| *sum += count);
            }
        }
        Ok(sums)
    }

    fn compare(
        &mut self,
        devices: &[DeviceCounts],
        reference: &[Histogram],
    ) -> Result<DriftReport, DriftError> {
        let fleet = self.merged(devices)?;
        let devices: Vec<&DeviceCounts> = devices.iter().filter(|d| d.windows > 0).collect();
        let windows: u64 = devices.iter().map(|d| d.windows).sum();
        if windows == 0 {
            return Ok(self.report(0, &fleet, reference, &devices, None));
        }
        // Unequal devices count as fewer equal ones (Kish's effective number).
        let squares: f64 = devices.iter().map(|d| (d.windows as f64).powi(2)).sum();
        let effective = (windows as f64).powi(2) / squares;
        let null = self.null((effective as usize).max(1), windows as usize);
        Ok(self.report(windows, &fleet, reference, &devices, Some(&null)))
    }

    fn report(
        &self,
        windows: u64,
        fleet: &[Histogram],
        reference: &[Histogram],
        devices: &[&DeviceCounts],
        null: Option<&Null>,
    ) -> DriftReport {
        let measure = |column: usize| {
            let psi = psi(&fleet[column], &reference[column], &self.used[column]);
            let p = null.map_or(1.0, |null| tail_probability(&null.sorted[column], psi));
            (psi, p)
        };
        let mut features: Vec<FeatureDrift> = (0..self.features)
            .map(|index| {
                let (psi, p) = measure(index);
                let floor = EFFECT_FLOOR + null.map_or(0.0, |null| null.means[index]);
                FeatureDrift {
                    index,
                    psi,
                    floor,
                    p,
                    drifted: false,
                }
            })
            .collect();
        let p = reject(&mut features);
        let (confidence_psi, confidence_p) = if self.columns > self.features {
            measure(self.features)
        } else {
            (0.0, 1.0)
        };
        DriftReport {
            alarm: features.iter().any(|f| f.drifted),
            windows,
            devices: self.rank(fleet, reference, devices, &features),
            features,
            confidence_psi,
            confidence_p,
            p,
            since: None,
        }
    }

    /// Splits the fleet's PSI among the devices. It is linear in the field's shares once the
    /// logarithms are taken from the whole fleet, so thirty windows of one device are enough: their
    /// noise enters once and not squared.
    fn rank(
        &self,
        fleet: &[Histogram],
        reference: &[Histogram],
        devices: &[&DeviceCounts],
        features: &[FeatureDrift],
    ) -> Vec<DeviceDrift> {
        let alarm = features.iter().any(|f| f.drifted);
        let chosen: Vec<usize> = features
            .iter()
            .filter(|f| f.drifted || !alarm)
            .map(|f| f.index)
            .collect();
        let weights: Vec<_> = chosen
            .iter()
            .map(|&f| terms(&fleet[f], &reference[f], &self.used[f]))
            .collect();
        let mut ranked: Vec<DeviceDrift> = devices
            .iter()
            .map(|device| {
                let mut sum = 0.0;
                for (&feature, terms) in chosen.iter().zip(&weights) {
                    let own = &device.features[feature];
                    let base = &reference[feature];
                    let n = own.iter().sum::<u64>().max(1) as f64;
                    let m = base.iter().sum::<u64>().max(1) as f64;
                    for ((&f, &r), (_, log_ratio)) in own.iter().zip(base).zip(terms) {
                        sum += (f as f64 / n - r as f64 / m) * log_ratio;
                    }
                }
                let psi = sum / chosen.len().max(1) as f64;
                DeviceDrift {
                    device: device.device,
                    windows: device.windows,
                    psi,
                }
            })
            .collect();
        ranked.sort_by(|a, b| b.psi.total_cmp(&a.psi).then(a.device.cmp(&b.device)));
        ranked
    }

    fn null(&mut self, devices: usize, windows: usize) -> Arc<Null> {
        let windows = coarse(windows.min(MAX_WINDOWS));
        let devices = if self.whole_rounds {
            coarse(devices.min(windows))
        } else {
            0
        };
        if let Some(null) = self.cache.get(&(devices, windows)) {
            return Arc::clone(null);
        }
        let null = Arc::new(self.resample(devices, windows));
        self.cache.insert((devices, windows), Arc::clone(&null));
        null
    }

    fn resample(&self, devices: usize, windows: usize) -> Null {
        // One stream per size, so that a result does not depend on what was tested before.
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(((devices as u64) << 32) | windows as u64);
        let mut sorted = vec![Vec::with_capacity(RESAMPLES); self.columns];
        let mut field = vec![[0; BINS]; self.columns];
        let mut reference = vec![[0; BINS]; self.columns];
        let mut order: Vec<usize> = (0..self.machines.len() - 1).collect();
        let mut ends = Vec::with_capacity(order.len());
        for _ in 0..RESAMPLES {
            order.shuffle(&mut rng);
            let (lived, trained) = order.split_at(order.len() / 2);
            ends.clear();
            ends.extend(lived.iter().scan(0, |sum, &machine| {
                *sum += self.rows_of(machine).len();
                Some(*sum)
            }));
            let mut draw = |rng: &mut ChaCha8Rng| {
                // The machine of a random row, so that machines with more rows come more often, as
                // their rows do in the reference.
                let place = rng.random_range(0..ends[ends.len() - 1]);
                self.rows_of(lived[ends.partition_point(|&end| end <= place)])
            };
            field.fill([0; BINS]);
            self.draw_field(&mut rng, &mut draw, devices, windows, &mut field);
            reference.fill([0; BINS]);
            trained
                .iter()
                .for_each(|&machine| self.count_machine(machine, &mut reference));
            for (column, list) in sorted.iter_mut().enumerate() {
                list.push(psi(&field[column], &reference[column], &self.used[column]));
            }
        }
        for list in &mut sorted {
            list.sort_by(f64::total_cmp);
        }
        let means = sorted
            .iter()
            .map(|l| l.iter().sum::<f64>() / RESAMPLES as f64)
            .collect();
        Null { sorted, means }
    }

    /// A round without drift: each device is one drawn machine, with windows of it.
    fn draw_field(
        &self,
        rng: &mut ChaCha8Rng,
        draw: &mut impl FnMut(&mut ChaCha8Rng) -> Range<usize>,
        devices: usize,
        windows: usize,
        field: &mut [Histogram],
    ) {
        if self.whole_rounds {
            for device in 0..devices {
                let share = (device + 1) * windows / devices - device * windows / devices;
                let machine = draw(rng);
                for _ in 0..share {
                    self.count_row(rng.random_range(machine.clone()), field);
                }
            }
            return;
        }
        let mut left = windows;
        while left > 0 {
            let machine = draw(rng);
            let share = machine.len().min(left);
            machine
                .take(share)
                .for_each(|row| self.count_row(row, field));
            left -= share;
        }
    }

    fn rows_of(&self, machine: usize) -> Range<usize> {
        self.machines[machine]..self.machines[machine + 1]
    }

    fn count_machine(&self, machine: usize, histograms: &mut [Histogram]) {
        if self.machine_counts.is_empty() {
            self.rows_of(machine)
                .for_each(|row| self.count_row(row, histograms));
            return;
        }
        let counts = &self.machine_counts[machine * self.columns..(machine + 1) * self.columns];
        for (sum, counts) in histograms.iter_mut().zip(counts) {
            sum.iter_mut()
                .zip(counts)
                .for_each(|(sum, count)| *sum += count);
        }
    }

    fn count_row(&self, row: usize, histograms: &mut [Histogram]) {
        count(
            &self.bins[row * self.columns..(row + 1) * self.columns],
            histograms,
        );
    }
}

pub(crate) fn expect(what: &'static str, expected: usize, found: usize) -> Result<(), DriftError> {
    if expected == found {
        Ok(())
    } else {
        Err(DriftError::Shape {
            what,
            expected,
            found,
        })
    }
}

/// Counts rows of bins, as long as `histograms`, into them.
fn count(bins: &[u8], histograms: &mut [Histogram]) {
    for row in bins.chunks_exact(histograms.len()) {
        for (histogram, &bin) in histograms.iter_mut().zip(row) {
            // Bins are at most 15; the mask lets the compiler drop the check in this hot loop.
            histogram[usize::from(bin) % BINS] += 1;
        }
    }
}

/// Rounds down to four significant binary digits and at least 1, so that rounds of nearly the same
/// size share a null distribution, which errs on the wide side.
fn coarse(n: usize) -> usize {
    let shift = n.max(1).ilog2().saturating_sub(3);
    (n >> shift << shift).max(1)
}
