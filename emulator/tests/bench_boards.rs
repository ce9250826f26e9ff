//! The bench programs of all five emulated processors: the same bytes as on the host, counts that
//! add up and repeat, and reasons for what is refused.
//!
//! Without QEMU, gcc or the built programs these tests say so and pass; where `DUNLIN_REQUIRE_QEMU`
//! is set, as `cargo xtask test` does when it found or installed QEMU, that is a failure.

use std::fs;

use edge_compiler::AlignedBytes;
use edge_runtime::{Model, Session};
use emulator::{
    EmulatorError,
    bench::{BenchBoard, BenchRun, Job, Options},
    elf,
};

const IMAGE: &[u8] = include_bytes!("../../edge-runtime/tests/golden/sample.dnl");
const EXPECTED: &[u8] = include_bytes!("../../edge-runtime/tests/golden/sample.output.i8");
const ROWS: usize = 32;
const EVERYTHING: Options = Options {
    trace: true,
    counts: true,
};

/// The inputs behind the golden outputs: the generator of edge-runtime's tests.
fn rows() -> Vec<Vec<i8>> {
    let mut state = 2024_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as i8
    };
    (0..ROWS)
        .map(|_| (0..128).map(|_| next()).collect())
        .collect()
}

/// What `test` gives, or `None` after saying why it cannot be had here.
fn unless_missing<T>(result: Result<T, EmulatorError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) if error.is_missing_tool() => {
            assert!(
                std::env::var_os("DUNLIN_REQUIRE_QEMU").is_none(),
                "the bench boards are required here: {error}"
            );
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The output of every operator for each row, on this host.
fn traces_on_the_host() -> Vec<Vec<Vec<i8>>> {
    let image = AlignedBytes::from(IMAGE);
    let model = Model::load(&image).unwrap();
    let mut arena = edge_runtime::Arena::<4096>::new();
    let mut session = Session::new(&model, arena.as_mut_slice()).unwrap();
    let trace = |row: &Vec<i8>| {
        let mut outputs = Vec::new();
        session.input_mut().copy_from_slice(row);
        session.run_traced(|_, output| outputs.push(output.to_vec()));
        outputs
    };
    rows().iter().map(trace).collect()
}

fn judge(board: &BenchBoard, run: &BenchRun) {
    let name = board.machine().name;
    let expected: Vec<i8> = EXPECTED.iter().map(|byte| byte.cast_signed()).collect();
    assert_eq!(run.outputs.concat(), expected, "{name}");
    assert_eq!(run.traces, traces_on_the_host(), "{name}");
    assert_eq!(run.arena_bytes, 384, "{name}");
    assert!(
        (1..=run.stack_bound).contains(&run.stack_peak),
        "{name}: the stack goes {} deep, the bound is {}",
        run.stack_peak,
        run.stack_bound
    );

    assert_eq!(run.instructions_per_row.len(), ROWS, "{name}");
    let sum: u64 = run.instructions_per_row.iter().sum();
    assert_eq!(run.counts.total(), sum, "{name}");
    assert_eq!(run.counts.elsewhere, 0, "{name}: nothing else runs");
    // Splitting takes a call an operator and little more.
    let layers: u64 = run.layers.iter().map(|layer| layer.instructions).sum();
    let first = run.instructions_per_row[0];
    assert!(
        layers.abs_diff(first) <= 32 * run.layers.len() as u64,
        "{name}: {layers} in the operators, {first} in all"
    );
    // The image has 5168 multiplications; the reference kernels need several instructions each.
    assert!((20_000..1_000_000).contains(&first), "{name}: {first}");

    let cycles = run.cycles_estimated;
    assert_eq!(cycles.is_some(), board.machine().core == "cortex-m4");
    if let Some(cycles) = cycles {
        let mean = sum / ROWS as u64;
        assert!((mean..2 * mean).contains(&cycles), "{cycles} for {mean}");
    }
}

#[test]
fn every_board_gives_the_golden_bytes_and_counts_that_add_up() {
    for name in BenchBoard::names() {
        let Some(board) = unless_missing(BenchBoard::find(name)) else {
            continue;
        };
        let Some(run) = unless_missing(board.run(IMAGE, &rows(), EVERYTHING)) else {
            continue;
        };
        judge(&board, &run);
        // The name of the kernel, or of its place in the table where it was inlined there.
        let hottest = run.counts.at.iter().max_by_key(|(_, count)| count).unwrap();
        let function = board.function_at(hottest.0).unwrap();
        assert!(
            function.to_lowercase().contains("conv_2d"),
            "{name}: {function}"
        );
    }
}

#[test]
fn a_count_repeats_to_the_instruction() {
    let Some(board) = unless_missing(BenchBoard::find("mps2-an386")) else {
        return;
    };
    let options = Options {
        trace: false,
        counts: true,
    };
    let rows = rows();
    let Some(first) = unless_missing(board.run(IMAGE, &rows[..3], options)) else {
        return;
    };
    // Alone, as the second of three, and once more.
    let again = board.run(IMAGE, &rows[..3], options).unwrap();
    let alone = board.run(IMAGE, &rows[1..2], options).unwrap();
    assert_eq!(first.counts, again.counts);
    assert_eq!(first.layers, again.layers);
    assert_eq!(first.instructions_per_row[1..2], alone.instructions_per_row);
}

#[test]
fn a_damaged_image_is_refused_with_the_reason_of_the_runtime() {
    for name in BenchBoard::names() {
        let Some(board) = unless_missing(BenchBoard::find(name)) else {
            continue;
        };
        let refusal = |image: &[u8]| {
            let on_host = Model::load(&AlignedBytes::from(image)).unwrap_err();
            match board.run(image, &rows(), Options::default()) {
                Err(EmulatorError::Refused { why, .. }) => {
                    assert_eq!(why, on_host.to_string(), "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
        };
        let mut damaged = IMAGE.to_vec();
        damaged[5000] ^= 1;
        refusal(&damaged);
        refusal(&IMAGE[..IMAGE.len() - 16]);
        refusal(&[]);
    }
}

#[test]
fn one_start_runs_many_images_and_a_refused_one_harms_no_other() {
    let mut damaged = IMAGE.to_vec();
    damaged[5000] ^= 1;
    let rows = rows();
    let job = |image, trace| Job {
        image,
        rows: &rows,
        trace,
        keep_state: false,
    };
    let jobs = [
        job(IMAGE, false),
        job(&damaged, false),
        job(IMAGE, true),
        job(&[], false),
        job(IMAGE, false),
    ];
    for name in BenchBoard::names() {
        let Some(board) = unless_missing(BenchBoard::find(name)) else {
            continue;
        };
        let runs = board.run_all(&jobs).unwrap();
        assert_eq!(runs.len(), jobs.len());
        for (run, job) in runs.iter().zip(&jobs) {
            if job.image != IMAGE {
                assert!(matches!(run, Err(EmulatorError::Refused { .. })), "{name}");
                continue;
            }
            let run = run.as_ref().unwrap();
            let expected: Vec<i8> = EXPECTED.iter().map(|byte| byte.cast_signed()).collect();
            assert_eq!(run.outputs.concat(), expected, "{name}");
            assert_eq!(run.traces.len(), if job.trace { ROWS } else { 0 }, "{name}");
        }
        assert!(board.run_all(&[]).unwrap().is_empty());
    }
}

#[test]
fn a_row_of_another_length_is_refused() {
    let Some(board) = unless_missing(BenchBoard::find("mps2-an385")) else {
        return;
    };
    for len in [0, 127, 129] {
        let mut rows = rows();
        rows[30].resize(len, 0);
        let error = board.run(IMAGE, &rows, Options::default()).unwrap_err();
        assert!(
            matches!(
                error,
                EmulatorError::RowLength {
                    row: 30,
                    needed: 128,
                    ..
                }
            ),
            "{len}: {error}"
        );
    }
}

#[test]
fn a_fault_of_the_processor_says_where() {
    // A program for a processor with an FPU, on one that has none.
    let (Some(m3), Some(m4)) = (
        unless_missing(BenchBoard::find("mps2-an385")),
        unless_missing(BenchBoard::find("mps2-an386")),
    ) else {
        return;
    };
    let board = BenchBoard::with_program(m3.machine(), m4.program_path()).unwrap();
    let error = board.run(IMAGE, &rows(), Options::default()).unwrap_err();
    assert!(
        matches!(&error, EmulatorError::Panicked(said) if said.contains("fault at 0x000")),
        "{error}"
    );
}

#[test]
fn no_rows_give_no_outputs() {
    let Some(board) = unless_missing(BenchBoard::find("mps2-an386")) else {
        return;
    };
    let none: [Vec<i8>; 0] = [];
    let Some(run) = unless_missing(board.run(IMAGE, &none, EVERYTHING)) else {
        return;
    };
    assert!(run.outputs.is_empty() && run.counts.at.is_empty() && run.layers.is_empty());
    assert_eq!(run.arena_bytes, 384);
}

#[test]
fn nothing_of_a_panic_is_linked() {
    for name in BenchBoard::names() {
        let Some(board) = unless_missing(BenchBoard::find(name)) else {
            continue;
        };
        let bench = board.program_path();
        let small = bench.with_file_name(format!("bench-{name}-small.elf"));
        for path in [bench, &small] {
            let file = fs::read(path).unwrap();
            let linked = elf::panic_machinery(&file).unwrap();
            assert!(linked.is_empty(), "{}: {linked:?}", path.display());
            // A file without symbols would pass anything.
            let symbols = elf::symbols(&file).unwrap();
            assert!(symbols.iter().any(|symbol| symbol.name == "main"));
        }
    }
}
