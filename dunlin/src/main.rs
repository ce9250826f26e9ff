//! The command line of Dunlin: it reads arguments, calls the crates, shows progress and picks the
//! exit code. 0: done; 1: the work failed; 2: wrong use (clap's own code).

mod commands;
mod progress;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use host_trainer::recipe::{DataRecipe, Recipe};

/// The whole edge-ML loop: train, quantise, compile, run, watch, retrain, update.
#[derive(Parser)]
#[command(name = "dunlin", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the whole loop; without a recipe the built-in one.
    Loop(commands::field_loop::Arguments),
    /// Trains and quantises a recipe's model and leaves a run folder.
    Train(commands::train::Arguments),
    /// Compiles a `.tflite` or `.onnx` file or a run into a model image for a board.
    Compile(commands::compile::Arguments),
    /// Shows what a model image holds, its memory plan and what it is expected to take.
    Inspect(commands::inspect::Arguments),
    /// Runs a model image on raw input rows.
    Infer(commands::infer::Arguments),
    /// Counts the instructions and bytes of a model image on an emulated board.
    Bench(commands::bench::Arguments),
    /// Lists the boards that models can be compiled for.
    Boards(commands::boards::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Loop(arguments) => arguments.run(),
        Command::Train(arguments) => arguments.run(),
        Command::Compile(arguments) => arguments.run(),
        Command::Inspect(arguments) => arguments.run(),
        Command::Infer(arguments) => arguments.run(),
        Command::Bench(arguments) => arguments.run(),
        Command::Boards(arguments) => arguments.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that has seen enough (`dunlin inspect … | head`) is no failure.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The folder of a recipe's data: the argument, else the variable `DUNLIN_DATA`. A recipe that makes
/// its own takes no argument.
fn data_folder(recipe: &Recipe, argument: Option<PathBuf>) -> anyhow::Result<Option<PathBuf>> {
    let makes_its_own = matches!(recipe.data, DataRecipe::Vibration(_));
    anyhow::ensure!(
        argument.is_none() || !makes_its_own,
        "the recipe makes its own data and reads none: leave --data out, or name a recipe that does"
    );
    Ok(argument.or_else(|| std::env::var_os("DUNLIN_DATA").map(PathBuf::from)))
}
