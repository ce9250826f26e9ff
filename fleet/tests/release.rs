//! From a trained run to a signed release, to drift, to the next one.

mod support;

use edge_runtime::{Arena, Model, Session};
use edge_sync::Record;
use edge_sync::manifest;
use edge_sync::message::UpdateState;
use fleet::{Fleet, ReleaseError, RetrainError};
use host_trainer::run::Run;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use support::{
    CLASSES, DEVICE, acks, data, encoded, fleet_in, hello, host_id, open, records, run, sample,
    update, window,
};

#[tokio::test]
async fn a_release_is_signed_stored_and_still_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    assert!(matches!(fleet.rollout().await, Err(ReleaseError::None)));
    let run = run(&data());
    assert_eq!(fleet.release(&run, 1).await.unwrap().version, 1);
    assert_eq!(fleet.release(&run, 2).await.unwrap().version, 2);
    let key = fleet.public_key();
    drop(fleet);

    let mut fleet = open(dir.path()).await;
    assert_eq!(
        fleet.run(1).await.unwrap(),
        run,
        "with its float checkpoint"
    );
    assert!(matches!(
        fleet.run(9).await,
        Err(ReleaseError::Unknown { version: 9 })
    ));
    let release = fleet.current_release().unwrap();
    assert_eq!((release.version, release.labels.len()), (2, CLASSES));
    let image = release.image(host_id()).unwrap();
    let (bytes, signature) = (image.signed.bytes(), image.signed.signature());
    assert_eq!(
        manifest::verify(bytes, signature, &key).unwrap(),
        image.manifest
    );
    assert!(manifest::verify(bytes, signature, &[3; 32]).is_err());
    assert_eq!(
        manifest::image_hash(&image.image),
        image.manifest.image_hash
    );
    assert!(Model::load(&image.image).is_ok());

    // A device on a board that the release was not made for gets its own image of it.
    let board = edge_compiler::Target::board("mps2-an386").unwrap();
    fleet
        .enrol(8, board.hardware_id, "mps2-an386")
        .await
        .unwrap();
    let other = fleet
        .current_release()
        .unwrap()
        .image(board.hardware_id)
        .unwrap();
    assert_eq!(
        (other.manifest.version, other.manifest.hardware_id),
        (2, board.hardware_id)
    );
}

#[tokio::test]
async fn the_rollout_counts_what_devices_say_by_hash_and_after_the_trial() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    let release = fleet.release(&run(&data()), 1).await.unwrap();
    let hash = release.image(host_id()).unwrap().manifest.image_hash;
    for (bytes, updated, on_trial) in [
        (hello(1, [0; 32], false), 0, 0),
        (hello(1, hash, true), 0, 1),
        (update(1, UpdateState::Confirmed), 1, 0),
    ] {
        fleet.on_bytes(DEVICE, 5, &bytes).unwrap();
        fleet.commit().await.unwrap();
        let rollout = fleet.rollout().await.unwrap();
        assert_eq!(
            (rollout.updated.len(), rollout.on_trial.len()),
            (updated, on_trial)
        );
        assert_eq!(rollout.complete(), updated == 1);
    }
    fleet
        .on_bytes(DEVICE, 6, &update(1, UpdateState::Failed))
        .unwrap();
    fleet.commit().await.unwrap();
    assert_eq!(
        fleet.rollout().await.unwrap().failed,
        [(DEVICE, "None".to_owned())]
    );
    assert_eq!(acks(&mut fleet, 7), []);
}

/// What a device's monitor counts on windows that are shifted by `shift`.
fn counted(run: &Run, windows: usize, shift: f32, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let image = run.compile(&edge_compiler::Target::host()).unwrap().image;
    let model = Model::load(&image).unwrap();
    let mut arena = Box::new(Arena::<65536>::new());
    let mut session = Session::new(&model, arena.as_mut_slice()).unwrap();
    let mut counts = vec![0; edge_runtime::Monitor::len(model.drift_reference())];
    let mut monitor = edge_runtime::Monitor::new(model.drift_reference(), &mut counts).unwrap();
    let pipeline = model.features();
    let mut scratch = vec![0.0; pipeline.scratch_len()];
    for n in 0..windows {
        let mut q = vec![0; session.input_mut().len()];
        pipeline
            .run(&window(n % CLASSES, shift, rng), &mut scratch, &mut q)
            .unwrap();
        session.input_mut().copy_from_slice(&q);
        session.run();
        monitor.record(&q, session.output());
    }
    monitor
        .counts()
        .iter()
        .flat_map(|c| c.to_le_bytes())
        .collect()
}

/// A round in which the device counts `windows` under release `model`.
async fn live(fleet: &mut Fleet, run: &Run, model: u32, windows: u32, round: u32, shift: f32) {
    let mut rng = ChaCha8Rng::seed_from_u64(round.into());
    fleet.begin_round(round).await.unwrap();
    let counts = counted(run, windows as usize, shift, &mut rng);
    let total = (counts.len() / 2) as u16;
    let record = Record::Statistics {
        model,
        windows,
        offset: 0,
        total,
        counts: &counts,
    };
    fleet
        .on_bytes(DEVICE, 5, &records(&[(round, encoded(&record))]))
        .unwrap();
    fleet.commit().await.unwrap();
}

