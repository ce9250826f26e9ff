//! What is acknowledged is stored, whenever the server dies.

mod support;

use edge_sync::Record;
use edge_sync::message::Ack;
use fleet::{Committed, Fleet, StoreError};
use support::{DEVICE, acks, config, encoded, fleet_in, hello, inference, open, records, sample};

fn two() -> Vec<u8> {
    records(&[(0, inference(0)), (1, inference(1))])
}

fn all_of_two() -> Ack {
    Ack {
        epoch: 1,
        stream: 0,
        cumulative: 2,
        bitmap: 0,
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_before_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    fleet.on_bytes(DEVICE, 10, &two()).unwrap();
    assert_eq!(acks(&mut fleet, 10), []);
    let committed = fleet.commit().await.unwrap();
    assert_eq!(
        committed,
        Committed {
            new: 2,
            ..Committed::default()
        }
    );
    assert_eq!(acks(&mut fleet, 20), [all_of_two()]);
    assert_eq!(fleet.commit().await.unwrap(), Committed::default());
}

#[tokio::test]
async fn killed_between_receiving_and_commit_nothing_was_promised() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    fleet.on_bytes(DEVICE, 10, &two()).unwrap();
    drop(fleet);
    let mut fleet = open(dir.path()).await;
    assert_eq!(fleet.store().totals().await.unwrap().stored, 0);
    assert_eq!(acks(&mut fleet, 20), []);
    fleet.on_bytes(DEVICE, 30, &two()).unwrap();
    assert_eq!(fleet.commit().await.unwrap().new, 2);
}

#[tokio::test]
async fn killed_between_commit_and_acknowledgement_nothing_is_stored_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    fleet.on_bytes(DEVICE, 10, &two()).unwrap();
    fleet.commit().await.unwrap();
    drop(fleet);
    let mut fleet = open(dir.path()).await;
    assert_eq!(acks(&mut fleet, 20), []);
    fleet.on_bytes(DEVICE, 30, &two()).unwrap();
    let committed = fleet.commit().await.unwrap();
    assert_eq!(
        committed,
        Committed {
            duplicates: 2,
            ..Committed::default()
        }
    );
    assert_eq!(acks(&mut fleet, 40), [all_of_two()]);
    let totals = fleet.store().totals().await.unwrap();
    assert_eq!((totals.stored, totals.duplicates), (2, 2));
}

#[tokio::test]
async fn a_failed_commit_keeps_what_was_received_and_promises_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    fleet.on_bytes(DEVICE, 10, &two()).unwrap();
    fleet.store().clone().close().await;
    assert!(matches!(fleet.commit().await, Err(StoreError::Database(_))));
    assert_eq!(acks(&mut fleet, 20), []);
}

#[tokio::test]
async fn duplicates_are_counted_wherever_they_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    // Twice before a commit: the store drops the second. Again after it: the session does.
    fleet.on_bytes(DEVICE, 10, &two()).unwrap();
    fleet.on_bytes(DEVICE, 11, &two()).unwrap();
    let committed = fleet.commit().await.unwrap();
    assert_eq!((committed.new, committed.duplicates), (2, 2));
    fleet.on_bytes(DEVICE, 12, &two()).unwrap();
    assert_eq!(fleet.commit().await.unwrap().duplicates, 2);
    assert_eq!(fleet.commit().await.unwrap().duplicates, 0);
    let totals = fleet.store().totals().await.unwrap();
    assert_eq!((totals.stored, totals.duplicates), (2, 4));
    assert_eq!(fleet.store().records_of(DEVICE).await.unwrap(), 2);
}

#[tokio::test]
async fn a_large_commit_needs_several_inserts_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    for first in (0..1300u32).step_by(50) {
        let items: Vec<_> = (first..first + 50).map(|n| (n, inference(n))).collect();
        fleet.on_bytes(DEVICE, 1, &records(&items)).unwrap();
    }
    assert_eq!(fleet.commit().await.unwrap().new, 1300);
    assert_eq!(fleet.store().totals().await.unwrap().stored, 1300);
}

#[tokio::test]
async fn unknown_and_malformed_records_are_kept_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    let items = [
        (0, vec![200, 1, 5, 5]),
        (1, vec![1, 1, 0xFF]),
        (2, sample(0, 0, 1, &[f32::NAN, 1.0])),
        (3, statistics(1, 5, 4, &[1, 2])),
        (4, vec![]),
    ];
    fleet.on_bytes(DEVICE, 1, &records(&items)).unwrap();
    let committed = fleet.commit().await.unwrap();
    assert_eq!(
        committed,
        Committed {
            new: 5,
            unknown: 1,
            malformed: 4,
            duplicates: 0
        }
    );
    let totals = fleet.store().totals().await.unwrap();
    assert_eq!(
        (
            totals.stored,
            totals.unknown,
            totals.malformed,
            totals.samples
        ),
        (5, 1, 4, 0)
    );
    assert_eq!(fleet.store().statistics(1, 0).await.unwrap(), []);
}

