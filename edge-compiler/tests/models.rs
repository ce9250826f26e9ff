//! Published models, imported, compiled and compared with what LiteRT's reference kernels and
//! TensorFlow Lite Micro give.
//!
//! The models are not part of the project: the folder is `DUNLIN_MODELS`, or `../shared/models`
//! beside the repository. Without it nothing is tested.

use std::fs;
use std::path::{Path, PathBuf};

use edge_compiler::import::lower::{ImportOptions, Imported, ReferenceRounding, import};
use edge_compiler::{AlignedBytes, Compiled, Options, Package, Target, compile_with};
use edge_runtime::{Model, Session};

fn folder() -> PathBuf {
    match std::env::var_os("DUNLIN_MODELS") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/models"),
    }
}

/// Names of the models there.
fn models() -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder()) else {
        println!(
            "skipped: no models in {}; set DUNLIN_MODELS",
            folder().display()
        );
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".tflite").map(str::to_owned)
        })
        .collect();
    names.sort();
    names
}

fn compiled(
    name: &str,
    rounding: ReferenceRounding,
    options: Options,
) -> Result<(Imported, Compiled), String> {
    let file = fs::read(folder().join(format!("{name}.tflite"))).unwrap();
    let imported = import(&file, &ImportOptions { rounding }).map_err(|error| error.to_string())?;
    let package = Package::bare(imported.graph.clone());
    let compiled =
        compile_with(&package, &Target::host(), options).map_err(|error| error.to_string())?;
    Ok((imported, compiled))
}

fn bytes(path: &Path) -> Option<Vec<i8>> {
    let bytes = fs::read(path).ok()?;
    Some(bytes.into_iter().map(u8::cast_signed).collect())
}

/// Runs all rows, each with fresh states or all as one sequence.
fn outputs(compiled: &Compiled, inputs: &[i8], keep_state: bool) -> Vec<i8> {
    let model = Model::load(&compiled.image).unwrap();
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, arena.as_i8_mut()).unwrap();
    let mut outputs = Vec::new();
    for row in inputs.chunks(model.input().len) {
        if !keep_state {
            session.reset_state();
        }
        session.input_mut().copy_from_slice(row);
        session.run();
        outputs.extend_from_slice(session.output());
    }
    outputs
}

fn differences(found: &[i8], expected: &[i8]) -> usize {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).filter(|(a, b)| a != b).count()
}

fn compare(rounding: ReferenceRounding, suffix: &str) {
    let mut wrong = Vec::new();
    for name in models() {
        let file = |end: &str| folder().join(format!("{name}.{end}"));
        let Some(expected) = bytes(&file(suffix)) else {
            continue;
        };
        let compiled = match compiled(&name, rounding, Options::default()) {
            Ok((_, compiled)) => compiled,
            // Only the results of LiteRT's are known.
            Err(error) if rounding == ReferenceRounding::Tflm && error.contains("LSTM") => {
                println!("skipped: {error}");
                continue;
            }
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let inputs = bytes(&file("input.i8")).unwrap();
        let found = outputs(&compiled, &inputs, suffix == SEQUENCE);
        let differing = differences(&found, &expected);
        println!("{name}: {differing} of {} outputs differ", found.len());
        if differing > 0 {
            wrong.push(format!("{name}: {differing} outputs"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Outputs of all rows as one sequence.
const SEQUENCE: &str = "output_seq.i8";

#[test]
fn models_answer_as_litert() {
    compare(ReferenceRounding::Litert, "output.i8");
}

#[test]
fn models_remember_as_in_litert() {
    compare(ReferenceRounding::Litert, SEQUENCE);
}

#[test]
fn models_answer_as_tensorflow_lite_micro() {
    compare(ReferenceRounding::Tflm, "output_tflm.i8");
}

/// On the first row, operator by operator.
#[test]
fn every_layer_of_the_models_is_that_of_litert() {
    let mut wrong = Vec::new();
    for name in models() {
        // Fused plans lack what was fused, and channels that say nothing.
        let unfused = Options {
            unfused: true,
            ..Options::default()
        };
        let (imported, compiled) = match compiled(&name, ReferenceRounding::Litert, unfused) {
            Ok(found) => found,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let inputs = bytes(&folder().join(format!("{name}.input.i8"))).unwrap();
        let model = Model::load(&compiled.image).unwrap();
        let mut arena = AlignedBytes::zeroed(model.arena_bytes());
        let mut session = Session::new(&model, arena.as_i8_mut()).unwrap();
        let row = session.input_mut();
        row.copy_from_slice(&inputs[..row.len()]);
        let mut traced = vec![None; imported.operators.len()];
        session.run_traced(|index, output| {
            if let Some(source) = compiled.graph.operators[index].source {
                traced[source] = Some(output.to_vec());
            }
        });
        for (index, found) in traced.iter().enumerate() {
            let operator = &imported.operators[index].name;
            let layer = folder().join(format!("{name}.layers/{index:02}_{operator}.i8"));
            let (Some(found), Some(expected)) = (found, bytes(&layer)) else {
                continue;
            };
            let differing = differences(found, &expected);
            if differing > 0 {
                wrong.push(format!(
                    "{name}, operator {index} ({operator}): {differing} elements"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
