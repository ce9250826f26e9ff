//! Files that mean harm, or were damaged on the way.

use flatbuffers::FlatBufferBuilder;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::TfliteError;
use super::models::model_files;
use super::*;

/// The file built by hand, and the smallest of the models if they are here.
fn samples() -> Vec<Vec<u8>> {
    let hello = model_files().into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default();
        name == "hello_world_int8.tflite"
    });
    hello
        .map(|path| std::fs::read(path).unwrap())
        .chain([Parts::new().file()])
        .collect()
}

#[test]
fn cut_short() {
    for file in samples() {
        assert!(read(&file).is_ok());
        for length in 0..file.len() {
            if file.len() < 2000 || length % 97 == 0 {
                let _ = read(&file[..length]);
            }
        }
    }
}

#[test]
fn flipped_bytes() {
    let mut random = ChaCha8Rng::seed_from_u64(20);
    for file in samples() {
        let mut refused = 0;
        for _ in 0..2000 {
            let mut file = file.clone();
            for _ in 0..random.random_range(1..=4) {
                let at = random.random_range(0..file.len());
                file[at] ^= random.random_range(1..=u8::MAX);
            }
            refused += u32::from(read(&file).is_err());
        }
        // Many hit offsets; the others hit numbers, names and constants.
        assert!(refused > 200, "{refused}");
    }
}

/// Random bytes after a valid start, which lead the walk into shapes that no damage gives.
#[test]
fn random_bytes() {
    let mut random = ChaCha8Rng::seed_from_u64(21);
    for _ in 0..2000 {
        let length = random.random_range(8..400);
        // Small numbers are plausible offsets and lengths.
        let mut file: Vec<u8> = (0..length)
            .map(|_| match random.random_range(0..4) {
                0 => random.random_range(0..64_u8),
                1 => random.random(),
                _ => 0,
            })
            .collect();
        file[..8].copy_from_slice(b"\x08\0\0\0TFL3");
        let _ = read(&file);
    }
}

/// A megabyte that claims to be gigabytes: all tensors share one long name.
#[test]
fn shared_parts_are_counted() {
    let mut builder = FlatBufferBuilder::new();
    let name = builder.create_string(&"n".repeat(500_000));
    let tensors: Vec<_> = (0..10_000)
        .map(|_| {
            let start = builder.start_table();
            builder.push_slot_always(10, name);
            builder.end_table(start)
        })
        .collect();
    let bytes = subgraph_of(builder, &tensors);
    let error = read(&bytes).unwrap_err();
    let TfliteError::Damaged { place, reason } = error else {
        panic!("{error}");
    };
    assert!(place.starts_with("tensor "), "{place}");
    assert_eq!(reason, "Apparent size too large");
}

/// All entries of the list are one table.
#[test]
fn shared_tables_are_counted() {
    let mut builder = FlatBufferBuilder::new();
    let start = builder.start_table();
    let tensor = builder.end_table(start);
    let bytes = subgraph_of(builder, &vec![tensor; 100_000]);
    let error = read(&bytes).unwrap_err();
    let TfliteError::Damaged { place, reason } = error else {
        panic!("{error}");
    };
    assert!(place.starts_with("tensor "), "{place}");
    assert_eq!(reason, "Too many tables");
}

type TableOffset = flatbuffers::WIPOffset<flatbuffers::TableFinishedWIPOffset>;

/// A file whose one subgraph has these tensors and nothing else.
fn subgraph_of(mut builder: FlatBufferBuilder<'_>, tensors: &[TableOffset]) -> Vec<u8> {
    let tensors = builder.create_vector(tensors);
    let start = builder.start_table();
    builder.push_slot_always(4, tensors);
    let subgraph = builder.end_table(start);
    let subgraphs = builder.create_vector(&[subgraph]);
    let start = builder.start_table();
    builder.push_slot_always(4, 3_u32);
    builder.push_slot_always(8, subgraphs);
    let root = builder.end_table(start);
    builder.finish(root, Some("TFL3"));
    builder.finished_data().to_vec()
}
