//! Fits the network of a recipe to data, with burn on the CPU.

mod layout;
mod network;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::dataset::{Dataset, Split};
use crate::float_model::{FloatModel, argmax};
use crate::recipe::{Recipe, TrainingRecipe};
use crate::run::Run;
use network::{Batch, Network};

/// State of a training after one epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Finished epochs, from 1.
    pub epoch: u32,
    /// Most epochs there can be.
    pub epochs: u32,
    /// Mean loss on the training rows.
    pub loss: f32,
    /// Mean loss on the validation rows.
    pub validation_loss: f32,
    /// Accuracy on the validation rows, 0..=1.
    pub validation_accuracy: f32,
    /// Whether this is the best epoch so far, whose weights are kept.
    pub best: bool,
}

/// Why a training is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A part of the split has no rows.
    #[error("no usable rows for {part}: check the data set")]
    NoRows {
        /// `training`, `validation` or `test`.
        part: &'static str,
    },
    /// A classifier needs two classes.
    #[error("training needs rows of at least 2 classes, the data has {found}")]
    TooFewClasses {
        /// Classes with training rows.
        found: usize,
    },
    /// A class of the data has no training row.
    #[error(
        "class `{label}` has no training rows: add some or take it out of the labels"
    )]
    ClassWithoutRows {
        /// Its name.
        label: String,
    },
    /// A row cannot be used; importers leave such rows out.
    #[error("{part} row {row}: {problem}")]
    BadRow {
        /// Part of the split.
        part: &'static str,
        /// Index in it.
        row: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The parts differ in window or labels.
    #[error("training, validation and test rows differ in window or labels")]
    PartsDiffer,
    /// The layers do not fit the features.
    #[error("layer {layer} of the model: {problem}")]
    Model {
        /// From 1.
        layer: usize,
        /// What is wrong.
        problem: String,
    },
    /// The checkpoint to start from has another shape.
    #[error("the checkpoint to start from does not fit the recipe: {0}")]
    Start(&'static str),
    /// The loss became infinite or not a number.
    #[error("training diverged in epoch {epoch}: lower `learning_rate`")]
    Diverged {
        /// From 1.
        epoch: u32,
    },
    /// The feature pipeline refuses the recipe.
    #[error("features: {0}")]
    Features(String),
    /// The quantised model does not compile for the host.
    #[error("compiling for evaluation: {0}")]
    Compile(#[from] edge_compiler::CompileError),
    /// The compiled image cannot be evaluated.
    #[error("evaluating the compiled model: {0}")]
    Evaluate(#[from] crate::evaluate::EvaluateError),
}

/// Trains, quantises, compiles for the host and evaluates.
///
/// Without `start` the weights are drawn anew and `[training]` of the recipe decides. With it,
/// weights and normalisation begin as in that checkpoint, and `[retraining]` decides epochs and
/// learning rate. The weights of the epoch with the least validation loss are kept. The same
/// arguments give the same run.
///
/// # Errors
/// [`TrainError`] for data, recipes and checkpoints that cannot be used.
pub fn train(
    recipe: &Recipe,
    data: &Split,
    start: Option<&FloatModel>,
    seed: u64,
    progress: &mut dyn FnMut(Progress),
) -> Result<Run, TrainError> {
    let checkpoint = fit(recipe, data, start, seed, progress)?;
    crate::quantise::package(recipe, data, checkpoint, seed)
}

/// The first half of [`train`]: the float network alone.
///
/// # Errors
/// As [`train`].
pub fn fit(
    recipe: &Recipe,
    data: &Split,
    start: Option<&FloatModel>,
    seed: u64,
    progress: &mut dyn FnMut(Progress),
) -> Result<FloatModel, TrainError> {
    check(data)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut model = match start {
        Some(start) => {
            let mut wanted = layout::untrained(recipe, data, start.features.clone(), &mut rng)?;
            layout::continue_from(&mut wanted, start)?;
            wanted
        }
        None => layout::untrained(recipe, data, layout::fit_features(recipe, data)?, &mut rng)?,
    };
    let training = &recipe.training;
    let (epochs, first_rate) = match start {
        Some(_) => (recipe.retraining.epochs, recipe.retraining.learning_rate),
        None => (training.epochs, training.learning_rate),
    };
    let rows = Rows::new(&model, &data.train, "training")?;
    let validation = Rows::new(&model, &data.validation, "validation")?;

    let mut network = Network::new(&model, training.weight_decay);
    let mut best = f32::INFINITY;
    let mut best_model = model.clone();
    let mut since_best = 0;
    let mut order: Vec<usize> = (0..rows.labels.len()).collect();
    for epoch in 0..epochs {
        order.shuffle(&mut rng);
        let along = f64::from(epoch) / f64::from(epochs);
        let cosine = 0.5 + 0.5 * (std::f64::consts::PI * along).cos();
        let rate = first_rate * (0.05 + 0.95 * cosine);
        let mut loss = 0.0;
        for chunk in order.chunks(training.batch) {
            let (batch, weight) = rows.batch(chunk, training, &mut rng);
            loss += network.step(&batch, weight, rate);
        }
        network.store(&mut model);
        let (validation_loss, validation_accuracy) = validation.judge(&model);
        let loss = loss / rows.weights.iter().sum::<f32>();
        if !(loss.is_finite() && validation_loss.is_finite()) {
            return Err(TrainError::Diverged { epoch: epoch + 1 });
        }
        let improved = validation_loss < best;
        if improved {
            best = validation_loss;
            best_model.clone_from(&model);
            since_best = 0;
        } else {
            since_best += 1;
        }
        progress(Progress {
            epoch: epoch + 1,
            epochs,
            loss,
            validation_loss,
            validation_accuracy,
            best: improved,
        });
        if since_best >= training.patience {
            break;
        }
    }
    Ok(best_model)
}

/// Refuses what cannot be trained on.
fn check(data: &Split) -> Result<(), TrainError> {
    let parts = [
        ("training", &data.train),
        ("validation", &data.validation),
        ("test", &data.test),
    ];
    for (part, set) in parts {
        if set.window != data.train.window || set.labels != data.train.labels {
            return Err(TrainError::PartsDiffer);
        }
        if set.rows.is_empty() {
            return Err(TrainError::NoRows { part });
        }
        for (index, row) in set.rows.iter().enumerate() {
            let problem = if row.samples.len() != set.window {
                "not as many samples as the window has"
            } else if row.samples.iter().any(|sample| !sample.is_finite()) {
                "a sample is not finite"
            } else if usize::from(row.label) >= set.labels.len() {
                "a label beyond the classes"
            } else if !(row.weight.is_finite() && row.weight > 0.0) {
                "a weight that is not above zero"
            } else {
                continue;
            };
            return Err(TrainError::BadRow {
                part,
                row: index,
                problem,
            });
        }
    }
    let counts = data.train.class_counts();
    let found = counts.iter().filter(|&&count| count > 0).count();
    if found < 2 {
        return Err(TrainError::TooFewClasses { found });
    }
    match counts.iter().position(|&count| count == 0) {
        Some(class) => Err(TrainError::ClassWithoutRows {
            label: data.train.labels[class].clone(),
        }),
        None => Ok(()),
    }
}

/// Rows as the network takes them.
struct Rows {
    features: Vec<Vec<f32>>,
    labels: Vec<u16>,
    weights: Vec<f32>,
    classes: usize,
}

impl Rows {
    fn new(model: &FloatModel, data: &Dataset, part: &'static str) -> Result<Self, TrainError> {
        let features = model
            .features_of(data)
            .map_err(|error| TrainError::Features(format!("{part} {error}")))?;
        Ok(Self {
            features,
            labels: data.rows.iter().map(|row| row.label).collect(),
            weights: data.rows.iter().map(|row| row.weight).collect(),
            classes: data.labels.len(),
        })
    }

    /// The rows with these indices, and the sum of their weights.
    fn batch(
        &self,
        indices: &[usize],
        training: &TrainingRecipe,
        rng: &mut ChaCha8Rng,
    ) -> (Batch, f32) {
        let mut features = Vec::new();
        let mut targets = vec![0.0; indices.len() * self.classes];
        let mut total = 0.0;
        for (&index, target) in indices.iter().zip(targets.chunks_exact_mut(self.classes)) {
            features.extend_from_slice(&self.features[index]);
            let weight = self.weights[index];
            total += weight;
            target.fill(weight * training.label_smoothing / self.classes as f32);
            target[usize::from(self.labels[index])] += weight * (1.0 - training.label_smoothing);
        }
        if training.feature_noise > 0.0 {
            for value in &mut features {
                *value += training.feature_noise * normal(rng);
            }
        }
        let rows = indices.len();
        let batch = Batch {
            features,
            targets,
            rows,
        };
        (batch, total)
    }

    /// Mean loss and accuracy.
    fn judge(&self, model: &FloatModel) -> (f32, f32) {
        let (mut loss, mut right, mut weight) = (0.0, 0.0, 0.0);
        for ((x, &label), w) in self.features.iter().zip(&self.labels).zip(&self.weights) {
            let probabilities = model.forward(x);
            let label = usize::from(label);
            loss -= w * probabilities[label].max(1e-7).ln();
            right += w * f32::from(u8::from(argmax(&probabilities) == label));
            weight += w;
        }
        (loss / weight, right / weight)
    }
}

/// Normal with mean 0 and deviation 1 (Box and Muller).
fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let unit = |rng: &mut ChaCha8Rng| (rng.next_u32() >> 8) as f32 / (1 << 24) as f32;
    let radius = (-2.0 * (1.0 - unit(rng)).ln()).sqrt();
    radius * (std::f32::consts::TAU * unit(rng)).cos()
}

#[cfg(test)]
mod tests;
