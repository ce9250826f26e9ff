//! `dunlin infer`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use edge_compiler::AlignedBytes;
use edge_runtime::{Model, Session};
use emulator::{Board, Emulator, Factory};

use super::{print, read_image};

#[derive(clap::Args)]
pub struct Arguments {
    /// Model image.
    model: PathBuf,
    /// Input rows: raw int8 bytes, one row after the other.
    #[arg(long)]
    input: PathBuf,
    /// File for the output rows, in the same form.
    #[arg(long)]
    output: PathBuf,
    /// Runs on this emulated board instead of the host.
    #[arg(long)]
    board: Option<String>,
    /// Folder for the output of every operator on the first row.
    #[arg(long, conflicts_with = "board")]
    trace: Option<PathBuf>,
}

impl Arguments {
    pub fn run(self) -> Result<()> {
        let image = read_image(&self.model)?;
        let model = Model::load(&image)
            .with_context(|| format!("{} is not a usable model image", self.model.display()))?;
        let input = std::fs::read(&self.input)
            .with_context(|| format!("cannot read {}", self.input.display()))?;
        let row = model.input().len;
        if input.is_empty() || !input.len().is_multiple_of(row) {
            bail!(
                "{} has {} bytes, which is not a whole number of rows of {row} bytes",
                self.input.display(),
                input.len(),
            );
        }
        let rows = input.chunks_exact(row);
        let output = match &self.board {
            Some(board) => on_board(board, &image, rows)?,
            None => on_host(&model, rows, self.trace.as_deref())?,
        };
        std::fs::write(&self.output, &output)
            .with_context(|| format!("cannot write {}", self.output.display()))?;
        print(&format!(
            "{}: {} rows\n",
            self.output.display(),
            input.len() / row
        ))
    }
}

fn on_host<'r>(
    model: &Model<'_>,
    rows: impl Iterator<Item = &'r [u8]>,
    trace: Option<&Path>,
) -> Result<Vec<u8>> {
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(model, arena.as_i8_mut())?;
    let mut output = Vec::new();
    for (index, row) in rows.enumerate() {
        for (to, from) in session.input_mut().iter_mut().zip(row) {
            *to = from.cast_signed();
        }
        match trace.filter(|_| index == 0) {
            Some(folder) => trace_row(&mut session, model, folder)?,
            None => session.run(),
        }
        output.extend(session.output().iter().map(|value| value.cast_unsigned()));
    }
    Ok(output)
}

/// Runs the session once and leaves each operator's output as `NN_OPERATOR.i8`.
fn trace_row(session: &mut Session<'_, '_>, model: &Model<'_>, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut written = Ok(());
    session.run_traced(|index, output| {
        let opcode = model
            .operators()
            .get(index)
            .map_or(0, |operator| operator.opcode);
        let name = edge_runtime::kernels::operator_name(opcode).unwrap_or("UNKNOWN");
        let path = folder.join(format!("{index:02}_{name}.i8"));
        let bytes: Vec<u8> = output.iter().map(|value| value.cast_unsigned()).collect();
        if written.is_ok() {
            written = std::fs::write(&path, bytes)
                .with_context(|| format!("cannot write {}", path.display()));
        }
    });
    written
}

fn on_board<'r>(
    board: &str,
    image: &[u8],
    rows: impl Iterator<Item = &'r [u8]>,
) -> Result<Vec<u8>> {
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
    let mut output = Vec::new();
    for row in rows {
        let row: Vec<i8> = row.iter().map(|byte| byte.cast_signed()).collect();
        output.extend(emulator.infer(&row)?.into_iter().map(i8::cast_unsigned));
    }
    Ok(output)
}
