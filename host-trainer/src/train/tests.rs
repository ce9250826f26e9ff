use super::*;
use crate::dataset::Row;
use crate::recipe::{DataRecipe, FeatureName, LayerRecipe};
use crate::run::{Run, RunError};
use crate::source;

/// The built-in recipe, made small.
fn small() -> Recipe {
    let mut recipe = Recipe::vibration();
    let DataRecipe::Vibration(spec) = &mut recipe.data else {
        unreachable!("the built-in recipe is for vibration");
    };
    (spec.machines, spec.windows_per_class, spec.window) = (12, 4, 128);
    recipe.features.bands = 16;
    recipe.training.epochs = 3;
    recipe.retraining.steps = 5;
    recipe
}

fn run(recipe: &Recipe, split: &Split, start: Option<&FloatModel>) -> Result<Run, TrainError> {
    train(recipe, split, start, 5, &mut |_| ())
}

#[test]
fn the_plain_network_equals_burns() {
    let mut recipe = small();
    // Odd width after the first stride, an even kernel, a stride: all the ways to pad.
    recipe.model.layers = vec![
        LayerRecipe::Conv {
            filters: 5,
            kernel: 4,
            stride: 3,
        },
        LayerRecipe::Conv {
            filters: 3,
            kernel: 5,
            stride: 1,
        },
        LayerRecipe::Pool { size: 2 },
        LayerRecipe::Dense { units: 7 },
    ];
    let split = source::load(&recipe, None, 1).unwrap();
    let model = fit(&recipe, &split, None, 2, &mut |_| ()).unwrap();
    let features = model.features_of(&split.test).unwrap();
    let burn = Network::new(&model, 0.0).logits(features.concat(), features.len());
    for (x, expected) in features.iter().zip(burn.chunks_exact(4)) {
        let logits = model.logits(x);
        assert_eq!(logits.len(), 4);
        for (a, b) in logits.iter().zip(expected) {
            assert!((a - b).abs() < 1e-4, "{logits:?} {expected:?}");
        }
    }
    assert!(
        burn.iter().any(|x| x.abs() > 0.01),
        "all zero would prove nothing"
    );
}

#[test]
fn the_same_seed_gives_the_same_run_and_a_run_survives_its_file() {
    let recipe = small();
    let split = source::load(&recipe, None, 0).unwrap();
    let first = run(&recipe, &split, None).unwrap();
    assert_eq!(first, run(&recipe, &split, None).unwrap());
    let other = train(&recipe, &split, None, 6, &mut |_| ()).unwrap();
    assert_ne!(first.checkpoint, other.checkpoint);

    let labelled = Dataset {
        rows: split.test.rows[..20].to_vec(),
        ..split.test.clone()
    };
    let more = split.with_labelled(&labelled, 0.5);
    let next = run(&recipe, &more, Some(&first.checkpoint)).unwrap();
    assert_ne!(next.checkpoint.layers, first.checkpoint.layers);
    assert_eq!(
        next.checkpoint.features, first.checkpoint.features,
        "scales stay"
    );

    let dir = tempfile::tempdir().unwrap();
    first.save(dir.path()).unwrap();
    assert_eq!(Run::load(dir.path()).unwrap(), first);

    let bytes = first.to_bytes().unwrap();
    assert!(matches!(Run::from_bytes(b"no"), Err(RunError::NotARun)));
    for len in [4, 5, 8, 100, bytes.len() - 1] {
        let cut = Run::from_bytes(&bytes[..len]);
        assert!(matches!(cut, Err(RunError::Damaged(_))), "{len}");
    }
    for at in [5, 1000, bytes.len() - 1] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        assert!(
            matches!(Run::from_bytes(&flipped), Err(RunError::Damaged(_))),
            "{at}"
        );
    }
    let mut newer = bytes;
    newer[4] += 1;
    let refused = Run::from_bytes(&newer);
    assert!(matches!(refused, Err(RunError::Version { found }) if found == newer[4]));
}

