//! Figures of one model image on one emulated board: [`run`] in the whole firmware, with the features
//! of a window; [`alone::run`] by itself, on any of the processors.

pub mod alone;

use edge_runtime::{LoadError, Model};
use emulator::{Board, Emulator, EmulatorError, Factory};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

/// Windows that are run; the figures are medians.
const WINDOWS: usize = 8;

/// What a model costs on a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Name of the board.
    pub board: String,
    /// Instructions of one inference, from input in place to output ready.
    pub instructions: u64,
    /// Instructions from the samples of a window to the quantised features.
    pub instructions_features: u64,
    /// Arena of a session.
    pub arena_bytes: usize,
    /// Peak of the whole firmware's stack.
    pub stack_bytes: u32,
    /// Length of the image.
    pub image_bytes: usize,
    /// Flash of the firmware, without the model.
    pub firmware_bytes: u32,
}

/// Why a model cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// Not an image that a device could run.
    #[error("not a usable model image: {0}")]
    Load(LoadError),
    /// The board.
    #[error(transparent)]
    Emulator(#[from] EmulatorError),
    /// No place for the flash of the board.
    #[error("no folder for the flash of the board: {0}")]
    Folder(std::io::Error),
}

/// Runs an image on a board, on windows of noise: an int8 network takes the same path whatever the
/// data, and the spectrum nearly so.
///
/// # Errors
/// [`BenchError`].
pub fn run(board: &str, image: &[u8]) -> Result<Figures, BenchError> {
    let aligned = edge_compiler::AlignedBytes::from(image);
    let model = Model::load(&aligned).map_err(BenchError::Load)?;
    let board = Board::find(board)?;
    let firmware_bytes = board.firmware_bytes();
    let name = board.name().to_string();
    let folder = tempfile::tempdir().map_err(BenchError::Folder)?;
    let factory = Factory {
        device_id: 1,
        public_key: [0; 32],
        image: Some(image),
        version: 1,
    };
    let mut emulator = Emulator::provision(board, &folder.path().join("flash.bin"), &factory)?;
    emulator.start()?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut steps = Vec::new();
    for _ in 0..WINDOWS {
        let window: Vec<f32> = (0..model.features().window)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect();
        steps.push(emulator.step(&window)?);
    }
    let median = |value: fn(&emulator::Step) -> u32| {
        let mut values: Vec<u32> = steps.iter().map(value).collect();
        values.sort_unstable();
        values
            .get(values.len() / 2)
            .copied()
            .unwrap_or_default()
            .into()
    };
    Ok(Figures {
        board: name,
        instructions: median(|step| step.instructions_model),
        instructions_features: median(|step| step.instructions_features),
        arena_bytes: model.arena_bytes(),
        stack_bytes: emulator.info()?.stack_peak,
        image_bytes: model.image_len(),
        firmware_bytes,
    })
}
