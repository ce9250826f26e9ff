//! What a training leaves behind: everything a release and a later retraining need.

use std::path::{Path, PathBuf};

use edge_compiler::Package;
use edge_compiler::target::Target;
use edge_compiler::{CompileError, Compiled, compile};
use serde::{Deserialize, Serialize};

use crate::float_model::FloatModel;
use crate::metrics::Metrics;
use crate::recipe::Recipe;

/// A finished training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What was asked for.
    pub recipe: Recipe,
    /// Seed of initialisation and shuffling.
    pub seed: u64,
    /// The float network.
    pub checkpoint: FloatModel,
    /// The int8 network with features, labels and drift reference: what the compiler takes.
    pub package: Package,
    /// Figures on the test rows.
    pub evaluation: Evaluation,
    /// The training windows as the device would see them.
    pub reference: Reference,
}

/// Figures on the test rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Of the float network.
    pub float: Metrics,
    /// Of the compiled image, executed by the runtime on raw samples.
    pub int8: Metrics,
}

/// The training windows as the device would see them: the null model of the drift test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Quantised features, one row for each window.
    pub rows: Vec<Vec<i8>>,
    /// Group of each window.
    pub groups: Vec<u32>,
    /// Class that the image predicts for each window.
    pub predictions: Vec<u8>,
    /// Greatest output byte of each window.
    pub confidences: Vec<i8>,
}

/// Why a run cannot be saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The file cannot be read or written.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not a run at all.
    #[error("not a Dunlin run: it does not start with the mark of one")]
    NotARun,
    /// Written by another version.
    #[error(
        "the run has format {found}, this version reads {}: train again",
        RUN_FORMAT
    )]
    Version {
        /// Format in the file.
        found: u8,
    },
    /// Cut short or changed.
    #[error("the run is damaged: {0}; train again")]
    Damaged(String),
}

const MARK: &[u8; 4] = b"DRUN";
/// Format of the bytes of a run.
pub const RUN_FORMAT: u8 = 2;
/// Name of the file in a run's folder that holds all of it.
pub const RUN_FILE: &str = "run.bin";

impl Run {
    /// Compiles the package for a target.
    ///
    /// # Errors
    /// As the compiler: what does not fit, by how much, and which operator needs it.
    pub fn compile(&self, target: &Target) -> Result<Compiled, CompileError> {
        compile(&self.package, target)
    }

    /// Mark, format, postcard body, CRC-32 of all before it (little-endian).
    ///
    /// # Errors
    /// [`RunError::Damaged`] if the run cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RunError> {
        let mut bytes = MARK.to_vec();
        bytes.push(RUN_FORMAT);
        let mut bytes = postcard::to_extend(self, bytes)
            .map_err(|error| RunError::Damaged(error.to_string()))?;
        bytes.extend_from_slice(&crc32(&bytes).to_le_bytes());
        Ok(bytes)
    }

    /// Reads what [`Run::to_bytes`] wrote.
    ///
    /// # Errors
    /// Typed for foreign, old, truncated and changed bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RunError> {
        let body = bytes.strip_prefix(MARK).ok_or(RunError::NotARun)?;
        match body.first() {
            Some(&RUN_FORMAT) => {}
            Some(&found) => return Err(RunError::Version { found }),
            None => return Err(RunError::Damaged("nothing after the mark".to_owned())),
        }
        let (all, crc) = bytes
            .split_last_chunk::<4>()
            .filter(|(all, _)| all.len() > MARK.len())
            .ok_or_else(|| RunError::Damaged("cut short".to_owned()))?;
        if crc32(all) != u32::from_le_bytes(*crc) {
            return Err(RunError::Damaged("its checksum differs".to_owned()));
        }
        postcard::from_bytes(&all[MARK.len() + 1..])
            .map_err(|error| RunError::Damaged(error.to_string()))
    }

    /// Writes the run into a folder, made if need be: [`RUN_FILE`], and `recipe.toml` for people.
    ///
    /// # Errors
    /// [`RunError::Io`] names the file.
    pub fn save(&self, dir: &Path) -> Result<(), RunError> {
        let io = |path: PathBuf| move |source| RunError::Io { path, source };
        std::fs::create_dir_all(dir).map_err(io(dir.to_owned()))?;
        let path = dir.join("recipe.toml");
        std::fs::write(&path, self.recipe.to_toml()).map_err(io(path))?;
        let path = dir.join(RUN_FILE);
        std::fs::write(&path, self.to_bytes()?).map_err(io(path))
    }

    /// Reads a run's folder.
    ///
    /// # Errors
    /// [`RunError::Io`] names the file; otherwise as [`Run::from_bytes`].
    pub fn load(dir: &Path) -> Result<Self, RunError> {
        let path = dir.join(RUN_FILE);
        let bytes = std::fs::read(&path).map_err(|source| RunError::Io { path, source })?;
        Self::from_bytes(&bytes)
    }
}

/// CRC-32 (IEEE), bit by bit: a run is read a few times in its life.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}
