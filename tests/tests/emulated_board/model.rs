//! A small convolutional model on vibration features, as the built-in loop trains them, and windows
//! for it. Weights are noise: what is tested is that two machines agree on it.

use edge_compiler::{
    Activation, AlignedBytes, Convolution, DriftSpec, FeatureSpec, Graph, Operator, OperatorKind,
    Package, Padding, RoundingMode, Target, Tensor, Weights, compile,
};
use edge_runtime::{FeatureKind, Model, Session};

pub const WINDOW: usize = 512;
pub const BANDS: usize = 32;
const FEATURES: usize = 2 * BANDS;
const CLASSES: usize = 4;

/// xorshift32: the same numbers everywhere.
pub struct Noise(u32);

impl Noise {
    pub fn new(seed: u32) -> Self {
        Noise(seed.wrapping_mul(0x9E37_79B9) | 1)
    }

    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// -1.0..1.0
    pub fn real(&mut self) -> f32 {
        (self.next() >> 8) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Window `index` of an endless supply: tones and noise of many loudnesses, now and then something
/// that no machine sounds like.
pub fn row(index: u32) -> Vec<f32> {
    let mut noise = Noise::new(index + 1);
    let loudness = 10f32.powf(noise.real() * 4.0);
    let (pitch, second) = (0.1 + noise.real().abs(), 0.2 + 2.0 * noise.real().abs());
    let tone = noise.real().abs();
    (0..WINDOW)
        .map(|i| {
            let sound = match index % 16 {
                13 => 0.0,
                14 => f32::from(u8::from(i == 7)),
                15 => f32::from(u8::from(i % 2 == 0)) * 1e-30,
                _ => tone * ((i as f32 * pitch).sin() + (i as f32 * second).sin()) + noise.real(),
            };
            0.25 + loudness * sound
        })
        .collect()
}

/// An image; those of another `variant` answer differently.
pub fn image(variant: u32) -> AlignedBytes {
    let (offset, gain) = normalisation();
    let package = Package {
        graph: graph(variant),
        features: FeatureSpec {
            kind: FeatureKind::Vibration,
            window: WINDOW,
            bands: BANDS,
            sample_rate_hz: 12_800.0,
            offset,
            gain,
        },
        labels: (0..CLASSES).map(|class| format!("class {class}")).collect(),
        drift: DriftSpec {
            edges: vec![std::array::from_fn(|i| (i as i32 * 12 - 84) as i8); FEATURES],
            counts: vec![[10; 16]; FEATURES],
            confidence: [10; 16],
            classes: vec![40; CLASSES],
            windows: 160,
        },
        metadata: format!("variant {variant}"),
    };
    compile(&package, &Target::board(super::BOARD).unwrap())
        .unwrap()
        .image
}

/// Samples of a window of [`small`].
pub const SMALL_WINDOW: usize = 16;

/// An image whose windows are short, so that a board answers in a moment, and which has many bytes,
/// so that it travels in many blocks. Those of another `variant` answer differently.
pub fn small(variant: u32) -> AlignedBytes {
    let mut noise = Noise::new(2000 + variant);
    let tensor =
        |name: &str, elements, scale| Tensor::activation(name, [1, 1, 1, elements], scale, 0);
    let weights = Weights {
        values: (0..SMALL_WINDOW * CLASSES)
            .map(|_| ((noise.next() >> 24) as u8 as i8).max(-127))
            .collect(),
        scales: vec![0.02],
        bias: vec![0; CLASSES],
    };
    let package = Package {
        graph: Graph {
            tensors: vec![
                tensor("in", SMALL_WINDOW, 0.02),
                tensor("out", CLASSES, 0.2),
            ],
            operators: vec![Operator::new(
                OperatorKind::FullyConnected {
                    weights,
                    activation: Activation::None,
                    rounding: RoundingMode::High32,
                },
                0,
                1,
            )],
            input: 0,
            output: 1,
            further_inputs: Vec::new(),
            further_outputs: Vec::new(),
        },
        features: FeatureSpec {
            kind: FeatureKind::Standardise,
            window: SMALL_WINDOW,
            bands: 0,
            sample_rate_hz: 0.0,
            offset: vec![0.0; SMALL_WINDOW],
            gain: vec![1.0; SMALL_WINDOW],
        },
        labels: (0..CLASSES).map(|class| format!("class {class}")).collect(),
        drift: DriftSpec {
            edges: vec![std::array::from_fn(|i| i as i8 * 4 - 28); SMALL_WINDOW],
            counts: vec![[10; 16]; SMALL_WINDOW],
            confidence: [10; 16],
            classes: vec![40; CLASSES],
            windows: 160,
        },
        metadata: (0..10_000)
            .map(|_| char::from(b'a' + (noise.next() >> 28) as u8))
            .collect(),
    };
    compile(&package, &Target::board(super::BOARD).unwrap())
        .unwrap()
        .image
}

/// Window `index` of an endless supply for [`small`].
pub fn small_row(index: u32) -> Vec<f32> {
    let mut noise = Noise::new(index + 1);
    (0..SMALL_WINDOW).map(|_| noise.real()).collect()
}

/// What the host says to a window: quantised features and output.
pub fn answer(model: &Model<'_>, row: &[f32], arena: &mut [i8]) -> (Vec<i8>, Vec<i8>) {
    let pipeline = model.features();
    let mut features = vec![0; pipeline.feature_len()];
    let mut scratch = vec![0.0; pipeline.scratch_len()];
    pipeline.run(row, &mut scratch, &mut features).unwrap();
    let mut session = Session::new(model, arena).unwrap();
    session.input_mut().copy_from_slice(&features);
    session.run();
    (features, session.output().to_vec())
}

/// Offsets and gains that spread the features of the first windows over their range.
fn normalisation() -> (Vec<f32>, Vec<f32>) {
    let spec = FeatureSpec {
        kind: FeatureKind::Vibration,
        window: WINDOW,
        bands: BANDS,
        sample_rate_hz: 12_800.0,
        offset: vec![],
        gain: vec![],
    };
    let pipeline = spec.pipeline(1.0, 0);
    let mut scratch = vec![0.0; pipeline.scratch_len()];
    let raw: Vec<Vec<f32>> = (0..64)
        .map(|index| {
            let mut features = vec![0.0; FEATURES];
            pipeline
                .extract(&row(index), &mut scratch, &mut features)
                .unwrap();
            features
        })
        .collect();
    let mean = |i: usize| raw.iter().map(|f| f[i]).sum::<f32>() / 64.0;
    let offset: Vec<f32> = (0..FEATURES).map(mean).collect();
    let deviation = |i: usize| {
        let squares: f32 = raw.iter().map(|f| (f[i] - offset[i]).powi(2)).sum();
        (squares / 64.0).sqrt().max(0.1)
    };
    let gain = (0..FEATURES).map(|i| 1.0 / deviation(i)).collect();
    (offset, gain)
}

fn graph(variant: u32) -> Graph {
    let mut noise = Noise::new(1000 + variant);
    let mut weights = |outputs: usize, taps: usize| Weights {
        values: (0..outputs * taps)
            .map(|_| (noise.next() >> 24) as u8 as i8)
            .map(|w| w.max(-127))
            .collect(),
        scales: vec![0.3 / (taps as f32).sqrt() / 64.0; outputs],
        bias: (0..outputs)
            .map(|_| (noise.next() >> 24) as i32 - 128)
            .collect(),
    };
    let tensor = |shape: [usize; 4], scale, zero_point| {
        Tensor::activation(format!("{shape:?}"), shape, scale, zero_point)
    };
    let convolution = |weights| {
        OperatorKind::Conv2d(Convolution {
            weights,
            kernel: [1, 3],
            stride: [1, 1],
            padding: Padding::Same,
            dilation: [1, 1],
            activation: Activation::Relu,
            rounding: RoundingMode::High32,
        })
    };
    let pool = || OperatorKind::MaxPool2d {
        kernel: [1, 2],
        stride: [1, 2],
        padding: Padding::Valid,
        activation: Activation::None,
    };
    let kinds = vec![
        convolution(weights(8, 3 * 2)),
        pool(),
        convolution(weights(16, 3 * 8)),
        pool(),
        OperatorKind::Reshape,
        OperatorKind::FullyConnected {
            weights: weights(CLASSES, 128),
            activation: Activation::None,
            rounding: RoundingMode::High32,
        },
        OperatorKind::Softmax { beta: 1.0 },
    ];
    Graph {
        tensors: vec![
            tensor([1, 1, BANDS, 2], 0.015, 3),
            tensor([1, 1, BANDS, 8], 0.02, -128),
            tensor([1, 1, BANDS / 2, 8], 0.02, -128),
            tensor([1, 1, BANDS / 2, 16], 0.02, -128),
            tensor([1, 1, BANDS / 4, 16], 0.02, -128),
            tensor([1, 1, 1, 128], 0.02, -128),
            tensor([1, 1, 1, CLASSES], 0.05, 0),
            tensor([1, 1, 1, CLASSES], 1.0 / 256.0, -128),
        ],
        operators: kinds
            .into_iter()
            .enumerate()
            .map(|(index, kind)| Operator::new(kind, index, index + 1))
            .collect(),
        input: 0,
        output: 7,
        further_inputs: Vec::new(),
        further_outputs: Vec::new(),
    }
}
