//! `cargo xtask fuzz`: builds the targets of `fuzz/` with coverage counters and runs them.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use crate::steps::{cargo, must_succeed};

const TARGETS: [&str; 3] = ["tflite", "image", "onnx"];
/// What cargo-fuzz builds with; all of it works on a stable compiler.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
     -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Inputs longer than this find nothing that shorter ones do not.
const MAX_LEN: u32 = 16_384;

/// Runs one target, or all, for so many seconds each; the first finding ends it.
pub fn run(target: Option<&str>, seconds: u32) -> Result<()> {
    let targets: Vec<&str> = match target {
        None => TARGETS.to_vec(),
        Some(one) if TARGETS.contains(&one) => vec![one],
        Some(other) => bail!(
            "there is no target `{other}`; there is: {}",
            TARGETS.join(", ")
        ),
    };
    let host = host()?;
    let folder = folder();
    let seeds = seeds()?;
    let nightly = has_nightly();
    if !nightly {
        println!("without AddressSanitizer, which takes a nightly toolchain");
    }
    for target in targets {
        let program = build(target, nightly, &host)?;
        let corpus = folder.join("corpus").join(target);
        let findings = folder.join("findings").join(target);
        for folder in [&corpus, &findings] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        println!("\n── {target}, {seconds} s");
        must_succeed(
            Command::new(program)
                .arg(&corpus)
                .arg(seeds.join(target))
                .arg(crate::root().join("fuzz/regressions").join(target))
                .arg(format!("-max_total_time={seconds}"))
                .arg(format!("-max_len={MAX_LEN}"))
                .args(["-timeout=25", "-rss_limit_mb=2048", "-print_final_stats=1"])
                .arg(format!("-artifact_prefix={}/", findings.display())),
        )
        .with_context(|| format!("what was found is in {}", findings.display()))?;
    }
    Ok(())
}

/// Writes the inputs that fuzzing begins with; returns their folder.
pub fn seeds() -> Result<PathBuf> {
    let seeds = folder().join("seeds");
    must_succeed(
        cargo()
            .args(["run", "--quiet", "--release", "--locked", "--bin", "seeds"])
            .arg("--manifest-path")
            .arg(manifest())
            .arg("--target-dir")
            .arg(folder().join("plain"))
            .arg("--")
            .arg(&seeds),
    )?;
    Ok(seeds)
}

fn folder() -> PathBuf {
    crate::root().join("target/fuzz")
}

/// Builds a target; returns the program.
fn build(target: &str, nightly: bool, host: &str) -> Result<PathBuf> {
    let folder = folder().join(match nightly {
        true => "nightly",
        false => "stable",
    });
    let mut command = if nightly {
        // The `cargo` of rustup, which this program's own is not: it takes the toolchain's name.
        let mut command = Command::new("rustup");
        command
            .args(["run", "nightly", "cargo"])
            .current_dir(crate::root());
        command.env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
        command.env("RUSTFLAGS", format!("{COVERAGE} -Zsanitizer=address"));
        command
    } else {
        let mut command = cargo();
        command.env("RUSTFLAGS", COVERAGE);
        command
    };
    // A target, so that build scripts and macros are built without the counters.
    must_succeed(
        command
            .args([
                "build",
                "--release",
                "--locked",
                "--target",
                host,
                "--bin",
                target,
            ])
            // Those that take long to build are features.
            .args((target == "onnx").then_some("--features=onnx"))
            .arg("--manifest-path")
            .arg(manifest())
            .arg("--target-dir")
            .arg(&folder),
    )?;
    Ok(folder.join(host).join("release").join(target))
}

/// The triple of this machine.
fn host() -> Result<String> {
    let output = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()))
        .arg("-vV")
        .current_dir(crate::root())
        .output()
        .context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not say its host")
}

/// The crate's manifest.
pub fn manifest() -> PathBuf {
    crate::root().join("fuzz/Cargo.toml")
}

/// Whether rustup has a nightly toolchain.
pub fn has_nightly() -> bool {
    Command::new("rustup")
        .args(["toolchain", "list"])
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("nightly"))
}
