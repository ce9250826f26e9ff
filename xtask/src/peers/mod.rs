//! `cargo xtask bench peers`: one inference of each MLPerf Tiny model on this machine, one thread,
//! in LiteRT with XNNPACK, in ONNX Runtime and in Dunlin.
//!
//! The peers come from the Python package index into a virtual environment below `target/`. The
//! contenders take turns of some dozen calls, so that a change of the machine's pace meets all of
//! them; the least time is what counts, the median says how quiet the machine was.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    bench::models,
    root,
    steps::{example, must_succeed},
};

/// What is compared with: fixed versions, so that figures stay comparable.
const PACKAGES: [&str; 4] = [
    "ai-edge-litert==2.3.0",
    "onnxruntime==1.32.0",
    "onnx==1.23.2",
    "numpy>=2,<3",
];
/// At most this part of the fastest peer's time is what Dunlin aims at.
const GOAL: f64 = 0.7;

/// Compiles the models for this machine and measures; prints a table and leaves the figures as
/// `target/peers/peers.json`.
pub fn run(models: Option<&Path>, rounds: u32) -> Result<()> {
    let models = models::required(models)?;
    let folder = root().join("target/peers");
    let images = folder.join("images");
    fs::create_dir_all(&images)?;
    let compiler = models::Compiler::build()?;
    for name in models::NAMES {
        let image = compiler.image(&models, name, "host", "speed")?;
        fs::copy(image, images.join(format!("{name}.dnl")))?;
    }
    let python = environment(&folder)?;
    let mut command = Command::new(python);
    // The scripts lie side by side: one imports the other.
    command.arg(root().join("xtask/src/peers/peers.py"));
    command.arg(&models).arg(rounds.to_string());
    command
        .arg(example("edge-runtime", "time_image")?)
        .arg(images);
    // Else Python would leave its compiled files in the sources.
    let output = command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run Python")?;
    if !output.status.success() {
        bail!("the measurement failed: {}", output.status);
    }
    let text = String::from_utf8(output.stdout)?;
    let figures: Value = serde_json::from_str(text.lines().last().unwrap_or_default())
        .context("the measurement printed no figures")?;
    let path = folder.join("peers.json");
    fs::write(&path, serde_json::to_string_pretty(&figures)?)?;
    print!("{}", table(&figures));
    println!("{}", path.display());
    Ok(())
}

/// The Python of a virtual environment that has the peers.
fn environment(folder: &Path) -> Result<PathBuf> {
    let python = folder.join("venv/bin/python");
    let ready = folder.join("venv/ready");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&ready).is_ok_and(|have| have == wanted) {
        return Ok(python);
    }
    fs::create_dir_all(folder)?;
    must_succeed(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(folder.join("venv")),
    )
    .context("the peers need Python 3.11 with venv (Debian: python3-venv)")?;
    must_succeed(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet"])
            .args(PACKAGES),
    )
    .context("the peers come from the Python package index, which cannot be reached")?;
    fs::write(ready, wanted)?;
    Ok(python)
}

/// A line for each model: the contenders' least times and medians, and Dunlin's part of the fastest
/// peer's.
fn table(figures: &Value) -> String {
    let mut text = format!(
        "{:6} {:>16} {:>16} {:>16} {:>7}   least (median) of one inference, microseconds\n",
        "", "LiteRT+XNNPACK", "ONNX Runtime", "Dunlin", "ratio"
    );
    for (model, contenders) in figures.as_object().into_iter().flatten() {
        let figure = |who: &str, what: &str| contenders[who][what].as_f64();
        let cell = |who: &str| match (figure(who, "min_us"), figure(who, "median_us")) {
            (Some(least), Some(median)) => format!("{least:.1} ({median:.1})"),
            _ => "-".into(),
        };
        let fastest = ["litert", "ort"]
            .into_iter()
            .filter_map(|peer| figure(peer, "min_us"))
            .fold(f64::INFINITY, f64::min);
        let ratio = figure("dunlin", "min_us").map(|dunlin| dunlin / fastest);
        let ratio = match ratio {
            Some(ratio) if ratio <= GOAL => format!("{ratio:.2}"),
            Some(ratio) => format!("{ratio:.2} !"),
            None => "-".into(),
        };
        text += &format!(
            "{model:6} {:>16} {:>16} {:>16} {ratio:>7}\n",
            cell("litert"),
            cell("ort"),
            cell("dunlin"),
        );
        if figure("dunlin", "largest_difference").is_some_and(|difference| difference != 0.0) {
            text += &format!("{model}: Dunlin's output is not the reference's\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;
    use serde_json::json;

    #[test]
    fn the_table_marks_what_misses_the_goal() {
        let time = |us: f64, difference: i32| json!({"min_us": us, "median_us": us + 1.0, "largest_difference": difference});
        let text = table(&json!({
            "ad": {"litert": time(2.0, 0), "ort": time(30.0, 0), "dunlin": time(1.0, 0)},
            "ic": {"litert": time(40.0, 12), "ort": time(180.0, 9), "dunlin": time(36.0, 1)},
            "kws": {"litert": time(20.0, 0)},
        }));
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].contains("2.0 (3.0)") && lines[1].ends_with("0.50"));
        assert!(lines[2].ends_with("0.90 !"));
        assert_eq!(lines[3], "ic: Dunlin's output is not the reference's");
        assert!(lines[4].starts_with("kws") && lines[4].ends_with('-'));
    }
}
