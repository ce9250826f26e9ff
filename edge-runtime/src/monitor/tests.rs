//! Counts by hand.

use super::{Monitor, MonitorError, bin, confidence_bin, novelty, top};
use crate::format::BINS;
use crate::model::DriftReference;
use std::vec;

/// Edges at -70, -60, ..., 70 and the zero byte.
const EDGES: [i8; BINS] = [
    -70, -60, -50, -40, -30, -20, -10, 0, 10, 20, 30, 40, 50, 60, 70, 0,
];

/// A second feature that training saw only in bins 3 to 15.
const COUNTS: [[u32; BINS]; 2] = [[1; BINS], [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]];

fn reference() -> DriftReference<'static> {
    DriftReference {
        windows: 16,
        edges: &[EDGES, EDGES],
        counts: &COUNTS,
        confidence: None,
        classes: &[8, 8, 0],
    }
}

#[test]
fn a_bin_is_the_number_of_edges_not_above_the_value() {
    assert_eq!(bin(&EDGES, -128), 0);
    assert_eq!(bin(&EDGES, -71), 0);
    assert_eq!(bin(&EDGES, -70), 1);
    assert_eq!(bin(&EDGES, -1), 7);
    assert_eq!(bin(&EDGES, 0), 8);
    assert_eq!(bin(&EDGES, 127), 15);
}

#[test]
fn confidence_has_sixteen_equal_bins() {
    for (value, expected) in [
        (-128, 0),
        (-113, 0),
        (-112, 1),
        (-1, 7),
        (0, 8),
        (111, 14),
        (127, 15),
    ] {
        assert_eq!(confidence_bin(value), expected, "{value}");
    }
}

#[test]
fn top_is_the_first_greatest() {
    assert_eq!(top(&[-3, 5, 5, -128]), Some((1, 5)));
    assert_eq!(top(&[-128]), Some((0, -128)));
    assert_eq!(top(&[]), None);
}

#[test]
fn counts_lie_where_the_module_says() {
    assert_eq!(Monitor::len(reference()), 2 * 16 + 16 + 3 + 1);
    let mut counts = vec![9; 60];
    let mut monitor = Monitor::new(reference(), &mut counts).unwrap();
    monitor.record(&[-128, 0], &[-100, 127, -100]);
    monitor.record(&[-128, 75], &[0, -1, 0]);
    let mut expected = vec![0; 52];
    expected[0] = 2;
    expected[16 + 8] = 1;
    expected[16 + 15] = 1;
    expected[32 + 15] = 1;
    expected[32 + 8] = 1;
    expected[48 + 1] = 1;
    expected[48] = 1;
    expected[51] = 2;
    assert_eq!(monitor.counts(), expected);
    assert_eq!(monitor.windows(), 2);
    monitor.reset();
    assert_eq!(monitor.counts(), [0; 52]);
}

#[test]
fn counts_stop_at_their_greatest_value() {
    let mut counts = [0; 52];
    let mut monitor = Monitor::new(reference(), &mut counts).unwrap();
    for _ in 0..70_000 {
        monitor.record(&[1, 1], &[1, 0, 0]);
    }
    assert_eq!(monitor.windows(), u16::MAX);
    assert_eq!(monitor.counts()[8], u16::MAX);
}

#[test]
fn too_little_memory_says_how_much_is_needed() {
    let mut counts = [0; 51];
    let refused = Monitor::new(reference(), &mut counts).unwrap_err();
    assert_eq!(refused, MonitorError::TooSmall { needed: 52 });
}

#[test]
fn wrong_lengths_are_harmless() {
    let mut counts = [0; 52];
    let mut monitor = Monitor::new(reference(), &mut counts).unwrap();
    monitor.record(&[], &[]);
    monitor.record(&[0; 9], &[0, 0, 0, 127]);
    assert_eq!(monitor.counts()[48..], [0, 0, 0, 2]);
}

#[test]
fn novelty_is_the_share_of_strange_features() {
    assert_eq!(novelty(reference(), &[0, 0]), 0);
    assert_eq!(novelty(reference(), &[-128, 0]), 127);
    assert_eq!(novelty(reference(), &[0, -55]), 127); // bin 2: never seen in training
    assert_eq!(novelty(reference(), &[-55, 127]), 127);
    assert_eq!(novelty(reference(), &[127, -128]), 255);
    assert_eq!(novelty(DriftReference::default(), &[1, 2]), 0);
}
