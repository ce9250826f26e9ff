//! One transaction for everything that was received since the last.

use std::collections::{BTreeMap, HashSet};

use edge_sync::message::{Hello, UpdateState, UpdateStatus};
use edge_sync::record::RecordError;
use edge_sync::{Record, RecordKey};
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::{Store, StoreError};

/// Something a device said that must be stored.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub device: u64,
    pub at_ms: u64,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// The key and the encoded record.
    Record(RecordKey, Vec<u8>),
    Hello(Hello),
    Update(UpdateStatus),
}

/// What a commit stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Records that were not there before.
    pub new: u64,
    /// Records that were: they are dropped, and acknowledged again.
    pub duplicates: u64,
    /// New records of a kind or version that this server does not know; stored as they came.
    pub unknown: u64,
    /// New records that are not what their kind promises, or samples that are no finite numbers;
    /// stored as they came, and left out of statistics and samples.
    pub malformed: u64,
}

/// The only stream there is.
const STREAM: u8 = 0;
/// Records of one `INSERT`: SQLite allows 32,766 parameters.
const ROWS: usize = 500;

/// (model, device) and the merged counts to add.
type Merged = BTreeMap<(u32, u64), Vec<u64>>;

impl Store {
    /// Stores all of it or nothing. `already_known` counts records that the sessions dropped
    /// because they had been committed before.
    pub(crate) async fn ingest(
        &self,
        round: u32,
        received: &[Received],
        already_known: u64,
    ) -> Result<Committed, StoreError> {
        let mut tx = self.pool.begin().await?;
        let mut committed = Committed {
            duplicates: already_known,
            ..Committed::default()
        };
        let mut merged = Merged::new();
        let mut contacts = BTreeMap::new();
        for item in received {
            let last = contacts.entry(item.device).or_insert(item.at_ms);
            *last = item.at_ms.max(*last);
        }
        let records: Vec<Row<'_>> = received.iter().filter_map(Row::of).collect();
        for rows in records.chunks(ROWS) {
            let mut new = insert(&mut tx, round, rows).await?;
            for row in rows {
                if !new.remove(&(row.device, row.key)) {
                    committed.duplicates += 1;
                    continue;
                }
                committed.new += 1;
                match Record::decode(row.bytes) {
                    Ok(record) if take(&mut tx, round, row, &record, &mut merged).await? => {}
                    Err(RecordError::Unknown { .. }) => committed.unknown += 1,
                    _ => committed.malformed += 1,
                }
            }
        }
        for ((model, device), counts) in merged {
            add_statistics(&mut tx, model, round, device, &counts).await?;
        }
        for item in received {
            match &item.content {
                Content::Record(..) => {}
                Content::Hello(hello) => note_hello(&mut tx, item.device, hello).await?,
                Content::Update(status) => note_update(&mut tx, item, status).await?,
            }
        }
        for (device, at_ms) in contacts {
            sqlx::query(
                "UPDATE devices SET last_contact_ms = max(coalesce(last_contact_ms, 0), ?) \
                 WHERE device = ?",
            )
            .bind(at_ms as i64)
            .bind(device as i64)
            .execute(&mut *tx)
            .await?;
        }
        for (name, count) in [
            ("duplicates", committed.duplicates),
            ("unknown", committed.unknown),
            ("malformed", committed.malformed),
        ] {
            if count > 0 {
                add_counter(&mut tx, name, count).await?;
            }
        }
        tx.commit().await?;
        Ok(committed)
    }
}

struct Row<'a> {
    device: u64,
    key: RecordKey,
    at_ms: u64,
    bytes: &'a [u8],
}

impl<'a> Row<'a> {
    fn of(received: &'a Received) -> Option<Self> {
        match &received.content {
            Content::Record(key, bytes) => Some(Self {
                device: received.device,
                key: *key,
                at_ms: received.at_ms,
                bytes,
            }),
            _ => None,
        }
    }
}

/// Inserts records; the keys of those that were new come back.
async fn insert(
    tx: &mut Transaction<'_, Sqlite>,
    round: u32,
    rows: &[Row<'_>],
) -> Result<HashSet<(u64, RecordKey)>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO records \
         (device, epoch, stream, sequence, round, kind, received_ms, body) ",
    );
    query.push_values(rows, |mut values, row| {
        values
            .push_bind(row.device as i64)
            .push_bind(row.key.epoch)
            .push_bind(STREAM)
            .push_bind(row.key.sequence)
            .push_bind(round)
            .push_bind(row.bytes.first().copied().unwrap_or(0))
            .push_bind(row.at_ms as i64)
            .push_bind(row.bytes);
    });
    query.push(" ON CONFLICT DO NOTHING RETURNING device, epoch, sequence");
    let new: Vec<(i64, u32, u32)> = query.build_query_as().fetch_all(&mut **tx).await?;
    Ok(new
        .into_iter()
        .map(|(device, epoch, sequence)| (device as u64, RecordKey { epoch, sequence }))
        .collect())
}

