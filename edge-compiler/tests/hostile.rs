//! Damaged model files and damaged images of every operator: refused, or compiled and run without a
//! panic. The test profile checks for overflow, so that a slip of arithmetic shows as a panic too.

mod goldens;

use std::collections::BTreeSet;

use edge_compiler::import::lower::{ImportOptions, import};
use edge_compiler::{AlignedBytes, Optimize, Options, Package, Target, compile, compile_with};
use edge_runtime::format::{HASH_OFFSET, Header, opcode};
use edge_runtime::kernels::native;
use edge_runtime::kernels::reference::table::KERNELS;
use edge_runtime::model::OperatorFault;
use edge_runtime::{LoadError, Model, Session, image_hash};
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

/// Targets with packings of their own: those for this machine run on its kernels, the others on their
/// decoders.
const TARGETS: [&str; 4] = ["host", "mps2-an385", "mps2-an386", "mps3-an547"];

/// Runs `damage` on an image of every family of models, for every target, as often as it says.
fn damaged(times: usize, mut damage: impl FnMut(&Model<'_>, &mut AlignedBytes)) -> (usize, usize) {
    let (mut accepted, mut refused) = (0, 0);
    for golden in one_of_each() {
        let Ok(imported) = import(&golden.model, &ImportOptions::default()) else {
            continue;
        };
        let package = Package::bare(imported.graph);
        for target in TARGETS {
            for optimize in [Optimize::Speed, Optimize::Size] {
                let options = Options {
                    optimize,
                    ..Options::default()
                };
                let target = Target::board(target).unwrap();
                let original = compile_with(&package, &target, options).unwrap().image;
                let model = Model::load(&original).unwrap();
                for _ in 0..times {
                    let mut image = original.clone();
                    damage(&model, &mut image);
                    match exercise(&mut image) {
                        true => accepted += 1,
                        false => refused += 1,
                    }
                }
            }
        }
    }
    println!("{accepted} accepted, {refused} refused");
    (accepted, refused)
}

#[test]
fn damaged_images_of_every_operator_do_no_harm() {
    let mut random = Random(2);
    let (accepted, refused) = damaged(40, |model, image| {
        let operators = model.header().operators;
        let records = size_of::<Header>()..(operators.offset + operators.len) as usize;
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
    });
    assert!(accepted > 500 && refused > 500, "{accepted} {refused}");
}

/// The headers of packed weights, their ends and the records between them are data that a kernel
/// acts on: forms, shifts, counts.
#[test]
fn damaged_packed_weights_do_no_harm() {
    let mut random = Random(3);
    let (accepted, _) = damaged(40, |model, image| {
        let operators = model.operators();
        let operator = operators[random.below(operators.len())];
        let start = (model.header().constants.offset + operator.weights) as usize;
        let len = operator.weights_len as usize;
        if operator.packing == 0 || len == 0 || start + len > image.len() {
            return;
        }
        for _ in 0..=random.below(6) {
            let at = match random.below(4) {
                0 => random.below(len.min(16)),
                1 => len - 1 - random.below(len.min(64)),
                _ => random.below(len),
            };
            image[start + at] = random.byte();
        }
    });
    assert!(accepted > 500, "{accepted}");
}

/// Lengths and places that a kernel could trust: scratch, weights, shapes, in whole words.
#[test]
fn records_with_other_lengths_do_no_harm() {
    let mut random = Random(4);
    let (accepted, refused) = damaged(60, |model, image| {
        let header = model.header();
        let (section, field) = match random.below(3) {
            0 => (header.tensors, 32),
            _ => (header.operators, 80),
        };
        let records = section.len as usize / field;
        let record = section.offset as usize + random.below(records.max(1)) * field;
        for _ in 0..=random.below(2) {
            let at = record + random.below(field / 4) * 4;
            let word = u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
            // Near to what was there: these get furthest.
            let other = match random.below(4) {
                0 => word.wrapping_add(16),
                1 => word.wrapping_sub(16),
                2 => word.wrapping_add(1 + random.below(4) as u32),
                _ => word / 2,
            };
            image[at..at + 4].copy_from_slice(&other.to_le_bytes());
        }
    });
    assert!(accepted > 100 && refused > 500, "{accepted} {refused}");
}

/// A copy whose places lie outside its tensors skips them; with the greatest sizes it would do so for
/// minutes.
#[test]
fn copies_of_more_than_the_output_holds_are_refused() {
    let mut found = 0;
    for golden in one_of_each() {
        let Ok(imported) = import(&golden.model, &ImportOptions::default()) else {
            continue;
        };
        let original = compile(&Package::bare(imported.graph), &Target::host()).unwrap();
        let model = Model::load(&original.image).unwrap();
        let operators = model.operators();
        let Some(index) = operators.iter().position(|o| o.opcode == opcode::COPY) else {
            continue;
        };
        let sizes = (model.header().constants.offset + operators[index].weights) as usize;
        let elements = model
            .tensors()
            .nth(operators[index].output.into())
            .unwrap()
            .len;
        let mut image = original.image.clone();
        for (place, size) in [1, 1, 1, 1, 1, elements as u32 + 1].into_iter().enumerate() {
            image[sizes + 4 * place..][..4].copy_from_slice(&size.to_le_bytes());
        }
        let hash = image_hash(&image).unwrap();
        image[HASH_OFFSET..HASH_OFFSET + hash.len()].copy_from_slice(&hash);
        let fault = OperatorFault::Parameters;
        assert_eq!(
            Model::load(&image).err(),
            Some(LoadError::Operator { index, fault }),
            "{}",
            golden.name
        );
        found += 1;
    }
    assert!(found > 5, "{found}");
}

/// Runs what is accepted on this machine's kernels and on the reference kernels; true if the image
/// was accepted.
fn exercise(image: &mut AlignedBytes) -> bool {
    if let Some(hash) = image_hash(image) {
        image[HASH_OFFSET..HASH_OFFSET + hash.len()].copy_from_slice(&hash);
    }
    let mut accepted = false;
    for kernels in [native(), &KERNELS] {
        let Ok(model) = Model::load_with(image, kernels) else {
            continue;
        };
        accepted = true;
        if model.arena_bytes() > 1 << 20 || model.macs() > 1_000_000 {
            continue;
        }
        let mut arena = AlignedBytes::zeroed(model.arena_bytes());
        let mut session = Session::new(&model, arena.as_i8_mut()).unwrap();
        for fill in [-128, 127, 3] {
            for index in 0..model.inputs().count() {
                session.input_at_mut(index).fill(fill);
            }
            session.run();
        }
    }
    accepted
}
