//! Programs for 64-bit ARM: linked for Linux without a C compiler, run under qemu-user.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    root, setup,
    steps::{cargo, must_succeed},
};

/// The target.
pub const TARGET: &str = "aarch64-unknown-linux-musl";
/// Processors of qemu-user's that differ in kernels: with matrix products, with dot products only,
/// and with neither.
pub const PROCESSORS: [&str; 3] = ["max", "cortex-a76", "cortex-a72"];

/// A cargo command for the target, apart from builds for this machine.
fn cargo_for(subcommand: &str) -> Command {
    let mut command = cargo();
    command
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld")
        .args([subcommand, "--locked", "--release", "--target", TARGET])
        .arg("--target-dir")
        .arg(folder());
    command
}

/// `cargo test` for a processor.
pub fn test(processor: &str) -> Command {
    let mut command = cargo_for("test");
    command.env(
        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER",
        format!("{} -cpu {processor}", setup::QEMU_USER.program),
    );
    command
}

/// Builds an example of a crate and returns its path.
pub fn example(package: &str, name: &str) -> Result<PathBuf> {
    setup::rust_targets(&[TARGET])?;
    must_succeed(cargo_for("build").args(["--quiet", "-p", package, "--example", name]))?;
    Ok(folder().join(TARGET).join("release/examples").join(name))
}

fn folder() -> PathBuf {
    root().join("target/boards")
}