/// Statistics and samples go where they can be asked for. False when the content is unusable.
async fn take(
    tx: &mut Transaction<'_, Sqlite>,
    round: u32,
    row: &Row<'_>,
    record: &Record<'_>,
    merged: &mut Merged,
) -> Result<bool, StoreError> {
    match *record {
        Record::Statistics {
            model,
            offset,
            total,
            counts,
            ..
        } => {
            let (pairs, odd) = counts.as_chunks::<2>();
            let range = usize::from(offset)..usize::from(offset) + pairs.len();
            if !odd.is_empty() || range.end > usize::from(total) {
                return Ok(false);
            }
            let sum = merged.entry((model, row.device)).or_default();
            sum.resize(sum.len().max(total.into()), 0);
            for (sum, pair) in sum[range].iter_mut().zip(pairs) {
                *sum += u64::from(u16::from_le_bytes(*pair));
            }
            Ok(true)
        }
        Record::Sample {
            window,
            model,
            class,
            confidence,
            score,
            samples,
        } => {
            if samples_of(samples).is_none() {
                return Ok(false);
            }
            sqlx::query(
                "INSERT INTO samples \
                 (device, epoch, window, round, model, class, confidence, score, samples) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(row.device as i64)
            .bind(row.key.epoch)
            .bind(window)
            .bind(round)
            .bind(model)
            .bind(class)
            .bind(confidence)
            .bind(score)
            .bind(samples)
            .execute(&mut **tx)
            .await?;
            Ok(true)
        }
        _ => Ok(true),
    }
}

/// Little-endian `f32`s, at least one and all finite; `None` otherwise.
pub(crate) fn samples_of(bytes: &[u8]) -> Option<Vec<f32>> {
    let (words, rest) = bytes.as_chunks::<4>();
    let samples: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let sound = rest.is_empty() && !samples.is_empty() && samples.iter().all(|x| x.is_finite());
    sound.then_some(samples)
}

/// Stored counts: `u32` little-endian.
pub(crate) fn counts_of(bytes: &[u8]) -> Vec<u64> {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| u32::from_le_bytes(*word).into())
        .collect()
}

async fn add_statistics(
    tx: &mut Transaction<'_, Sqlite>,
    model: u32,
    round: u32,
    device: u64,
    counts: &[u64],
) -> Result<(), StoreError> {
    let stored: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT counts FROM statistics WHERE model = ? AND round = ? AND device = ?",
    )
    .bind(model)
    .bind(round)
    .bind(device as i64)
    .fetch_optional(&mut **tx)
    .await?;
    let mut sum = stored.map(|bytes| counts_of(&bytes)).unwrap_or_default();
    sum.resize(sum.len().max(counts.len()), 0);
    sum.iter_mut()
        .zip(counts)
        .for_each(|(sum, count)| *sum += count);
    let bytes: Vec<u8> = sum
        .iter()
        .flat_map(|&n| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes())
        .collect();
    sqlx::query(
        "INSERT INTO statistics (model, round, device, counts) VALUES (?, ?, ?, ?) \
         ON CONFLICT DO UPDATE SET counts = excluded.counts",
    )
    .bind(model)
    .bind(round)
    .bind(device as i64)
    .bind(bytes)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn note_hello(
    tx: &mut Transaction<'_, Sqlite>,
    device: u64,
    hello: &Hello,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE devices SET model_version = ?, model_hash = ?, model_trial = ? WHERE device = ?",
    )
    .bind(hello.model_version)
    .bind(&hello.model_hash[..])
    .bind(hello.trial)
    .bind(device as i64)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn note_update(
    tx: &mut Transaction<'_, Sqlite>,
    item: &Received,
    status: &UpdateStatus,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO updates (device, version, state, reason, reported_ms) \
         VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE \
         SET state = excluded.state, reason = excluded.reason, reported_ms = excluded.reported_ms",
    )
    .bind(item.device as i64)
    .bind(status.version)
    .bind(format!("{:?}", status.state))
    .bind(format!("{:?}", status.reason))
    .bind(item.at_ms as i64)
    .execute(&mut **tx)
    .await?;
    if status.state == UpdateState::Confirmed {
        // Its hello, when it booted into the trial, named the model.
        sqlx::query("UPDATE devices SET model_trial = 0 WHERE device = ? AND model_version = ?")
            .bind(item.device as i64)
            .bind(status.version)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

async fn add_counter(
    tx: &mut Transaction<'_, Sqlite>,
    name: &str,
    count: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO counters (name, value) VALUES (?, ?) \
         ON CONFLICT DO UPDATE SET value = value + excluded.value",
    )
    .bind(name)
    .bind(count as i64)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
