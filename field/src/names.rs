//! Names of features for people.

use edge_compiler::FeatureSpec;
use edge_compiler::package::FeatureKind;

/// One name per feature, in their order: a frequency range for a spectrum, sensor and kind of value
/// for an array of sensors.
pub fn feature_names(features: &FeatureSpec) -> Vec<String> {
    let len = features.feature_len().unwrap_or(0);
    let kinds = features.bands.max(1);
    (0..len)
        .map(|index| match features.kind {
            FeatureKind::Vibration => {
                let bin = features.sample_rate_hz / features.window as f32;
                let band = index / 2;
                if index % 2 == 0 {
                    let width = (features.window / 2 / kinds) as f32 * bin;
                    let from = band as f32 * width;
                    format!("spectrum {from:.0}-{:.0} Hz", from + width)
                } else {
                    format!("envelope {:.0} Hz", (band + 1) as f32 * bin)
                }
            }
            FeatureKind::Compress if index >= features.window => {
                format!("mean of value {}", index - features.window + 1)
            }
            FeatureKind::Compress if features.bands > 0 => {
                format!("sensor {} value {}", index / kinds + 1, index % kinds + 1)
            }
            _ => format!("value {}", index + 1),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: FeatureKind, window: usize, bands: usize) -> FeatureSpec {
        FeatureSpec {
            kind,
            window,
            bands,
            sample_rate_hz: 3200.0,
            offset: Vec::new(),
            gain: Vec::new(),
        }
    }

    #[test]
    fn bands_are_named_by_their_frequencies() {
        let names = feature_names(&spec(FeatureKind::Vibration, 512, 64));
        assert_eq!(names.len(), 128);
        assert_eq!(&names[2..4], ["spectrum 25-50 Hz", "envelope 12 Hz"]);
    }

    #[test]
    fn arrays_are_named_by_sensor_and_value() {
        let names = feature_names(&spec(FeatureKind::Compress, 128, 8));
        assert_eq!(names.len(), 136);
        assert_eq!(
            (&*names[8], &*names[135]),
            ("sensor 2 value 1", "mean of value 8")
        );
    }
}
