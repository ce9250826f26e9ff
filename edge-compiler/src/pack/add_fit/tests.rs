use super::*;
use crate::graph::RoundingMode;
use crate::scales::multiplier;
use edge_runtime::kernels::reference::requantise::Rounding;

/// TFLite's int8 ADD with inputs `(scale, zero point)` twice and the output's.
fn add(tensors: [(f32, i32); 3], min: i8) -> impl Fn(i8, i8) -> i8 {
    let scales = tensors.map(|(scale, _)| f64::from(scale));
    let twice = 2.0 * scales[0].max(scales[1]);
    let factors = [
        scales[0] / twice,
        scales[1] / twice,
        twice / (f64::from(1 << 20) * scales[2]),
    ]
    .map(|real| multiplier(real, RoundingMode::Double).unwrap());
    let scale =
        move |x: i32, at: usize| Rounding::Double.scale(x, factors[at].value, factors[at].shift);
    move |x1, x2| {
        let one = scale((i32::from(x1) - tensors[0].1) << 20, 0);
        let two = scale((i32::from(x2) - tensors[1].1) << 20, 1);
        let sum = scale(one + two, 2) + tensors[2].1;
        sum.clamp(min.into(), 127) as i8
    }
}

fn search(tensors: [(f32, i32); 3]) -> Search {
    Search {
        slopes: [0, 1].map(|at| f64::from(tensors[at].0) / f64::from(tensors[2].0)),
        min: -128,
        max: 127,
    }
}

fn equal(fitted: Fitted, add: impl Fn(i8, i8) -> i8) -> bool {
    (i8::MIN..=i8::MAX).all(|x1| {
        (i8::MIN..=i8::MAX).all(|x2| {
            let sum = i32::from(x1) * fitted.a + i32::from(x2) * fitted.b + fitted.c;
            (sum >> fitted.shift).clamp(-128, 127) as i8 == add(x1, x2)
        })
    })
}

const RESNET: [[(f32, i32); 3]; 3] = [
    [
        (0.039_393_55, -128),
        (0.104_194_96, 4),
        (0.050_945_674, -128),
    ],
    [
        (0.044_761_427, -17),
        (0.113_118_84, 4),
        (0.053_236_216, -128),
    ],
    [
        (0.083_858_304, 38),
        (0.217_243_64, -2),
        (0.127_069_15, -128),
    ],
];

#[test]
fn additions_of_a_resnet_fit() {
    for tensors in RESNET {
        let fitted = fit(&search(tensors), add(tensors, -128)).unwrap();
        assert!(equal(fitted, add(tensors, -128)), "{tensors:?} {fitted:?}");
    }
}

#[test]
fn nearly_all_random_additions_fit() {
    let mut state = 1_u32;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from(state) / f64::from(u32::MAX)
    };
    let mut fits = 0;
    let count = 300;
    for _ in 0..count {
        let mut tensor = || {
            let scale = (0.005 * 40_f64.powf(random())) as f32;
            (scale, (random() * 256.0) as i32 - 128)
        };
        let (one, two) = (tensor(), tensor());
        let sum = (
            (one.0 + two.0) * (0.4 + random() as f32 * 0.7),
            (random() * 256.0) as i32 - 128,
        );
        let tensors = [one, two, sum];
        if let Some(fitted) = fit(&search(tensors), add(tensors, -128)) {
            assert!(equal(fitted, add(tensors, -128)), "{tensors:?} {fitted:?}");
            fits += 1;
        }
    }
    assert!(fits * 100 >= count * 99, "{fits} of {count}");
}
