//! The drift test on what the fleet counted.

use std::collections::BTreeSet;

use crate::drift::{
    BINS, DeviceCounts, DriftError, DriftReport, MIN_MACHINES, NullModel, TrainingWindows, expect,
};
use crate::release::ReleaseError;
use crate::retrain::FIELD_GROUPS;
use crate::server::Fleet;
use crate::store::{Store, StoreError};
use host_trainer::run::{Reference, Run};

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

/// Fewest windows of a round that later rounds are tested against. As a reference, so many add
/// about `15 / 200 = 0.075` to the PSI of each of them: well below
/// [`EFFECT_FLOOR`](crate::drift::EFFECT_FLOOR).
const MIN_BASE: u64 = 200;

impl NullModel {
    /// The test for a run's reference. Its groups are the machines; where there are too few groups
    /// to know how machines differ (recorded batches, say), every window stands for itself.
    ///
    /// Labelled windows of the field are part of the reference, as the model has learned them, but
    /// neither their groups nor their values count for the null distribution. They were labelled
    /// because the field had changed, and would make that change look like ordinary spread.
    ///
    /// # Errors
    /// As [`NullModel::fit`].
    pub fn of_run(run: &Run, seed: u64) -> Result<Self, DriftError> {
        Self::of_reference(&run.reference, &run.package.drift.edges, seed)
    }

    pub(crate) fn of_reference(
        reference: &Reference,
        edges: &[[i8; BINS - 1]],
        seed: u64,
    ) -> Result<Self, DriftError> {
        for (what, found) in [
            ("groups of the reference", reference.groups.len()),
            ("confidences of the reference", reference.confidences.len()),
        ] {
            expect(what, reference.rows.len(), found)?;
        }
        let (original, field): (Vec<usize>, Vec<usize>) =
            (0..reference.rows.len()).partition(|&row| reference.groups[row] < FIELD_GROUPS);
        let (rows, confidences) = pick(reference, &original);
        let groups: Vec<u32> = original.iter().map(|&row| reference.groups[row]).collect();
        let machines = groups.iter().collect::<BTreeSet<_>>().len();
        let mut null = Self::fit(
            &TrainingWindows {
                rows: &rows,
                machines: (machines >= MIN_MACHINES).then_some(&groups[..]),
                confidences: Some(&confidences),
                edges,
            },
            seed,
        )?;
        let (rows, confidences) = pick(reference, &field);
        null.extend_reference(&TrainingWindows {
            rows: &rows,
            machines: None,
            confidences: Some(&confidences),
            edges,
        })?;
        Ok(null)
    }
}

/// Features and confidences of some windows.
fn pick(reference: &Reference, windows: &[usize]) -> (Vec<Vec<i8>>, Vec<i8>) {
    windows
        .iter()
        .map(|&row| (reference.rows[row].clone(), reference.confidences[row]))
        .unzip()
}

impl Fleet {
    /// Tests what the devices that ran release `version` counted in `round`, by what is committed.
    /// The result of a round is remembered (the last one, when it is tested again), and
    /// [`DriftReport::since`] says in which round the present run of alarms began, whatever the
    /// release. Statistics of another shape than the release's reference are left out.
    ///
    /// A release after the first was trained on labels of a changed field and thereby accepted for
    /// that field, but its reference is mostly the first data, from which the field stays as far as
    /// ever. So only the first round that was counted under it is tested against that reference.
    /// That round is what is normal from then on: later ones are tested against it, if it has
    /// windows enough (200), and go quiet unless the field changes again.
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
        let features = null.features();
        let devices = counted(&self.store, features, version, round).await?;
        let mut base = Vec::new();
        if version > 1
            && let Some(first) = self.store.first_round(version).await?
            && first < round
        {
            base = counted(&self.store, features, version, first).await?;
        }
        let mut report = if base.iter().map(|device| device.windows).sum::<u64>() < MIN_BASE {
            null.test(&devices)?
        } else {
            null.test_against(&base, &devices)?
        };
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
            // Where several releases were tested in a round, an alarm of any is an alarm.
            report.since = sqlx::query_scalar(
                "SELECT min(round) FROM drift WHERE round <= ?1 AND round > \
                 coalesce((SELECT round FROM drift WHERE round < ?1 \
                           GROUP BY round HAVING NOT max(alarm) \
                           ORDER BY round DESC LIMIT 1), -1)",
            )
            .bind(round)
            .fetch_one(&self.store.pool)
            .await?;
        }
        Ok(report)
    }
}

/// What each device counted in a round under a release, where it has that many features.
async fn counted(
    store: &Store,
    features: usize,
    version: u32,
    round: u32,
) -> Result<Vec<DeviceCounts>, StoreError> {
    let statistics = store.statistics(version, round).await?;
    let counts = statistics
        .iter()
        .filter_map(|(device, counts)| DeviceCounts::from_flat(*device, features, counts));
    Ok(counts.collect())
}
