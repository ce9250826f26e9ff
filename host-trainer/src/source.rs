//! From a recipe to its data.

use std::path::Path;

use crate::dataset::{Split, SplitError};
use crate::gas::{self, GasError};
use crate::recipe::{DataRecipe, Recipe};
use crate::vibration;

/// Why a recipe's data cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The recipe reads files, and no folder was given.
    #[error("recipe `{recipe}` reads its data from a folder: name it with --data or DUNLIN_DATA")]
    NoFolder {
        /// Name of the recipe.
        recipe: String,
    },
    /// A file is missing or unusable.
    #[error(transparent)]
    Gas(#[from] GasError),
    /// The data cannot be split.
    #[error(transparent)]
    Split(#[from] SplitError),
}

/// The rows that the first model is trained and judged on: vibration split by machine, gas (whose
/// rows carry no machine) row by row with equal shares of each class. `dir` is the folder of the
/// data, which the built-in data does not need. The same arguments give the same rows.
///
/// # Errors
/// [`SourceError`]; a missing file is named.
pub fn load(recipe: &Recipe, dir: Option<&Path>, seed: u64) -> Result<Split, SourceError> {
    match &recipe.data {
        DataRecipe::Vibration(spec) => {
            let data = vibration::generate(spec, seed);
            Ok(data.split_by_group(spec.validation, spec.test, seed)?)
        }
        DataRecipe::Gas(spec) => {
            let dir = dir.ok_or_else(|| SourceError::NoFolder {
                recipe: recipe.name.clone(),
            })?;
            let data = gas::read_batch(dir, spec.train_batch)?;
            Ok(data.split_by_row(spec.validation, spec.held_out, seed)?)
        }
    }
}
