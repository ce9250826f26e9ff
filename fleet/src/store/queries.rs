//! Questions that reports and the loop ask.

use std::collections::BTreeMap;

use edge_sync::Record;

use super::ingest::counts_of;
use super::{Store, StoreError};

/// An enrolled device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// The device.
    pub device: u64,
    /// Kind of hardware.
    pub hardware_id: u32,
    /// Name of its board.
    pub target: String,
    /// Time of the last stored contact in ms, `None` before the first.
    pub last_contact_ms: Option<u64>,
    /// Version of the model it runs, as it last said; `None` before the first hello.
    pub model_version: Option<u32>,
    /// SHA-256 over the image of that model.
    pub model_hash: Option<[u8; 32]>,
    /// That model is on trial.
    pub model_trial: bool,
}

/// The last state a device reported of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRow {
    /// The device.
    pub device: u64,
    /// State, by its name in `edge_sync::message::UpdateState`.
    pub state: String,
    /// Reason, by its name in `edge_sync::message::Reason`.
    pub reason: String,
}

/// Counts over the whole life of the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records stored, each once.
    pub stored: u64,
    /// Records that came again and were dropped.
    pub duplicates: u64,
    /// Of the stored, those of an unknown kind or version.
    pub unknown: u64,
    /// Of the stored, those that are not what their kind promises.
    pub malformed: u64,
    /// Raw windows that came home.
    pub samples: u64,
    /// Of the samples, those that a label was asked for, answered or not.
    pub asked: u64,
    /// Of the samples, those with a label.
    pub labelled: u64,
}

impl Store {
    pub(crate) async fn counter(&self, name: &str) -> Result<u64, StoreError> {
        let value: Option<i64> = sqlx::query_scalar("SELECT value FROM counters WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        Ok(value.unwrap_or(0) as u64)
    }

    pub(crate) async fn set_counter(&self, name: &str, value: u64) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO counters (name, value) VALUES (?, ?) \
             ON CONFLICT DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(value as i64)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Enters a device, or gives a known one another board.
    pub(crate) async fn enrol(
        &self,
        device: u64,
        hardware_id: u32,
        target: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO devices (device, hardware_id, target) VALUES (?, ?, ?) \
             ON CONFLICT DO UPDATE SET hardware_id = excluded.hardware_id, \
             target = excluded.target",
        )
        .bind(device as i64)
        .bind(hardware_id)
        .bind(target)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// All enrolled devices, by number.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn devices(&self) -> Result<Vec<DeviceRow>, StoreError> {
        type Columns = (
            i64,
            u32,
            String,
            Option<i64>,
            Option<u32>,
            Option<Vec<u8>>,
            bool,
        );
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT device, hardware_id, target, last_contact_ms, model_version, model_hash, \
             model_trial FROM devices",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut devices: Vec<DeviceRow> = rows
            .into_iter()
            .map(
                |(device, hardware_id, target, contact, version, hash, trial)| DeviceRow {
                    device: device as u64,
                    hardware_id,
                    target,
                    last_contact_ms: contact.map(|ms| ms as u64),
                    model_version: version,
                    model_hash: hash.and_then(|hash| hash.try_into().ok()),
                    model_trial: trial,
                },
            )
            .collect();
        devices.sort_by_key(|row| row.device);
        Ok(devices)
    }

    /// What was stored in all.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM records")
            .fetch_one(&self.pool)
            .await?;
        let (samples, asked, labelled): (i64, i64, i64) = sqlx::query_as(
            "SELECT count(*), coalesce(sum(state > 0), 0), coalesce(sum(state = 2), 0) \
             FROM samples",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Totals {
            stored: stored as u64,
            duplicates: self.counter("duplicates").await?,
            unknown: self.counter("unknown").await?,
            malformed: self.counter("malformed").await?,
            samples: samples as u64,
            asked: asked as u64,
            labelled: labelled as u64,
        })
    }

    /// Records stored of one device.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn records_of(&self, device: u64) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM records WHERE device = ?")
            .bind(device as i64)
            .fetch_one(&self.pool)
            .await?;
        Ok(count as u64)
    }

    /// Every inference stored: device, boot epoch and number of its window, with the class that the
    /// device answered.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn inferences(&self) -> Result<BTreeMap<(u64, u32, u32), u8>, StoreError> {
        let rows: Vec<(i64, u32, Vec<u8>)> =
            sqlx::query_as("SELECT device, epoch, body FROM records")
                .fetch_all(&self.pool)
                .await?;
        let inferences = rows
            .into_iter()
            .filter_map(|(device, epoch, body)| match Record::decode(&body) {
                Ok(Record::Inference { window, class, .. }) => {
                    Some(((device as u64, epoch, window), class))
                }
                _ => None,
            });
        Ok(inferences.collect())
    }

    /// Raw windows that came home in one round.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn samples_in(&self, round: u32) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM samples WHERE round = ?")
            .bind(round)
            .fetch_one(&self.pool)
            .await?;
        Ok(count as u64)
    }

    /// The merged counts of each device that ran `model` in `round`, in the monitor's layout.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn statistics(
        &self,
        model: u32,
        round: u32,
    ) -> Result<Vec<(u64, Vec<u64>)>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT device, counts FROM statistics WHERE model = ? AND round = ? ORDER BY device",
        )
        .bind(model)
        .bind(round)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|(device, bytes)| (device as u64, counts_of(&bytes)))
            .collect())
    }

    /// The first round in which anybody counted anything under a release.
    pub(crate) async fn first_round(&self, model: u32) -> Result<Option<u32>, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT min(round) FROM statistics WHERE model = ?")
                .bind(model)
                .fetch_one(&self.pool)
                .await?,
        )
    }

    /// What devices last said about the update to `version`.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn updates(&self, version: u32) -> Result<Vec<UpdateRow>, StoreError> {
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT device, state, reason FROM updates WHERE version = ? ORDER BY device",
        )
        .bind(version)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|(device, state, reason)| UpdateRow {
                device: device as u64,
                state,
                reason,
            })
            .collect())
    }
}
