//! Random models against LiteRT's reference kernels: `tests/goldens` of the repository says where
//! they come from. Every model of the archive is imported, compiled and run on every row; all
//! outputs are compared byte for byte.

mod goldens;

use edge_compiler::import::lower::{ImportOptions, ReferenceRounding, import};
use edge_compiler::{AlignedBytes, Compiled, Package, Target, compile};
use edge_runtime::{Model, Session};
use goldens::{Golden, goldens};

/// What is wrong with this compiler's answers to a model, if anything is.
fn judge(golden: &Golden) -> Result<(), String> {
    let options = ImportOptions {
        rounding: ReferenceRounding::Litert,
    };
    let imported = match import(&golden.model, &options) {
        // A tensor without elements: LiteRT gives nothing, an image cannot say it.
        Err(_) if golden.outputs.iter().all(Vec::is_empty) => return Ok(()),
        imported => imported.map_err(|error| error.to_string())?,
    };
    let compiled = compile(&Package::bare(imported.graph), &Target::host());
    let compiled = compiled.map_err(|error| error.to_string())?;
    let found = run(golden, &compiled);
    for (row, (found, expected)) in found.iter().zip(&golden.outputs).enumerate() {
        if found.len() != expected.len() {
            return Err(format!(
                "{} outputs instead of {}",
                found.len(),
                expected.len()
            ));
        }
        let mut pairs = found.iter().zip(expected);
        let differing = pairs.clone().filter(|(a, b)| a != b).count();
        if let Some(first) = pairs.position(|(a, b)| a != b) {
            let (a, b) = (found[first], expected[first]);
            return Err(format!(
                "row {row}: {differing} of {} differ, the first at {first}: {a} instead of {b}",
                found.len()
            ));
        }
    }
    Ok(())
}

fn run(golden: &Golden, compiled: &Compiled) -> Vec<Vec<i8>> {
    let model = Model::load(&compiled.image).unwrap();
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, arena.as_i8_mut()).unwrap();
    assert!(session.self_test(), "{}", golden.name);
    session.reset_state();
    let mut outputs = Vec::new();
    for row in &golden.inputs {
        if !golden.keeps_state {
            session.reset_state();
        }
        let mut values = row.as_slice();
        for index in 0..model.inputs().count() {
            let input = session.input_at_mut(index);
            let (own, rest) = values.split_at(input.len());
            input.copy_from_slice(own);
            values = rest;
        }
        assert!(values.is_empty(), "{}", golden.name);
        session.run();
        let tensors = (0..model.outputs().count()).flat_map(|index| session.output_at(index));
        outputs.push(tensors.copied().collect());
    }
    outputs
}

/// `GOLDEN=conv` runs only models whose names begin so.
#[test]
fn random_models_answer_as_litert() {
    let prefix = std::env::var("GOLDEN").unwrap_or_default();
    let (mut run, mut wrong) = (0, Vec::new());
    for golden in goldens().iter().filter(|g| g.name.starts_with(&prefix)) {
        run += 1;
        if let Err(reason) = judge(golden) {
            wrong.push(format!("{}: {reason}", golden.name));
        }
    }
    assert!(run > 0);
    println!("{run} models");
    assert!(
        wrong.is_empty(),
        "{} of {run} models:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// PAD before a convolution costs nothing.
#[test]
fn convolutions_pad_by_themselves() {
    let padded = goldens()
        .into_iter()
        .filter(|g| g.name.starts_with("graph_padded"));
    let mut seen = 0;
    for golden in padded {
        let imported = import(&golden.model, &ImportOptions::default()).unwrap();
        let compiled = compile(&Package::bare(imported.graph), &Target::host()).unwrap();
        let kinds: Vec<&str> = compiled
            .graph
            .operators
            .iter()
            .map(|o| o.kind.name())
            .collect();
        assert!(!kinds.contains(&"PAD"), "{}: {kinds:?}", golden.name);
        seen += 1;
    }
    assert!(seen > 0);
}
