//! Which returned samples a person is asked about, within a budget for the whole fleet.

use std::collections::BTreeMap;

use crate::server::Fleet;
use crate::store::{StoreError, samples_of};

/// A returned sample whose label is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelRequest {
    /// For [`Fleet::answer`].
    pub id: i64,
    /// Device that sensed it.
    pub device: u64,
    /// Its boot epoch then.
    pub epoch: u32,
    /// Number of the window since that boot.
    pub window: u32,
    /// Round in which it came home.
    pub round: u32,
    /// Version of the model that judged it.
    pub model: u32,
    /// Class that model chose.
    pub class: u8,
    /// Its output for that class, `q + 128`.
    pub confidence: u8,
    /// How much the device wanted it to be seen.
    pub score: u16,
    /// The raw samples, all finite.
    pub samples: Vec<f32>,
}

/// Why a label is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// Nothing was released yet, so there are no classes.
    #[error("nothing was released yet, so no label is known")]
    NoRelease,
    /// Not one of the model's classes.
    #[error("`{label}` is no label of the model: it knows {}", known.join(", "))]
    UnknownLabel {
        /// What was answered.
        label: String,
        /// What could have been.
        known: Vec<String>,
    },
    /// No such sample, or nobody asked about it.
    #[error("no label was asked for sample {id}")]
    NotAsked {
        /// The sample.
        id: i64,
    },
    /// It has a label.
    #[error("sample {id} is labelled `{label}` already")]
    Labelled {
        /// The sample.
        id: i64,
        /// Its label.
        label: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for LabelError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Name of the counter of labels that may be asked for in all.
const GRANTED: &str = "labels_granted";
const COLUMNS: &str = "id, device, epoch, window, round, model, class, confidence, score, samples";

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    device: i64,
    epoch: u32,
    window: u32,
    round: u32,
    model: u32,
    class: u8,
    confidence: u8,
    score: u16,
    samples: Vec<u8>,
}

impl Columns {
    fn request(self) -> Result<LabelRequest, StoreError> {
        let samples = samples_of(&self.samples).ok_or(StoreError::Content {
            what: "raw samples",
        })?;
        Ok(LabelRequest {
            id: self.id,
            device: self.device as u64,
            epoch: self.epoch,
            window: self.window,
            round: self.round,
            model: self.model,
            class: self.class,
            confidence: self.confidence,
            score: self.score,
            samples,
        })
    }
}

/// What choosing looks at.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: i64,
    device: u64,
    class: u8,
    score: u16,
}

