use super::*;
use crate::recipe::{DataRecipe, Recipe};

fn spec() -> VibrationSpec {
    match Recipe::vibration().data {
        DataRecipe::Vibration(spec) => spec,
        DataRecipe::Gas(_) => unreachable!("the built-in recipe is for vibration"),
    }
}

/// Power of one frequency in Hz, without a window.
fn power(samples: &[f32], frequency: f64, rate: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, x) in samples.iter().enumerate() {
        let angle = TAU * frequency * n as f64 / rate;
        re += f64::from(*x) * angle.cos();
        im += f64::from(*x) * angle.sin();
    }
    (re * re + im * im) / (samples.len() * samples.len()) as f64
}

#[test]
fn the_same_arguments_give_the_same_window() {
    let spec = spec();
    let field = FieldConditions::ORIGINAL;
    let window =
        |seed, id, class, number| Machine::new(&spec, seed, id).window(class, &field, number);
    assert_eq!(window(1, 2, 3, 4), window(1, 2, 3, 4));
    assert_eq!(window(1, 2, 3, 4).len(), spec.window);
    for other in [
        window(2, 2, 3, 4),
        window(1, 3, 3, 4),
        window(1, 2, 2, 4),
        window(1, 2, 3, 5),
    ] {
        assert_ne!(window(1, 2, 3, 4), other);
    }
}

#[test]
fn unbalance_shows_at_the_speed_of_the_shaft() {
    let spec = spec();
    let field = FieldConditions::ORIGINAL;
    // The mean over machines: single ones differ in residual unbalance.
    let mean = |class| {
        let powers = (0..20).map(|id| {
            let samples = Machine::new(&spec, 0, id).window(class, &field, 0);
            power(&samples, NOMINAL_SPEED_HZ, spec.sample_rate_hz).ln()
        });
        powers.sum::<f64>() / 20.0
    };
    assert!(mean(1) > mean(0) + 1.0, "{} {}", mean(1), mean(0));
}

#[test]
fn a_soft_mount_and_a_gain_change_the_transfer() {
    let spec = spec();
    let machine = Machine::new(&spec, 0, 0);
    let soft = FieldConditions {
        gain: 0.5,
        mount_hz: 400.0,
        mount_quality: 1.0,
        ..FieldConditions::ORIGINAL
    };
    let before = machine.window(2, &FieldConditions::ORIGINAL, 0);
    let after = machine.window(2, &soft, 0);
    let band = |samples: &[f32], from: i32, to: i32| {
        let bins = (from..to).step_by(6);
        bins.map(|f| power(samples, f64::from(f), spec.sample_rate_hz))
            .sum::<f64>()
    };
    let low = band(&after, 20, 40) / band(&before, 20, 40);
    let high = band(&after, 700, 1100) / band(&before, 700, 1100);
    assert!(
        (0.15..0.4).contains(&low),
        "half the amplitude below the resonance: {low}"
    );
    assert!(high < 0.1, "{high}");
}

#[test]
fn thresholds_on_rms_and_kurtosis_are_not_enough() {
    let spec = spec();
    let split = generate(&spec, 0)
        .split_by_group(spec.validation, spec.test, 0)
        .unwrap();
    let accuracy = threshold_accuracy(&split.train, &split.test);
    assert!((0.4..=0.80).contains(&accuracy), "{accuracy}");
}

#[test]
fn the_baseline_itself_can_separate_what_is_separable() {
    // Loud against quiet: were the baseline broken, the test above would pass for nothing.
    let mut data = Dataset {
        window: 4,
        labels: vec!["quiet".to_owned(), "loud".to_owned()],
        ..Dataset::default()
    };
    for n in 0..50 {
        let x = 1.0 + n as f32 / 100.0;
        data.rows.push(Row::new(vec![x, -x, x, -x], 0, 0));
        data.rows
            .push(Row::new(vec![2.0 * x, -2.0 * x, 2.0 * x, -2.0 * x], 1, 0));
    }
    assert_eq!(threshold_accuracy(&data, &data), 1.0);
    assert_eq!(indicators(&[1.0, -1.0, 1.0, -1.0]), [1.0, 1.0]);
}
