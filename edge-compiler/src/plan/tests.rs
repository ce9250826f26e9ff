use super::*;
use crate::testing::*;
use proptest::prelude::*;

/// A graph of operators that need no weights: each reads one of the tensors before it.
fn random_graph() -> impl Strategy<Value = Graph> {
    let node = (any::<prop::sample::Index>(), 0..3u8);
    (1..400usize, 1..6usize, prop::collection::vec(node, 1..24)).prop_map(|(w, c, nodes)| {
        let mut tensors = vec![tensor([1, 1, w * 8, c], 0.1, 0)];
        let mut operators = Vec::new();
        for (from, kind) in nodes {
            let input = from.index(tensors.len());
            let shape = tensors[input].shape;
            let (kind, shape) = match kind {
                0 if shape[2] > 1 => (pool(), [1, shape[1], shape[2] / 2, shape[3]]),
                1 => (OperatorKind::Reshape, [1, shape[3], shape[2], shape[1]]),
                _ => (OperatorKind::Activation(crate::Activation::Relu), shape),
            };
            operators.push(operator(kind, input, tensors.len()));
            tensors.push(tensor(shape, 0.1, 0));
        }
        let output = tensors.len() - 1;
        Graph {
            tensors,
            operators,
            input: 0,
            output,
        }
    })
}

/// Whether two tensors are one buffer: a RESHAPE lies between them, or between their ancestors.
fn share(graph: &Graph, a: usize, b: usize) -> bool {
    let root = |mut tensor: usize| {
        while let Some(writer) = graph.operators.iter().find(|o| o.output == tensor) {
            match writer.kind {
                OperatorKind::Reshape => tensor = writer.inputs[0],
                _ => break,
            }
        }
        tensor
    };
    root(a) == root(b)
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn live_tensors_never_overlap(graph in random_graph()) {
        graph.check().unwrap();
        let plan = plan(&graph);
        let range = |t: usize| (plan.offsets[t], plan.offsets[t] + graph.tensors[t].len());
        for a in 0..graph.tensors.len() {
            prop_assert_eq!(plan.offsets[a] % ALIGNMENT, 0);
            prop_assert!(range(a).1 <= plan.arena_bytes);
            for b in 0..a {
                if share(&graph, a, b) {
                    prop_assert_eq!(plan.offsets[a], plan.offsets[b]);
                } else if plan.lifetimes[a].overlaps(&plan.lifetimes[b]) {
                    let ((a0, a1), (b0, b1)) = (range(a), range(b));
                    prop_assert!(a1 <= b0 || b1 <= a0, "tensors {a} and {b} overlap");
                }
            }
        }
        prop_assert!(plan.live_bytes <= plan.arena_bytes);
        prop_assert!(plan.peak_operator < graph.operators.len());
    }
}

/// A chain of pools and clamps whose tensors have these lengths.
fn chain(widths: &[usize]) -> Graph {
    let tensors: Vec<_> = widths
        .iter()
        .map(|&w| tensor([1, 1, w, 16], 0.1, 0))
        .collect();
    let step = |index| {
        let kind = match (widths[index], widths[index + 1]) {
            (a, b) if a == 2 * b => pool(),
            (a, b) if a == b => OperatorKind::Activation(crate::Activation::Relu),
            other => panic!("no operator makes {other:?}"),
        };
        operator(kind, index, index + 1)
    };
    let graph = Graph {
        operators: (0..widths.len() - 1).map(step).collect(),
        input: 0,
        output: widths.len() - 1,
        tensors,
    };
    graph.check().unwrap();
    graph
}

/// On a chain two tensors are live at a time, and the largest pair is what the arena needs.
#[test]
fn chains_take_no_more_than_is_live() {
    for widths in [
        &[64, 64, 32, 16, 16, 8][..],
        &[8, 8],
        &[100, 50, 25, 25, 25],
        &[64, 64, 64, 64, 32, 32, 32],
    ] {
        let plan = plan(&chain(widths));
        let pairs = widths.windows(2).map(|pair| 16 * (pair[0] + pair[1]));
        assert_eq!(plan.live_bytes, pairs.max().unwrap());
        assert_eq!(plan.arena_bytes, plan.live_bytes, "{widths:?}");
    }
}

#[test]
fn a_reshape_costs_nothing() {
    let graph = network();
    let plan = plan(&graph);
    assert_eq!(plan.offsets[3], plan.offsets[4]);
    // Convolution or clamp: two tensors of 32 bytes.
    assert_eq!((plan.live_bytes, plan.peak_operator), (64, 1));
    assert_eq!(plan.arena_bytes, 64);
}

#[test]
fn the_output_lives_to_the_end() {
    let mut graph = chain(&[16, 16, 16, 16]);
    graph.output = 1;
    let plan = plan(&graph);
    assert_eq!(plan.lifetimes[1], Lifetime { first: 0, last: 2 });
    assert_eq!(plan.arena_bytes, 3 * 256);
}

#[test]
fn the_smallest_gap_that_fits_is_taken() {
    let taken = [(0, 32), (96, 128), (160, 192), (256, 300)];
    assert_eq!(best_gap(&taken, 32), 128);
    assert_eq!(best_gap(&taken, 64), 32);
    assert_eq!(best_gap(&taken, 80), 300);
    assert_eq!(best_gap(&[], 80), 0);
}
