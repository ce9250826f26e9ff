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
use edge_compiler::AlignedBytes;
use host_trainer::recipe::Recipe;

/// Reads a model image. That it is one is found out by whoever loads it.
fn read_image(path: &Path) -> Result<AlignedBytes> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(AlignedBytes::from(bytes.as_slice()))
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
