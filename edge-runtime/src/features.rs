//! From raw samples to the quantised input of a model: the same code in training and on devices.
//!
//! Only `f32` additions, subtractions, multiplications, divisions and comparisons, the `libm` port
//! of log and square root and the `microfft` transform are used, each in one fixed order: the same
//! samples give the same bytes on every target. `FORMAT.md` gives the formulas.

use crate::format::feature_kind;
use core::fmt;

mod vibration;

/// What a pipeline computes before offset and gain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FeatureKind {
    /// The samples themselves.
    Standardise,
    /// Log spectrum and log envelope spectrum, interleaved.
    Vibration,
    /// Signed logarithm of each sample, relative to the mean over all sensors of its kind, then
    /// those means: for arrays of sensors with values over many decades.
    Compress,
    /// No pipeline: the input of the model comes quantised.
    None,
}

impl FeatureKind {
    /// Its code in an image, see [`feature_kind`].
    pub const fn code(self) -> u32 {
        match self {
            Self::Standardise => feature_kind::STANDARDISE,
            Self::Vibration => feature_kind::VIBRATION,
            Self::Compress => feature_kind::COMPRESS,
            Self::None => feature_kind::NONE,
        }
    }

    /// The kind with this code; `None` where there is none.
    pub const fn from_code(code: u32) -> Option<Self> {
        match code {
            feature_kind::STANDARDISE => Some(Self::Standardise),
            feature_kind::VIBRATION => Some(Self::Vibration),
            feature_kind::COMPRESS => Some(Self::Compress),
            _ => None,
        }
    }

    /// Features of one window: `2 * bands` for a vibration, `window + bands` for compressed
    /// values, `window` for standardised ones.
    pub const fn feature_len(self, window: usize, bands: usize) -> usize {
        match self {
            Self::Vibration => bands.saturating_mul(2),
            Self::Compress => window.saturating_add(bands),
            Self::Standardise => window,
            Self::None => 0,
        }
    }

    /// Whether a pipeline of this kind can have this window and these bands. A vibration takes
    /// windows of 128, 256, 512 or 1024 samples and bands that divide half the window; compressed
    /// values no bands or a number that divides the window; the samples themselves no bands.
    pub const fn supports(self, window: usize, bands: usize) -> bool {
        match self {
            Self::Vibration => {
                matches!(window, 128 | 256 | 512 | 1024)
                    && bands > 0
                    && (window / 2).is_multiple_of(bands)
            }
            Self::Compress => window > 0 && (bands == 0 || window.is_multiple_of(bands)),
            Self::Standardise => window > 0 && bands == 0,
            Self::None => false,
        }
    }
}

/// A feature pipeline. [`crate::Model::features`] gives the one that belongs to a model; training
/// makes its own, first with empty `offset` and `gain` to find what they should be.
#[derive(Clone, Copy, Debug)]
pub struct FeaturePipeline<'a> {
    /// What is computed.
    pub kind: FeatureKind,
    /// Samples of one window.
    pub window: usize,
    /// Bands per channel of a vibration; kinds of values that each sensor of an array delivers
    /// (sample `i` is of kind `i % bands`), zero for no such kinds; zero for the samples themselves.
    pub bands: usize,
    /// Samples per second; zero where it has no meaning. It changes no feature.
    pub sample_rate_hz: f32,
    /// Subtracted from each feature, before `gain`; one for each feature, or empty.
    pub offset: &'a [f32],
    /// Multiplied; one for each feature, or empty.
    pub gain: &'a [f32],
    /// Scale of the quantised features.
    pub scale: f32,
    /// Zero point of the quantised features, -128..=127.
    pub zero_point: i32,
}

/// Why a window gave no features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeatureError {
    /// Not as many samples as the window has.
    Samples {
        /// Samples of one window.
        needed: usize,
    },
    /// The scratch memory is too short.
    Scratch {
        /// Values needed, see [`FeaturePipeline::scratch_len`].
        needed: usize,
    },
    /// The output has not the length of the features.
    Output {
        /// Features of one window.
        needed: usize,
    },
    /// A sample is NaN or infinite, or so great that a feature is: skip the window and count it.
    NotFinite,
    /// No pipeline of this kind has this window and these bands, or offset and gain have another
    /// length than the features. Never from a loaded model.
    Unsupported,
}

impl fmt::Display for FeatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samples { needed } => write!(f, "a window has {needed} samples"),
            Self::Scratch { needed } => write!(f, "the scratch memory needs {needed} values"),
            Self::Output { needed } => write!(f, "a window has {needed} features"),
            Self::NotFinite => f.write_str("a sample is not finite or too great"),
            Self::Unsupported => f.write_str("no feature pipeline has these settings"),
        }
    }
}

impl core::error::Error for FeatureError {}

