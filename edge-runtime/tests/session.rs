//! Loading and running a whole image.

mod common;

use common::{Aligned, Lcg, SAMPLE_KERNELS, sample};

use edge_runtime::{Arena, ArenaError, LoadError, Model, Session};

/// Committed once; a change of these bytes or of what they answer breaks fielded devices.
const GOLDEN: &[u8] = include_bytes!("golden/sample.dnl");
const GOLDEN_OUTPUT: &[u8] = include_bytes!("golden/sample.output.i8");

/// The inputs behind `GOLDEN_OUTPUT`.
fn inputs() -> Vec<Vec<i8>> {
    let mut random = Lcg(2024);
    (0..32).map(|_| random.i8s(128)).collect()
}

fn outputs(model: &Model<'_>) -> Vec<u8> {
    let mut arena = Arena::<384>::new();
    let mut session = Session::new(model, arena.as_mut_slice()).unwrap();
    let mut outputs = Vec::new();
    for input in inputs() {
        session.input_mut().copy_from_slice(&input);
        session.run();
        outputs.extend(session.output().iter().map(|value| *value as u8));
    }
    outputs
}

#[test]
fn the_golden_image_still_loads_and_answers_the_same() {
    let image = Aligned::new(GOLDEN);
    let model = Model::load(image.bytes()).unwrap();
    assert_eq!(outputs(&model), GOLDEN_OUTPUT);
    let mut arena = Arena::<384>::new();
    assert!(
        Session::new(&model, arena.as_mut_slice())
            .unwrap()
            .self_test()
    );
}

#[test]
fn the_records_still_give_the_golden_bytes() {
    assert_eq!(sample().bytes(), GOLDEN);
}

/// Writes the golden files anew: only for a new format version. `cargo test -- --ignored golden`.
#[test]
#[ignore = "writes the golden files"]
fn write_golden() {
    let image = sample();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sample");
    std::fs::write(format!("{folder}.dnl"), image.bytes()).unwrap();
    let model = Model::load(image.bytes()).unwrap();
    std::fs::write(format!("{folder}.output.i8"), outputs(&model)).unwrap();
}

#[test]
fn the_golden_outputs_are_varied() {
    let mut distinct = GOLDEN_OUTPUT.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() > 40, "{distinct:?}");
}

#[test]
fn accessors_show_what_was_built() {
    let image = sample();
    let model = Model::load(image.bytes()).unwrap();
    assert_eq!(model.image_len(), image.bytes().len());
    assert_eq!(model.arena_bytes(), 384);
    assert_eq!(model.stack_bytes(), 1024);
    assert_eq!(model.macs(), 5168);
    assert_eq!(model.kernel_set(), SAMPLE_KERNELS);
    assert_eq!(model.graph_hash(), &[7; 32]);
    assert_eq!(model.input().shape, [1, 8, 8, 2]);
    assert_eq!(model.output().len, 6);
    assert_eq!(model.tensors().count(), 8);
    assert_eq!(model.operators().len(), 7);
    assert_eq!(
        model.labels().collect::<Vec<_>>(),
        ["a", "b", "c", "d", "e", "f"]
    );
    assert_eq!((model.label(5), model.label(6)), (Some("f"), None));
    assert_eq!(model.metadata(), "a sample");
    let drift = model.drift_reference();
    assert_eq!((drift.features(), drift.windows()), (128, 1600));
    assert_eq!(drift.edges(3)[0], -56);
    assert_eq!(drift.counts(127), &[100; 16]);
    assert_eq!(drift.counts(128), &[0; 16]);
    assert_eq!(drift.confidence(), &[100; 16]);
    assert_eq!(drift.classes(), [200, 200, 300, 300, 300, 300]);
    let features = model.features();
    assert_eq!((features.window, features.feature_len()), (256, 128));
    assert_eq!((features.scale, features.zero_point), (0.05, -3));
    assert_eq!(features.offset, [-12.0; 128]);
    assert_eq!(features.gain, [0.25; 128]);
}

#[test]
fn an_image_in_a_longer_slot_is_the_same_image() {
    let image = sample();
    let mut slot = image.bytes().to_vec();
    slot.resize(slot.len() + 1000, 0xFF);
    let slot = Aligned::new(&slot);
    let model = Model::load(slot.bytes()).unwrap();
    assert_eq!(model.image_len(), image.bytes().len());
    assert_eq!(
        outputs(&model),
        outputs(&Model::load(image.bytes()).unwrap())
    );
}

#[test]
fn an_arena_must_be_long_and_aligned_enough() {
    let image = sample();
    let model = Model::load(image.bytes()).unwrap();
    let mut arena = Arena::<400>::new();
    let arena = arena.as_mut_slice();
    assert_eq!(
        Session::new(&model, &mut arena[..383]).unwrap_err(),
        ArenaError::TooSmall { needed: 384 }
    );
    assert_eq!(
        Session::new(&model, &mut arena[1..]).unwrap_err(),
        ArenaError::Misaligned
    );
    assert!(Session::new(&model, &mut arena[16..]).is_ok());
}

#[test]
fn what_the_arena_held_does_not_matter() {
    let image = sample();
    let model = Model::load(image.bytes()).unwrap();
    let answer = |fill: i8| {
        let mut arena = Arena::<384>::new();
        arena.as_mut_slice().fill(fill);
        let mut session = Session::new(&model, arena.as_mut_slice()).unwrap();
        session.input_mut().copy_from_slice(&inputs()[0]);
        session.run();
        session.output().to_vec()
    };
    assert_eq!(answer(0), answer(-77));
}

#[test]
fn a_trace_shows_every_operator_once_and_ends_with_the_output() {
    let image = sample();
    let model = Model::load(image.bytes()).unwrap();
    let mut arena = Arena::<384>::new();
    let mut session = Session::new(&model, arena.as_mut_slice()).unwrap();
    session.input_mut().copy_from_slice(&inputs()[3]);
    let mut seen = Vec::new();
    session.run_traced(|index, output| seen.push((index, output.to_vec())));
    let lengths: Vec<_> = seen
        .iter()
        .map(|(index, output)| (*index, output.len()))
        .collect();
    assert_eq!(
        lengths,
        [(0, 256), (1, 64), (2, 64), (3, 8), (4, 6), (5, 6), (6, 6)]
    );
    assert_eq!(seen[6].1, session.output());
    assert_eq!(seen[1].1, seen[2].1);
    assert!(seen[0].1.iter().all(|value| *value >= 5));
    assert!(seen[0].1.iter().any(|value| *value > 5));
}

#[test]
fn a_wrong_weight_fails_the_self_test() {
    let mut image = sample();
    let weights = image.section(|header| header.constants);
    weights[0] = weights[0].wrapping_add(100);
    assert_eq!(Model::load(image.bytes()).unwrap_err(), LoadError::Hash);
    image.seal();
    let model = Model::load(image.bytes()).unwrap();
    let mut arena = Arena::<384>::new();
    assert!(
        !Session::new(&model, arena.as_mut_slice())
            .unwrap()
            .self_test()
    );
}
