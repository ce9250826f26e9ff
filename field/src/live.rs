//! The loop: train, release, let a fleet live, watch, retrain, update; and what came of it.

mod error;
mod events;

use std::collections::BTreeMap;
use std::path::PathBuf;

use edge_sync::message::{Policy, Selection as Rule};
use emulator::{Board, Factory};
use firmware::DeviceConfig;
use fleet::{DriftReport, Fleet, FleetConfig};
use host_trainer::dataset::Split;
use host_trainer::evaluate::{Answer, run_image};
use host_trainer::recipe::{Recipe, Selection};
use host_trainer::run::Run;
use host_trainer::vibration::mix;
use host_trainer::{source, train};

pub use error::LoopError;
pub use events::Event;

use crate::ledger::{Entry, Ledger};
use crate::link::LossyLink;
use crate::member::{Answered, Member};
use crate::names::feature_names;
use crate::report::{DeviceFigures, FleetFigures, ModelFigures, Report, RoundFigures};
use crate::schedule::{Round, Schedule};

/// Share of the frames that each direction of a link loses, and of those it doubles.
const LOSS: f64 = 0.05;
/// Time between two looks at the links, in ms of the devices' clocks.
const TICK_MS: u64 = 20;
/// A sync that takes longer than this, in ticks, is given up: two hours of the devices' time.
const PATIENCE: u64 = 360_000;
/// Round in which the server is killed, and the tick of its sync.
const SERVER_KILL: (usize, u64) = (2, 3);
/// Windows of the first data set that an emulated board answers before it joins the fleet.
const ACCEPTANCE: usize = 500;

/// How a loop is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Seed of data, training and links.
    pub seed: u64,
    /// Folder of the data, where the recipe reads one.
    pub data: Option<PathBuf>,
    /// Board that one member is, emulated.
    pub board: Option<String>,
    /// Whether the built-in field changes after its quiet rounds.
    pub change: bool,
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
    /// `None` only while the server is being killed.
    fleet: Fleet,
    members: Vec<Member>,
    ledger: Ledger,
    /// Clock of all devices, in ms.
    now_ms: u64,
    first: Run,
    first_image: Vec<u8>,
    /// Image that each board runs by its newest release.
    images: BTreeMap<&'static str, Vec<u8>>,
    version: u32,
    device: DeviceFigures,
    instructions: Vec<(u32, u32)>,
    server_restarts: u64,
    label_budget: u64,
    names: Vec<String>,
    rounds: Vec<RoundFigures>,
}

