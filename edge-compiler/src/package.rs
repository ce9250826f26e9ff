//! All that one image binds together.

use serde::{Deserialize, Serialize};

use crate::graph::{Graph, GraphError};

pub use edge_runtime::FeatureKind;
use edge_runtime::FeaturePipeline;

/// Everything that goes into an image, the same for every target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Package {
    /// The quantised network.
    pub graph: Graph,
    /// What turns a window of samples into its input.
    pub features: FeatureSpec,
    /// One for each element of the output, not empty, without line breaks; or no labels at all.
    pub labels: Vec<String>,
    /// What the device and the server compare the field with.
    pub drift: DriftSpec,
    /// Anything that only the host reads.
    pub metadata: String,
}

/// The feature pipeline: a window of `f32` samples in, one real number for each element of the
/// graph's input out, `(x[i] - offset[i]) * gain[i]`, quantised with the input's scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureSpec {
    /// How the raw features are computed.
    #[serde(with = "kind_name")]
    pub kind: FeatureKind,
    /// Samples of one window as the sensor delivers them.
    pub window: usize,
    /// Spectrum bands per channel; 0 where the kind has none.
    pub bands: usize,
    /// Samples per second; 0 where it has no meaning.
    pub sample_rate_hz: f32,
    /// Subtracted from each raw feature; one for each.
    pub offset: Vec<f32>,
    /// Multiplied afterwards; one for each, not zero.
    pub gain: Vec<f32>,
}

/// The reference that drift is measured against.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DriftSpec {
    /// For each monitored feature 15 ascending bin edges (of the quantised feature). As many
    /// features as the graph's input has, or none.
    pub edges: Vec<[i8; 15]>,
    /// For each monitored feature the reference windows in each of its 16 bins.
    pub counts: Vec<[u32; 16]>,
    /// Reference windows by the highest output, `bin = (q + 128) / 16`.
    pub confidence: [u32; 16],
    /// Reference windows by predicted class; one for each element of the output.
    pub classes: Vec<u32>,
    /// Reference windows counted.
    pub windows: u32,
}

/// Why a package is refused, the graph apart.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The graph is not well formed.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A list has not the length that the graph needs.
    #[error("the package has {found} {what}, the graph needs {expected}")]
    Count {
        /// What is counted.
        what: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The pipeline gives another number of features than the graph's input has elements.
    #[error(
        "the pipeline gives {features} features from a window of {window} samples, but the \
         graph's input has {input} elements: change the window, the bands or the input's shape"
    )]
    FeatureCount {
        /// What the pipeline gives.
        features: usize,
        /// Its window.
        window: usize,
        /// Elements of the graph's input.
        input: usize,
    },
    /// An offset, gain or sample rate that is not finite, a gain of zero or a negative rate.
    #[error(
        "{what} {index} of the feature pipeline is {value}: it must be finite, a gain not zero and \
         a rate not negative"
    )]
    BadValue {
        /// "offset", "gain" or "sample rate".
        what: &'static str,
        /// Its index.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// A window or number of bands that no pipeline has.
    #[error(
        "a {kind:?} pipeline cannot have a window of {window} samples and {bands} bands: see \
         FeatureKind::supports for what it can"
    )]
    BadPipeline {
        /// The kind.
        kind: FeatureKind,
        /// Samples of a window.
        window: usize,
        /// Bands.
        bands: usize,
    },
    /// A label that is empty or holds a line break.
    #[error("label {index} is {label:?}: it must not be empty or hold a line break")]
    BadLabel {
        /// Its index.
        index: usize,
        /// The label.
        label: String,
    },
    /// Edges of a feature that descend.
    #[error("the drift edges of feature {feature} are not ascending")]
    UnsortedEdges {
        /// The feature.
        feature: usize,
    },
}

impl Package {
    /// A graph by itself: no features, labels or drift reference.
    pub fn bare(graph: Graph) -> Self {
        Self {
            graph,
            features: FeatureSpec::none(),
            labels: Vec::new(),
            drift: DriftSpec::default(),
            metadata: String::new(),
        }
    }

