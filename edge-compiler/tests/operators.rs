//! Every operator in every rounding mode: compiled, run by the runtime, and compared with an
//! oracle that shares no code with either.

mod common;

use common::{cases, graphs, noise, oracle, package, run};
use edge_compiler::{CompileError, Graph, OperatorKind, Target, compile};
use proptest::prelude::*;

/// Compiles a graph and compares it with the oracle on inputs made from `seed`. Softmax is compared
/// to within one step, all else exactly. A proof may refuse the graph.
fn agrees(graph: Graph, seed: u32) -> Result<(), TestCaseError> {
    let len = graph.tensors[graph.input].len();
    let compiled = match compile(&package(graph.clone()), &Target::host()) {
        Ok(compiled) => compiled,
        Err(error @ (CompileError::Multiplier { .. } | CompileError::Proof(_))) => {
            return Err(TestCaseError::reject(error.to_string()));
        }
        Err(other) => return Err(TestCaseError::fail(other.to_string())),
    };
    // The extremes drive the sums to what the proofs say that they may reach.
    let extremes = [vec![i8::MIN; len], vec![i8::MAX; len]];
    for input in (0..4).map(|round| noise(seed + round, len)).chain(extremes) {
        let expected = oracle::run(&graph, &input);
        let found = run(&compiled, &input);
        // The passes may leave fewer operators, but never another output.
        near(&graph, expected.last(), found.last())?;
        let expected = oracle::run(&compiled.graph, &input);
        prop_assert_eq!(found.len(), expected.len());
        for (index, expected) in expected.iter().enumerate() {
            let softmax = matches!(
                compiled.graph.operators[index].kind,
                OperatorKind::Softmax { beta: 1.0 }
            );
            if !softmax {
                prop_assert_eq!(&found[index], expected, "operator {}", index);
            }
        }
    }
    Ok(())
}

fn near(
    graph: &Graph,
    expected: Option<&Vec<i8>>,
    found: Option<&Vec<i8>>,
) -> Result<(), TestCaseError> {
    let (expected, found) = (expected.unwrap(), found.unwrap());
    let last = &graph.operators[graph.operators.len() - 1].kind;
    let slack = u8::from(matches!(last, OperatorKind::Softmax { beta: 1.0 }));
    prop_assert_eq!(expected.len(), found.len());
    let close = expected
        .iter()
        .zip(found)
        .all(|(a, b)| a.abs_diff(*b) <= slack);
    prop_assert!(close, "expected {:?}, found {:?}", expected, found);
    Ok(())
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn convolutions(graph in graphs::convolution(), seed in any::<u16>()) {
        agrees(graph, seed.into())?;
    }

    #[test]
    fn fully_connected_layers(graph in graphs::dense(), seed in any::<u16>()) {
        agrees(graph, seed.into())?;
    }

    #[test]
    fn max_pools(graph in graphs::pooling(), seed in any::<u16>()) {
        agrees(graph, seed.into())?;
    }

    #[test]
    fn softmaxes(graph in graphs::softmax(), seed in any::<u16>()) {
        agrees(graph, seed.into())?;
    }

    #[test]
    fn clamps(graph in graphs::clamping(), seed in any::<u16>()) {
        agrees(graph, seed.into())?;
    }
}

#[test]
fn whole_networks_in_every_rounding_mode() {
    for rounding in graphs::ROUNDINGS {
        for seed in 0..10 {
            agrees(graphs::network(seed * 100, rounding), seed).unwrap();
        }
    }
}

/// The modes are three, or the tests above would compare one with itself: `Double` and `Single` take
/// the half of -512/1024 away from zero, `Double` rounds twice, and a small multiplier has few bits
/// in `High32`.
#[test]
fn rounding_modes_differ() {
    let outputs = graphs::ROUNDINGS.map(|rounding| {
        let mut weights = graphs::weights(1, 500, 1, false);
        weights.values.fill(0);
        weights.scales.fill(6e-8);
        weights.bias = (0..500).map(|o| 1_000_000_000 + o * 1_000_003).collect();
        (weights.scales[0], weights.bias[0]) = (1.0 / 1024.0, -512);
        let tensors = vec![
            graphs::tensor([1, 1, 1, 1], 1.0, 0),
            graphs::tensor([1, 1, 1, 500], 1.0, 0),
        ];
        let activation = edge_compiler::Activation::None;
        let kind = OperatorKind::FullyConnected {
            weights,
            activation,
            rounding,
        };
        let graph = graphs::chain(tensors, vec![kind]);
        agrees(graph.clone(), 1).unwrap();
        let compiled = compile(&package(graph), &Target::host()).unwrap();
        run(&compiled, &[0]).remove(0)
    });
    let [double, single, high_32] = outputs;
    assert_eq!((double[0], single[0], high_32[0]), (-1, -1, 0));
    assert_ne!(single[1..], high_32[1..]);
}

/// A layer that reads what a RESHAPE aliases, while the input of the RESHAPE lives on.
#[test]
fn branches_and_aliases_keep_their_values() {
    let mut graph = graphs::network(3, graphs::ROUNDINGS[0]);
    graph.operators.truncate(6);
    graph.tensors.truncate(7);
    // Two more clamps: of the reshaped tensor, then of the pool's output that it aliases.
    for (input, shape) in [(6, [1, 1, 1, 48]), (5, [1, 1, 8, 6])] {
        graph.operators.push(edge_compiler::Operator {
            kind: OperatorKind::Activation(edge_compiler::Activation::ReluN1To1),
            inputs: vec![input],
            output: graph.tensors.len(),
            source: None,
        });
        graph.tensors.push(graphs::tensor(shape, 0.4, 9));
    }
    // Only the last is needed; then the one before it, which reads the alias.
    for output in [8, 7] {
        graph.output = output;
        let compiled = compile(&package(graph.clone()), &Target::host()).unwrap();
        assert_eq!(
            compiled.graph.operators.len(),
            if output == 8 { 4 } else { 5 }
        );
        let input = noise(1, 32);
        let expected = &oracle::run(&graph, &input)[output - 1];
        assert_eq!(run(&compiled, &input).last().unwrap(), expected);
    }
}
