//! What a run is made of: one TOML file with data, features, model, training and fleet.
//!
//! Every table refuses keys it does not know; [`RecipeError`] names file, line and the nearest
//! valid key. Ranges are checked once, here.

mod error;

pub use error::RecipeError;

use edge_runtime::FeatureKind;
use serde::{Deserialize, Serialize};

use crate::vibration::VibrationSpec;

/// The recipe of the built-in data, as text.
pub const VIBRATION: &str = include_str!("../../recipes/vibration.toml");
/// The recipe of the gas-sensor drift data, as text.
pub const GAS_DRIFT: &str = include_str!("../../recipes/gas-drift.toml");

/// Most windows of the fleet in one round, which are all in memory at once.
const MOST_WINDOWS: u32 = 1_000_000;

/// A whole recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Short name, used in reports.
    pub name: String,
    /// Where windows come from.
    pub data: DataRecipe,
    /// What is computed from a window.
    pub features: FeatureRecipe,
    /// The network.
    pub model: ModelRecipe,
    /// How it is trained.
    pub training: TrainingRecipe,
    /// How a new release is trained from field data.
    pub retraining: RetrainingRecipe,
    /// The fleet that runs it.
    pub fleet: FleetRecipe,
}

/// Where windows come from: one of the tables `[data.vibration]` and `[data.gas]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "DataTables", into = "DataTables")]
pub enum DataRecipe {
    /// The built-in simulator of rotating machines.
    Vibration(VibrationSpec),
    /// Files of the UCI gas-sensor drift set in the folder given by `--data`.
    Gas(GasRecipe),
}

/// The same as written, so that a misspelt table is an unknown key like any other.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataTables {
    vibration: Option<VibrationSpec>,
    gas: Option<GasRecipe>,
}

impl TryFrom<DataTables> for DataRecipe {
    type Error = &'static str;

    fn try_from(tables: DataTables) -> Result<Self, Self::Error> {
        match (tables.vibration, tables.gas) {
            (Some(spec), None) => Ok(Self::Vibration(spec)),
            (None, Some(spec)) => Ok(Self::Gas(spec)),
            _ => Err("needs one of the tables `[data.vibration]` and `[data.gas]`"),
        }
    }
}

impl From<DataRecipe> for DataTables {
    fn from(data: DataRecipe) -> Self {
        match data {
            DataRecipe::Vibration(spec) => Self {
                vibration: Some(spec),
                gas: None,
            },
            DataRecipe::Gas(spec) => Self {
                vibration: None,
                gas: Some(spec),
            },
        }
    }
}

/// The gas-sensor drift set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GasRecipe {
    /// Batch that the first model is trained on.
    pub train_batch: u32,
    /// Batches that the fleet lives through, in order: at least one, none twice, not the training
    /// batch.
    pub field_batches: Vec<u32>,
    /// Share of the training batch held out for the test, 0..1.
    pub held_out: f64,
    /// Share of the training batch that early stopping looks at, 0..1.
    pub validation: f64,
}

impl GasRecipe {
    fn check_batches(&self) -> Result<(), (&'static str, String)> {
        let key = "data.gas.field_batches";
        if self.field_batches.is_empty() {
            return Err((key, "is empty, must name at least one batch".to_owned()));
        }
        let mut sorted = self.field_batches.clone();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err((key, format!("names batch {} twice", pair[0])));
        }
        // A field that the model was trained on would show figures that are too good.
        if sorted.contains(&self.train_batch) {
            let problem = format!("holds the training batch {}", self.train_batch);
            return Err((key, problem));
        }
        Ok(())
    }
}

/// What is computed from a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureRecipe {
    /// The pipeline.
    pub kind: FeatureName,
    /// Vibration: bands of each spectrum. Compress: kinds of values that each sensor of an array
    /// delivers in turn, 0 for no such kinds. Standardise: 0.
    #[serde(default)]
    pub bands: usize,
}

/// Names of the feature pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureName {
    /// The samples themselves, standardised.
    Standardise,
    /// Log spectrum and log envelope spectrum.
    Vibration,
    /// Signed logarithm of each value relative to the mean of its kind, for arrays of sensors.
    Compress,
}

