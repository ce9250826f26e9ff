//! A new model from the released checkpoint, the first training data and the labels.

use host_trainer::dataset::{Dataset, Row, Split};
use host_trainer::run::Run;
use host_trainer::train::{Progress, TrainError, train};

use crate::release::ReleaseError;
use crate::server::Fleet;
use crate::store::{StoreError, samples_of};

/// A retraining.
#[derive(Clone, Debug)]
pub struct Retrained {
    /// The new run, ready for [`Fleet::release`].
    pub run: Run,
    /// Labelled samples that went into it.
    pub labels_used: usize,
    /// Labelled samples that do not fit the data: another window length or an unknown class.
    pub left_out: usize,
}

/// Why there is no new model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetrainError {
    /// No sample has a label.
    #[error("no returned sample has a label: ask for labels and answer them first")]
    NoLabels,
    /// Nothing was released, or the stored run cannot be read.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Groups of rows from the field start here, so that none meets a group of the first data.
pub(crate) const FIELD_GROUPS: u32 = 1 << 31;

impl Fleet {
    /// Trains again on `original` and on every labelled sample, by the recipe of the present
    /// release and from its float checkpoint. The test part of `original` judges the result. The
    /// same database and arguments give the same run. Blocks the thread for as long as training
    /// takes.
    ///
    /// # Errors
    /// [`RetrainError`].
    pub async fn retrain(
        &self,
        original: &Split,
        seed: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Retrained, RetrainError> {
        let version = self.release.as_ref().ok_or(ReleaseError::None)?.version;
        let released = self.run(version).await?;
        let recipe = &released.recipe;
        let (labelled, left_out) = self.labelled(&original.train).await?;
        let labels_used = labelled.rows.len();
        if labels_used == 0 {
            return Err(RetrainError::NoLabels);
        }
        let data = original.with_labelled(&labelled, recipe.retraining.new_share);
        let run = train(recipe, &data, Some(&released.checkpoint), seed, progress)?;
        Ok(Retrained {
            run,
            labels_used,
            left_out,
        })
    }

    /// The labelled samples as rows, in the order in which the devices sensed them, and how many do
    /// not fit the first data.
    async fn labelled(&self, original: &Dataset) -> Result<(Dataset, usize), StoreError> {
        let rows: Vec<(i64, u16, Vec<u8>)> = sqlx::query_as(
            "SELECT device, label, samples FROM samples WHERE state = 2 \
             ORDER BY round, device, epoch, window",
        )
        .fetch_all(&self.store.pool)
        .await?;
        let count = rows.len();
        let mut data = original.empty_like();
        data.rows = rows
            .into_iter()
            .filter_map(|(device, label, bytes)| {
                let samples = samples_of(&bytes)?;
                let fits =
                    samples.len() == original.window && usize::from(label) < original.labels.len();
                let group = FIELD_GROUPS | (device as u32 & (FIELD_GROUPS - 1));
                fits.then(|| Row::new(samples, label, group))
            })
            .collect();
        let left_out = count - data.rows.len();
        Ok((data, left_out))
    }
}
