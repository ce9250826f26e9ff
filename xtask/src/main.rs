//! Developer commands: `cargo xtask test`, `cargo xtask firmware BOARD`, `cargo xtask bench-boards`,
//! `cargo xtask bench boards` (also `aarch64`, `wasm`, `peers`), `cargo xtask evaluate`, `cargo xtask fuzz`,
//! `cargo xtask miri`.

mod aarch64;
mod bench;
mod bench_boards;
mod evaluate;
mod firmware;
mod fuzz;
mod miri;
mod peers;
mod setup;
mod steps;
mod test;
mod wasm;

// One reader of ELF files for both; the file needs nothing of its crate.
#[path = "../../emulator/src/elf.rs"]
#[allow(dead_code, reason = "the emulator needs more of it")]
mod elf;
// One list of emulated processors for both, likewise.
#[path = "../../emulator/src/bench/machine.rs"]
mod machine;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Developer commands of Dunlin.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sets up what the tests need and runs all checks, the cheapest first.
    Test,
    /// Builds a board's firmware, checks it and reports its size.
    Firmware {
        /// Folder in `boards/`, such as `mps2-an386`, or a bench board, such as `bench-mps2-an386`.
        board: String,
    },
    /// Builds the bench programs of all emulated processors and checks them.
    BenchBoards,
    /// Fuzzes the readers of model files and images: `fuzz/README.md`.
    Fuzz {
        /// `tflite` or `image`; both without it.
        target: Option<String>,
        /// How long, each.
        #[arg(default_value_t = 60)]
        seconds: u32,
    },
    /// Runs the runtime's kernels and reader under Miri, which takes a nightly toolchain.
    Miri,
    /// Measures.
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// Runs both loops over many seeds and checks every figure they promise (about half an hour).
    Evaluate {
        /// Folder of the gas-sensor drift set.
        #[arg(long)]
        data: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum Bench {
    /// Compiles the MLPerf Tiny models for the emulated processors and runs them: instructions,
    /// cycles, memory, flash, beside the targets and the peer's and against the committed baseline.
    Boards {
        /// Folder with `NAME.tflite`, `NAME.input.i8` and `NAME.output.i8` of ic, kws, vww and ad;
        /// without it the one that DUNLIN_MODELS names, or ../shared/models.
        #[arg(long)]
        models: Option<PathBuf>,
        /// Only this board; may be given several times.
        #[arg(long)]
        board: Vec<String>,
        /// Writes what was measured as the new baseline.
        #[arg(long)]
        accept: bool,
    },
    /// Counts the instructions of the MLPerf Tiny models on 64-bit ARM, under qemu-user: NEON, with
    /// dot products, with matrix products, beside the portable kernels.
    Aarch64 {
        /// As of `bench boards`.
        #[arg(long)]
        models: Option<PathBuf>,
    },
    /// Runs the MLPerf Tiny models in WebAssembly under Node: whether the outputs are LiteRT's, and
    /// the least time of a row.
    Wasm {
        /// As of `bench boards`.
        #[arg(long)]
        models: Option<PathBuf>,
    },
    /// Times the MLPerf Tiny models in LiteRT, ONNX Runtime and Dunlin on this machine.
    Peers {
        /// As of `bench boards`.
        #[arg(long)]
        models: Option<PathBuf>,
        /// Turns of each contender.
        #[arg(long, default_value_t = 100)]
        rounds: u32,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Test => test::run(),
        Command::Evaluate { data } => evaluate::run(data.as_deref()),
        Command::Firmware { board } if board.starts_with(bench_boards::PREFIX) => {
            bench_boards::machine(&board)
                .and_then(bench_boards::build)
                .map(|built| println!("{built}"))
        }
        Command::Bench {
            what: Bench::Peers { models, rounds },
        } => peers::run(models.as_deref(), rounds),
        Command::Bench {
            what: Bench::Aarch64 { models },
        } => bench::aarch64::run(models.as_deref()),
        Command::Bench {
            what: Bench::Wasm { models },
        } => wasm::run(models.as_deref()),
        Command::Firmware { board } => firmware::build(&board).map(|built| println!("{built}")),
        Command::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Command::Miri => miri::run(),
        Command::BenchBoards => bench_boards::build_all(),
        Command::Bench {
            what:
                Bench::Boards {
                    models,
                    board,
                    accept,
                },
        } => bench::boards(models.as_deref(), &board, accept),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Root of the repository.
fn root() -> PathBuf {
    // What cargo says now, not at compile time: checkouts may share a target folder.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    let here = PathBuf::from(here);
    here.parent().map(PathBuf::from).unwrap_or(here)
}
