//! Runs an image on an emulated board and prints what it took, as JSON:
//! `bench_board BOARD IMAGE INPUTS [EXPECTED [PROGRAM]]`.
//!
//! `INPUTS` holds input tensors one after the other, `EXPECTED` the output tensors that they give, a
//! byte an element. The boards are built by `cargo xtask bench-boards`; `PROGRAM` is another build of
//! the same program. Everything printed is deterministic.

use std::{collections::BTreeMap, error::Error, fs, path::Path, process::ExitCode};

use edge_runtime::{Model, format::opcode};
use emulator::bench::{BenchBoard, BenchRun, Counts, Options, estimate};
use serde_json::{Value, json};

/// Functions that are listed, those with the most instructions first.
const HOTTEST: usize = 8;

fn bench(arguments: &[String]) -> Result<Value, Box<dyn Error>> {
    let [name, image, inputs, more @ ..] = arguments else {
        return Err("use: bench_board BOARD IMAGE INPUTS [EXPECTED [PROGRAM]]".into());
    };
    let expected = more.first();
    let mut board = BenchBoard::find(name)?;
    if let Some(program) = more.get(1) {
        board = BenchBoard::with_program(board.machine(), Path::new(program))?;
    }
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
        "output_channels": output_channels(&model),
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

/// Channels of all layers with weights, each of which has a bias, a multiplier and a shift.
fn output_channels(model: &Model<'_>) -> u64 {
    let layers = model.operators().iter().filter(|operator| {
        let weighted = [
            opcode::CONV_2D,
            opcode::DEPTHWISE_CONV_2D,
            opcode::FULLY_CONNECTED,
            opcode::TRANSPOSE_CONV,
        ];
        weighted.contains(&operator.opcode)
    });
    let channels = layers.map(|operator| {
        let output = model.tensors().nth(operator.output.into());
        output.map_or(0, |output| u64::from(output.shape[3]))
    });
    channels.sum()
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
