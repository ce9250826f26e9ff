//! The label queue: what is asked, what is answered, and never more than was granted.

mod support;

use std::collections::BTreeMap;

use fleet::{Fleet, LabelError, LabelRequest};
use support::{DEVICE, data, fleet_in, host_id, open, records, run, sample};

/// A fleet with a release, and 40 samples in round 3: classes 0 (30 of them), 1 and 2 (5 each).
async fn with_samples(dir: &std::path::Path) -> Fleet {
    let mut fleet = fleet_in(dir).await;
    fleet.enrol(8, host_id(), "host").await.unwrap();
    fleet.release(&run(&data()), 0).await.unwrap();
    fleet.begin_round(3).await.unwrap();
    for device in [DEVICE, 8] {
        for first in [0, 10] {
            let items: Vec<_> = (first..first + 10)
                .map(|n: u32| {
                    let class = if n < 15 { 0 } else { 1 + (device == 8) as u8 };
                    (n, sample(n, class, 100 + n as u16, &[n as f32, 0.5]))
                })
                .collect();
            fleet.on_bytes(device, 1, &records(&items)).unwrap();
        }
    }
    assert_eq!(fleet.commit().await.unwrap().new, 40);
    assert_eq!(fleet.store().samples_in(3).await.unwrap(), 40);
    fleet
}

fn count<K: Ord>(
    requests: &[LabelRequest],
    key: impl Fn(&LabelRequest) -> K,
) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts.entry(key(request)).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn the_budget_holds_for_the_whole_fleet_and_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = with_samples(dir.path()).await;
    assert_eq!(fleet.ask_labels(100, 0).await.unwrap(), []);
    fleet.grant_labels(10).await.unwrap();
    assert_eq!(fleet.ask_labels(4, 0).await.unwrap().len(), 4);
    drop(fleet);
    let mut fleet = open(dir.path()).await;
    assert_eq!(fleet.label_budget().await.unwrap(), 6);
    assert_eq!(fleet.waiting_labels().await.unwrap().len(), 4);
    assert_eq!(fleet.ask_labels(100, 0).await.unwrap().len(), 6);
    assert_eq!(fleet.ask_labels(100, 0).await.unwrap(), []);
    fleet.grant_labels(100).await.unwrap();
    assert_eq!(
        fleet.ask_labels(100, 4).await.unwrap(),
        [],
        "nothing came home that late"
    );
    assert_eq!(fleet.ask_labels(100, 3).await.unwrap().len(), 30);
    assert_eq!(fleet.store().totals().await.unwrap().asked, 40);
}

#[tokio::test]
async fn the_choice_is_spread_over_classes_and_devices_and_begins_with_the_highest_score() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = with_samples(dir.path()).await;
    fleet.grant_labels(12).await.unwrap();
    let asked = fleet.ask_labels(12, 0).await.unwrap();
    assert_eq!(
        count(&asked, |r| r.class),
        BTreeMap::from([(0, 4), (1, 4), (2, 4)])
    );
    assert_eq!(
        count(&asked, |r| r.device),
        BTreeMap::from([(8, 6), (DEVICE, 6)])
    );
    let best = asked
        .iter()
        .filter(|r| r.class == 0)
        .map(|r| r.window)
        .min();
    assert_eq!(best, Some(13), "windows 13 and 14 of both devices");
    let request = asked.iter().find(|r| r.class == 1).unwrap();
    assert_eq!(
        (request.device, request.round, request.model),
        (DEVICE, 3, 1)
    );
    assert_eq!(request.samples, [request.window as f32, 0.5]);
}

#[tokio::test]
async fn wrong_answers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = with_samples(dir.path()).await;
    fleet.grant_labels(2).await.unwrap();
    let asked = fleet.ask_labels(2, 0).await.unwrap();
    let id = asked[0].id;
    let error = fleet.answer(id, "Slow").await.unwrap_err();
    assert!(matches!(error, LabelError::UnknownLabel { .. }));
    assert!(error.to_string().contains("still, slow, fast"), "{error}");
    fleet.answer(id, "slow").await.unwrap();
    let error = fleet.answer(id, "fast").await.unwrap_err();
    assert!(matches!(&error, LabelError::Labelled { label, .. } if label == "slow"));
    let unasked = (1..=40)
        .find(|id| asked.iter().all(|r| r.id != *id))
        .unwrap();
    assert!(matches!(
        fleet.answer(unasked, "fast").await,
        Err(LabelError::NotAsked { .. })
    ));
    assert!(matches!(
        fleet.answer(-5, "fast").await,
        Err(LabelError::NotAsked { id: -5 })
    ));
    assert_eq!(fleet.waiting_labels().await.unwrap().len(), 1);
    assert_eq!(fleet.store().totals().await.unwrap().labelled, 1);
}

#[tokio::test]
async fn without_a_release_no_label_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    assert!(matches!(
        fleet.answer(1, "slow").await,
        Err(LabelError::NoRelease)
    ));
}
