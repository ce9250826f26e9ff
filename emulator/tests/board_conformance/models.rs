//! Published models on every board, for speed and for size: final outputs of all rows, and on the
//! first row the output of every layer.
//!
//! The models are not part of the project: the folder is `DUNLIN_MODELS`, or `../shared/models`
//! beside the repository. Without it nothing is tested, and a line says so.

use std::{fs, path::PathBuf};

use edge_compiler::import::lower::{ImportOptions, Imported, ReferenceRounding, import};
use edge_compiler::{Compiled, Optimize, Options, Package, Target, compile_with};
use emulator::bench::{BenchBoard, BenchRun, Job};

use crate::boards;

/// Outputs that are known of a model: the end of the file's name, whose they are, and whether the
/// rows are one sequence.
const OUTPUTS: [(&str, ReferenceRounding, bool); 3] = [
    ("output.i8", ReferenceRounding::Litert, false),
    ("output_seq.i8", ReferenceRounding::Litert, true),
    ("output_tflm.i8", ReferenceRounding::Tflm, false),
];

fn folder() -> PathBuf {
    match std::env::var_os("DUNLIN_MODELS") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/models"),
    }
}

/// Names of the models there, sorted.
fn models() -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder()) else {
        eprintln!(
            "SKIPPED: no models in {}; set DUNLIN_MODELS",
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

fn bytes(file: &str) -> Option<Vec<i8>> {
    let bytes = fs::read(folder().join(file)).ok()?;
    Some(bytes.into_iter().map(u8::cast_signed).collect())
}

/// What a job is to be compared with.
enum Expected {
    Outputs(Vec<i8>),
    /// With `true` of every operator, with `false` of those that fusion left.
    Layers(Imported, bool),
}

struct Case {
    /// For people.
    what: String,
    model: String,
    compiled: Compiled,
    rows: Vec<Vec<i8>>,
    keep_state: bool,
    expected: Expected,
}

/// Everything that is known of a model, for a board.
fn cases(model: &str, board: &BenchBoard, cases: &mut Vec<Case>) {
    let file = fs::read(folder().join(format!("{model}.tflite"))).unwrap();
    let target = Target::board(board.machine().name).unwrap();
    let compiled = |rounding, optimize, unfused| {
        let imported = import(&file, &ImportOptions { rounding }).map_err(|e| e.to_string())?;
        let package = Package::bare(imported.graph.clone());
        let options = Options { optimize, unfused };
        let compiled = compile_with(&package, &target, options).map_err(|e| e.to_string())?;
        Ok::<_, String>((imported, compiled))
    };
    let inputs = bytes(&format!("{model}.input.i8")).unwrap();
    let rows = |compiled: &Compiled| -> Vec<Vec<i8>> {
        let len = compiled.graph.tensors[compiled.graph.input].len();
        inputs.chunks(len).map(<[i8]>::to_vec).collect()
    };
    for optimize in [Optimize::Speed, Optimize::Size] {
        for (end, rounding, keep_state) in OUTPUTS {
            let Some(outputs) = bytes(&format!("{model}.{end}")) else {
                continue;
            };
            let found = compiled(rounding, optimize, false);
            let (_, compiled) = match found {
                Ok(found) => found,
                // Only the results of LiteRT's are known.
                Err(error) if rounding == ReferenceRounding::Tflm && error.contains("LSTM") => {
                    println!("{model}, {end}: skipped: {error}");
                    continue;
                }
                Err(error) => panic!("{model}: {error}"),
            };
            cases.push(Case {
                what: format!("{model}.{end}, {optimize:?}"),
                model: model.into(),
                rows: rows(&compiled),
                compiled,
                keep_state,
                expected: Expected::Outputs(outputs),
            });
        }
        for unfused in [false, true] {
            let (imported, compiled) =
                compiled(ReferenceRounding::Litert, optimize, unfused).unwrap();
            cases.push(Case {
                what: format!("{model}, {optimize:?}, unfused: {unfused}"),
                model: model.into(),
                rows: rows(&compiled)[..1].to_vec(),
                compiled,
                keep_state: false,
                expected: Expected::Layers(imported, unfused),
            });
        }
    }
}

/// Whether a tensor is another one without some of its channels, which the compiler takes out where
/// what reads them can do without.
fn is_compacted(found: &[i8], channels: usize, expected: &[i8]) -> bool {
    let pixels = found.len() / channels.max(1);
    if channels == 0 || pixels == 0 || !expected.len().is_multiple_of(pixels) {
        return false;
    }
    let of = expected.len() / pixels;
    let mut left = 0..of;
    channels < of
        && (0..channels).all(|channel| {
            left.any(|other| {
                (0..pixels).all(|p| found[p * channels + channel] == expected[p * of + other])
            })
        })
}

/// Compares the layers that the image still has with those of the model; how many those were, or
/// what differs.
fn layers(case: &Case, imported: &Imported, all: bool, run: &BenchRun) -> Result<usize, String> {
    let mut compared = 0;
    // Where several operators come from one of the model's, the last gives its output.
    let mut traced = vec![None; imported.operators.len()];
    let graph = &case.compiled.graph;
    for (operator, output) in graph.operators.iter().zip(&run.traces[0]) {
        if let Some(source) = operator.source {
            traced[source] = Some((output, graph.tensors[operator.output].shape[3]));
        }
    }
    for (index, found) in traced.iter().enumerate() {
        let operator = &imported.operators[index].name;
        let file = format!("{}.layers/{index:02}_{operator}.i8", case.model);
        let Some(expected) = bytes(&file) else {
            continue;
        };
        let Some((found, channels)) = found else {
            match all {
                true => return Err(format!("operator {index} ({operator}) is missing")),
                false => continue,
            }
        };
        if **found != expected && !is_compacted(found, *channels, &expected) {
            return Err(format!("operator {index} ({operator})"));
        }
        compared += 1;
    }
    Ok(compared)
}

fn judge(case: &Case, run: &BenchRun) -> Result<usize, String> {
    match &case.expected {
        Expected::Outputs(expected) if run.outputs.concat() != *expected => {
            Err("the outputs".into())
        }
        Expected::Outputs(_) if run.stack_peak > run.stack_bound => Err(format!(
            "the stack goes {} deep, the bound is {}",
            run.stack_peak, run.stack_bound
        )),
        Expected::Outputs(_) => Ok(0),
        Expected::Layers(imported, all) => layers(case, imported, *all, run),
    }
}

#[test]
fn published_models_answer_as_their_references_on_every_board() {
    let models = models();
    let mut wrong = Vec::new();
    for board in boards() {
        let mut all = Vec::new();
        for model in &models {
            cases(model, &board, &mut all);
        }
        let jobs: Vec<Job<'_>> = all
            .iter()
            .map(|case| Job {
                image: &case.compiled.image,
                rows: &case.rows,
                trace: matches!(case.expected, Expected::Layers(..)),
                keep_state: case.keep_state,
            })
            .collect();
        let name = board.machine().name;
        let mut compared = 0;
        for (case, run) in all.iter().zip(board.run_all(&jobs).unwrap()) {
            let run = run.map_err(|error| error.to_string());
            match run.and_then(|run| judge(case, &run)) {
                Ok(layers) => compared += layers,
                Err(why) => wrong.push(format!("{name}: {}: {why}", case.what)),
            }
        }
        println!("{name}: {} runs, {compared} layers", all.len());
        // Every model has layers, or nothing was compared.
        assert!(compared >= 4 * models.len());
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
