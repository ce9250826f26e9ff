//! One module a command: its arguments, and the glue that carries it out.

pub mod bench;
pub mod boards;
pub mod compile;
pub mod field_loop;
pub mod infer;
pub mod inspect;
pub mod train;

use std::path::Path;

use anyhow::{Context, Result};
use edge_compiler::source::Source;
use edge_compiler::{AlignedBytes, Target};
use edge_runtime::Model;
use host_trainer::recipe::Recipe;

/// Reads a model image. That it is one is found out by whoever loads it.
fn read_image(path: &Path) -> Result<AlignedBytes> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(AlignedBytes::from(bytes.as_slice()))
}

/// Writes a file that a command makes of `sources`, whole or not at all: a file of that name keeps
/// what it holds until the new one is complete.
fn write_made(path: &Path, bytes: &[u8], sources: &[&Path]) -> Result<()> {
    let same = |a: &Path, b: &Path| a.canonicalize().ok() == b.canonicalize().ok();
    anyhow::ensure!(
        !path.exists() || !sources.iter().any(|source| same(path, source)),
        "{} is what this is made from: name another file to write",
        path.display()
    );
    let failed = || format!("cannot write {}", path.display());
    // What is no file, such as a terminal, cannot be replaced.
    if path.exists() && !path.is_file() {
        return std::fs::write(path, bytes).with_context(failed);
    }
    let mut name = path.file_name().with_context(failed)?.to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written.with_context(failed)
}

/// A board that models are compiled for, as an argument.
fn target(name: &str) -> Result<Target, String> {
    Target::board(name).map_err(|error| error.to_string())
}

/// An emulated board, as an argument.
fn emulated(name: &str) -> Result<String, String> {
    let mut names: Vec<&str> = emulator::bench::BenchBoard::names().collect();
    for other in emulator::Board::names() {
        if !names.contains(other) {
            names.push(other);
        }
    }
    match names.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(format!("the emulated boards are {}", names.join(", "))),
    }
}

/// An emulated board with the whole firmware, as an argument.
fn firmware_board(name: &str) -> Result<String, String> {
    let names = emulator::Board::names();
    match names.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(format!(
            "the boards with a firmware are {}",
            names.join(", ")
        )),
    }
}

/// What to add to the error of a board that did not run an image: whether it was made for another.
fn made_for(image: &[u8], board: &str) -> String {
    let source = Model::load(image).ok().and_then(|model| Source::of(&model));
    match source {
        Some(source) if source.target != board => format!(
            "the image was compiled for {}, not for {board}: compile the model with --target {board}",
            source.target
        ),
        _ => format!("{board} does not run the image"),
    }
}

/// The recipe in a file; without one, the built-in recipe.
fn read_recipe(path: Option<&Path>) -> Result<Recipe> {
    match path {
        Some(path) => Ok(Recipe::load(path)?),
        None => Ok(Recipe::vibration()),
    }
}

/// Prints to standard output, so that a closed pipe is an error like any other and no panic.
fn print(text: &str) -> Result<()> {
    use std::io::Write;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// Prints a value as indented JSON and a line end.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}
