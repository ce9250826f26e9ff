//! Damaged and random images with a correct hash: refused, or run without a panic.
//!
//! The test profile checks for overflow, so that a slip of arithmetic shows as a panic too.

mod common;

use common::{Aligned, sample};
use edge_runtime::format::ALIGNMENT;
use edge_runtime::monitor::Monitor;
use edge_runtime::{Model, Session};
use proptest::prelude::*;

/// An arena greater than this is not tried.
const ARENA_LIMIT: usize = 1 << 20;

/// Does everything that can be done with an image; true if it was accepted.
fn exercise(image: &mut Aligned) -> bool {
    image.seal();
    let Ok(model) = Model::load(image.bytes()) else {
        return false;
    };
    if model.arena_bytes() > ARENA_LIMIT || model.macs() > 1_000_000 {
        return true;
    }
    let mut arena = vec![0_u128; model.arena_bytes().div_ceil(ALIGNMENT)];
    let arena = <[i8] as zerocopy::FromBytes>::mut_from_bytes(zerocopy::IntoBytes::as_mut_bytes(
        arena.as_mut_slice(),
    ))
    .unwrap();
    let mut session = Session::new(&model, arena).unwrap();
    for fill in [-128, 127, 3] {
        session.input_mut().fill(fill);
        session.run();
    }
    let _ = session.self_test();
    assert_eq!(session.output().len(), model.output().len);
    assert!([0, model.output().len].contains(&model.labels().count()));

    let features = model.features();
    let mut scratch = vec![0.0; features.scratch_len()];
    let mut q = vec![0; features.feature_len()];
    for sample in [0.0, 1.0, -3.0e38] {
        let mut samples = vec![sample; features.window];
        samples[0] = 0.5;
        let _ = features.run(&samples, &mut scratch, &mut q);
    }
    session.input_mut().copy_from_slice(&q);

    let reference = model.drift_reference();
    let mut counts = vec![0; Monitor::len(reference)];
    let mut monitor = Monitor::new(reference, &mut counts).unwrap();
    monitor.record(&q, session.output());
    assert_eq!(monitor.windows(), 1);
    let _ = monitor.novelty(&q);
    true
}

/// Bytes that sit on the edges of what fields may hold.
const TELLING: [u8; 8] = [0, 1, 2, 0x0F, 0x10, 0x7F, 0x80, 0xFF];

#[test]
fn every_byte_changed_to_every_telling_value() {
    let mut original = sample();
    let section = original.header().drift;
    let (drift, drift_end) = (
        section.offset as usize,
        (section.offset + section.len) as usize,
    );
    let (mut accepted, mut refused) = (0, 0);
    for at in 0..original.bytes().len() {
        // The drift reference repeats itself: its beginning and every 61st byte stand for all.
        if (drift + 100..drift_end).contains(&at) && at % 61 != 0 {
            continue;
        }
        for value in TELLING {
            let mut image = original.clone();
            image.bytes_mut()[at] = value;
            if exercise(&mut image) {
                accepted += 1;
            } else {
                refused += 1;
            }
        }
    }
    // Weights may be anything; records may not.
    assert!(accepted > 5000, "{accepted}");
    assert!(refused > 3000, "{refused}");
}

/// Where the header and the tensor and operator records lie.
fn records() -> std::ops::Range<usize> {
    let mut image = sample();
    let operators = image.header().operators;
    48..(operators.offset + operators.len) as usize
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn several_changes_in_the_records(
        changes in prop::collection::vec((records(), prop::sample::select(&TELLING)), 1..6)
    ) {
        let mut image = sample_once();
        for (at, value) in changes {
            image.bytes_mut()[at] = value;
        }
        exercise(&mut image);
    }

    #[test]
    fn words_changed_in_the_records(
        changes in prop::collection::vec((records(), prop_oneof![any::<u32>(), 0_u32..300, Just(u32::MAX)]), 1..4)
    ) {
        let mut image = sample_once();
        for (at, value) in changes {
            let at = at & !3;
            image.bytes_mut()[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        exercise(&mut image);
    }

    #[test]
    fn bits_flipped_anywhere(flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..8)) {
        let mut image = sample_once();
        for (at, bit) in flips {
            let at = at.index(image.bytes().len());
            image.bytes_mut()[at] ^= 1 << bit;
        }
        exercise(&mut image);
    }

    #[test]
    fn cut_and_declared_shorter(len in 0_usize..2000) {
        let original = sample_once();
        let mut image = Aligned::new(&original.bytes()[..len]);
        if len >= 176 {
            image.header().image_len = len as u32;
        }
        prop_assert!(!exercise(&mut image));
    }

    #[test]
    fn any_bytes_behind_a_plausible_start(bytes in prop::collection::vec(any::<u8>(), 200..600)) {
        let mut image = Aligned::new(&bytes[..bytes.len() & !15]);
        let len = image.bytes().len() as u32;
        let original = sample_once();
        image.bytes_mut()[..8].copy_from_slice(&original.bytes()[..8]);
        image.bytes_mut()[8..12].copy_from_slice(&len.to_le_bytes());
        image.bytes_mut()[12..16].fill(0);
        exercise(&mut image);
    }

    #[test]
    fn any_settings_of_the_operators(
        index in 0_usize..7,
        fields in any::<[u16; 12]>(),
        small in any::<bool>(),
        shape in any::<[u8; 3]>(),
    ) {
        // Small numbers often give a geometry that follows: these are run.
        let mut image = sample_once();
        let limit = if small { 4 } else { u16::MAX };
        let record = &mut image.operators()[index];
        record.kernel = [fields[0] % limit, fields[1] % limit];
        record.stride = [fields[2] % limit, fields[3] % limit];
        record.padding = [fields[4] % limit, fields[5] % limit];
        record.dilation = [fields[6] % limit, fields[7] % limit];
        if fields[8] % 4 == 0 {
            let tensor = &mut image.tensors()[index + 1];
            let [height, width, depth] = shape.map(|n| u16::from(n % 9));
            tensor.shape = [1, height, width, depth];
            tensor.len = u32::from(height) * u32::from(width) * u32::from(depth);
        }
        exercise(&mut image);
    }
}

fn sample_once() -> Aligned {
    static SAMPLE: std::sync::OnceLock<Aligned> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(sample).clone()
}
