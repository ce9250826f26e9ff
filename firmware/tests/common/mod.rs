//! A small model, a device and a server that the suites share.
#![allow(dead_code)] // each suite uses a part of it

use edge_compiler::{
    Activation, AlignedBytes, DriftSpec, FeatureSpec, Graph, Operator, OperatorKind, Package,
    RoundingMode, Target, Tensor, Weights, compile,
};
use edge_runtime::FeatureKind;

/// Samples of a window, which are its features too.
pub const WINDOW: usize = 16;
/// Classes of the model.
pub const CLASSES: usize = 4;

/// An image whose model answers with the quarter of the window that has the greatest sum. Images
/// of different `variant` answer the same and have different bytes; `padding` makes them longer.
pub fn image(variant: u32, padding: usize) -> AlignedBytes {
    let mut values = vec![-8_i8; WINDOW * CLASSES];
    for class in 0..CLASSES {
        for sample in 0..WINDOW / CLASSES {
            values[class * WINDOW + class * WINDOW / CLASSES + sample] = 24 + variant as i8;
        }
    }
    let tensor = |name: &str, elements, scale| Tensor {
        name: name.into(),
        shape: [1, 1, 1, elements],
        scale,
        zero_point: 0,
    };
    let graph = Graph {
        tensors: vec![tensor("in", WINDOW, 0.05), tensor("out", CLASSES, 0.1)],
        operators: vec![Operator {
            kind: OperatorKind::FullyConnected {
                weights: Weights {
                    values,
                    scales: vec![0.02],
                    bias: vec![0; CLASSES],
                },
                activation: Activation::None,
                rounding: RoundingMode::High32,
            },
            inputs: vec![0],
            output: 1,
        }],
        input: 0,
        output: 1,
    };
    let package = Package {
        graph,
        features: FeatureSpec {
            kind: FeatureKind::Standardise,
            window: WINDOW,
            bands: 0,
            sample_rate_hz: 0.0,
            offset: vec![0.0; WINDOW],
            gain: vec![1.0; WINDOW],
        },
        labels: (0..CLASSES).map(|class| format!("class {class}")).collect(),
        drift: DriftSpec {
            edges: vec![std::array::from_fn(|i| i as i8 * 4 - 28); WINDOW],
            counts: vec![[10; 16]; WINDOW],
            confidence: [10; 16],
            classes: vec![40; CLASSES],
            windows: 160,
        },
        metadata: format!("variant {variant} {}", "x".repeat(padding)),
    };
    compile(&package, &Target::host()).expect("the test model compiles").image
}

/// A window that the model answers with `class`, the more surely the greater `height`.
pub fn window(class: usize, height: f32) -> [f32; WINDOW] {
    std::array::from_fn(|i| if i * CLASSES / WINDOW == class { height } else { 0.0 })
}
