use super::*;
use crate::testing::*;
use proptest::prelude::*;

#[test]
fn known_multipliers() {
    let double = |real| multiplier(real, RoundingMode::Double).map(|m| (m.value, m.shift));
    // 0.5 = 0.5 * 2^0, 1 = 0.5 * 2^1, 0.75 = 0.75 * 2^0.
    assert_eq!(double(0.5), Some((1 << 30, 0)));
    assert_eq!(double(1.0), Some((1 << 30, 1)));
    assert_eq!(double(0.75), Some((3 << 29, 0)));
    assert_eq!(double(0.125), Some((1 << 30, -2)));
    // So close to 1 that the 31 bits round up.
    assert_eq!(double(1.0 - 2f64.powi(-40)), Some((1 << 30, 1)));
    assert_eq!(double(2f64.powi(-32)), Some((1 << 30, -31)));
    assert_eq!(double(2f64.powi(-33)), Some((0, 0)));
    assert_eq!(double(2f64.powi(30) - 1.0), Some((i32::MAX - 1, 30)));
    assert_eq!(double(2f64.powi(30)), None);

    let high = |real| multiplier(real, RoundingMode::High32).map(|m| (m.value, m.shift));
    assert_eq!(high(0.25), Some((1 << 30, 0)));
    assert_eq!(high(0.5), Some((1 << 30, 1)));
    assert_eq!(high(0.5 - 2f64.powi(-40)), Some((1 << 30, 1)));
    assert_eq!(high(2f64.powi(-40)), Some((0, 0)));
    assert_eq!(high(63.0), Some((63 << 25, 7)));
    assert_eq!(high(64.0), None);
}

#[test]
fn nonsense_has_no_multiplier() {
    for mode in [
        RoundingMode::Double,
        RoundingMode::Single,
        RoundingMode::High32,
    ] {
        for real in [0.0, -0.5, f64::NAN, f64::INFINITY, 1e-310] {
            assert_eq!(multiplier(real, mode), None, "{real}");
        }
    }
}

proptest! {
    #![proptest_config(cases(1000))]

    /// Each mode stands for the real multiplier to within half a unit of its last place.
    #[test]
    fn multipliers_are_the_nearest(exponent in -30.0..5.9f64) {
        let real = exponent.exp2();
        for mode in [RoundingMode::Double, RoundingMode::Single] {
            let m = multiplier(real, mode).unwrap();
            prop_assert!(m.value >= 1 << 30);
            let unit = 2f64.powi(i32::from(m.shift) - 31);
            prop_assert!((f64::from(m.value) * unit - real).abs() <= unit / 2.0);
        }
        let m = multiplier(real, RoundingMode::High32).unwrap();
        let unit = 2f64.powi(i32::from(m.shift) - 32);
        prop_assert!((f64::from(m.value) * unit - real).abs() <= unit / 2.0);
        // The smallest shift: one less would not fit.
        prop_assert!(m.shift == 0 || real / unit * 2.0 >= 2f64.powi(31) - 1.0);
    }
}

#[test]
fn one_scale_of_a_fully_connected_layer_is_multiplied_in_f32() {
    let (input, output) = (tensor([1, 1, 1, 4], 0.1, 0), tensor([1, 1, 1, 2], 0.3, 0));
    let kind = fully_connected(2, 4);
    let mut layer = weights(2, 4);
    layer.scales = vec![0.007];
    let real = real_multiplier(&kind, &layer, 1, &input, &output);
    assert_eq!(real, f64::from(0.1f32 * 0.007f32) / f64::from(0.3f32));
    layer.scales = vec![0.007; 2];
    let real = real_multiplier(&kind, &layer, 1, &input, &output);
    assert_eq!(
        real,
        f64::from(0.1f32) * f64::from(0.007f32) / f64::from(0.3f32)
    );
    assert_ne!(
        f64::from(0.1f32 * 0.007f32),
        f64::from(0.1f32) * f64::from(0.007f32)
    );
}

#[test]
fn biases_take_in_the_zero_point() {
    let layer = Weights {
        values: vec![1, 2, 3, -4, 5, -6],
        scales: vec![1.0],
        bias: vec![100, -100],
    };
    assert_eq!(folded_bias(&layer, 0), [100, -100]);
    assert_eq!(folded_bias(&layer, 10), [100 - 60, -100 + 50]);
    assert_eq!(folded_bias(&layer, -128), [100 + 768, -100 - 640]);
}

#[test]
fn softmax_parameters_are_those_of_tflite() {
    // 0.1 * 2^26 = 0.8 * 2^23; 31 * 2^26 / 2^23 = 248.
    let [value, shift, least, 0, 0] = softmax_parameters(0.1, 1.0).unwrap() else {
        panic!()
    };
    assert_eq!((shift, least), (23, -248));
    assert_eq!(
        value,
        (f64::from(0.1f32) * 8.0 * 2f64.powi(31)).round() as i32
    );
    assert_eq!(softmax_parameters(1.0, 1.0), Some([1 << 30, 27, -15, 0, 0]));
    assert_eq!(softmax_parameters(15.9, 1.0).unwrap()[1..3], [30, -1]);
    assert_eq!(softmax_parameters(16.0, 1.0), Some([i32::MAX, 30, 0, 0, 0]));
    assert_eq!(
        softmax_parameters(f32::MAX, 1.0),
        Some([i32::MAX, 30, 0, 0, 0])
    );
    assert_eq!(softmax_parameters(2f32.powi(-26), 1.0), None);
    assert!(softmax_parameters(2f32.powi(-26) * 1.01, 1.0).is_some());
}
