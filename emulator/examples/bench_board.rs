//! Runs an image on an emulated board and prints what it took, as JSON:
//! `bench_board BOARD IMAGE INPUTS [EXPECTED]`.
//!
//! `INPUTS` holds input tensors one after the other, `EXPECTED` the output tensors that they give, a
//! byte an element. The boards are built by `cargo xtask bench-boards`. Everything printed is
//! deterministic.

use std::{collections::BTreeMap, error::Error, fs, process::ExitCode};

use edge_runtime::Model;
use emulator::bench::{BenchBoard, BenchRun, Counts, Options, estimate};
use serde_json::{Value, json};

/// Functions that are listed, those with the most instructions first.
const HOTTEST: usize = 8;

fn bench(arguments: &[String]) -> Result<Value, Box<dyn Error>> {
    let (board, image, inputs, expected) = match arguments {
        [board, image, inputs] => (board, image, inputs, None),
        [board, image, inputs, expected] => (board, image, inputs, Some(expected)),
        _ => return Err("use: bench_board BOARD IMAGE INPUTS [EXPECTED]".into()),
    };
    let board = BenchBoard::find(board)?;
    let read = |path: &String| fs::read(path).map_err(|error| format!("{path}: {error}"));
    let image = edge_compiler::AlignedBytes::from(read(image)?.as_slice());
    let model = Model::load(&image)?;
    let rows: Vec<Vec<i8>> = read(inputs)?
        .chunks(model.input().len)
        .map(|row| row.iter().map(|byte| byte.cast_signed()).collect())
        .collect();
    let options = Options {
        trace: false,
        counts: true,
    };
    let run = board.run(&image, &rows, options)?;
    let wrong = expected
        .map(|expected| {
            let expected = read(expected)?;
            let outputs = run.outputs.concat();
            if outputs.len() != expected.len() {
                return Err(format!(
                    "{} bytes of output, {} are expected",
                    outputs.len(),
                    expected.len()
                ));
            }
            let pairs = outputs.iter().zip(&expected);
            Ok(pairs.filter(|(a, b)| a.cast_unsigned() != **b).count())
        })
        .transpose()?;
    let sum: u64 = run.instructions_per_row.iter().sum();
    let rows = rows.len() as u64;
    Ok(json!({
        "board": board.machine().name,
        "core": board.machine().core,
        "rows": rows,
        "macs": model.macs(),
        "instructions": (sum + rows / 2).checked_div(rows),
        "instructions_per_row": run.instructions_per_row,
        "cycles_estimated": run.cycles_estimated,
        "stack_peak": run.stack_peak,
        "stack_bound": run.stack_bound,
        "arena_bytes": run.arena_bytes,
        "image_bytes": image.len(),
        "wrong_output_bytes": wrong,
        "layers": layers(&model, &run),
        "functions": functions(&board, &run.counts, rows),
    }))
}

fn layers(model: &Model<'_>, run: &BenchRun) -> Vec<Value> {
    let pairs = model.operators().iter().zip(&run.layers);
    pairs
        .map(|(operator, layer)| {
            json!({
                "opcode": operator.opcode,
                "packing": operator.packing,
                "instructions": layer.instructions,
                "cycles_estimated": layer.cycles_estimated,
            })
        })
        .collect()
}

/// Where the instructions of a row go, the mean over the rows.
fn functions(board: &BenchBoard, counts: &Counts, rows: u64) -> Vec<Value> {
    let mut by_name: BTreeMap<&str, Counts> = BTreeMap::new();
    for (address, count) in &counts.at {
        let name = board.function_at(*address).unwrap_or("?");
        by_name.entry(name).or_default().at.push((*address, *count));
    }
    let mut all: Vec<_> = by_name.into_iter().collect();
    all.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.total()));
    let cycles = |counts: &Counts| {
        (board.machine().core == "cortex-m4").then(|| estimate(board.code(), counts) / rows.max(1))
    };
    let function = |(name, counts): &(&str, Counts)| {
        json!({
            "name": name,
            "instructions": counts.total() / rows.max(1),
            "cycles_estimated": cycles(counts),
        })
    };
    all.iter().take(HOTTEST).map(function).collect()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match bench(&arguments) {
        Ok(value) => {
            println!("{value:#}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
