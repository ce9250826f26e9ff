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
    #[error("class `{label}` has no training rows: add some or take it out of the labels")]
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
    /// Nothing in the rows tells one from another.
    #[error("no feature differs between the training rows: the data holds nothing to learn from")]
    NoInformation,
    /// Samples so great or so far apart that a feature cannot be normalised.
    #[error(
        "feature {feature} ranges from {least:e} to {most:e} over the training rows, too far to be \
         normalised: leave out the rows with such samples or give them in a greater unit"
    )]
    Overflow {
        /// Index of the feature.
        feature: usize,
        /// Its least value.
        least: f32,
        /// Its greatest value.
        most: f32,
    },
    /// The quantised model does not compile for the host.
    #[error("the quantised model does not compile for evaluation")]
    Compile(#[from] edge_compiler::CompileError),
    /// The compiled image cannot be evaluated.
    #[error("the compiled model cannot be evaluated")]
    Evaluate(#[from] crate::evaluate::EvaluateError),
}

/// Trains, quantises, compiles for the host and evaluates.
///
/// Without `start` the weights are drawn anew and `[training]` of the recipe decides. With it,
/// weights and normalisation begin as in that checkpoint, and `[retraining]` decides the number of
/// steps and the learning rate; see [`Split::with_labelled`] for its data. The same arguments give
/// the same run.
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
    let features = match start {
        Some(start) => start.features.clone(),
        None => layout::fit_features(recipe, data)?,
    };
    let mut model = layout::untrained(recipe, data, features, &mut rng)?;
    if let Some(start) = start {
        layout::continue_from(&mut model, start)?;
    }
    let rows = Rows::new(&model, &data.train, "training")?;
    let validation = Rows::new(&model, &data.validation, "validation")?;

    let training = &recipe.training;
    let mut plan = Plan::new(recipe, rows.labels.len(), start.is_some());
    let mut sampler = Sampler::new(&rows.weights);
    let mut network = Network::new(&model, training.weight_decay);
    let mut best = f32::INFINITY;
    let mut best_model = None;
    let mut since_best = 0;
    for epoch in 1..=plan.epochs {
        let (mut loss, mut seen) = (0.0, 0);
        for indices in sampler.epoch(training.batch, plan.steps_left(), &mut rng) {
            let batch = rows.batch(indices, training, &mut rng);
            loss += network.step(&batch, plan.next_rate()) * batch.rows as f32;
            seen += batch.rows;
        }
        network.store(&mut model);
        let loss = loss / seen.max(1) as f32;
        let (validation_loss, validation_accuracy) = validation.judge(&model);
        if !(loss.is_finite() && validation_loss.is_finite()) {
            return Err(TrainError::Diverged { epoch });
        }
        let improved = validation_loss < best;
        since_best = if improved { 0 } else { since_best + 1 };
        if improved {
            best = validation_loss;
            if plan.patience.is_some() {
                best_model = Some(model.clone());
            }
        }
        progress(Progress {
            epoch,
            epochs: plan.epochs,
            loss,
            validation_loss,
            validation_accuracy,
            best: improved,
        });
        if plan.patience.is_some_and(|patience| since_best >= patience) {
            break;
        }
    }
    Ok(best_model.unwrap_or(model))
}

/// How long to train, and how fast.
struct Plan {
    epochs: u32,
    steps: usize,
    done: usize,
    first_rate: f64,
    patience: Option<u32>,
}

impl Plan {
    fn new(recipe: &Recipe, rows: usize, retraining: bool) -> Self {
        let steps_per_epoch = rows.div_ceil(recipe.training.batch);
        if retraining {
            let steps = recipe.retraining.steps as usize;
            return Self {
                epochs: steps.div_ceil(steps_per_epoch) as u32,
                steps,
                done: 0,
                first_rate: recipe.retraining.learning_rate,
                patience: None,
            };
        }
        Self {
            epochs: recipe.training.epochs,
            steps: recipe.training.epochs as usize * steps_per_epoch,
            done: 0,
            first_rate: recipe.training.learning_rate,
            patience: recipe.training.patience,
        }
    }

    fn steps_left(&self) -> usize {
        self.steps - self.done
    }

    /// The learning rate of the next step: a cosine from the first rate to 0.
    fn next_rate(&mut self) -> f64 {
        let along = self.done as f64 / self.steps as f64;
        self.done += 1;
        self.first_rate * (0.5 + 0.5 * (std::f64::consts::PI * along).cos())
    }
}

/// Which rows make up each batch.
struct Sampler {
    order: Vec<usize>,
    /// Sums of the weights up to and with each row; empty where all are equal.
    sums: Vec<f64>,
}

impl Sampler {
    fn new(weights: &[f32]) -> Self {
        let equal = weights.iter().all(|w| *w == weights[0]);
        let sums = weights.iter().scan(0.0, |sum, w| {
            *sum += f64::from(*w);
            Some(*sum)
        });
        Self {
            order: (0..weights.len()).collect(),
            sums: if equal { Vec::new() } else { sums.collect() },
        }
    }

    /// Batches of one epoch, `most` at most: every row once, or as many draws with replacement.
    fn epoch(
        &mut self,
        batch: usize,
        most: usize,
        rng: &mut ChaCha8Rng,
    ) -> impl Iterator<Item = &[usize]> + use<'_> {
        match self.sums.last() {
            None => self.order.shuffle(rng),
            Some(total) => {
                for index in &mut self.order {
                    let at = total * f64::from(unit(rng));
                    let found = self.sums.partition_point(|sum| *sum <= at);
                    *index = found.min(self.sums.len() - 1);
                }
            }
        }
        self.order.chunks(batch).take(most)
    }
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

    /// The rows with these indices.
    fn batch(&self, indices: &[usize], training: &TrainingRecipe, rng: &mut ChaCha8Rng) -> Batch {
        let mut features = Vec::new();
        let even = training.label_smoothing / self.classes as f32;
        let mut targets = vec![even; indices.len() * self.classes];
        for (&index, target) in indices.iter().zip(targets.chunks_exact_mut(self.classes)) {
            features.extend_from_slice(&self.features[index]);
            target[usize::from(self.labels[index])] += 1.0 - training.label_smoothing;
        }
        if training.feature_noise > 0.0 {
            for value in &mut features {
                *value += training.feature_noise * normal(rng);
            }
        }
        let rows = indices.len();
        Batch {
            features,
            targets,
            rows,
        }
    }

    /// Mean loss and accuracy.
    fn judge(&self, model: &FloatModel) -> (f32, f32) {
        let (mut loss, mut right) = (0.0, 0.0);
        for (x, &label) in self.features.iter().zip(&self.labels) {
            let probabilities = model.forward(x);
            let label = usize::from(label);
            loss -= probabilities[label].max(1e-7).ln();
            right += f32::from(u8::from(argmax(&probabilities) == label));
        }
        let rows = self.labels.len() as f32;
        (loss / rows, right / rows)
    }
}

/// Evenly from 0 to below 1.
fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

/// Normal with mean 0 and deviation 1 (Box and Muller).
fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let radius = (-2.0 * (1.0 - unit(rng)).ln()).sqrt();
    radius * (std::f32::consts::TAU * unit(rng)).cos()
}

#[cfg(test)]
mod tests;