impl Fleet {
    /// Allows `count` more labels to be asked for. Kept across restarts.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn grant_labels(&mut self, count: u32) -> Result<(), StoreError> {
        let granted = self.store.counter(GRANTED).await?;
        self.store
            .set_counter(GRANTED, granted + u64::from(count))
            .await
    }

    /// Labels that may still be asked for.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn label_budget(&self) -> Result<u64, StoreError> {
        let granted = self.store.counter(GRANTED).await?;
        let asked: i64 = sqlx::query_scalar("SELECT count(*) FROM samples WHERE state > 0")
            .fetch_one(&self.store.pool)
            .await?;
        Ok(granted.saturating_sub(asked as u64))
    }

    /// Chooses at most `most` samples that came home in `since_round` or later and asks for their
    /// labels, never more than the budget has left. They are spread over the predicted classes,
    /// within a class over the devices, and among a device's those with the highest score come
    /// first. What was asked for once is not asked for again: see [`Fleet::waiting_labels`].
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn ask_labels(
        &mut self,
        most: usize,
        since_round: u32,
    ) -> Result<Vec<LabelRequest>, StoreError> {
        let budget = usize::try_from(self.label_budget().await?).unwrap_or(usize::MAX);
        let rows: Vec<(i64, i64, u8, u16)> = sqlx::query_as(
            "SELECT id, device, class, score FROM samples WHERE state = 0 AND round >= ? \
             ORDER BY device, epoch, window",
        )
        .bind(since_round)
        .fetch_all(&self.store.pool)
        .await?;
        let candidates = rows
            .into_iter()
            .map(|(id, device, class, score)| Candidate {
                id,
                device: device as u64,
                class,
                score,
            });
        let chosen = choose(candidates.collect(), most.min(budget));
        let mut tx = self.store.pool.begin().await?;
        for id in &chosen {
            sqlx::query("UPDATE samples SET state = 1 WHERE id = ?")
                .bind(id)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        let mut waiting = self.waiting_labels().await?;
        waiting.retain(|request| chosen.contains(&request.id));
        Ok(waiting)
    }

    /// Everything that was asked for and not answered, also before a restart; by device, epoch and
    /// window.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn waiting_labels(&self) -> Result<Vec<LabelRequest>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM samples WHERE state = 1 ORDER BY device, epoch, window"
        )))
        .fetch_all(&self.store.pool)
        .await?;
        rows.into_iter().map(Columns::request).collect()
    }

    /// Takes the label of a sample, by its name.
    ///
    /// # Errors
    /// [`LabelError`] for a label that the present model does not know, a sample that nobody asked
    /// about, and one that is labelled already.
    pub async fn answer(&mut self, id: i64, label: &str) -> Result<(), LabelError> {
        let known = &self.release.as_ref().ok_or(LabelError::NoRelease)?.labels;
        let Some(index) = known.iter().position(|name| name == label) else {
            return Err(LabelError::UnknownLabel {
                label: label.to_owned(),
                known: known.clone(),
            });
        };
        let stored: Option<(u8, Option<u16>)> =
            sqlx::query_as("SELECT state, label FROM samples WHERE id = ?")
                .bind(id)
                .fetch_optional(&self.store.pool)
                .await?;
        match stored {
            Some((1, _)) => {}
            Some((2, Some(old))) => {
                let label = known.get(usize::from(old)).cloned().unwrap_or_default();
                return Err(LabelError::Labelled { id, label });
            }
            _ => return Err(LabelError::NotAsked { id }),
        }
        sqlx::query("UPDATE samples SET state = 2, label = ? WHERE id = ?")
            .bind(index as u16)
            .bind(id)
            .execute(&self.store.pool)
            .await?;
        Ok(())
    }
}

/// At most `most` of the candidates: always from the class with the fewest chosen, of it from the
/// device with the fewest chosen, of it the highest score. Ties fall to the lower number, so that
/// the same candidates in the same order give the same choice.
fn choose(candidates: Vec<Candidate>, most: usize) -> Vec<i64> {
    let mut queues: BTreeMap<u8, BTreeMap<u64, Vec<Candidate>>> = BTreeMap::new();
    for candidate in candidates {
        let devices = queues.entry(candidate.class).or_default();
        devices.entry(candidate.device).or_default().push(candidate);
    }
    for queue in queues.values_mut().flat_map(BTreeMap::values_mut) {
        // Taken from the end; stable, so that earlier windows come first among equals.
        queue.reverse();
        queue.sort_by_key(|candidate| candidate.score);
    }
    let mut of_class = BTreeMap::<u8, usize>::new();
    let mut of_device = BTreeMap::<u64, usize>::new();
    let mut chosen = Vec::new();
    while chosen.len() < most {
        let class = queues
            .iter()
            .filter(|(_, devices)| !devices.is_empty())
            .map(|(class, _)| *class)
            .min_by_key(|class| of_class.get(class).copied().unwrap_or(0));
        let Some((class, devices)) = class.and_then(|c| Some((c, queues.get_mut(&c)?))) else {
            break;
        };
        let taken = |device: &u64| of_device.get(device).copied().unwrap_or(0);
        let device = devices
            .iter()
            .min_by_key(|(device, queue)| {
                let best = queue.last().map_or(0, |candidate| candidate.score);
                (taken(device), u16::MAX - best)
            })
            .map(|(device, _)| *device);
        let Some(device) = device else { break };
        if let Some(queue) = devices.get_mut(&device) {
            chosen.extend(queue.pop().map(|candidate| candidate.id));
            if queue.is_empty() {
                devices.remove(&device);
            }
        }
        *of_class.entry(class).or_default() += 1;
        *of_device.entry(device).or_default() += 1;
    }
    chosen
}
