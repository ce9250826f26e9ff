//! `cargo xtask bench aarch64`: what the MLPerf Tiny models cost on 64-bit ARM with each set of
//! vector instructions, beside the portable kernels on the same processor.
//!
//! Instructions are counted in qemu-user by the plugin that counts on the boards, from the call of
//! [`Session::run`] to its end, `edge-runtime`'s example `count_image` in between.
//!
//! [`Session::run`]: ../../edge_runtime/struct.Session.html#method.run

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use super::{grouped, models};
use crate::{aarch64, root, setup, steps::must_succeed};

/// What runs the kernels of a level: QEMU's processor, the image's target, and the table that
/// `count_image` takes.
struct Level {
    name: &'static str,
    processor: &'static str,
    target: &'static str,
    table: &'static str,
}

/// The first is what the others are compared with.
const LEVELS: [Level; 4] = [
    Level {
        name: "portable",
        processor: "cortex-a72",
        // A core without packed arithmetic: its kernels are plain Rust.
        target: "mps2-an385",
        table: "portable",
    },
    Level {
        name: "neon",
        processor: "cortex-a72",
        target: "aarch64",
        table: "native",
    },
    Level {
        name: "dotprod",
        processor: "cortex-a76",
        target: "aarch64",
        table: "native",
    },
    Level {
        name: "i8mm",
        processor: "max",
        target: "aarch64",
        table: "native",
    },
];

/// A model's run at a level.
struct Counted {
    /// Of one inference, the mean over the rows.
    instructions: u64,
    /// Of each operator, likewise.
    layers: Vec<u64>,
    wrong: u64,
}

/// Compiles the models of a folder, runs them, prints a table, and leaves
/// `target/bench/aarch64.json`. Fails where an output is wrong.
pub fn run(models: Option<&Path>) -> Result<()> {
    let missing = setup::tools(&[setup::QEMU_USER, setup::GCC]);
    ensure!(missing.is_empty(), "apt-get install {}", missing.join(" "));
    let models = models::required(models)?;
    let compiler = models::Compiler::build()?;
    let runner = Runner::build()?;
    let mut results = Map::new();
    let mut text = format!("\n{:<4}", "");
    for level in &LEVELS {
        text += &format!(" {:>20}", level.name);
    }
    let mut wrong = Vec::new();
    for model in models::NAMES {
        text += &format!("\n{model:<4}");
        let mut of_model = Map::new();
        let mut plain = None;
        for level in &LEVELS {
            let image = compiler.image(&models, model, level.target, "speed")?;
            let counted = runner
                .count(level, &image, &models.join(model))
                .with_context(|| format!("{model}, {}", level.name))?;
            let first = *plain.get_or_insert(counted.instructions);
            let ratio = first as f64 / counted.instructions.max(1) as f64;
            text += &format!(
                " {:>12} {:>7}",
                grouped(counted.instructions),
                format!("{ratio:.2}x")
            );
            if counted.wrong != 0 {
                wrong.push(format!(
                    "{model}, {}: wrong bytes of output: {}",
                    level.name, counted.wrong
                ));
            }
            let value = json!({
                "processor": level.processor,
                "instructions": counted.instructions,
                "layers": counted.layers,
                "wrong_output_bytes": counted.wrong,
            });
            of_model.insert(level.name.into(), value);
        }
        results.insert(model.into(), of_model.into());
    }
    println!("{text}\n\nInstructions of an inference, and how many times fewer than portable.");
    let path = root().join("target/bench/aarch64.json");
    fs::write(&path, format!("{:#}\n", Value::Object(results)))
        .with_context(|| path.display().to_string())?;
    println!("{}", path.display());
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The program and the plugin.
struct Runner {
    program: PathBuf,
    /// As the plugin wants them.
    markers: String,
    /// Where QEMU runs: a plugin's arguments have no way to hold every path.
    folder: PathBuf,
}

const PLUGIN: &str = "counts.so";
const COUNTS: &str = "counts";

impl Runner {
    fn build() -> Result<Self> {
        let program = aarch64::example("edge-runtime", "count_image")?;
        let folder = root().join("target/bench");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let mut gcc = Command::new(setup::GCC.program);
        gcc.args(["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o"])
            .arg(folder.join(PLUGIN))
            .arg(root().join("emulator/plugin/counts.c"));
        must_succeed(&mut gcc)?;
        let mut runner = Self {
            program,
            markers: String::new(),
            folder,
        };
        // The program is linked to fixed addresses: they are the same in every run.
        let output = checked(runner.qemu("max").arg(&runner.program).arg("markers"))?;
        runner.markers = String::from_utf8(output.stdout)?.trim().into();
        Ok(runner)
    }

    fn qemu(&self, processor: &str) -> Command {
        let mut command = Command::new(setup::QEMU_USER.program);
        command.current_dir(&self.folder).args(["-cpu", processor]);
        command
    }

    /// `stem` is the path of the model's files without their extensions.
    fn count(&self, level: &Level, image: &Path, stem: &Path) -> Result<Counted> {
        let mut command = self.qemu(level.processor);
        command.arg("-plugin").arg(format!(
            "./{PLUGIN},{},code=0,bytes=0,out={COUNTS}",
            self.markers
        ));
        command.arg(&self.program).arg(image);
        command.args(["input.i8", "output.i8"].map(|end| stem.with_extension(end)));
        let output = checked(command.arg(level.table))?;
        let wrong = String::from_utf8(output.stdout)?.trim().parse()?;
        let counts = fs::read_to_string(self.folder.join(COUNTS)).context("no counts")?;
        let (instructions, layers) = parse(&counts).context("the counts make no sense")?;
        Ok(Counted {
            instructions,
            layers,
            wrong,
        })
    }
}

fn checked(command: &mut Command) -> Result<Output> {
    let output = command.output().context("cannot run QEMU")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output)
}

/// Means over the rows of what the plugin wrote: of a run, and of each part but the last, which
/// belongs to no operator.
fn parse(counts: &str) -> Option<(u64, Vec<u64>)> {
    let numbers = |what: &str, column: usize| -> Option<Vec<u64>> {
        let lines = counts.lines().map(|line| line.split(' ').collect());
        let lines = lines.filter(|words: &Vec<&str>| words.first() == Some(&what));
        lines.map(|words| words.get(column)?.parse().ok()).collect()
    };
    let runs = numbers("run", 1)?;
    let mut parts = numbers("part", 2)?;
    parts.pop()?;
    let rows = runs.len() as u64;
    let mean = |sum: u64| (sum + rows / 2).checked_div(rows);
    let layers = parts.into_iter().map(mean).collect::<Option<_>>()?;
    let ended = counts.lines().last() == Some("end");
    mean(runs.iter().sum()).filter(|_| ended).zip(Some(layers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_means_over_rows() {
        let counts = "run 100\nrun 101\npart 0 150 150\npart 1 21 21\npart 2 30 30\nend\n";
        assert_eq!(parse(counts), Some((101, vec![75, 11])));
        assert_eq!(parse("end\n"), None);
        assert_eq!(parse("run 100\npart 0 100 100\n"), None);
    }
}