impl FeatureName {
    /// The pipeline of the runtime.
    pub fn kind(self) -> FeatureKind {
        match self {
            Self::Standardise => FeatureKind::Standardise,
            Self::Vibration => FeatureKind::Vibration,
            Self::Compress => FeatureKind::Compress,
        }
    }
}

/// The network: these layers, each but the pools followed by a ReLU, then a dense layer with one
/// output per class and a softmax.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecipe {
    /// From the input on.
    pub layers: Vec<LayerRecipe>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum LayerRecipe {
    /// Convolution along the bands (2-D with height 1, padding `same`).
    Conv {
        /// Output channels, 1..=256.
        filters: usize,
        /// Taps, 1..=31.
        kernel: usize,
        /// Step, 1..=8.
        #[serde(default = "one")]
        stride: usize,
    },
    /// Greatest of each `size` neighbours, step `size`.
    Pool {
        /// Width, 2..=8.
        size: usize,
    },
    /// Fully connected.
    Dense {
        /// Outputs, 1..=1024.
        units: usize,
    },
}

fn one() -> usize {
    1
}

/// How a model is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecipe {
    /// Most passes over the training rows, 1..=10000.
    pub epochs: u32,
    /// Rows of one step, 1..=4096.
    pub batch: usize,
    /// Adam's step size at the start; it falls to 0 along a cosine. Above 0, at most 1.
    pub learning_rate: f64,
    /// Decoupled decay of the weights, not of the biases, 0..=1.
    #[serde(default)]
    pub weight_decay: f64,
    /// Epochs without improvement on the validation rows before training stops; the best epoch's
    /// weights are kept. Without it all epochs are run and the last weights kept.
    pub patience: Option<u32>,
    /// Share of the target given to all classes alike, 0..=0.5.
    #[serde(default)]
    pub label_smoothing: f32,
    /// Standard deviation of the noise added to the normalised features, 0..=2.
    #[serde(default)]
    pub feature_noise: f32,
}

/// How a new release is trained from field data: always for all its steps, because the validation
/// rows come from the field as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrainingRecipe {
    /// Steps of one batch each, 1..=1000000.
    pub steps: u32,
    /// As in `[training]`.
    pub learning_rate: f64,
    /// Share of the rows drawn for a batch that are newly labelled ones, 0.01..=0.99; the others
    /// come from the first training set.
    pub new_share: f64,
}

/// The fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetRecipe {
    /// Devices, 1..=10000.
    pub devices: u32,
    /// Rounds before the field changes, 0..=1000. 0 where the data itself drifts.
    #[serde(default)]
    pub quiet_rounds: u32,
    /// Rounds after it, 0..=1000. 0 where the batches of the data are the rounds.
    #[serde(default)]
    pub changed_rounds: u32,
    /// Windows that a device senses in one round, 0..=10000, at most 1000000 in the whole fleet.
    /// 0 where the data says how many there are.
    #[serde(default)]
    pub windows_per_round: u32,
    /// Share of a round's windows whose raw samples may come home, in thousandths.
    pub sample_permille: u16,
    /// Labels that may be bought in all, fleet-wide. 0: every returned sample.
    #[serde(default)]
    pub label_budget: u32,
    /// Which windows come home.
    pub selection: Selection,
}

/// Which windows come home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// Those that differ most from each other.
    Diverse,
    /// Any, by chance.
    Random,
}

impl Recipe {
    /// Reads a recipe; `file` is only named in errors.
    ///
    /// # Errors
    /// [`RecipeError`], with file and line wherever a place in the text is to blame.
    pub fn parse(text: &str, file: &str) -> Result<Self, RecipeError> {
        let recipe: Self =
            toml::from_str(text).map_err(|error| RecipeError::from_toml(&error, text, file))?;
        recipe
            .check()
            .map_err(|(key, problem)| RecipeError::OutOfRange {
                file: file.to_owned(),
                line: error::line_of_key(text, key),
                key: key.to_owned(),
                problem,
            })?;
        Ok(recipe)
    }