impl FeaturePipeline<'_> {
    /// Of a model whose input comes quantised: only [`Self::quantise`] is of use.
    pub const fn none(scale: f32, zero_point: i32) -> Self {
        Self {
            kind: FeatureKind::None,
            window: 0,
            bands: 0,
            sample_rate_hz: 0.0,
            offset: &[],
            gain: &[],
            scale,
            zero_point,
        }
    }

    /// Features of one window.
    pub const fn feature_len(&self) -> usize {
        self.kind.feature_len(self.window, self.bands)
    }

    /// Values of scratch memory that [`Self::extract`] and [`Self::run`] need at most:
    /// the window for the transform (vibration only) and the features.
    pub const fn scratch_len(&self) -> usize {
        self.transform_len().saturating_add(self.feature_len())
    }

    const fn transform_len(&self) -> usize {
        match self.kind {
            FeatureKind::Vibration => self.window,
            FeatureKind::Standardise | FeatureKind::Compress | FeatureKind::None => 0,
        }
    }

    /// Raw features of one window, before offset and gain.
    ///
    /// `samples` holds exactly [`Self::window`](FeaturePipeline::window) values, `out` exactly
    /// [`Self::feature_len`], `scratch` at least [`Self::scratch_len`]; its content does not
    /// matter.
    ///
    /// # Errors
    ///
    /// [`FeatureError`]: a wrong length, settings that no pipeline has, or a window that is not
    /// finite; `out` then holds nothing of use.
    pub fn extract(
        &self,
        samples: &[f32],
        scratch: &mut [f32],
        out: &mut [f32],
    ) -> Result<(), FeatureError> {
        if !self.kind.supports(self.window, self.bands) {
            return Err(FeatureError::Unsupported);
        }
        if samples.len() != self.window {
            return Err(FeatureError::Samples {
                needed: self.window,
            });
        }
        if out.len() != self.feature_len() {
            return Err(FeatureError::Output {
                needed: self.feature_len(),
            });
        }
        let Some(scratch) = scratch.get_mut(..self.transform_len()) else {
            return Err(FeatureError::Scratch {
                needed: self.scratch_len(),
            });
        };
        if !all_finite(samples) {
            return Err(FeatureError::NotFinite);
        }
        match self.kind {
            FeatureKind::Standardise => {
                for (out, sample) in out.iter_mut().zip(samples) {
                    *out = *sample;
                }
            }
            FeatureKind::Compress => compress(samples, self.bands, out),
            FeatureKind::None => return Err(FeatureError::Unsupported),
            FeatureKind::Vibration => vibration::extract(samples, scratch, out),
        }
        if all_finite(out) {
            Ok(())
        } else {
            Err(FeatureError::NotFinite)
        }
    }

    /// `(x[i] - offset[i]) * gain[i]` in place; values beyond the end of `offset` or `gain` stay
    /// as they are.
    pub fn normalise(&self, out: &mut [f32]) {
        for ((x, offset), gain) in out.iter_mut().zip(self.offset).zip(self.gain) {
            *x = (*x - offset) * gain;
        }
    }

    /// `q[i] = clamp(floor(x[i] / scale + 0.5) + zero_point, -128, 127)`; NaN gives the zero
    /// point. The shorter of the two slices decides how many are written.
    pub fn quantise(&self, x: &[f32], q: &mut [i8]) {
        for (q, x) in q.iter_mut().zip(x) {
            // `as` saturates, and makes zero of NaN.
            let steps = libm::floorf(*x / self.scale + 0.5) as i32;
            *q = steps.saturating_add(self.zero_point).clamp(-128, 127) as i8;
        }
    }

    /// The device's path in one: extract, normalise, quantise. `q` is the input of the model, with
    /// exactly [`Self::feature_len`] elements; `scratch` holds at least [`Self::scratch_len`].
    ///
    /// # Errors
    ///
    /// As [`Self::extract`]; `q` is then left as it was.
    pub fn run(
        &self,
        samples: &[f32],
        scratch: &mut [f32],
        q: &mut [i8],
    ) -> Result<(), FeatureError> {
        let len = self.feature_len();
        if self.offset.len() != len || self.gain.len() != len {
            return Err(FeatureError::Unsupported);
        }
        if q.len() != len {
            return Err(FeatureError::Output { needed: len });
        }
        let too_small = FeatureError::Scratch {
            needed: self.scratch_len(),
        };
        let (transform, rest) = scratch
            .split_at_mut_checked(self.transform_len())
            .ok_or(too_small)?;
        let values = rest.get_mut(..len).ok_or(too_small)?;
        self.extract(samples, transform, values)?;
        self.normalise(values);
        self.quantise(values, q);
        Ok(())
    }
}

fn all_finite(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite())
}

/// `log(i) - mean(i % kinds)` for each sample, then `mean(k)` for each kind, where `log` is the
/// signed logarithm and `mean(k)` its mean over the samples of kind `k`, added in their order.
/// A gain common to all sensors moves only the means. With `kinds` 0 only the logarithms.
fn compress(samples: &[f32], kinds: usize, out: &mut [f32]) {
    let Some((values, means)) = out.split_at_mut_checked(samples.len()) else {
        return;
    };
    for (value, sample) in values.iter_mut().zip(samples) {
        *value = signed_log(*sample);
    }
    for (kind, mean) in means.iter_mut().enumerate() {
        let of_kind = values.iter_mut().skip(kind).step_by(kinds.max(1));
        let (sum, count) = of_kind.fold((0.0, 0.0), |(sum, count), value| {
            (sum + *value, count + 1.0)
        });
        *mean = sum / count;
        for value in values.iter_mut().skip(kind).step_by(kinds.max(1)) {
            *value -= *mean;
        }
    }
}

/// `sign(x) * ln(1 + |x|)`: odd, finite for every finite argument.
fn signed_log(x: f32) -> f32 {
    let magnitude = libm::log1pf(if x < 0.0 { -x } else { x });
    if x < 0.0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests;
