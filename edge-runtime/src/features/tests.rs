//! Features against the textbook in `f64`, and on samples that no sensor should deliver.

use super::{FeatureError, FeatureKind, FeaturePipeline, signed_log};
use proptest::prelude::*;
use std::f64::consts::PI;
use std::vec;
use std::vec::Vec;

fn pipeline(kind: FeatureKind, window: usize, bands: usize) -> FeaturePipeline<'static> {
    FeaturePipeline {
        kind,
        window,
        bands,
        sample_rate_hz: 0.0,
        offset: &[],
        gain: &[],
        scale: 0.1,
        zero_point: -4,
    }
}

fn extract(pipeline: &FeaturePipeline<'_>, samples: &[f32]) -> Result<Vec<f32>, FeatureError> {
    let mut scratch = vec![f32::NAN; pipeline.scratch_len()];
    let mut out = vec![f32::NAN; pipeline.feature_len()];
    pipeline.extract(samples, &mut scratch, &mut out)?;
    Ok(out)
}

/// Power of the bins `1..=count` under a Hann window, normalised as `FORMAT.md` says.
fn powers(x: &[f64], count: usize) -> Vec<f64> {
    let n = x.len() as f64;
    (1..=count)
        .map(|bin| {
            let (mut re, mut im) = (0.0, 0.0);
            for (i, x) in x.iter().enumerate() {
                let hann = 0.5 - 0.5 * (2.0 * PI * i as f64 / n).cos();
                let phase = -2.0 * PI * (bin * i) as f64 / n;
                re += x * hann * phase.cos();
                im += x * hann * phase.sin();
            }
            (re * re + im * im) * 4.0 / (n * n)
        })
        .collect()
}

/// The vibration features as the document says, with a window in time and a plain transform.
fn textbook(samples: &[f32], bands: usize) -> Vec<f64> {
    let x: Vec<f64> = samples.iter().map(|x| f64::from(*x)).collect();
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let centred: Vec<f64> = x.iter().map(|x| x - mean).collect();
    let spectrum = powers(&centred, x.len() / 2);
    let mut envelope = vec![0.0; x.len()];
    for i in 2..x.len() {
        envelope[i] = (x[i] - 2.0 * x[i - 1] + x[i - 2]).abs();
    }
    let mean = envelope.iter().sum::<f64>() / (x.len() - 2) as f64;
    envelope[2..].iter_mut().for_each(|x| *x -= mean);
    let envelope = powers(&envelope, bands);
    let group = x.len() / 2 / bands;
    (0..bands)
        .flat_map(|band| {
            let bins = &spectrum[band * group..(band + 1) * group];
            let power = bins.iter().sum::<f64>() / group as f64;
            [(power + 1e-10).log2(), (envelope[band] + 1e-10).log2()]
        })
        .collect()
}

fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

#[test]
fn vibration_is_the_textbook() {
    for (window, bands) in [
        (128, 64),
        (128, 4),
        (256, 32),
        (512, 64),
        (1024, 64),
        (1024, 1),
    ] {
        let pipeline = pipeline(FeatureKind::Vibration, window, bands);
        let samples: Vec<f32> = noise(window, window as u32)
            .iter()
            .enumerate()
            .map(|(i, x)| 1.0 + 0.3 * x + (i as f32 * 0.7).sin())
            .collect();
        let actual = extract(&pipeline, &samples).unwrap();
        for (index, (actual, expected)) in actual.iter().zip(textbook(&samples, bands)).enumerate()
        {
            let difference = (f64::from(*actual) - expected).abs();
            assert!(
                difference < 0.01,
                "{window} {bands} {index}: {actual} {expected}"
            );
        }
    }
}

#[test]
fn a_tone_shows_in_its_band_and_its_modulation_in_the_envelope() {
    let pipeline = pipeline(FeatureKind::Vibration, 512, 64);
    let samples: Vec<f32> = (0..512)
        .map(|i| {
            let phase = 2.0 * PI * f64::from(i) / 512.0;
            // Carrier in bin 102 (band 25: bins 101..=104), modulated nine times a window.
            ((1.0 + 0.5 * (9.0 * phase).cos()) * (102.0 * phase).sin()) as f32
        })
        .collect();
    let features = extract(&pipeline, &samples).unwrap();
    let loudest = |start: usize| {
        let values = features.iter().skip(start).step_by(2);
        let (band, _) = values
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .unwrap();
        band
    };
    assert_eq!(loudest(0), 25);
    assert_eq!(loudest(1), 8); // bin 9
}

#[test]
fn a_constant_has_no_vibration() {
    let pipeline = pipeline(FeatureKind::Vibration, 256, 16);
    let features = extract(&pipeline, &[9.81; 256]).unwrap();
    assert!(features.iter().all(|x| *x < -30.0), "{features:?}");
}

#[test]
fn the_signed_logarithm_is_odd_and_close() {
    for exponent in -80..=380 {
        let x = 10.0_f64.powf(f64::from(exponent) / 10.0) as f32;
        let expected = f64::from(x).ln_1p();
        let actual = f64::from(signed_log(x));
        assert!(
            (actual / expected - 1.0).abs() < 4e-7,
            "{x} {actual} {expected}"
        );
        assert_eq!(signed_log(-x), -signed_log(x));
    }
    assert_eq!(signed_log(0.0), 0.0);
    assert!(signed_log(f32::MAX).is_finite());
}