#[tokio::test]
async fn drift_is_found_and_dated_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    let run = run(&data());
    fleet.release(&run, 0).await.unwrap();
    for (round, shift, alarm, since) in [
        (1, 0.0, false, None),
        (2, 3.0, true, Some(2)),
        (3, 3.0, true, Some(2)),
        (4, 0.0, false, None),
        (5, 3.0, true, Some(5)),
        (6, 3.0, true, Some(5)),
    ] {
        live(&mut fleet, &run, 1, 60, round, shift).await;
        drop(fleet);
        fleet = open(dir.path()).await;
        let report = fleet.drift(1, round).await.unwrap();
        assert_eq!(
            (report.alarm, report.since, report.windows),
            (alarm, since, 60),
            "{round}"
        );
    }
    assert!(
        !fleet.drift(1, 77).await.unwrap().alarm,
        "nobody counted anything"
    );
    assert!(fleet.drift(9, 1).await.is_err());
}

/// (alarm, since) of the rounds, each of `windows` under the release with that shift.
async fn watched(windows: u32, rounds: &[(u32, f32)]) -> Vec<(bool, Option<u32>)> {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    let run = run(&data());
    let mut found = Vec::new();
    for (round, &(version, shift)) in (1..).zip(rounds) {
        if fleet.current_release().is_none_or(|r| r.version < version) {
            fleet.release(&run, 0).await.unwrap();
        }
        live(&mut fleet, &run, version, windows, round, shift).await;
        let report = fleet.drift(version, round).await.unwrap();
        found.push((report.alarm, report.since));
    }
    found
}

#[tokio::test]
async fn what_a_later_release_first_meets_is_normal_from_then_on() {
    let rounds = [
        (1, 0.0),
        (1, 3.0),
        (1, 3.0),
        // Still far from the training data: the run of alarms goes on over the release.
        (2, 3.0),
        (2, 3.0),
        (2, 3.0),
        // Another change, and back to the training data: both are changes now.
        (2, -3.0),
        (2, 0.0),
        (3, 0.0),
        (3, 0.0),
    ];
    let found = watched(240, &rounds).await;
    let since = |round| (true, Some(round));
    let quiet = (false, None);
    assert_eq!(found[..4], [quiet, since(2), since(2), since(2)]);
    assert_eq!(found[4..8], [quiet, quiet, since(7), since(7)]);
    assert_eq!(found[8..], [quiet, quiet]);
    // Too few windows for a reference: the training data remains it.
    let few = watched(60, &[(1, 3.0), (2, 3.0), (2, 3.0)]).await;
    assert_eq!(few, [since(1), since(1), since(1)]);
}

#[tokio::test]
async fn retraining_starts_from_the_release_and_learns_the_changed_field() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    let data = data();
    let first = run(&data);
    fleet.release(&first, 0).await.unwrap();
    let again = fleet.retrain(&data, 1, &mut |_| {}).await;
    assert!(matches!(again, Err(RetrainError::NoLabels)));

    // In the changed field each class looks like the next one, and everything lies elsewhere.
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut changed = |n: usize| window((n + 1) % CLASSES, 4.0, &mut rng);
    for n in 0..60 {
        let record = sample(n, (n % 3) as u8, 9, &changed(n as usize));
        fleet.on_bytes(DEVICE, 1, &records(&[(n, record)])).unwrap();
    }
    // One of another length: it cannot be learned from.
    fleet
        .on_bytes(DEVICE, 1, &records(&[(60, sample(60, 0, 9, &[1.0]))]))
        .unwrap();
    fleet.commit().await.unwrap();
    fleet.grant_labels(61).await.unwrap();
    for request in fleet.ask_labels(61, 0).await.unwrap() {
        let label = data.train.labels[request.window as usize % CLASSES].clone();
        fleet.answer(request.id, &label).await.unwrap();
    }
    let retrained = fleet.retrain(&data, 1, &mut |_| {}).await.unwrap();
    assert_eq!((retrained.labels_used, retrained.left_out), (60, 1));
    assert_ne!(retrained.run.checkpoint, first.checkpoint);
    let right = |run: &Run| {
        let mut rng = ChaCha8Rng::seed_from_u64(10);
        let mut test = data.test.empty_like();
        test.rows.extend((0..90).map(|n| {
            let samples = window((n + 1) % CLASSES, 4.0, &mut rng);
            host_trainer::dataset::Row::new(samples, (n % CLASSES) as u16, 0)
        }));
        let image = run.compile(&edge_compiler::Target::host()).unwrap().image;
        host_trainer::evaluate::evaluate_image(&image, &test)
            .unwrap()
            .accuracy
    };
    let (before, after) = (right(&first), right(&retrained.run));
    assert!(before < 0.5 && after > 0.9, "{before} {after}");
    let same = fleet.retrain(&data, 1, &mut |_| {}).await.unwrap();
    assert_eq!(same.run, retrained.run);
    assert_eq!(fleet.release(&same.run, 9).await.unwrap().version, 2);
}
