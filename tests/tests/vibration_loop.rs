//! The whole built-in loop, judged as a user would judge it. `cargo xtask evaluate` does the same
//! for more seeds.

use field::live::{self, Options};
use field::report::Report;
use host_trainer::recipe::Recipe;

fn run(no_change: bool) -> Report {
    let options = Options {
        seed: 0,
        no_change,
        ..Options::default()
    };
    live::run(&Recipe::vibration(), &options, &mut |_| {}).expect("the loop runs to its end")
}

#[test]
fn the_loop_sees_the_change_and_recovers() {
    let report = run(false);
    let model = &report.model;
    assert!(model.accuracy_int8 >= 0.95, "{}", model.accuracy_int8);
    assert!((model.accuracy_int8 - model.accuracy_float).abs() <= 0.01);

    let change = report
        .rounds
        .iter()
        .position(|round| round.changed)
        .expect("it changes");
    assert!(change >= 10, "quiet rounds: {change}");
    assert!(
        report.rounds[..change]
            .iter()
            .all(|round| !round.drift_alarm)
    );
    let first_alarm = report
        .rounds
        .iter()
        .position(|round| round.drift_alarm)
        .expect("raised");
    assert!(
        (change..change + 2).contains(&first_alarm),
        "raised in round {first_alarm}"
    );
    let alarm = &report.rounds[first_alarm];
    assert!(!alarm.drift_features.is_empty() && !alarm.drift_devices.is_empty());

    let (_, before) = report
        .mean_accuracy(|round| !round.changed)
        .expect("quiet rounds");
    let (frozen, _) = report
        .mean_accuracy(|round| round.changed)
        .expect("changed rounds");
    assert!(
        before - frozen >= 0.15,
        "the first model: {before} before, {frozen} after"
    );
    let last = report.rounds.last().expect("rounds").accuracy_with_loop;
    assert!(last >= before - 0.03, "{before} before, {last} at the end");

    let fleet = &report.fleet;
    assert!(fleet.devices >= 50 && fleet.server_restarts == 1);
    assert!(fleet.frames_lost > 0 && fleet.frames_duplicated > 0 && fleet.duplicates_dropped > 0);
    assert_eq!((fleet.lost, fleet.produced), (0, fleet.stored));
    assert_eq!(fleet.devices_on_final_model, fleet.devices);
    assert!(fleet.labels_used > 0 && fleet.labels_used <= fleet.label_budget);
    assert_eq!(report.device.mismatched_outputs, 0);
}

#[test]
fn without_a_change_it_is_silent() {
    let report = run(true);
    let alarms: Vec<_> = report
        .rounds
        .iter()
        .filter(|round| round.drift_alarm)
        .collect();
    assert!(alarms.is_empty(), "{alarms:?}");
    assert_eq!((report.fleet.lost, report.fleet.labels_used), (0, 0));
}
