//! Calibration and power on synthetic fields. Seeds are fixed: every figure is the same each time.

use super::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A population of machines: each has its own offset per feature, each window adds noise.
struct Population {
    features: usize,
    /// Standard deviation between machines; between windows it is 1.
    between: f64,
    /// Quantised steps per unit.
    steps: f64,
}

/// One machine of it.
struct Machine(Vec<f64>);

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (a, b): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

impl Population {
    fn machine(&self, rng: &mut ChaCha8Rng) -> Machine {
        // A common factor beside the own ones: neighbouring features of a machine go together.
        let common = normal(rng);
        let offset = |rng: &mut ChaCha8Rng| self.between * (0.6 * common + 0.8 * normal(rng));
        Machine((0..self.features).map(|_| offset(rng)).collect())
    }

    fn window(&self, machine: &Machine, shift: f64, rng: &mut ChaCha8Rng) -> Vec<i8> {
        let common = normal(rng);
        machine
            .0
            .iter()
            .map(|offset| {
                let noise = 0.6 * common + 0.8 * normal(rng);
                ((offset + noise + shift) * self.steps)
                    .round()
                    .clamp(-128.0, 127.0) as i8
            })
            .collect()
    }
}

struct Training {
    rows: Vec<Vec<i8>>,
    groups: Vec<u32>,
    edges: Vec<[i8; BINS - 1]>,
}

/// The edges a trainer would take: 16-quantiles, which coincide where values do.
fn edges(rows: &[Vec<i8>], features: usize) -> Vec<[i8; BINS - 1]> {
    (0..features)
        .map(|feature| {
            let mut values: Vec<i8> = rows.iter().map(|row| row[feature]).collect();
            values.sort_unstable();
            std::array::from_fn(|i| values[(i + 1) * values.len() / BINS])
        })
        .collect()
}

fn training(
    population: &Population,
    machines: u32,
    windows: usize,
    rng: &mut ChaCha8Rng,
) -> Training {
    let mut rows = Vec::new();
    let mut groups = Vec::new();
    for group in 0..machines {
        let machine = population.machine(rng);
        for _ in 0..windows {
            rows.push(population.window(&machine, 0.0, rng));
            groups.push(group);
        }
    }
    let edges = edges(&rows, population.features);
    Training {
        rows,
        groups,
        edges,
    }
}

impl Training {
    fn model(&self, seed: u64) -> NullModel {
        NullModel::fit(&self.windows(), seed).unwrap()
    }

    fn windows(&self) -> TrainingWindows<'_> {
        TrainingWindows {
            rows: &self.rows,
            machines: Some(&self.groups),
            confidences: None,
            edges: &self.edges,
        }
    }
}

fn counts(device: u64, rows: &[Vec<i8>], edges: &[[i8; BINS - 1]]) -> DeviceCounts {
    let mut counts = DeviceCounts {
        device,
        windows: rows.len() as u64,
        features: vec![[0; BINS]; edges.len()],
        ..DeviceCounts::default()
    };
    for row in rows {
        for ((histogram, edges), &value) in counts.features.iter_mut().zip(edges).zip(row) {
            histogram[usize::from(bin(edges, value))] += 1;
        }
    }
    counts
}

/// One round: every machine counts `windows`; those before `moved` with their values shifted.
fn round(
    population: &Population,
    machines: &[Machine],
    windows: usize,
    shift: impl Fn(usize) -> f64,
    edges: &[[i8; BINS - 1]],
    rng: &mut ChaCha8Rng,
) -> Vec<DeviceCounts> {
    machines
        .iter()
        .enumerate()
        .map(|(device, machine)| {
            let rows: Vec<Vec<i8>> = (0..windows)
                .map(|_| population.window(machine, shift(device), rng))
                .collect();
            counts(device as u64, &rows, edges)
        })
        .collect()
}

/// (alarms, rounds) of quiet fields: `seeds` fields of their own machines, ten rounds each.
fn quiet(
    population: &Population,
    train: (u32, usize),
    field: (usize, usize),
    seeds: std::ops::Range<u64>,
) -> (usize, usize) {
    let mut alarms = 0;
    let rounds = 10;
    for seed in seeds.clone() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let training = training(population, train.0, train.1, &mut rng);
        let mut model = training.model(seed);
        let machines: Vec<Machine> = (0..field.0).map(|_| population.machine(&mut rng)).collect();
        for _ in 0..rounds {
            let devices = round(
                population,
                &machines,
                field.1,
                |_| 0.0,
                &training.edges,
                &mut rng,
            );
            alarms += usize::from(model.test(&devices).unwrap().alarm);
        }
    }
    (alarms, rounds * seeds.count())
}

#[test]
#[ignore = "prints calibration figures; minutes"]
fn calibration() {
    for between in [0.0, 0.3, 0.7, 1.5] {
        for (train, field) in [
            ((40, 100), (50, 30)),
            ((12, 200), (50, 30)),
            ((40, 60), (8, 40)),
            ((100, 30), (50, 5)),
        ] {
            let population = Population {
                features: 64,
                between,
                steps: 12.0,
            };
            let t = std::time::Instant::now();
            let (alarms, rounds) = quiet(&population, train, field, 0..20);
            let mut power = Vec::new();
            for shift in [0.5, 1.0, 2.0] {
                let mut found = 0;
                for seed in 100..110 {
                    let mut rng = ChaCha8Rng::seed_from_u64(seed);
                    let training = training(&population, train.0, train.1, &mut rng);
                    let mut model = training.model(seed);
                    let machines: Vec<Machine> =
                        (0..field.0).map(|_| population.machine(&mut rng)).collect();
                    let devices = round(
                        &population,
                        &machines,
                        field.1,
                        |_| shift,
                        &training.edges,
                        &mut rng,
                    );
                    let r = model.test(&devices).unwrap();
                    found += usize::from(r.alarm);
                    if seed == 100 {
                        power.push((shift, r.median_psi(), r.features[0].floor));
                    }
                }
                power.push((shift, found as f64, 10.0));
            }
            println!(
                "between {between} train {train:?} field {field:?}: {alarms}/{rounds} {:?} {power:.2?}",
                t.elapsed()
            );
        }
    }
}
