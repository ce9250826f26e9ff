//! The drift test on what the fleet counted.

use crate::drift::{
    DeviceCounts, DriftError, DriftReport, MIN_MACHINES, NullModel, TrainingWindows,
};
use crate::release::ReleaseError;
use crate::server::Fleet;
use crate::store::StoreError;
use host_trainer::run::Run;

/// Why a round cannot be tested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The reference of the release does not make a test.
    #[error(transparent)]
    Drift(#[from] DriftError),
    /// No such release.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for WatchError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl NullModel {
    /// The test for a run's reference. Its groups are the machines; where there are too few groups
    /// to know how machines differ (recorded batches, say), every window stands for itself.
    ///
    /// # Errors
    /// As [`NullModel::fit`].
    pub fn of_run(run: &Run, seed: u64) -> Result<Self, DriftError> {
        let reference = &run.reference;
        let mut groups = reference.groups.clone();
        groups.sort_unstable();
        groups.dedup();
        let windows = TrainingWindows {
            rows: &reference.rows,
            machines: (groups.len() >= MIN_MACHINES).then_some(&reference.groups[..]),
            confidences: Some(&reference.confidences),
            edges: &run.package.drift.edges,
        };
        Self::fit(&windows, seed)
    }
}

impl Fleet {
    /// Tests what the devices that ran release `version` counted in `round`, by what is committed.
    /// The result of a round is remembered (the last one, when it is tested again), and
    /// [`DriftReport::since`] says in which round the present run of alarms began. Statistics of
    /// another shape than the release's reference are left out.
    ///
    /// # Errors
    /// [`WatchError`] for an unknown release, one without a usable reference, or a failed database.
    pub async fn drift(&mut self, version: u32, round: u32) -> Result<DriftReport, WatchError> {
        if !self.nulls.contains_key(&version) {
            let run = self.run(version).await?;
            self.nulls
                .insert(version, NullModel::of_run(&run, run.seed)?);
        }
        let Some(null) = self.nulls.get_mut(&version) else {
            return Err(ReleaseError::Unknown { version }.into());
        };
        let statistics = self.store.statistics(version, round).await?;
        let devices: Vec<DeviceCounts> = statistics
            .iter()
            .filter_map(|(device, counts)| {
                DeviceCounts::from_flat(*device, null.features(), counts)
            })
            .collect();
        let mut report = null.test(&devices)?;
        sqlx::query(
            "INSERT INTO drift (version, round, alarm) VALUES (?, ?, ?) \
             ON CONFLICT DO UPDATE SET alarm = excluded.alarm",
        )
        .bind(version)
        .bind(round)
        .bind(report.alarm)
        .execute(&self.store.pool)
        .await?;
        if report.alarm {
            report.since = sqlx::query_scalar(
                "SELECT min(round) FROM drift WHERE version = ?1 AND round <= ?2 AND round > \
                 coalesce((SELECT max(round) FROM drift \
                           WHERE version = ?1 AND round < ?2 AND NOT alarm), -1)",
            )
            .bind(version)
            .bind(round)
            .fetch_one(&self.store.pool)
            .await?;
        }
        Ok(report)
    }
}
