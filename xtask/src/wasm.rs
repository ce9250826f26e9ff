//! The runtime in WebAssembly, under Node: test programs, and `tests/wasm` as a module.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    bench::models::{self, Compiler},
    root, setup,
    steps::{cargo, must_succeed},
};

/// The target of the module, built with 128-bit SIMD.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// The target of programs with files and arguments, likewise.
pub const PROGRAMS: &str = "wasm32-wasip1";
/// For both.
const SIMD: &str = "-C target-feature=+simd128";

/// The module's manifest.
pub fn manifest() -> PathBuf {
    root().join("tests/wasm/Cargo.toml")
}

/// A cargo command on the module's crate, apart from builds for this machine.
pub fn cargo_for(subcommand: &str) -> Command {
    let mut command = cargo();
    command
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", SIMD)
        .args([subcommand, "--locked", "--release", "--target", TARGET])
        .arg("--manifest-path")
        .arg(manifest())
        .arg("--target-dir")
        .arg(folder());
    command
}

/// `cargo test` in Node.
pub fn test() -> Command {
    let runner = json!([
        setup::NODE.program,
        "--no-warnings",
        root().join("tests/wasm/wasi.mjs")
    ]);
    let mut command = cargo();
    command
        .env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", SIMD)
        .args(["test", "--locked", "--release", "--target", PROGRAMS])
        // A list, because a path may have spaces; written as in TOML.
        .arg(format!("--config=target.{PROGRAMS}.runner={runner}"))
        .arg("--target-dir")
        .arg(folder());
    command
}

/// Builds the module and returns its path.
pub fn build() -> Result<PathBuf> {
    setup::rust_targets(&[TARGET])?;
    must_succeed(cargo_for("build").arg("--quiet"))?;
    let name = "dunlin_wasm_test.wasm";
    Ok(folder().join(TARGET).join("release").join(name))
}

/// Runs the MLPerf Tiny models of a folder, all rows; fails where a byte of an output differs from
/// LiteRT's.
pub fn run(models: Option<&Path>) -> Result<()> {
    let missing = setup::tools(&[setup::NODE]);
    ensure!(missing.is_empty(), "apt-get install {}", missing.join(" "));
    let models = models::required(models)?;
    let compiler = Compiler::build()?;
    let mut node = Command::new(setup::NODE.program);
    node.arg(root().join("tests/wasm/run.mjs")).arg(build()?);
    for name in models::NAMES {
        node.arg(compiler.image(&models, name, "wasm32", "speed")?);
        node.args(["input.i8", "output.i8"].map(|end| models.join(format!("{name}.{end}"))));
    }
    must_succeed(&mut node)
}

fn folder() -> PathBuf {
    root().join("target/boards")
}