impl<'a> Live<'a> {
    /// Trains the first model, releases it, and brings up the fleet with it.
    async fn start(
        recipe: &'a Recipe,
        options: &Options,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<Self, LoopError> {
        let seed = options.seed;
        // What can be missing is looked for before the long work begins.
        let emulated = options.board.as_deref().map(Board::find).transpose()?;
        let data = options.data.as_deref();
        let split = source::load(recipe, data, seed)?;
        let schedule = Schedule::new(recipe, data, seed, options.change)?;
        let first = train::train(recipe, &split, None, seed, &mut |progress| {
            observe(Event::Training {
                retraining: false,
                progress,
            });
        })?;

        let folder = tempfile::tempdir().map_err(LoopError::Folder)?;
        let config = FleetConfig {
            signing_key: signing_key(seed),
            policy: Policy {
                epoch: 0,
                sample_permille: recipe.fleet.sample_permille,
                sample_max: u16::MAX,
                selection: match recipe.fleet.selection {
                    Selection::Diverse => Rule::Diverse,
                    Selection::Random => Rule::Random,
                },
            },
        };
        let mut fleet = Fleet::open(&folder.path().join("fleet.sqlite"), config).await?;
        let boards = |index: u32| match &emulated {
            Some(board) if index == 0 => board.name(),
            _ => "host",
        };
        for index in 0..recipe.fleet.devices {
            let board = edge_compiler::Target::board(boards(index))?;
            fleet
                .enrol(device_id(index), board.hardware_id, &board.name)
                .await?;
        }
        fleet.grant_labels(recipe.fleet.label_budget).await?;
        let version = fleet.release(&first, 0).await?.version;

        let first_image = first
            .compile(&edge_compiler::Target::host())?
            .image
            .to_vec();
        let mut live = Self {
            names: feature_names(&first.package.features),
            label_budget: recipe.fleet.label_budget.into(),
            recipe,
            seed,
            split,
            schedule,
            folder,
            config,
            fleet,
            members: Vec::new(),
            ledger: Ledger::default(),
            now_ms: 0,
            first,
            first_image,
            images: BTreeMap::new(),
            version,
            device: DeviceFigures::default(),
            instructions: Vec::new(),
            server_restarts: 0,
            rounds: Vec::new(),
        };
        live.take_images();
        for index in 0..recipe.fleet.devices {
            let board = emulated.as_ref().filter(|_| index == 0);
            let member = live.member(index, board)?;
            live.members.push(member);
        }
        if emulated.is_some() {
            live.accept()?;
            // What the acceptance left on the board does not belong to the fleet.
            live.members[0] = live.member(0, emulated.as_ref())?;
        }
        // Commissioning: every device says hello and learns how to choose samples.
        live.sync(None).await?;
        Ok(live)
    }

    fn member(&self, index: u32, emulated: Option<&Board>) -> Result<Member, LoopError> {
        let device = device_id(index);
        let link = |way| LossyLink::new(mix(mix(self.seed, device), way), LOSS, LOSS);
        let (up, down) = (link(1), link(2));
        let public_key = self.fleet.public_key();
        let member = match emulated {
            Some(board) => Member::emulated(
                board.clone(),
                &self.folder.path().join("flash.bin"),
                &Factory {
                    device_id: device,
                    public_key,
                    image: self.images.get(board.name()).map(Vec::as_slice),
                    version: self.version,
                },
                up,
                down,
            ),
            None => Member::virtual_board(
                DeviceConfig {
                    device_id: device,
                    hardware_id: edge_compiler::Target::host().hardware_id,
                    firmware_version: 1,
                    public_key,
                },
                &self.first_image,
                self.version,
                up,
                down,
            ),
        };
        Ok(member?)
    }

    /// The images of the newest release, by board.
    fn take_images(&mut self) {
        let release = self.fleet.current_release();
        for image in release.iter().flat_map(|release| &release.images) {
            let board = if image.target == "host" {
                "host"
            } else {
                "mps2-an386"
            };
            self.images.insert(board, image.image.to_vec());
        }
    }

    /// Before the emulated board joins the fleet it answers windows of the first data set.
    fn accept(&mut self) -> Result<(), LoopError> {
        let parts = [&self.split.test, &self.split.validation, &self.split.train];
        let rows: Vec<Vec<f32>> = parts
            .iter()
            .flat_map(|part| &part.rows)
            .take(ACCEPTANCE)
            .map(|row| row.samples.clone())
            .collect();
        let windows = || rows.iter().map(Vec::as_slice);
        let answers = self.members[0].sense(self.now_ms, windows())?;
        self.compare(0, windows(), &answers)
    }

    /// Holds the answers of member `index` against what the host computes from the same image.
    fn compare<'r>(
        &mut self,
        index: usize,
        windows: impl Iterator<Item = &'r [f32]>,
        answers: &[Answered],
    ) -> Result<(), LoopError> {
        let image = self
            .images
            .get(self.members[index].board)
            .map_or(&[][..], Vec::as_slice);
        for (host, board) in run_image(image, windows)?.iter().zip(answers) {
            let same = host.features == board.features && host.output == board.output;
            self.device.samples_compared += 1;
            self.device.mismatched_outputs += u64::from(!same);
            self.instructions.extend(board.instructions);
        }
        Ok(())
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
        self.sync((index == SERVER_KILL.0).then_some(SERVER_KILL.1))
            .await?;

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
                self.compare(0, windows(), &answers)?;
            }
        }
        Ok(())
    }

    /// Lets devices and server talk until every record is stored and every device runs the newest
    /// release. `kill` is the tick at which the server is killed, between what it received and what
    /// it stored, and opened again.
    async fn sync(&mut self, kill: Option<u64>) -> Result<(), LoopError> {
        for tick in 0..PATIENCE {
            self.now_ms += TICK_MS;
            for member in &mut self.members {
                member.tick(self.now_ms)?;
                while let Some(frame) = member.up.receive() {
                    self.fleet.on_bytes(member.device, self.now_ms, &frame)?;
                }
            }
            if kill == Some(tick) {
                self.restart_server().await?;
            }
            self.fleet.commit().await?;
            for member in &mut self.members {
                while let Some(frame) = self.fleet.poll_transmit(member.device, self.now_ms)? {
                    member.down.send(frame);
                }
            }
            if kill.is_none_or(|at| tick > at) && self.is_settled()? {
                return Ok(());
            }
        }
        Err(LoopError::NeverSettled)
    }

    /// Drops the server with all that it has not stored, and opens it again from its file.
    async fn restart_server(&mut self) -> Result<(), LoopError> {
        let path = self.folder.path().join("fleet.sqlite");
        self.fleet = Fleet::open(&path, self.config).await?;
        for member in &mut self.members {
            member.down.clear();
        }
        self.server_restarts += 1;
        Ok(())
    }

    fn is_settled(&mut self) -> Result<bool, LoopError> {
        for member in &mut self.members {
            let newest = self.images.get(member.board).map(|image| image_hash(image));
            if !member.is_drained()? || member.model_hash()? != newest {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Asks for labels of returned samples: all of them where the recipe sets no budget, else after
    /// an alarm and as far as the budget goes. The ledger answers for the person. Returns how many
    /// were given.
    async fn label(
        &mut self,
        drift: &DriftReport,
        number: u32,
        returned: u64,
    ) -> Result<u64, LoopError> {
        let bounded = self.recipe.fleet.label_budget > 0;
        if bounded && !drift.alarm {
            return Ok(0);
        }
        if !bounded {
            self.fleet.grant_labels(returned as u32).await?;
            self.label_budget += returned;
        }
        let requests = self.fleet.ask_labels(returned as usize, number).await?;
        let mut given = 0;
        for request in requests {
            let truth = self
                .ledger
                .truth((request.device, request.epoch, request.window));
            let label = truth.and_then(|truth| self.split.train.labels.get(usize::from(truth)));
            if let Some(label) = label {
                self.fleet.answer(request.id, label).await?;
                given += 1;
            }
        }
        Ok(given)
    }

    /// Retrains, releases, and waits until every device runs the release. Returns the bytes of its
    /// image and the devices that run it.
    async fn update(
        &mut self,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<(u64, u64), LoopError> {
        let seed = mix(self.seed, u64::from(self.version));
        let retrained = self
            .fleet
            .retrain(&self.split, seed, &mut |progress| {
                observe(Event::Training {
                    retraining: true,
                    progress,
                });
            })
            .await?;
        self.version = self
            .fleet
            .release(&retrained.run, self.now_ms)
            .await?
            .version;
        self.take_images();
        self.sync(None).await?;
        let rollout = self.fleet.rollout().await?;
        let devices = rollout.updated.len() + rollout.on_trial.len();
        let bytes = self.images.get(self.members[0].board).map_or(0, Vec::len);
        Ok((bytes as u64, devices as u64))
    }

    /// Settles the accounts.
    async fn finish(mut self) -> Result<Report, LoopError> {
        let stored = self.fleet.store().inferences().await?;
        let totals = self.fleet.store().totals().await?;
        let mut on_final = 0;
        for member in &mut self.members {
            let newest = self.images.get(member.board).map(|image| image_hash(image));
            on_final += usize::from(member.model_hash()? == newest);
        }
        if let Some((info, firmware)) = self.members[0].info()? {
            self.device.stack_bytes = Some(info.stack_peak.into());
            self.device.firmware_bytes = Some(firmware.into());
        }
        self.device.board = match self.members[0].board {
            "host" => "virtual".to_string(),
            name => name.to_string(),
        };
        self.device.instructions_features = median(self.instructions.iter().map(|i| i.0));
        self.device.instructions_model = median(self.instructions.iter().map(|i| i.1));
        let links = || {
            self.members
                .iter()
                .flat_map(|member| [&member.up, &member.down])
        };
        let fleet = FleetFigures {
            devices: self.members.len(),
            produced: self.ledger.produced(),
            stored: stored.len() as u64,
            duplicates_dropped: totals.duplicates,
            lost: self.ledger.missing(&stored),
            frames_lost: links().map(|link| link.lost).sum(),
            frames_duplicated: links().map(|link| link.duplicated).sum(),
            server_restarts: self.server_restarts,
            labels_used: totals.labelled,
            label_budget: self.label_budget,
            final_model_hash: hex(&image_hash(
                self.images
                    .get(self.members[0].board)
                    .map_or(&[], Vec::as_slice),
            )),
            devices_on_final_model: on_final,
        };
        let evaluation = &self.first.evaluation;
        let image = edge_compiler::AlignedBytes::from(self.first_image.as_slice());
        let loaded = edge_runtime::Model::load(&image).map_err(LoopError::Load)?;
        let model = ModelFigures {
            accuracy_float: evaluation.float.accuracy,
            accuracy_int8: evaluation.int8.accuracy,
            macro_f1_int8: evaluation.int8.macro_f1,
            precision_int8: evaluation.int8.precision.clone(),
            recall_int8: evaluation.int8.recall.clone(),
            image_bytes: loaded.image_len(),
            arena_bytes: loaded.arena_bytes(),
            macs: loaded.macs(),
        };
        Ok(Report {
            recipe: self.recipe.name.clone(),
            seed: self.seed,
            model,
            device: self.device,
            fleet,
            rounds: self.rounds,
            feature_names: self.names,
            labels: self.split.train.labels,
            confusion: evaluation.int8.confusion.clone(),
        })
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

/// Numbers start at 1: 0 would look like a device without one.
fn device_id(index: u32) -> u64 {
    u64::from(index) + 1
}

/// The key of a simulated fleet. It protects nothing: a real fleet keeps its own.
fn signing_key(seed: u64) -> [u8; 32] {
    let mut key = [0; 32];
    for (index, part) in key.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *part = mix(seed, 0x5167_0000 + index as u64).to_le_bytes();
    }
    key
}

fn image_hash(image: &[u8]) -> [u8; 32] {
    edge_sync::manifest::image_hash(image)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn median(values: impl Iterator<Item = u32>) -> Option<u64> {
    let mut values: Vec<u32> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).map(|&value| value.into())
}
