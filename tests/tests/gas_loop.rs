//! The loop on the UCI gas-sensor drift data. `cargo xtask evaluate` does the same for more seeds.

use dunlin_tests::gas_data;
use edge_compiler::Package;
use field::live::{self, Options};
use field::report::{Report, RoundFigures};
use fleet::drift::{BINS, DeviceCounts, NullModel, bin, confidence_bin};
use host_trainer::evaluate::{Answer, run_image};
use host_trainer::recipe::{Recipe, Selection};
use host_trainer::{source, train};

fn run(selection: Selection, data: &std::path::Path) -> Report {
    let mut recipe = Recipe::gas_drift();
    recipe.fleet.selection = selection;
    let options = Options {
        seed: 0,
        data: Some(data.into()),
        ..Options::default()
    };
    live::run(&recipe, &options, &mut |_| {}).expect("the loop runs to its end")
}

#[test]
fn the_loop_beats_the_first_model_and_repeats_itself() {
    let Some(data) = gas_data() else { return };
    let report = run(Selection::Diverse, &data);
    let later = |round: &RoundFigures| round.name != "batch 2";
    let (without, with) = report.mean_accuracy(later).expect("batches 3 to 6");
    assert!(
        with - without >= 0.20,
        "{without} without, {with} with the loop"
    );
    assert_eq!(report.rounds.len(), 5);
    assert!(
        report
            .rounds
            .iter()
            .filter(|round| later(round))
            .all(|round| round.drift_alarm)
    );
    assert!(
        report
            .rounds
            .iter()
            .all(|round| round.samples_returned * 10 <= round.windows)
    );
    assert_eq!(
        (report.fleet.lost, report.device.mismatched_outputs),
        (0, 0)
    );
    assert_eq!(report.fleet.devices_on_final_model, 8);

    let again = run(Selection::Diverse, &data);
    let figures = |report: &Report| serde_json::to_value(report).expect("JSON");
    assert_eq!(
        figures(&report),
        figures(&again),
        "the same seed gives the same figures"
    );
}

/// The held-out fifth of the first batch is the same world as the training rows.
#[test]
fn rows_held_out_of_the_first_batch_are_no_drift() {
    let Some(data) = gas_data() else { return };
    let mut recipe = Recipe::gas_drift();
    // The test looks at the features; how long the network was trained does not matter to it.
    recipe.training.epochs = 2;
    let alarms = (0..20)
        .filter(|&seed| {
            let split = source::load(&recipe, Some(&data), seed).expect("the data is there");
            let run = train::train(&recipe, &split, None, seed, &mut |_| {}).expect("it trains");
            let image = run
                .compile(&edge_compiler::Target::host())
                .expect("it compiles")
                .image;
            let rows = split.test.rows.iter().map(|row| row.samples.as_slice());
            let answers = run_image(&image, rows).expect("it runs");
            let counts = count(&run.package, &answers);
            let mut null = NullModel::of_run(&run, seed).expect("the run has a reference");
            null.test(&[counts]).expect("the counts fit").alarm
        })
        .count();
    assert!(alarms <= 1, "{alarms} of 20 draws raised drift");
}

/// What a device's monitor would have counted.
fn count(package: &Package, answers: &[Answer]) -> DeviceCounts {
    let mut counts = DeviceCounts {
        device: 1,
        windows: answers.len() as u64,
        features: vec![[0; BINS]; package.drift.edges.len()],
        confidence: [0; BINS],
        classes: vec![0; package.labels.len()],
    };
    for answer in answers {
        let edges = package.drift.edges.iter().zip(&answer.features);
        for (histogram, (edges, &value)) in counts.features.iter_mut().zip(edges) {
            histogram[usize::from(bin(edges, value))] += 1;
        }
        counts.confidence[usize::from(confidence_bin(answer.confidence()))] += 1;
        counts.classes[answer.class()] += 1;
    }
    counts
}
