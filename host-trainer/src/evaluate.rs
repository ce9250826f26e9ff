//! Runs models over data sets on the host, exactly as a device does: raw samples in.

use edge_compiler::AlignedBytes;
use edge_runtime::{ArenaError, FeatureError, LoadError, Model, Session};

use crate::dataset::Dataset;
use crate::float_model::{FloatModel, argmax};
use crate::metrics::Metrics;

/// Why a model cannot be evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The image is refused by the runtime.
    #[error("the image does not load: {0}")]
    Load(LoadError),
    /// The arena does not suit the image.
    #[error("the image does not run: {0}")]
    Arena(ArenaError),
    /// A row gives no features.
    #[error("row {row}: {problem}")]
    Features {
        /// Index of the row.
        row: usize,
        /// What the pipeline says.
        problem: FeatureError,
    },
}

/// What an image says about one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Quantised features: the input of the network.
    pub features: Vec<i8>,
    /// Its output, one byte for each class.
    pub output: Vec<i8>,
}

impl Answer {
    /// The class with the greatest output, the first of equals.
    pub fn class(&self) -> usize {
        argmax(&self.output)
    }

    /// The greatest output.
    pub fn confidence(&self) -> i8 {
        self.output.iter().copied().max().unwrap_or(i8::MIN)
    }
}

/// Features and outputs of an image for each row of samples.
///
/// # Errors
/// [`EvaluateError`] if the image is not valid or a row is not a window of finite samples.
pub fn run_image<'r>(
    image: &[u8],
    rows: impl IntoIterator<Item = &'r [f32]>,
) -> Result<Vec<Answer>, EvaluateError> {
    let image = AlignedBytes::from(image);
    let model = Model::load(&image).map_err(EvaluateError::Load)?;
    let pipeline = model.features();
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, arena.as_i8_mut()).map_err(EvaluateError::Arena)?;
    let mut scratch = vec![0.0; pipeline.scratch_len()];
    rows.into_iter()
        .enumerate()
        .map(|(row, samples)| {
            let mut features = vec![0; pipeline.feature_len()];
            pipeline
                .run(samples, &mut scratch, &mut features)
                .map_err(|problem| EvaluateError::Features { row, problem })?;
            session.input_mut().copy_from_slice(&features);
            session.run();
            Ok(Answer {
                features,
                output: session.output().to_vec(),
            })
        })
        .collect()
}

/// Figures of a compiled image on labelled rows.
///
/// # Errors
/// As [`run_image`].
pub fn evaluate_image(image: &[u8], data: &Dataset) -> Result<Metrics, EvaluateError> {
    let answers = run_image(image, data.rows.iter().map(|row| row.samples.as_slice()))?;
    let pairs = data
        .rows
        .iter()
        .zip(&answers)
        .map(|(row, answer)| (usize::from(row.label), answer.class()));
    Ok(Metrics::from_pairs(data.labels.len(), pairs))
}

/// Figures of a float network on labelled rows.
///
/// # Errors
/// [`EvaluateError::Features`] if a row is not a window of finite samples.
pub fn evaluate_float(model: &FloatModel, data: &Dataset) -> Result<Metrics, EvaluateError> {
    let features = model.features_of(data)?;
    let pairs = data
        .rows
        .iter()
        .zip(&features)
        .map(|(row, x)| (usize::from(row.label), argmax(&model.logits(x))));
    Ok(Metrics::from_pairs(data.labels.len(), pairs))
}
