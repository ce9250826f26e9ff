use super::*;

#[test]
fn weights_keep_their_channels_scale() {
    let weights = [0.504, -1.0, 0.25, 100.0, 0.0, -60.0, 0.0, 0.0, 0.0];
    let q = quantise_weights(&weights, &[0.5, -3.0, 2.0], 3, 0.1);
    assert_eq!(q.values, [64, -127, 32, 127, 0, -76, 0, 0, 0]);
    assert_eq!(q.scales[0], 1.0 / 127.0);
    for (channel, bias) in [0.5, -3.0, 2.0].into_iter().enumerate() {
        let unit = f64::from(0.1f32) * f64::from(q.scales[channel]);
        let real = f64::from(q.bias[channel]) * unit;
        assert!((real - bias).abs() <= 0.5001 * unit, "{channel} {real}");
    }
}

#[test]
fn ranges_hold_zero_and_clip_a_lone_outlier() {
    let relu: Vec<f32> = (0..1000).map(|i| i as f32 / 1000.0).collect();
    let (scale, zero_point) = range(relu.clone());
    assert_eq!(zero_point, -128);
    assert!((0.9..1.01).contains(&(scale * 255.0)), "{scale}");

    let signed: Vec<f32> = relu.iter().map(|x| x - 0.25).collect();
    let (scale, zero_point) = range(signed);
    assert!(((-128 - zero_point) as f32 * scale + 0.25).abs() < scale);

    // One value outside: what clipping it loses is less than what all others gain.
    let mut outside: Vec<f32> = (0..32_000).map(|n| n as f32 / 32_000.0).collect();
    outside.push(1.1);
    let kept = range(outside).0 * 255.0;
    assert!((1.0..1.07).contains(&kept), "{kept}");

    assert!(range(vec![0.0; 10]).0 > 0.0);
    assert!(range(Vec::new()).0 > 0.0);
}

#[test]
fn the_drift_reference_has_even_bins_and_counts_all() {
    let answers: Vec<Answer> = (0..160)
        .map(|n: i32| Answer {
            features: vec![(n - 80) as i8, 5],
            output: if n < 40 { vec![127, -128] } else { vec![-1, 0] },
        })
        .collect();
    let drift = drift_reference(&answers, 2);
    assert_eq!(drift.windows, 160);
    assert_eq!(drift.counts[0], [10; 16]);
    assert!(drift.edges[0].is_sorted());
    // A feature without spread lies in one bin.
    assert_eq!(drift.counts[1].iter().max(), Some(&160));
    assert_eq!(drift.classes, [40, 120]);
    assert_eq!((drift.confidence[15], drift.confidence[8]), (40, 120));
}
