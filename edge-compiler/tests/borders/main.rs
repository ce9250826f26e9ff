//! On both sides of every condition of a fast kernel: the compiler proves it or chooses another
//! kernel, and the bytes are those of the reference. Here on the host's kernels and on the decoders
//! of the packings for other processors.

mod cases;

use cases::{borders, reference, rows, sweep};
use edge_compiler::{
    AlignedBytes, CompileError, Compiled, Graph, Optimize, Options, Package, Target, compile_with,
};
use edge_runtime::kernels::reference::table::KERNELS;
use edge_runtime::{Model, Session};

fn compiled(graph: &Graph, target: &str, optimize: Optimize) -> Result<Compiled, CompileError> {
    let options = Options {
        optimize,
        ..Options::default()
    };
    let target = Target::board(target).unwrap();
    compile_with(&Package::bare(graph.clone()), &target, options)
}

/// The packing of the only operator and the first byte of its packed weights; 0 where they are
/// canonical.
fn chosen(model: &Model<'_>, image: &[u8]) -> (u8, u8) {
    let operator = model.operators()[0];
    let start = model.header().constants.offset + operator.weights;
    let first = match operator.packing {
        0 => 0,
        _ => image[start as usize],
    };
    (operator.packing, first)
}

/// Runs all rows on this machine's kernels, which are the decoders for another machine's packings,
/// and on the reference kernels alone.
fn check(what: &str, graph: &Graph, compiled: &Compiled) {
    let rows = rows(graph);
    let expected: Vec<_> = rows.iter().map(|row| reference(graph, row)).collect();
    for kernels in [edge_runtime::kernels::native(), &KERNELS] {
        let model = Model::load_with(&compiled.image, kernels).unwrap();
        let mut arena = AlignedBytes::zeroed(model.arena_bytes());
        let mut session = Session::new(&model, arena.as_i8_mut()).unwrap();
        for (row, expected) in rows.iter().zip(&expected) {
            session.input_mut().copy_from_slice(row);
            session.run();
            let tensors = (0..model.outputs().count()).flat_map(|i| session.output_at(i));
            let found: Vec<i8> = tensors.copied().collect();
            assert_eq!(found, *expected, "{what}");
        }
    }
}

#[test]
fn beyond_a_condition_another_kernel_is_chosen() {
    let mut wrong = Vec::new();
    for border in borders() {
        for (settings, expected, side) in [
            (&border.near, border.chosen[0], "within"),
            (&border.far, border.chosen[1], "beyond"),
        ] {
            let graph = settings.graph();
            let compiled = compiled(&graph, border.target, border.optimize).unwrap();
            let model = Model::load(&compiled.image).unwrap();
            let what = format!("{side}: {} ({})", border.what, border.target);
            let found = chosen(&model, &compiled.image);
            if found != expected {
                wrong.push(format!("{what}: {found:?} instead of {expected:?}"));
            }
            check(&what, &graph, &compiled);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The inputs do reach the ends that the borders are about.
#[test]
fn rows_drive_accumulators_to_their_ends() {
    let mut settings = cases::Settings::new(cases::Kind::Pointwise);
    settings.reach = 1 << 23;
    // One output step for each 2^22, and the second only at the very ends.
    settings.real = 2f64.powi(-22);
    settings.zero_point = 0;
    let graph = settings.graph();
    let outputs: Vec<i8> = rows(&graph)
        .iter()
        .flat_map(|row| reference(&graph, row))
        .collect();
    assert!(outputs.contains(&2) && outputs.contains(&-2), "{outputs:?}");
}

#[test]
fn every_kind_is_exact_at_every_end() {
    let mut run = 0;
    for settings in sweep() {
        let graph = settings.graph();
        for target in ["host", "mps2-an385", "mps2-an386", "mps3-an547"] {
            for optimize in [Optimize::Speed, Optimize::Size] {
                match compiled(&graph, target, optimize) {
                    Ok(compiled) => {
                        check(&format!("{settings:?} for {target}"), &graph, &compiled);
                        run += 1;
                    }
                    Err(CompileError::Proof(_)) => {}
                    Err(error) => panic!("{settings:?}: {error}"),
                }
            }
        }
    }
    assert!(run > 400, "{run}");
}