fn statistics(model: u32, offset: u16, total: u16, counts: &[u16]) -> Vec<u8> {
    let counts: Vec<u8> = counts.iter().flat_map(|c| c.to_le_bytes()).collect();
    encoded(&Record::Statistics {
        model,
        windows: 3,
        offset,
        total,
        counts: &counts,
    })
}

#[tokio::test]
async fn statistics_merge_by_model_and_round_and_never_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    let chunks = [
        (0, statistics(1, 0, 5, &[1, 2, 3])),
        (1, statistics(1, 3, 5, &[4, 65535])),
        (2, statistics(2, 0, 5, &[9])),
    ];
    fleet.begin_round(4).await.unwrap();
    fleet.on_bytes(DEVICE, 1, &records(&chunks)).unwrap();
    fleet.on_bytes(DEVICE, 2, &records(&chunks)).unwrap();
    fleet.commit().await.unwrap();
    fleet
        .on_bytes(
            DEVICE,
            3,
            &records(&[(3, statistics(1, 3, 5, &[1, 65535]))]),
        )
        .unwrap();
    fleet.commit().await.unwrap();
    drop(fleet);
    let mut fleet = open(dir.path()).await;
    assert_eq!(fleet.round(), 4);
    fleet.begin_round(5).await.unwrap();
    fleet
        .on_bytes(DEVICE, 4, &records(&[(4, statistics(1, 0, 5, &[7]))]))
        .unwrap();
    fleet.commit().await.unwrap();
    let merged = |counts: [u64; 5]| vec![(DEVICE, counts.to_vec())];
    let store = fleet.store();
    assert_eq!(
        store.statistics(1, 4).await.unwrap(),
        merged([1, 2, 3, 5, 131_070])
    );
    assert_eq!(
        store.statistics(2, 4).await.unwrap(),
        merged([9, 0, 0, 0, 0])
    );
    assert_eq!(
        store.statistics(1, 5).await.unwrap(),
        merged([7, 0, 0, 0, 0])
    );
}

#[tokio::test]
async fn a_strangers_bytes_are_not_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    assert_eq!(fleet.on_bytes(8, 1, &two()).unwrap_err().device, 8);
    assert_eq!(fleet.poll_transmit(8, 1).unwrap_err().device, 8);
    assert_eq!(fleet.commit().await.unwrap(), Committed::default());
    assert!(fleet.enrol(8, 77, "host").await.is_err());
    assert!(fleet.enrol(8, 1, "no-such-board").await.is_err());
    assert_eq!(fleet.devices().collect::<Vec<_>>(), [DEVICE]);
}

#[tokio::test]
async fn last_contact_and_model_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    assert_eq!(
        fleet.store().devices().await.unwrap()[0].last_contact_ms,
        None
    );
    fleet
        .on_bytes(DEVICE, 50, &hello(3, [9; 32], true))
        .unwrap();
    fleet.commit().await.unwrap();
    let device = &fleet.store().devices().await.unwrap()[0];
    assert_eq!(device.last_contact_ms, Some(50));
    assert_eq!(
        (device.model_version, device.model_hash),
        (Some(3), Some([9; 32]))
    );
    assert!(device.model_trial);
}

#[tokio::test]
async fn files_that_are_no_fleet_database_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fleet.db");
    std::fs::write(&path, [0x55; 8192]).unwrap();
    assert!(matches!(
        Fleet::open(&path, config()).await,
        Err(StoreError::Corrupt { .. })
    ));

    let path = dir.path().join("other.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("CREATE TABLE theirs (x)")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let error = Fleet::open(&path, config()).await.err().unwrap();
    assert!(matches!(error, StoreError::Foreign { .. }) && error.to_string().contains("other.db"));
}

#[tokio::test]
async fn a_damaged_or_newer_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet_in(dir.path()).await;
    for first in (0..1000u32).step_by(50) {
        let items: Vec<_> = (first..first + 50).map(|n| (n, inference(n))).collect();
        fleet.on_bytes(DEVICE, 1, &records(&items)).unwrap();
    }
    fleet.commit().await.unwrap();
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(fleet.store().pool())
        .await
        .unwrap();
    fleet.close().await;
    let path = dir.path().join("fleet.db");
    let sound = std::fs::read(&path).unwrap();

    let mut damaged = sound.clone();
    let middle = damaged.len() / 2;
    damaged[4096..middle].fill(0xA5);
    std::fs::write(&path, &damaged).unwrap();
    assert!(matches!(
        Fleet::open(&path, config()).await,
        Err(StoreError::Corrupt { .. })
    ));
    std::fs::write(&path, &sound[..middle]).unwrap();
    assert!(matches!(
        Fleet::open(&path, config()).await,
        Err(StoreError::Corrupt { .. })
    ));

    std::fs::write(&path, &sound).unwrap();
    let fleet = Fleet::open(&path, config()).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2030-01-01', TRUE, x'00', 0)",
    )
    .execute(fleet.store().pool())
    .await
    .unwrap();
    fleet.close().await;
    assert!(matches!(
        Fleet::open(&path, config()).await,
        Err(StoreError::Newer { .. })
    ));
}
