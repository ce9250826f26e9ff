//! The drift test on the built-in field: silent on machines it has never seen, loud after the change.

use edge_runtime::Model;
use fleet::drift::{BINS, DeviceCounts, NullModel, bin};
use host_trainer::recipe::{DataRecipe, Recipe};
use host_trainer::vibration::{CLASSES, FieldConditions, Machine, mix};

/// (alarms in quiet rounds, alarm in the first changed round).
fn live(seed: u64, rounds: u64) -> (usize, bool) {
    let mut recipe = Recipe::vibration();
    // The test looks at features only; how well the model learned does not matter.
    recipe.training.epochs = 1;
    let data = host_trainer::source::load(&recipe, None, seed).unwrap();
    let run = host_trainer::train::train(&recipe, &data, None, seed, &mut |_| {}).unwrap();
    let DataRecipe::Vibration(spec) = &recipe.data else {
        panic!("not the built-in recipe")
    };
    let image = run.compile(&edge_compiler::Target::host()).unwrap().image;
    let pipeline = Model::load(&image).unwrap().features();
    let mut scratch = vec![0.0; pipeline.scratch_len()];
    let edges = &run.package.drift.edges;
    let mut null = NullModel::of_run(&run, seed).unwrap();
    let machines: Vec<Machine> = (0..recipe.fleet.devices)
        .map(|id| Machine::new(spec, seed, spec.machines + id))
        .collect();
    let mut round = |index: u64, field: &FieldConditions| {
        let mut devices = Vec::new();
        for (device, machine) in machines.iter().enumerate() {
            let mut counts = DeviceCounts {
                device: device as u64,
                features: vec![[0; BINS]; edges.len()],
                ..DeviceCounts::default()
            };
            for n in 0..u64::from(recipe.fleet.windows_per_round) {
                let class = mix(mix(seed, index), n << 32 | device as u64) as usize % CLASSES.len();
                let samples = machine.window(class, field, 1 << 63 | index << 32 | n);
                let mut q = vec![0; edges.len()];
                pipeline.run(&samples, &mut scratch, &mut q).unwrap();
                counts.windows += 1;
                for ((histogram, edges), &q) in counts.features.iter_mut().zip(edges).zip(&q) {
                    histogram[usize::from(bin(edges, q))] += 1;
                }
            }
            devices.push(counts);
        }
        null.test(&devices).unwrap().alarm
    };
    let alarms = (0..rounds)
        .filter(|&i| round(i, &FieldConditions::ORIGINAL))
        .count();
    (alarms, round(rounds, &spec.change))
}

#[test]
fn quiet_rounds_are_silent_and_the_first_changed_one_is_not() {
    // Run once over seeds 0..20: no alarm in 60 quiet rounds, one in each of 20 changed ones.
    for seed in 0..5 {
        let (alarms, changed) = live(seed, 3);
        assert_eq!((alarms, changed), (0, true), "seed {seed}");
    }
}
