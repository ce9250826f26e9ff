use super::*;

fn sample() -> Report {
    let round = |i: usize| RoundFigures {
        name: format!("round {}", i + 1),
        changed: i > 2,
        windows: 100,
        model_version: 1,
        accuracy_without_loop: if i > 2 { 0.5 } else { 0.97 },
        accuracy_with_loop: 0.96,
        recall_without_loop: vec![Some(1.0), None],
        recall_with_loop: vec![Some(1.0), None],
        drift_alarm: i == 3,
        drift_features: vec!["<band 3>".into()],
        psi: vec![0.1 * i as f64; 4],
        update_bytes: if i == 3 { 9000 } else { 0 },
        ..RoundFigures::default()
    };
    Report {
        recipe: "vibration".into(),
        seed: 7,
        model: ModelFigures {
            accuracy_float: 0.98,
            accuracy_int8: 0.97,
            macro_f1_int8: 0.97,
            image_bytes: 9000,
            arena_bytes: 2048,
            macs: 100_000,
        },
        device: DeviceFigures {
            board: "virtual".into(),
            ..DeviceFigures::default()
        },
        fleet: FleetFigures::default(),
        rounds: (0..6).map(round).collect(),
        feature_names: vec![],
        labels: vec!["healthy".into(), "outer race".into()],
        float: Metrics::from_confusion(vec![vec![10, 0], vec![0, 10]]),
        int8: Metrics::from_confusion(vec![vec![9, 1], vec![0, 10]]),
        rejected_rows: BTreeMap::new(),
    }
}

#[test]
fn the_page_is_self_contained_and_escaped() {
    let page = html::page(&sample());
    assert!(page.contains("&lt;band 3&gt;") && !page.contains("<band 3>"));
    assert_eq!(page.matches("<svg").count(), 2);
    assert!(
        !page.contains("<script") && !page.contains("src=") && !page.contains("could not be drawn")
    );
}

#[test]
fn json_reads_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    sample().write(folder.path()).expect("written");
    let text = std::fs::read_to_string(folder.path().join("report.json")).expect("read");
    let back: Report = serde_json::from_str(&text).expect("parsed");
    assert_eq!(back.rounds.len(), 6);
    assert!(text.contains("\"accuracy_without_loop\""));
}

#[test]
fn means_are_over_the_picked_rounds() {
    let (without, with) = sample()
        .mean_accuracy(|round| round.changed)
        .expect("some rounds");
    assert!((without - 0.5).abs() < 1e-9 && (with - 0.96).abs() < 1e-9);
    assert!(sample().mean_accuracy(|_| false).is_none());
}

#[test]
fn what_must_never_happen_is_a_fault() {
    assert!(sample().faults().is_empty());
    let mut report = sample();
    report.fleet.lost = 3;
    report.fleet.devices = 2;
    report.device.mismatched_outputs = 1;
    assert_eq!(report.faults().len(), 3);
}

#[test]
fn before_during_and_after_the_change() {
    let (before, during, after) = sample().before_during_after().expect("it changes");
    assert_eq!((before, during, after), (0.96, 0.96, 0.96));
    let mut quiet = sample();
    quiet.rounds.truncate(2);
    assert!(quiet.before_during_after().is_none());
}
