//! The loop: train, release, let a fleet live, watch, retrain, update; and what came of it.

mod error;
mod events;
mod finish;
mod learn;
mod start;
mod sync;

use std::collections::BTreeMap;
use std::path::PathBuf;

use fleet::{DriftReport, Fleet, FleetConfig};
use host_trainer::dataset::Split;
use host_trainer::evaluate::{Answer, run_image};
use host_trainer::recipe::Recipe;
use host_trainer::run::Run;

pub use error::LoopError;
pub use events::Event;

use crate::ledger::{Entry, Ledger};
use crate::member::{Answered, Member};
use crate::report::{DeviceFigures, Report, RoundFigures};
use crate::schedule::{Round, Schedule};

/// Time between two looks at the links, in ms of the devices' clocks.
const TICK_MS: u64 = 20;
/// Round in which the server is killed.
const SERVER_KILL: usize = 2;

/// How a loop is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Seed of data, training and links.
    pub seed: u64,
    /// Folder of the data, where the recipe reads one.
    pub data: Option<PathBuf>,
    /// Board that one member is, emulated.
    pub board: Option<String>,
    /// Leaves the built-in field as it is, instead of changing it after the quiet rounds.
    pub no_change: bool,
}

/// Runs a recipe's loop from the first training to the last update. The same recipe, seed and data
/// give the same figures, but for the counts of frames of an emulated board, which lives in real
/// time.
///
/// # Errors
/// [`LoopError`].
pub fn run(
    recipe: &Recipe,
    options: &Options,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Report, LoopError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoopError::Runtime)?;
    runtime.block_on(async {
        let mut live = Live::start(recipe, options, observe).await?;
        for index in 0..live.schedule.rounds() {
            live.round(index, observe).await?;
        }
        live.finish().await
    })
}

/// A loop under way.
struct Live<'a> {
    recipe: &'a Recipe,
    seed: u64,
    split: Split,
    schedule: Schedule,
    folder: tempfile::TempDir,
    config: FleetConfig,
    fleet: Fleet,
    members: Vec<Member>,
    ledger: Ledger,
    /// Clock of all devices, in ms.
    now_ms: u64,
    first: Run,
    first_image: Vec<u8>,
    /// Image that each board runs by its newest release.
    images: BTreeMap<String, Vec<u8>>,
    version: u32,
    device: DeviceFigures,
    instructions: Vec<(u32, u32)>,
    server_restarts: u64,
    label_budget: u64,
    names: Vec<String>,
    rounds: Vec<RoundFigures>,
    rejected: BTreeMap<String, usize>,
}

impl Live<'_> {
    /// The images of the newest release, by board.
    fn take_images(&mut self) {
        let release = self.fleet.current_release();
        for image in release.iter().flat_map(|release| &release.images) {
            self.images
                .insert(image.target.clone(), image.image.to_vec());
        }
    }

    /// One round: sense, sync, watch; then, where there is reason to, learn and update.
    async fn round(
        &mut self,
        index: usize,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LoopError> {
        let number = index as u32;
        let round = self.schedule.round(index);
        self.fleet.begin_round(number).await?;
        self.sense(index, &round)?;
        for member in &mut self.members {
            member.end_round()?;
        }
        self.sync(index == SERVER_KILL).await?;

        let ran = self.version;
        let drift = self.fleet.drift(ran, number).await?;
        let samples_returned = self.fleet.store().samples_in(number).await?;
        let last = index + 1 == self.schedule.rounds();
        let labels_used = if last {
            0
        } else {
            self.label(&drift, number, samples_returned).await?
        };
        let (update_bytes, devices_updated) = match labels_used {
            0 => (0, 0),
            _ => self.update(observe).await?,
        };

        let classes = self.split.train.labels.len();
        let without = self.ledger.score(index, classes, |entry| entry.first_model);
        let with = self.ledger.score(index, classes, |entry| entry.answer);
        let since = drift
            .since
            .and_then(|since| self.name_of(since as usize, &round, index));
        let figures = RoundFigures {
            name: round.name,
            changed: round.changed,
            windows: with.windows,
            model_version: ran,
            accuracy_without_loop: without.accuracy(),
            accuracy_with_loop: with.accuracy(),
            recall_without_loop: without.recall(),
            recall_with_loop: with.recall(),
            drift_alarm: drift.alarm,
            drift_features: self.feature_names(&drift),
            drift_devices: drift_devices(&drift),
            drift_since: since,
            psi: drift.features.iter().map(|feature| feature.psi).collect(),
            samples_returned,
            labels_used,
            update_bytes,
            devices_updated,
        };
        observe(Event::Round {
            index,
            rounds: self.schedule.rounds(),
            figures: &figures,
        });
        self.rounds.push(figures);
        Ok(())
    }

    /// Every device senses its windows; the ledger notes the answers and the truth.
    fn sense(&mut self, index: usize, round: &Round) -> Result<(), LoopError> {
        self.now_ms += TICK_MS;
        for (position, rows) in round.devices.iter().enumerate().take(self.members.len()) {
            let windows = || rows.iter().map(|row| row.samples.as_slice());
            let answers = self.members[position].sense(self.now_ms, windows())?;
            let first: Vec<Answer> = run_image(&self.first_image, windows())?;
            for ((row, answer), first) in rows.iter().zip(&answers).zip(&first) {
                let key = (self.members[position].device, answer.epoch, answer.window);
                let entry = Entry {
                    round: index,
                    truth: row.label,
                    answer: answer.class,
                    first_model: first.class() as u8,
                };
                self.ledger.note(key, entry);
            }
            if position == 0 {
                let board = self.members[0].board.clone();
                self.compare(&board, windows(), &answers)?;
            }
        }
        Ok(())
    }

    /// Holds the answers of a board against what the host computes from the same image.
    fn compare<'r>(
        &mut self,
        board: &str,
        windows: impl Iterator<Item = &'r [f32]>,
        answers: &[Answered],
    ) -> Result<(), LoopError> {
        let image = self.images.get(board).map_or(&[][..], Vec::as_slice);
        for (host, device) in run_image(image, windows)?.iter().zip(answers) {
            let same = host.features == device.features && host.output == device.output;
            self.device.samples_compared += 1;
            self.device.mismatched_outputs += u64::from(!same);
            self.instructions.extend(device.instructions);
        }
        Ok(())
    }

    fn feature_names(&self, drift: &DriftReport) -> Vec<String> {
        let drifted = if drift.alarm {
            drift.drifted_features()
        } else {
            Vec::new()
        };
        drifted
            .into_iter()
            .filter_map(|index| self.names.get(index).cloned())
            .collect()
    }

    fn name_of(&self, since: usize, round: &Round, index: usize) -> Option<String> {
        if since == index {
            return Some(round.name.clone());
        }
        self.rounds.get(since).map(|round| round.name.clone())
    }
}

/// Devices that carry the drift: those with at least half the share of the strongest.
fn drift_devices(drift: &DriftReport) -> Vec<String> {
    let strongest = drift.devices.first().map_or(0.0, |device| device.psi);
    let carries = |psi: f64| drift.alarm && psi > 0.0 && psi >= strongest / 2.0;
    drift
        .devices
        .iter()
        .filter(|device| carries(device.psi))
        .map(|device| format!("device {}", device.device))
        .collect()
}

fn image_hash(image: &[u8]) -> [u8; 32] {
    edge_sync::manifest::image_hash(image)
}

/// Hash of the image that a member should run by the newest release.
fn newest_hash(images: &BTreeMap<String, Vec<u8>>, member: &Member) -> Option<[u8; 32]> {
    images.get(&member.board).map(|image| image_hash(image))
}
