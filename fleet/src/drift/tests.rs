//! Calibration and power on synthetic fields. Seeds are fixed: every figure is the same each time.

use super::*;
use crate::retrain::FIELD_GROUPS;
use host_trainer::run::Reference;
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

/// The whole field moved in one step, first round after it.
fn moved(population: &Population, train: (u32, usize), field: (usize, usize), shift: f64) -> bool {
    let mut rng = ChaCha8Rng::seed_from_u64(100);
    let training = training(population, train.0, train.1, &mut rng);
    let machines: Vec<Machine> = (0..field.0).map(|_| population.machine(&mut rng)).collect();
    let devices = round(
        population,
        &machines,
        field.1,
        |_| shift,
        &training.edges,
        &mut rng,
    );
    training.model(1).test(&devices).unwrap().alarm
}

#[test]
fn quiet_fields_of_unseen_machines_stay_quiet() {
    for between in [0.0, 0.3, 0.7] {
        let population = Population {
            features: 16,
            between,
            steps: 12.0,
        };
        let (alarms, rounds) = quiet(&population, (40, 64), (50, 30), 0..20);
        assert!(
            alarms * 100 <= rounds,
            "between {between}: {alarms} of {rounds}"
        );
    }
}

#[test]
fn independent_windows_would_alarm_where_machines_differ() {
    // Why the null must know about machines: the same windows, each taken for its own machine.
    let population = Population {
        features: 16,
        between: 1.5,
        steps: 12.0,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let training = training(&population, 12, 100, &mut rng);
    let machines: Vec<Machine> = (0..8).map(|_| population.machine(&mut rng)).collect();
    let devices = round(
        &population,
        &machines,
        40,
        |_| 0.0,
        &training.edges,
        &mut rng,
    );
    let alone = TrainingWindows {
        machines: None,
        ..training.windows()
    };
    assert!(
        NullModel::fit(&alone, 1)
            .unwrap()
            .test(&devices)
            .unwrap()
            .alarm
    );
    assert!(!training.model(1).test(&devices).unwrap().alarm);
}

#[test]
fn a_field_that_moves_is_found_at_once() {
    let population = Population {
        features: 16,
        between: 0.3,
        steps: 12.0,
    };
    assert!(moved(&population, (40, 64), (50, 30), 1.0));
    // A small fleet, and few windows each.
    assert!(moved(&population, (40, 64), (8, 20), 1.0));
    assert!(moved(&population, (40, 64), (50, 3), 1.0));
}

#[test]
fn windows_labelled_in_the_changed_field_do_not_widen_the_null() {
    // One recorded batch, then eight devices of a field that moved, as in a retrained run.
    let population = Population {
        features: 8,
        between: 0.0,
        steps: 12.0,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(29);
    let first = training(&population, 1, 300, &mut rng);
    let machine = [Machine(vec![0.0; 8])];
    let mut reference = Reference {
        rows: first.rows.clone(),
        groups: first.groups.clone(),
        predictions: vec![0; 300],
        confidences: vec![0; 300],
    };
    let mut v1 = NullModel::of_reference(&reference, &first.edges, 1).unwrap();
    for device in 0..8 {
        for _ in 0..5 {
            reference
                .rows
                .push(population.window(&machine[0], 3.0, &mut rng));
            reference.groups.push(FIELD_GROUPS | device);
            reference.predictions.push(0);
            reference.confidences.push(0);
        }
    }
    let mut v2 = NullModel::of_reference(&reference, &first.edges, 1).unwrap();
    let mut contaminated = NullModel::fit(
        &TrainingWindows {
            rows: &reference.rows,
            machines: Some(&reference.groups),
            confidences: None,
            edges: &first.edges,
        },
        1,
    )
    .unwrap();
    let floors = |report: &DriftReport| report.features.iter().map(|f| f.floor).collect::<Vec<_>>();
    for shift in [-2.0, -1.0, 0.0, 1.0, 2.0] {
        let devices = round(&population, &machine, 89, |_| shift, &first.edges, &mut rng);
        let (old, new) = (v1.test(&devices).unwrap(), v2.test(&devices).unwrap());
        assert_eq!(
            (old.alarm, new.alarm),
            (shift != 0.0, shift != 0.0),
            "{shift}"
        );
        assert_eq!(floors(&old), floors(&new), "the null is the same");
        assert_ne!(
            old.features[0].psi, new.features[0].psi,
            "the reference is not"
        );
        assert!(!contaminated.test(&devices).unwrap().alarm, "{shift}");
    }
}

#[test]
fn a_change_that_matters_to_nobody_is_no_alarm() {
    // A third of a standard deviation, with so many windows that it is significant.
    let population = Population {
        features: 8,
        between: 0.0,
        steps: 12.0,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let training = training(&population, 100, 100, &mut rng);
    let machines: Vec<Machine> = (0..50).map(|_| population.machine(&mut rng)).collect();
    let devices = round(
        &population,
        &machines,
        400,
        |_| 0.3,
        &training.edges,
        &mut rng,
    );
    let report = training.model(1).test(&devices).unwrap();
    assert!(
        report.p < FALSE_DISCOVERY_RATE && !report.alarm,
        "{report:?}"
    );
}

#[test]
fn the_devices_that_moved_come_first_and_quiet_ones_take_no_part() {
    let population = Population {
        features: 16,
        between: 0.3,
        steps: 12.0,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let training = training(&population, 40, 64, &mut rng);
    let machines: Vec<Machine> = (0..20).map(|_| population.machine(&mut rng)).collect();
    let shift = |device: usize| if device < 8 { 3.0 } else { 0.0 };
    let devices = round(&population, &machines, 30, shift, &training.edges, &mut rng);
    let report = training.model(1).test(&devices).unwrap();
    assert!(report.alarm);
    let mut first: Vec<u64> = report.devices.iter().take(8).map(|d| d.device).collect();
    first.sort_unstable();
    assert_eq!(first, (0..8).collect::<Vec<u64>>());
    assert!(report.devices[8].psi < 0.25 * report.devices[7].psi);
}

#[test]
fn the_feature_that_moved_is_named() {
    let population = Population {
        features: 16,
        between: 0.3,
        steps: 12.0,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let training = training(&population, 40, 64, &mut rng);
    let devices: Vec<DeviceCounts> = (0..30)
        .map(|device| {
            let machine = population.machine(&mut rng);
            let mut rows: Vec<Vec<i8>> = (0..20)
                .map(|_| population.window(&machine, 0.0, &mut rng))
                .collect();
            rows.iter_mut()
                .for_each(|row| row[5] = row[5].saturating_add(30));
            counts(device, &rows, &training.edges)
        })
        .collect();
    let report = training.model(1).test(&devices).unwrap();
    assert_eq!(report.drifted_features(), [5]);
}

#[test]
fn p_values_of_quiet_rounds_are_not_too_small() {
    // Rounds of the exchangeable kind, a fresh training set each: at most about one in twenty
    // features may fall below 0.05 (the null errs on the wide side, so it is fewer).
    let population = Population {
        features: 8,
        between: 0.0,
        steps: 12.0,
    };
    let (mut below, mut all) = (0, 0);
    for seed in 0..20 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let training = training(&population, 1, 300, &mut rng);
        let alone = TrainingWindows {
            machines: None,
            ..training.windows()
        };
        let mut model = NullModel::fit(&alone, seed).unwrap();
        // As `between` is 0, the one machine of training has no offset either.
        let machine = [Machine(vec![0.0; 8])];
        let devices = round(
            &population,
            &machine,
            89,
            |_| 0.0,
            &training.edges,
            &mut rng,
        );
        let report = model.test(&devices).unwrap();
        all += report.features.len();
        below += report.features.iter().filter(|f| f.p < 0.05).count();
    }
    assert!(below * 20 <= all + 40, "{below} of {all}");
}

#[test]
fn ties_and_constant_features_are_no_drift() {
    // Feature 0 is constant, feature 1 has two values, feature 2 five.
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let mut draw = |n: usize| -> Vec<Vec<i8>> {
        (0..n)
            .map(|_| vec![7, rng.random_range(0..2) * 50, rng.random_range(-2..=2)])
            .collect()
    };
    let rows = draw(400);
    let edges = edges(&rows, 3);
    let windows = TrainingWindows {
        rows: &rows,
        machines: None,
        confidences: None,
        edges: &edges,
    };
    let mut model = NullModel::fit(&windows, 1).unwrap();
    let quiet = model.test(&[counts(1, &draw(60), &edges)]).unwrap();
    assert!(!quiet.alarm, "{quiet:?}");
    assert!(quiet.features[0].psi < 0.05);
    // A constant that becomes another one is drift, although it never varied.
    let changed: Vec<Vec<i8>> = draw(60)
        .into_iter()
        .map(|row| vec![-7, row[1], row[2]])
        .collect();
    let report = model.test(&[counts(1, &changed, &edges)]).unwrap();
    assert_eq!(report.drifted_features(), [0]);
}

#[test]
fn no_windows_and_very_few_are_quiet() {
    let population = Population {
        features: 8,
        between: 0.3,
        steps: 12.0,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    let training = training(&population, 20, 30, &mut rng);
    let mut model = training.model(1);
    let none = model.test(&[]).unwrap();
    assert!(!none.alarm && none.windows == 0 && none.features.iter().all(|f| f.p == 1.0));
    let idle = DeviceCounts {
        features: vec![[0; BINS]; 8],
        ..DeviceCounts::default()
    };
    assert!(model.test(&[idle]).unwrap().devices.is_empty());
    for n in 1..4 {
        let machine = [population.machine(&mut rng)];
        let devices = round(&population, &machine, n, |_| 0.0, &training.edges, &mut rng);
        assert!(!model.test(&devices).unwrap().alarm, "{n} windows");
    }
}

#[test]
fn a_result_does_not_depend_on_what_was_tested_before() {
    let population = Population {
        features: 8,
        between: 0.3,
        steps: 12.0,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(19);
    let training = training(&population, 20, 30, &mut rng);
    let machines: Vec<Machine> = (0..10).map(|_| population.machine(&mut rng)).collect();
    let mut draw = |n: usize| {
        round(
            &population,
            &machines,
            n,
            |_| 0.2,
            &training.edges,
            &mut rng,
        )
    };
    let (a, b) = (draw(10), draw(25));
    let mut used = training.model(1);
    used.test(&a).unwrap();
    assert_eq!(used.test(&b).unwrap(), training.model(1).test(&b).unwrap());
}

#[test]
fn psi_is_that_of_the_textbook() {
    let mut field = [0; BINS];
    let mut reference = [0; BINS];
    (field[0], field[1]) = (300_000, 700_000);
    (reference[0], reference[1]) = (500_000, 500_000);
    let mut used = [false; BINS];
    (used[0], used[1]) = (true, true);
    let expected = (0.3 - 0.5) * (0.3f64 / 0.5).ln() + (0.7 - 0.5) * (0.7f64 / 0.5).ln();
    assert!((psi(&field, &reference, &used) - expected).abs() < 1e-5);
    assert_eq!(psi(&[0; BINS], &reference, &used), 0.0);
}

#[test]
fn bins_are_those_of_the_device() {
    let mut edges = [0i8; BINS - 1];
    edges
        .iter_mut()
        .zip(-7..)
        .for_each(|(edge, value)| *edge = value);
    let mut padded = [0; BINS];
    padded[..BINS - 1].copy_from_slice(&edges);
    for value in i8::MIN..=i8::MAX {
        let theirs = edge_runtime::monitor::bin(&padded, value);
        assert_eq!(usize::from(bin(&edges, value)), theirs);
        assert_eq!(
            usize::from(confidence_bin(value)),
            edge_runtime::monitor::confidence_bin(value)
        );
    }
}

#[test]
fn flat_counts_split_as_the_monitor_lays_them_out() {
    let mut flat: Vec<u64> = (0..2 * 16 + 16 + 3).collect();
    flat.push(99);
    let counts = DeviceCounts::from_flat(5, 2, &flat).unwrap();
    assert_eq!((counts.device, counts.windows), (5, 99));
    assert_eq!(counts.features[1][0], 16);
    assert_eq!(counts.confidence[0], 32);
    assert_eq!(counts.classes, [48, 49, 50]);
    assert_eq!(DeviceCounts::from_flat(5, 2, &flat[..48]), None);
}

#[test]
fn what_cannot_be_tested_is_refused() {
    let population = Population {
        features: 4,
        between: 0.3,
        steps: 12.0,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let training = training(&population, 3, 10, &mut rng);
    let fit = |windows: &TrainingWindows<'_>| NullModel::fit(windows, 1).map(|_| ()).unwrap_err();
    assert_eq!(
        fit(&training.windows()),
        DriftError::TooFewMachines {
            machines: 3,
            needed: 5
        }
    );
    let few = TrainingWindows {
        rows: &training.rows[..5],
        ..training.windows()
    };
    assert_eq!(
        fit(&few),
        DriftError::TooFewRows {
            rows: 5,
            needed: 20
        }
    );
    let short = TrainingWindows {
        edges: &training.edges[..3],
        ..training.windows()
    };
    assert!(matches!(
        fit(&short),
        DriftError::Shape {
            expected: 3,
            found: 4,
            ..
        }
    ));
    let alone = TrainingWindows {
        machines: None,
        ..training.windows()
    };
    let mut model = NullModel::fit(&alone, 1).unwrap();
    let foreign = DeviceCounts {
        windows: 1,
        features: vec![[1; BINS]; 5],
        ..Default::default()
    };
    assert!(matches!(
        model.test(&[foreign]),
        Err(DriftError::Shape {
            expected: 4,
            found: 5,
            ..
        })
    ));
}