    /// Reads a recipe file.
    ///
    /// # Errors
    /// [`RecipeError::Unreadable`] names the path; otherwise as [`Recipe::parse`].
    pub fn load(path: &std::path::Path) -> Result<Self, RecipeError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| RecipeError::Unreadable {
            file: file.clone(),
            source,
        })?;
        Self::parse(&text, &file)
    }

    /// The built-in recipe for simulated vibration.
    ///
    /// # Panics
    /// Never: a test parses the built-in text.
    pub fn vibration() -> Self {
        Self::parse(VIBRATION, "recipes/vibration.toml").expect("the built-in recipe is tested")
    }

    /// The recipe for the gas-sensor drift data.
    ///
    /// # Panics
    /// Never: a test parses the built-in text.
    pub fn gas_drift() -> Self {
        Self::parse(GAS_DRIFT, "recipes/gas-drift.toml").expect("the built-in recipe is tested")
    }

    /// The recipe as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        fn range<T: PartialOrd + std::fmt::Display>(
            key: &'static str,
            value: T,
            least: T,
            most: T,
        ) -> Result<(), (&'static str, String)> {
            // Written so that NaN fails.
            if value >= least && value <= most {
                return Ok(());
            }
            Err((key, format!("is {value}, must be {least} to {most}")))
        }
        let t = &self.training;
        range("training.epochs", t.epochs, 1, 10_000)?;
        range("training.batch", t.batch, 1, 4096)?;
        range("training.learning_rate", t.learning_rate, 1e-7, 1.0)?;
        range("training.weight_decay", t.weight_decay, 0.0, 1.0)?;
        range("training.patience", t.patience.unwrap_or(1), 1, 10_000)?;
        range("training.label_smoothing", t.label_smoothing, 0.0, 0.5)?;
        range("training.feature_noise", t.feature_noise, 0.0, 2.0)?;
        let r = &self.retraining;
        range("retraining.steps", r.steps, 1, 1_000_000)?;
        range("retraining.learning_rate", r.learning_rate, 1e-7, 1.0)?;
        range("retraining.new_share", r.new_share, 0.01, 0.99)?;
        let f = &self.fleet;
        range("fleet.devices", f.devices, 1, 10_000)?;
        range("fleet.quiet_rounds", f.quiet_rounds, 0, 1000)?;
        range("fleet.changed_rounds", f.changed_rounds, 0, 1000)?;
        let least = match &self.data {
            DataRecipe::Vibration(_) => 1,
            DataRecipe::Gas(_) => 0,
        };
        range(
            "fleet.windows_per_round",
            f.windows_per_round,
            least,
            10_000,
        )?;
        // Neither product nor sum can overflow within the ranges above.
        let windows = f.devices * f.windows_per_round;
        if windows > MOST_WINDOWS {
            let problem = format!(
                "is {}, with which the {} devices have {windows} windows in a round, must be at \
                 most {MOST_WINDOWS}",
                f.windows_per_round, f.devices
            );
            return Err(("fleet.windows_per_round", problem));
        }
        if f.quiet_rounds + f.changed_rounds < least {
            let problem = "is 0 and so is `changed_rounds`: one of them must be 1 to 1000";
            return Err(("fleet.quiet_rounds", problem.to_owned()));
        }
        range("fleet.sample_permille", f.sample_permille, 0, 1000)?;
        for layer in &self.model.layers {
            match *layer {
                LayerRecipe::Conv {
                    filters,
                    kernel,
                    stride,
                } => {
                    range("model.layers.filters", filters, 1, 256)?;
                    range("model.layers.kernel", kernel, 1, 31)?;
                    range("model.layers.stride", stride, 1, 8)?;
                }
                LayerRecipe::Pool { size } => range("model.layers.size", size, 2, 8)?,
                LayerRecipe::Dense { units } => range("model.layers.units", units, 1, 1024)?,
            }
        }
        let window = match &self.data {
            DataRecipe::Vibration(spec) => {
                spec.check()?;
                spec.window
            }
            DataRecipe::Gas(gas) => {
                gas.check_batches()?;
                range("data.gas.held_out", gas.held_out, 0.01, 0.9)?;
                range("data.gas.validation", gas.validation, 0.01, 0.9)?;
                range(
                    "data.gas.validation",
                    gas.validation + gas.held_out,
                    0.0,
                    0.95,
                )?;
                crate::gas::WINDOW
            }
        };
        let bands = self.features.bands;
        if !self.features.kind.kind().supports(window, bands) {
            let problem = format!(
                "is {bands}, which this pipeline cannot have with a window of {window}: \
                 `vibration` needs a divisor of half the window (itself 128, 256, 512 or 1024), \
                 `compress` a divisor of the window or 0, `standardise` 0"
            );
            return Err(("features.bands", problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
