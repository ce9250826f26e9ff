//! Damaged model files and damaged images of every operator: refused, or compiled and run without a
//! panic. The test profile checks for overflow, so that a slip of arithmetic shows as a panic too.

mod goldens;

use std::collections::BTreeSet;

use edge_compiler::import::lower::{ImportOptions, import};
use edge_compiler::{AlignedBytes, Package, Target, compile};
use edge_runtime::format::{HASH_OFFSET, Header};
use edge_runtime::{Model, Session, image_hash};
use goldens::{Golden, goldens};

/// The first model of every family.
fn one_of_each() -> Vec<Golden> {
    let mut seen = BTreeSet::new();
    let family = |name: &str| {
        name.trim_end_matches(|c: char| c.is_ascii_digit())
            .to_owned()
    };
    let mut all = goldens();
    all.retain(|golden| seen.insert(family(&golden.name)));
    all
}

/// xorshift: the same cases on every run.
struct Random(u32);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % bound
    }

    /// A byte on the edge of what fields may hold, or any.
    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 8] = [0, 1, 2, 0x0F, 0x10, 0x7F, 0x80, 0xFF];
        match self.below(4) {
            0 => self.below(256) as u8,
            _ => TELLING[self.below(TELLING.len())],
        }
    }
}

#[test]
fn damaged_model_files_do_no_harm() {
    let mut random = Random(1);
    let (mut lowered, mut compiled) = (0, 0);
    for golden in one_of_each() {
        for _ in 0..120 {
            let mut file = golden.model.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(file.len());
                file[at] = random.byte();
            }
            let Ok(imported) = import(&file, &ImportOptions::default()) else {
                continue;
            };
            lowered += 1;
            // Large ones would only take long.
            let graph = &imported.graph;
            if graph.work() > 1_000_000 || graph.tensors.iter().any(|t| t.len() > 1 << 16) {
                continue;
            }
            compiled +=
                usize::from(compile(&Package::bare(imported.graph), &Target::host()).is_ok());
        }
    }
    println!("{lowered} lowered, {compiled} compiled");
    assert!(compiled > 500, "{compiled}");
}

#[test]
fn damaged_images_of_every_operator_do_no_harm() {
    let mut random = Random(2);
    let (mut accepted, mut refused) = (0, 0);
    for golden in one_of_each() {
        let Ok(imported) = import(&golden.model, &ImportOptions::default()) else {
            continue;
        };
        let image = compile(&Package::bare(imported.graph), &Target::host())
            .unwrap()
            .image;
        let operators = Model::load(&image).unwrap().header().operators;
        let records = size_of::<Header>()..(operators.offset + operators.len) as usize;
        for _ in 0..250 {
            let mut image = image.clone();
            for _ in 0..=random.below(3) {
                // Constants too, which hold the parameters of some operators.
                let end = if random.below(4) == 0 {
                    image.len()
                } else {
                    records.end
                };
                let at = records.start + random.below(end - records.start);
                image[at] = random.byte();
            }
            match exercise(&mut image) {
                true => accepted += 1,
                false => refused += 1,
            }
        }
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(accepted > 500 && refused > 500, "{accepted} {refused}");
}

/// True if the image was accepted.
fn exercise(image: &mut AlignedBytes) -> bool {
    if let Some(hash) = image_hash(image) {
        image[HASH_OFFSET..HASH_OFFSET + hash.len()].copy_from_slice(&hash);
    }
    let Ok(model) = Model::load(image) else {
        return false;
    };
    if model.arena_bytes() > 1 << 20 || model.macs() > 1_000_000 {
        return true;
    }
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, arena.as_i8_mut()).unwrap();
    for fill in [-128, 127, 3] {
        for index in 0..model.inputs().count() {
            session.input_at_mut(index).fill(fill);
        }
        session.run();
    }
    true
}
