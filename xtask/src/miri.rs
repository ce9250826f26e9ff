//! `cargo xtask miri`: the reader, the reference kernels, the decoders of all packings and the
//! kernels of x86-64 under Miri, which stops at undefined behaviour.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Result, ensure};

use crate::{fuzz, steps::must_succeed};

/// Every so many of the seeds' images are run, of those for this machine's kernels, which hold the
/// `unsafe` code, and of the others, which run on the decoders: Miri takes seconds for each.
const STEPS: [usize; 2] = [4, 150];
/// What the kernels of x86-64 choose by: AVX2 as far as Miri knows it, then nothing.
const FEATURES: [&str; 2] = ["-Ctarget-feature=+avx2,+fma", ""];

/// Runs small images for all targets; the fuzzer's seeds.
pub fn run() -> Result<()> {
    ensure!(
        fuzz::has_nightly(),
        "Miri takes a nightly toolchain: `rustup toolchain install nightly --component miri,rust-src`"
    );
    let folder = fuzz::seeds()?.join("image");
    let mut images: Vec<_> = fs::read_dir(&folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    images.sort();
    let is_own = |path: &PathBuf| path.to_string_lossy().ends_with("-host-Speed");
    let (own, others): (Vec<_>, Vec<_>) = images.into_iter().partition(is_own);
    let others = others.into_iter().step_by(STEPS[1]);
    let images: Vec<_> = own.into_iter().step_by(STEPS[0]).chain(others).collect();
    for features in FEATURES {
        println!("\n── Miri on {} images, RUSTFLAGS={features}", images.len());
        must_succeed(
            Command::new("rustup")
                .args([
                    "run", "nightly", "cargo", "miri", "run", "--quiet", "--locked",
                ])
                .args(["-p", "edge-runtime", "--example", "exercise_images"])
                .arg("--target-dir")
                .arg(crate::root().join("target/miri"))
                .arg("--")
                .args(&images)
                .current_dir(crate::root())
                .env_remove("RUSTC")
                .env("RUSTFLAGS", features)
                .env("MIRIFLAGS", "-Zmiri-disable-isolation"),
        )?;
    }
    Ok(())
}