    /// Whether the parts fit each other. A [`Package`] that passes still may not fit a target.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&self) -> Result<(), PackageError> {
        self.graph.check()?;
        let input = self.graph.tensors[self.graph.input].len();
        let classes = self.graph.tensors[self.graph.output].len();
        self.features.check(input)?;
        if !self.labels.is_empty() {
            count("labels (or 0)", classes, self.labels.len())?;
        }
        for (index, label) in self.labels.iter().enumerate() {
            if label.is_empty() || label.contains(['\n', '\r']) {
                return Err(PackageError::BadLabel {
                    index,
                    label: label.clone(),
                });
            }
        }
        let drift = &self.drift;
        if !drift.edges.is_empty() {
            count("features with drift edges (or 0)", input, drift.edges.len())?;
        }
        count("drift histograms", drift.edges.len(), drift.counts.len())?;
        if drift != &DriftSpec::default() {
            count("drift class counts", classes, drift.classes.len())?;
        }
        match drift.edges.iter().position(|edges| !edges.is_sorted()) {
            Some(feature) => Err(PackageError::UnsortedEdges { feature }),
            None => Ok(()),
        }
    }
}

impl FeatureSpec {
    /// No pipeline: the input comes quantised.
    pub fn none() -> Self {
        Self {
            kind: FeatureKind::None,
            window: 0,
            bands: 0,
            sample_rate_hz: 0.0,
            offset: Vec::new(),
            gain: Vec::new(),
        }
    }

    /// Features of one window; `None` where no pipeline has this window and these bands.
    pub fn feature_len(&self) -> Option<usize> {
        let Self {
            kind,
            window,
            bands,
            ..
        } = *self;
        kind.supports(window, bands)
            .then(|| kind.feature_len(window, bands))
    }

    /// The pipeline that the device runs, for an input with this scale and zero point.
    pub fn pipeline(&self, scale: f32, zero_point: i32) -> FeaturePipeline<'_> {
        FeaturePipeline {
            kind: self.kind,
            window: self.window,
            bands: self.bands,
            sample_rate_hz: self.sample_rate_hz,
            offset: &self.offset,
            gain: &self.gain,
            scale,
            zero_point,
        }
    }

    fn check(&self, input: usize) -> Result<(), PackageError> {
        if self.kind == FeatureKind::None {
            return Ok(());
        }
        let Self {
            kind,
            window,
            bands,
            ..
        } = *self;
        let features = self.feature_len().ok_or(PackageError::BadPipeline {
            kind,
            window,
            bands,
        })?;
        if features != input {
            return Err(PackageError::FeatureCount {
                features,
                window,
                input,
            });
        }
        count("feature offsets", input, self.offset.len())?;
        count("feature gains", input, self.gain.len())?;
        let find = |what, values: &[f32], good: fn(f32) -> bool| match values
            .iter()
            .position(|&v| !(v.is_finite() && good(v)))
        {
            Some(index) => Err(PackageError::BadValue {
                what,
                index,
                value: values[index],
            }),
            None => Ok(()),
        };
        find("offset", &self.offset, |_| true)?;
        find("gain", &self.gain, |v| v != 0.0)?;
        find("sample rate", &[self.sample_rate_hz], |v| v >= 0.0)
    }
}

fn count(what: &'static str, expected: usize, found: usize) -> Result<(), PackageError> {
    if expected == found {
        return Ok(());
    }
    Err(PackageError::Count {
        what,
        expected,
        found,
    })
}

/// The runtime knows no serde, so the kind is written by name here.
mod kind_name {
    use super::FeatureKind;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Name {
        Standardise,
        Vibration,
        Compress,
        None,
    }

    pub fn serialize<S: Serializer>(kind: &FeatureKind, to: S) -> Result<S::Ok, S::Error> {
        match kind {
            FeatureKind::Standardise => Name::Standardise,
            FeatureKind::Vibration => Name::Vibration,
            FeatureKind::Compress => Name::Compress,
            FeatureKind::None => Name::None,
            other => {
                return Err(ser::Error::custom(format!(
                    "{other:?} has no name here yet"
                )));
            }
        }
        .serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<FeatureKind, D::Error> {
        Ok(match Name::deserialize(from)? {
            Name::Standardise => FeatureKind::Standardise,
            Name::Vibration => FeatureKind::Vibration,
            Name::Compress => FeatureKind::Compress,
            Name::None => FeatureKind::None,
        })
    }
}
