//! Layers on both sides of every condition of a fast kernel, on every board.

use edge_compiler::{
    AlignedBytes, CompileError, Graph, Optimize, Options, Package, Target, compile_with,
};
use emulator::bench::Job;

use crate::boards;

#[path = "../../../edge-compiler/tests/borders/cases/mod.rs"]
#[allow(dead_code, reason = "the choice of kernels is checked elsewhere")]
mod cases;

struct Case {
    what: String,
    image: AlignedBytes,
    rows: Vec<Vec<i8>>,
    expected: Vec<Vec<i8>>,
}

fn case(what: &str, graph: &Graph, target: &Target, optimize: Optimize) -> Option<Case> {
    let options = Options {
        optimize,
        ..Options::default()
    };
    let compiled = match compile_with(&Package::bare(graph.clone()), target, options) {
        Ok(compiled) => compiled,
        Err(CompileError::Proof(_)) => return None,
        Err(error) => panic!("{what}: {error}"),
    };
    let rows = cases::rows(graph);
    Some(Case {
        what: format!("{what}, {optimize:?}"),
        image: compiled.image,
        expected: rows
            .iter()
            .map(|row| cases::reference(graph, row))
            .collect(),
        rows,
    })
}

#[test]
fn both_sides_of_every_border_are_exact_on_every_board() {
    let mut layers: Vec<(String, Graph)> = Vec::new();
    for border in cases::borders() {
        layers.push((format!("within: {}", border.what), border.near.graph()));
        layers.push((format!("beyond: {}", border.what), border.far.graph()));
    }
    for settings in cases::sweep() {
        layers.push((format!("{settings:?}"), settings.graph()));
    }
    let mut wrong = Vec::new();
    for board in boards() {
        let name = board.machine().name;
        let target = Target::board(name).unwrap();
        let all: Vec<Case> = layers
            .iter()
            .flat_map(|(what, graph)| {
                [Optimize::Speed, Optimize::Size]
                    .map(|optimize| case(what, graph, &target, optimize))
            })
            .flatten()
            .collect();
        let jobs: Vec<Job<'_>> = all
            .iter()
            .map(|case| Job {
                image: &case.image,
                rows: &case.rows,
                trace: false,
                keep_state: false,
            })
            .collect();
        for (case, run) in all.iter().zip(board.run_all(&jobs).unwrap()) {
            match run {
                Ok(run) if run.outputs == case.expected => {}
                Ok(_) => wrong.push(format!("{name}: {}", case.what)),
                Err(error) => wrong.push(format!("{name}: {}: {error}", case.what)),
            }
        }
        println!("{name}: {} layers", all.len());
        assert!(all.len() > 200);
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
