//! Training the first model and bringing up the fleet with it.

use std::collections::BTreeMap;

use edge_sync::device::TRIAL_INFERENCES;
use edge_sync::message::{Policy, Selection as Rule};
use emulator::{Board, Factory};
use firmware::DeviceConfig;
use fleet::{Fleet, FleetConfig};
use host_trainer::dataset::{Reason, Rejected};
use host_trainer::recipe::{DataRecipe, Recipe, Selection};
use host_trainer::vibration::mix;
use host_trainer::{source, train};

use super::{Event, Live, LoopError, Options};
use crate::ledger::Ledger;
use crate::link::LossyLink;
use crate::member::Member;
use crate::names::feature_names;
use crate::report::DeviceFigures;
use crate::schedule::Schedule;

/// Share of the frames that each direction of a link loses, and of those it doubles.
const LOSS: f64 = 0.05;
/// Windows of the first data set that an emulated board answers before it joins the fleet.
const ACCEPTANCE: usize = 500;

impl<'a> Live<'a> {
    /// Trains the first model, releases it, and brings up the fleet with it.
    pub(super) async fn start(
        recipe: &'a Recipe,
        options: &Options,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<Self, LoopError> {
        let seed = options.seed;
        if options.no_change && !matches!(recipe.data, DataRecipe::Vibration(_)) {
            return Err(LoopError::ChangesByItself);
        }
        let windows = recipe.fleet.windows_per_round;
        if matches!(recipe.data, DataRecipe::Vibration(_)) && windows < TRIAL_INFERENCES {
            return Err(LoopError::TooFewWindows { windows });
        }
        // What can be missing is looked for before the long work begins.
        let emulated = options.board.as_deref().map(Board::find).transpose()?;
        let data = options.data.as_deref();
        let split = source::load(recipe, data, seed)?;
        let schedule = Schedule::new(recipe, data, seed, !options.no_change)?;
        let mut rejected = split.train.rejected.clone();
        rejected.rows.extend_from_slice(&schedule.rejected().rows);
        if !rejected.is_empty() {
            observe(Event::Rejected(&rejected));
        }
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
            rejected: counts(&rejected),
        };
        live.take_images();
        if let Some(board) = &emulated {
            live.accept(board)?;
        }
        for index in 0..recipe.fleet.devices {
            let board = emulated.as_ref().filter(|_| index == 0);
            let member = live.member(index, board)?;
            live.members.push(member);
        }
        // Commissioning: every device says hello and learns how to choose samples.
        live.sync(false).await?;
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

    /// Before the emulated board joins the fleet it answers windows of the first data set. Its
    /// flash is written anew when it joins.
    fn accept(&mut self, board: &Board) -> Result<(), LoopError> {
        let parts = [&self.split.test, &self.split.validation, &self.split.train];
        let rows: Vec<Vec<f32>> = parts
            .iter()
            .flat_map(|part| &part.rows)
            .take(ACCEPTANCE)
            .map(|row| row.samples.clone())
            .collect();
        let windows = || rows.iter().map(Vec::as_slice);
        let mut candidate = self.member(0, Some(board))?;
        let answers = candidate.sense(self.now_ms, windows())?;
        self.compare(&candidate.board, windows(), &answers)
    }
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

/// Rows left out, by reason.
fn counts(rejected: &Rejected) -> BTreeMap<String, usize> {
    Reason::ALL
        .into_iter()
        .map(|reason| (reason.text().to_owned(), rejected.count(reason)))
        .filter(|(_, count)| *count > 0)
        .collect()
}
