//! Every model of the archive in `tests/goldens`, on every board, for speed and for size.

use edge_compiler::import::lower::{ImportOptions, import};
use edge_compiler::{AlignedBytes, Optimize, Options, Package, Target, compile_with};
use emulator::bench::{BenchBoard, Job};

use crate::archive::{Golden, goldens};
use crate::boards;

/// The image for a board; `None` where a model has no outputs, which no image can say.
fn image(golden: &Golden, board: &BenchBoard, optimize: Optimize) -> Option<AlignedBytes> {
    let name = &golden.name;
    let imported = match import(&golden.model, &ImportOptions::default()) {
        Err(_) if golden.outputs.iter().all(Vec::is_empty) => return None,
        imported => imported.unwrap_or_else(|error| panic!("{name}: {error}")),
    };
    let target = Target::board(board.machine().name).unwrap();
    let options = Options {
        optimize,
        ..Options::default()
    };
    let compiled = compile_with(&Package::bare(imported.graph), &target, options);
    Some(
        compiled
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .image,
    )
}

/// What is wrong with the answers of a board, in words.
fn judge(board: &BenchBoard, optimize: Optimize, goldens: &[Golden]) -> Vec<String> {
    let compiled: Vec<(&Golden, AlignedBytes)> = goldens
        .iter()
        .filter_map(|golden| Some((golden, image(golden, board, optimize)?)))
        .collect();
    assert!(compiled.len() > 800, "{} models", compiled.len());
    let jobs: Vec<Job<'_>> = compiled
        .iter()
        .map(|(golden, image)| Job {
            image,
            rows: &golden.inputs,
            trace: false,
            keep_state: golden.keeps_state,
        })
        .collect();
    let runs = board.run_all(&jobs).unwrap();
    let mut wrong = Vec::new();
    for ((golden, _), run) in compiled.iter().zip(runs) {
        let what = format!("{} on {}, {optimize:?}", golden.name, board.machine().name);
        match run {
            Err(error) => wrong.push(format!("{what}: {error}")),
            Ok(run) if run.outputs != golden.outputs => wrong.push(what),
            Ok(run) if run.stack_peak > run.stack_bound => wrong.push(format!(
                "{what}: the stack goes {} deep, the bound is {}",
                run.stack_peak, run.stack_bound
            )),
            Ok(_) => {}
        }
    }
    println!(
        "{}, {optimize:?}: {} models, {} wrong",
        board.machine().name,
        jobs.len(),
        wrong.len()
    );
    wrong
}

#[test]
fn random_models_answer_as_litert_on_every_board() {
    let goldens = goldens();
    let mut wrong = Vec::new();
    for board in boards() {
        for optimize in [Optimize::Speed, Optimize::Size] {
            wrong.extend(judge(&board, optimize, &goldens));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
