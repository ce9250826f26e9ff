//! What the suites of this crate share. Each suite uses its own part.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod graphs;
pub mod oracle;

use edge_compiler::{AlignedBytes, Compiled, DriftSpec, FeatureSpec, Graph, Package};
use edge_runtime::{FeatureKind, Model, Session};

/// The same cases on every run, and no files beside the sources.
pub fn cases(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        cases,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..Default::default()
    }
}

/// A package around any graph: standardised features, all of them monitored.
pub fn package(graph: Graph) -> Package {
    let input = graph.tensors[graph.input].len();
    let classes = graph.tensors[graph.output].len();
    Package {
        features: FeatureSpec {
            kind: FeatureKind::Standardise,
            window: input,
            bands: 0,
            sample_rate_hz: 0.0,
            offset: vec![0.5; input],
            gain: vec![2.0; input],
        },
        labels: (0..classes).map(|class| format!("class {class}")).collect(),
        drift: DriftSpec {
            edges: vec![std::array::from_fn(|edge| (edge as i32 * 16 - 112) as i8); input],
            counts: vec![std::array::from_fn(|bin| bin as u32); input],
            confidence: std::array::from_fn(|bin| 100 + bin as u32),
            classes: (0..classes as u32).collect(),
            windows: 120,
        },
        metadata: "made by a test\n".into(),
        graph,
    }
}

/// `n` bytes that depend on the seed alone.
pub fn noise(seed: u32, n: usize) -> Vec<i8> {
    let mut state = u64::from(seed) * 2 + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8 as i8
    };
    (0..n).map(|_| next()).collect()
}

/// The outputs of every operator, as the runtime computes them.
pub fn run(compiled: &Compiled, input: &[i8]) -> Vec<Vec<i8>> {
    let model = Model::load(&compiled.image).unwrap();
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, arena.as_i8_mut()).unwrap();
    session.input_mut().copy_from_slice(input);
    let mut outputs = Vec::new();
    session.run_traced(|_, output| outputs.push(output.to_vec()));
    outputs
}