#[test]
fn compressed_values_are_relative_to_the_mean_of_their_kind() {
    let e = |x: f64| (x.exp() - 1.0) as f32; // its logarithm is x
    // Three sensors of two kinds each: logarithms 1, 2, 3 and -4, 0, 1.
    let samples = [e(1.0), -e(4.0), e(2.0), 0.0, e(3.0), e(1.0)];
    let actual = extract(&pipeline(FeatureKind::Compress, 6, 2), &samples).unwrap();
    let expected = [-1.0, -3.0, 0.0, 1.0, 1.0, 2.0, 2.0, -1.0];
    assert!(close(&actual, &expected), "{actual:?}");
    let alone = extract(&pipeline(FeatureKind::Compress, 6, 0), &samples).unwrap();
    assert!(close(&alone, &[1.0, -4.0, 2.0, 0.0, 3.0, 1.0]), "{alone:?}");
    let uneven = pipeline(FeatureKind::Compress, 6, 4);
    assert_eq!(extract(&uneven, &samples), Err(FeatureError::Unsupported));
}

fn close(actual: &[f32], expected: &[f32]) -> bool {
    actual.len() == expected.len()
        && actual
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-5)
}

#[test]
fn standardise_and_normalise() {
    let mut pipeline = pipeline(FeatureKind::Standardise, 3, 0);
    pipeline.offset = &[1.0, 2.0, 3.0];
    pipeline.gain = &[2.0, -1.0, 0.5];
    let mut q = [0; 3];
    let mut scratch = [0.0; 3];
    pipeline
        .run(&[2.0, 2.0, 100.0], &mut scratch, &mut q)
        .unwrap();
    assert_eq!(q, [20 - 4, -4, 127]);
}

#[test]
fn quantise_rounds_halves_up_and_saturates() {
    let pipeline = FeaturePipeline {
        scale: 0.5,
        ..pipeline(FeatureKind::Standardise, 1, 0)
    };
    let x = [
        0.0,
        0.25,
        -0.25,
        0.24,
        -0.26,
        1e30,
        -1e30,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ];
    let mut q = [0; 10];
    pipeline.quantise(&x, &mut q);
    assert_eq!(q, [-4, -3, -4, -4, -5, 127, -128, -4, 127, -128]);
}

#[test]
fn wrong_lengths_say_what_is_needed() {
    let pipeline = pipeline(FeatureKind::Vibration, 128, 16);
    let samples = [0.0; 128];
    let error = |samples: &[f32], scratch, out| {
        pipeline
            .extract(samples, &mut vec![0.0; scratch], &mut vec![0.0; out])
            .unwrap_err()
    };
    assert_eq!(
        error(&samples[1..], 160, 32),
        FeatureError::Samples { needed: 128 }
    );
    assert_eq!(
        error(&samples, 127, 32),
        FeatureError::Scratch { needed: 160 }
    );
    assert_eq!(
        error(&samples, 160, 31),
        FeatureError::Output { needed: 32 }
    );
    let run = |scratch, q| pipeline.run(&samples, &mut vec![0.0; scratch], &mut vec![0; q]);
    assert_eq!(run(160, 32), Err(FeatureError::Unsupported)); // no offset, no gain
    for (window, bands) in [(129, 16), (2048, 16), (128, 0), (128, 48), (128, 65)] {
        let pipeline = FeaturePipeline {
            window,
            bands,
            ..pipeline
        };
        let samples = vec![0.0; window];
        assert_eq!(extract(&pipeline, &samples), Err(FeatureError::Unsupported));
    }
}

#[test]
fn samples_that_are_not_finite_are_refused() {
    for (kind, bands) in [
        (FeatureKind::Standardise, 0),
        (FeatureKind::Compress, 0),
        (FeatureKind::Vibration, 16),
    ] {
        let pipeline = pipeline(kind, 128, bands);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut samples = [1.0; 128];
            samples[77] = bad;
            assert_eq!(extract(&pipeline, &samples), Err(FeatureError::NotFinite));
        }
    }
    // Finite, but the power of it is not.
    let mut samples = [0.0; 128];
    samples[5] = 1e25;
    let pipeline = pipeline(FeatureKind::Vibration, 128, 16);
    assert_eq!(extract(&pipeline, &samples), Err(FeatureError::NotFinite));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_samples_give_finite_features_or_an_error(
        bits in prop::collection::vec(any::<u32>(), 128),
        tame in any::<bool>(),
        kind in prop::sample::select(&[(FeatureKind::Vibration, 8), (FeatureKind::Compress, 4), (FeatureKind::Standardise, 0)]),
    ) {
        let samples: Vec<f32> = bits
            .iter()
            .map(|bits| if tame { *bits as i32 as f32 } else { f32::from_bits(*bits) })
            .collect();
        let pipeline = pipeline(kind.0, 128, kind.1);
        match extract(&pipeline, &samples) {
            Ok(features) => prop_assert!(features.iter().all(|x| x.is_finite())),
            Err(error) => {
                prop_assert_eq!(error, FeatureError::NotFinite);
                prop_assert!(!tame);
            }
        }
    }
}

/// The bits of every feature, not only what survives quantisation: the same on every target, now
/// and later. A deliberate change of a formula changes the digest, and is a new feature kind.
#[test]
fn the_bits_of_the_features_are_golden() {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for (kind, window, bands) in [
        (FeatureKind::Vibration, 128, 16),
        (FeatureKind::Vibration, 256, 64),
        (FeatureKind::Vibration, 512, 64),
        (FeatureKind::Vibration, 1024, 32),
        (FeatureKind::Compress, 128, 8),
    ] {
        for seed in 0..50_u32 {
            let loudness = (1_u32 << (seed / 3)) as f32 / 1024.0;
            let samples: Vec<f32> = noise(window, seed).iter().map(|x| x * loudness).collect();
            for x in extract(&pipeline(kind, window, bands), &samples).unwrap() {
                hash.update(x.to_le_bytes());
            }
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    assert_eq!(digest[..8], [164, 130, 158, 241, 252, 15, 75, 198]);
}
