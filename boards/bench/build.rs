//! Hands the linker the script and the memory map of the machine that `BENCH_BOARD` names. They are
//! emitted here and not in a cargo configuration because a mistyped section of that is silently
//! ignored.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let board = env::var("BENCH_BOARD").unwrap_or("mps2-an386".into());
    let memory = PathBuf::from("memory").join(format!("{board}.x"));
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::copy(&memory, out.join("memory.x")).map_err(|e| format!("{}: {e}", memory.display()))?;
    fs::copy("link.x", out.join("bench-link.x"))?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=-Tbench-link.x");
    // Sections need no page alignment in a firmware.
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rerun-if-env-changed=BENCH_BOARD");
    println!("cargo:rerun-if-changed=memory");
    println!("cargo:rerun-if-changed=link.x");
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
