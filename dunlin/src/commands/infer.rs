//! `dunlin infer`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use edge_compiler::run::{self, State, Trace};
use edge_runtime::{FeatureKind, Model};
use emulator::bench::{BenchBoard, Options};
use emulator::{Board, Emulator, Factory};

use super::{made_for, print, read_image, write_made};

#[derive(clap::Args)]
pub struct Arguments {
    /// Model image.
    model: PathBuf,
    /// Input rows: raw int8 bytes, one row after the other. A row is all inputs of the model in its
    /// order.
    #[arg(long)]
    input: PathBuf,
    /// File for the output rows, in the same form.
    #[arg(long)]
    output: PathBuf,
    /// Runs on this emulated board instead of the host.
    #[arg(long, value_parser = super::emulated)]
    board: Option<String>,
    /// Folder for the output of every operator on the first row.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Takes the rows as one sequence: recurrent operators remember the row before.
    #[arg(long)]
    keep_state: bool,
}

impl Arguments {
    pub fn run(self) -> Result<()> {
        let image = read_image(&self.model)?;
        let model = Model::load(&image)
            .with_context(|| format!("{} is not a usable model image", self.model.display()))?;
        let input = std::fs::read(&self.input)
            .with_context(|| format!("cannot read {}", self.input.display()))?;
        let rows = run::rows(&model, &input)
            .with_context(|| format!("{} does not fit the model", self.input.display()))?;
        let state = if self.keep_state {
            State::Keep
        } else {
            State::Reset
        };
        let (outputs, traces) = match &self.board {
            Some(board) => on_board(board, &image, &model, &rows, state, self.trace.is_some())
                .with_context(|| made_for(&image, board))?,
            None => {
                let traced = self.trace.as_ref().and(rows.first());
                let traces = traced.map(|row| run::trace(&model, row));
                (
                    run::outputs(&model, &rows, state),
                    traces.unwrap_or_default(),
                )
            }
        };
        let bytes: Vec<u8> = outputs
            .concat()
            .into_iter()
            .map(i8::cast_unsigned)
            .collect();
        if let Some(folder) = &self.trace {
            write_traces(folder, &traces)?;
        }
        write_made(&self.output, &bytes, &[&self.model, &self.input])?;
        print(&format!("{}: {} rows\n", self.output.display(), rows.len()))
    }
}

fn write_traces(folder: &Path, traces: &[Trace]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for trace in traces {
        let path = folder.join(trace.file_name());
        let bytes: Vec<u8> = trace
            .output
            .iter()
            .map(|value| value.cast_unsigned())
            .collect();
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Models with a feature pipeline run in the whole firmware where there is one for the board, all
/// others, and everything that is to be traced, in the program that runs models alone.
fn on_board(
    board: &str,
    image: &[u8],
    model: &Model<'_>,
    rows: &[Vec<i8>],
    state: State,
    trace: bool,
) -> Result<(Vec<Vec<i8>>, Vec<Trace>)> {
    let has_features = model.features().kind != FeatureKind::None;
    if has_features && !trace && Board::names().contains(&board) {
        return Ok((in_firmware(board, image, rows)?, Vec::new()));
    }
    let bench = BenchBoard::find(board)?;
    let plain = Options::default();
    let outputs = if run::has_state(model) && state == State::Reset {
        // A start of the program is what resets the state.
        let each = rows.iter().map(|row| bench.run(image, &[row], plain));
        let runs = each.collect::<Result<Vec<_>, _>>()?;
        runs.into_iter().flat_map(|run| run.outputs).collect()
    } else {
        bench.run(image, rows, plain)?.outputs
    };
    let mut traces = Vec::new();
    if let Some(row) = rows.first().filter(|_| trace) {
        let options = Options {
            trace: true,
            ..plain
        };
        let traced = bench.run(image, &[row], options)?.traces;
        traces = run::named(model, traced.into_iter().next().unwrap_or_default());
    }
    Ok((outputs, traces))
}

fn in_firmware(board: &str, image: &[u8], rows: &[Vec<i8>]) -> Result<Vec<Vec<i8>>> {
    let board = Board::find(board)?;
    let folder = tempfile::tempdir().context("no folder for the flash of the board")?;
    let factory = Factory {
        device_id: 1,
        public_key: [0; 32],
        image: Some(image),
        version: 1,
    };
    let mut emulator = Emulator::provision(board, &folder.path().join("flash.bin"), &factory)?;
    emulator.start()?;
    let outputs = rows.iter().map(|row| emulator.infer(row));
    Ok(outputs.collect::<Result<_, _>>()?)
}