#[test]
fn refuses_what_it_cannot_use() {
    let recipe = small();
    let split = source::load(&recipe, None, 0).unwrap();
    let refused = |change: &dyn Fn(&mut Split)| {
        let mut split = split.clone();
        change(&mut split);
        run(&recipe, &split, None).unwrap_err()
    };
    let found = refused(&|s| s.train.rows.clear());
    assert!(matches!(found, TrainError::NoRows { part: "training" }));
    let found = refused(&|s| s.test.rows.clear());
    assert!(matches!(found, TrainError::NoRows { part: "test" }));
    let found = refused(&|s| s.train.rows.retain(|row| row.label == 1));
    assert!(matches!(found, TrainError::TooFewClasses { found: 1 }));
    let found = refused(&|s| s.train.rows.retain(|row| row.label != 2));
    assert!(matches!(found, TrainError::ClassWithoutRows { label } if label == "outer_race"));
    let found = refused(&|s| s.validation.rows[3].samples[9] = f32::NAN);
    assert!(matches!(
        found,
        TrainError::BadRow {
            part: "validation",
            row: 3,
            ..
        }
    ));
    let found = refused(&|s| s.train.rows[1].label = 4);
    assert!(matches!(found, TrainError::BadRow { row: 1, .. }));
    let found = refused(&|s| s.train.rows.push(Row::new(vec![0.0; 3], 0, 0)));
    assert!(matches!(found, TrainError::BadRow { .. }));
    let found = refused(&|s| s.test.labels.swap(0, 1));
    assert!(matches!(found, TrainError::PartsDiffer));

    let mut wide = recipe.clone();
    wide.model.layers = vec![LayerRecipe::Pool { size: 8 }; 2];
    let found = run(&wide, &split, None).unwrap_err();
    assert!(
        matches!(found, TrainError::Model { layer: 2, .. }),
        "{found}"
    );

    let start = fit(&recipe, &split, None, 0, &mut |_| ()).unwrap();
    wide.model.layers = vec![LayerRecipe::Dense { units: 3 }];
    let found = run(&wide, &split, Some(&start)).unwrap_err();
    assert!(matches!(found, TrainError::Start(_)), "{found}");

    let mut fast = recipe.clone();
    fast.training.learning_rate = 1e30;
    let found = run(&fast, &split, None).unwrap_err();
    assert!(matches!(found, TrainError::Diverged { .. }), "{found}");
}

#[test]
fn refuses_data_without_information_and_features_that_overflow() {
    let mut recipe = small();
    let split = source::load(&recipe, None, 0).unwrap();
    let filled = |value: &dyn Fn(usize, usize) -> f32| {
        let mut split = split.clone();
        for set in [&mut split.train, &mut split.validation, &mut split.test] {
            for (index, row) in set.rows.iter_mut().enumerate() {
                row.samples = (0..set.window).map(|at| value(index, at)).collect();
            }
        }
        split
    };
    let zero = filled(&|_, _| 0.0);
    let equal = filled(&|_, at| 0.1 + at as f32);
    let far = filled(&|row, _| if row % 2 == 0 { 3.4e38 } else { -3.4e38 });
    // One row beyond what the offset leaves room for.
    let once = filled(&|row, _| if row == 0 { -3.4e38 } else { 3.4e38 });
    for kind in [FeatureName::Vibration, FeatureName::Standardise] {
        recipe.features.kind = kind;
        recipe.features.bands = if kind == FeatureName::Vibration {
            16
        } else {
            0
        };
        recipe.model.layers = vec![LayerRecipe::Dense { units: 3 }];
        for split in [&zero, &equal] {
            let found = run(&recipe, split, None).unwrap_err();
            assert!(matches!(found, TrainError::NoInformation), "{found}");
        }
    }
    for split in [&far, &once] {
        let found = run(&recipe, split, None).unwrap_err();
        assert!(
            matches!(found, TrainError::Overflow { feature: 0, .. }),
            "{found}"
        );
    }
    recipe.features = small().features;
    let found = run(&recipe, &far, None).unwrap_err();
    assert!(matches!(found, TrainError::Features(_)), "{found}");
}

#[test]
fn heavier_rows_are_drawn_more_often() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut sampler = Sampler::new(&[1.0, 1.0, 6.0]);
    let mut drawn = [0u32; 3];
    for _ in 0..2000 {
        for batch in sampler.epoch(2, 2, &mut rng) {
            batch.iter().for_each(|&row| drawn[row] += 1);
        }
    }
    let share = f64::from(drawn[2]) / f64::from(drawn.iter().sum::<u32>());
    assert!((share - 0.75).abs() < 0.02, "{drawn:?}");

    let mut all: Vec<usize> = Sampler::new(&[2.0; 7])
        .epoch(3, 9, &mut rng)
        .flatten()
        .copied()
        .collect();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn the_built_in_recipe_reaches_its_figures() {
    let recipe = Recipe::vibration();
    let split = source::load(&recipe, None, 0).unwrap();
    let mut epochs = Vec::new();
    let run = train(&recipe, &split, None, 0, &mut |p| epochs.push(p)).unwrap();
    let (float, int8) = (&run.evaluation.float, &run.evaluation.int8);
    assert!(int8.accuracy >= 0.95, "{int8:?}");
    assert!(
        (float.accuracy - int8.accuracy).abs() <= 0.01,
        "{float:?} {int8:?}"
    );
    assert!(
        epochs.len() < recipe.training.epochs as usize,
        "stops early"
    );
    assert!(epochs.iter().any(|p| p.best));
    assert_eq!(run.reference.rows.len(), split.train.rows.len());
    assert_eq!(run.reference.groups.len(), split.train.rows.len());
}
