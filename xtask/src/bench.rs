//! `cargo xtask bench boards`: what the MLPerf Tiny models cost on each emulated processor, beside
//! the targets, beside what TensorFlow Lite Micro with CMSIS-NN needs, and against the committed
//! baseline.

pub mod aarch64;
mod baseline;
pub mod models;
mod targets;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::{
    bench_boards::{self, ForImage, Profile},
    machine::Machine,
    root, setup,
    steps::example,
};
use baseline::Baseline;
use targets::Figure;

/// What an image and the program that runs it are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Few instructions.
    Speed,
    /// Little flash.
    Size,
}

impl Aim {
    const ALL: [Self; 2] = [Self::Speed, Self::Size];

    fn name(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::Size => "size",
        }
    }

    /// Where the loops are assembly, code for size costs half a percent of the instructions.
    fn profile(self, machine: &Machine) -> Profile {
        match self {
            Self::Speed if !machine.feature.contains("dsp") => Profile::Speed,
            Self::Size if bench_boards::has_own_programs(machine) => Profile::Small,
            _ => Profile::Size,
        }
    }
}

/// What the program of an image for size goes without, beside the kernels for odd sizes: as many of the
/// unrolled loops as the model's target of instructions leaves room for. Features of `boards/bench`.
fn left_out(model: &str) -> &'static str {
    match model {
        "vww" => "compact",
        "kws" => "short",
        _ => "small",
    }
}

/// A model, a board and an aim, measured.
struct Measured {
    model: &'static str,
    machine: &'static Machine,
    aim: Aim,
    run: Value,
}

impl Measured {
    fn figure(&self, what: Figure) -> Option<u64> {
        let number = |key: &str| self.run[key].as_u64();
        match what {
            Figure::Instructions => number("instructions"),
            Figure::Cycles => number("cycles_estimated"),
            Figure::Memory => Some(number("arena_bytes")? + number("stack_peak")?),
            Figure::Code => number("code_bytes"),
            Figure::Image => number("image_bytes"),
        }
    }

    /// In the JSON files.
    fn key(&self) -> String {
        format!("{} {}", self.machine.name, self.aim.name())
    }
}

/// Compiles the models of a folder for the boards asked for (none: all), runs them, prints a table,
/// and leaves `target/bench/boards.json`. Fails where an output is wrong or a figure has grown by
/// more than the baseline allows; with `accept` the figures become the baseline.
pub fn boards(models: Option<&Path>, boards: &[String], accept: bool) -> Result<()> {
    let missing = setup::tools(&[setup::QEMU_SYSTEM]);
    ensure!(missing.is_empty(), "apt-get install {}", missing.join(" "));
    let machines: Vec<&'static Machine> = if boards.is_empty() {
        Machine::ALL.iter().collect()
    } else {
        let named = boards.iter().map(|name| bench_boards::machine(name));
        named.collect::<Result<_>>()?
    };
    let models = models::required(models)?;
    let tools = Tools {
        compiler: models::Compiler::build()?,
        bench_board: example("emulator", "bench_board")?,
    };
    let mut all = Vec::new();
    for machine in machines {
        println!("{}", bench_boards::build(machine)?);
        for aim in Aim::ALL {
            for model in models::NAMES {
                all.push(tools.measure(&models, model, machine, aim)?);
            }
        }
    }

    let mut baseline = Baseline::read()?;
    let mut faults = Vec::new();
    let mut results = Map::new();
    for measured in &all {
        let key = measured.key();
        let verdict = baseline.judge(measured.model, &key, &measured.run);
        let wrong = &measured.run["wrong_output_bytes"];
        if *wrong != 0 {
            faults.push(format!(
                "{} on {key}: wrong bytes of output: {wrong}",
                measured.model
            ));
        }
        let grown = verdict.grown.iter().filter(|_| !accept);
        faults.extend(grown.map(|grown| format!("{} on {key}: {grown}", measured.model)));
        let of_model = results
            .entry(measured.model)
            .or_insert_with(|| Map::new().into());
        of_model[key] = measured.run.clone();
    }
    print!("{}", table(&all, &baseline));
    print!("{}", splits(&all));
    let path = root().join("target/bench/boards.json");
    fs::write(&path, format!("{:#}\n", Value::Object(results)))
        .with_context(|| path.display().to_string())?;
    println!("\n{}", path.display());
    if accept {
        baseline.write()?;
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

struct Tools {
    compiler: models::Compiler,
    bench_board: PathBuf,
}

impl Tools {
    /// Compiles a model and runs it on all of its inputs: on the Cortex-M4F with the kernels of that
    /// image alone, whose flash is found out too; it takes links for each image.
    fn measure(
        &self,
        models: &Path,
        model: &'static str,
        machine: &'static Machine,
        aim: Aim,
    ) -> Result<Measured> {
        let image = self
            .compiler
            .image(models, model, machine.name, aim.name())?;
        let file = |extension: &str| models.join(format!("{model}.{extension}"));
        let mut command = Command::new(&self.bench_board);
        command.arg(machine.name).arg(&image);
        command.args([file("input.i8"), file("output.i8")]);
        let profile = aim.profile(machine);
        let own = ForImage {
            path: &image,
            less: match aim {
                Aim::Speed => "",
                Aim::Size => left_out(model),
            },
        };
        let is_own = bench_boards::has_own_programs(machine);
        if is_own {
            command.arg(bench_boards::for_image(machine, profile, own)?);
        } else if profile == Profile::Size {
            command.arg(bench_boards::small(machine));
        }
        let output = command.output().context("cannot run `bench_board`")?;
        let what = || format!("{model} on {} for {}", machine.name, aim.name());
        if !output.status.success() {
            bail!(
                "{}: {}",
                what(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let mut run: Value = serde_json::from_slice(&output.stdout).with_context(what)?;
        if is_own {
            let bytes = bench_boards::code_bytes(machine, profile, own)?;
            run["code_bytes"] = bytes.into();
        }
        println!(
            "{}: {} instructions, {} wrong bytes",
            what(),
            run["instructions"],
            run["wrong_output_bytes"]
        );
        Ok(Measured {
            model,
            machine,
            aim,
            run,
        })
    }
}

/// A line for each figure of each board, aim and model: what it is, the target, the peer's, and how
/// many times ours that is.
fn table(all: &[Measured], baseline: &Baseline) -> String {
    let mut text = format!(
        "\n{:<32} {:<4} {:>11} {:>11} {:>7} {:>11} {:>9}  {}\n",
        "", "", "reached", "target", "", "TFLM", "TFLM/ours", "baseline"
    );
    for machine in Machine::ALL {
        for aim in Aim::ALL {
            for what in Figure::ALL {
                let rows = all.iter().filter(|m| m.machine == machine && m.aim == aim);
                for measured in rows {
                    text += &line(measured, what, baseline).unwrap_or_default();
                }
            }
        }
    }
    text
}

/// Whether a figure has a target and does not reach it.
fn misses(measured: &Measured, what: Figure) -> bool {
    let Some(channels) = measured.run["output_channels"].as_u64() else {
        return false;
    };
    let Measured {
        model,
        machine,
        aim,
        ..
    } = measured;
    let target = targets::target(model, machine, *aim, what, channels);
    target
        .zip(measured.figure(what))
        .is_some_and(|(most, reached)| reached > most)
}

/// What each layer takes, of the runs that take more than their target.
fn splits(all: &[Measured]) -> String {
    let mut text = String::new();
    let slow = [Figure::Instructions, Figure::Cycles];
    for measured in all {
        if !slow.iter().any(|what| misses(measured, *what)) {
            continue;
        }
        text += &format!(
            "\n{} on {}, layer by layer\n{:>5} {:>7} {:>8} {:>12} {:>12}\n",
            measured.model,
            measured.key(),
            "layer",
            "opcode",
            "packing",
            "instructions",
            "cycles"
        );
        let layers = measured.run["layers"].as_array();
        for (index, layer) in layers.into_iter().flatten().enumerate() {
            let number = |key: &str| layer[key].as_u64().unwrap_or(0);
            text += &format!(
                "{index:>5} {:>7} {:>8} {:>12} {:>12}\n",
                number("opcode"),
                number("packing"),
                grouped(number("instructions")),
                grouped(number("cycles_estimated")),
            );
        }
    }
    text
}

fn line(measured: &Measured, what: Figure, baseline: &Baseline) -> Option<String> {
    let Measured {
        model,
        machine,
        aim,
        run,
    } = measured;
    let reached = measured.figure(what)?;
    let channels = run["output_channels"].as_u64()?;
    let target = targets::target(model, machine, *aim, what, channels);
    let peer = targets::peer(model, machine, what);
    // Memory and images of the other boards say nothing new.
    if target.is_none() && !matches!(what, Figure::Instructions) {
        return None;
    }
    let verdict = match target {
        Some(target) if reached <= target => "met",
        Some(_) => "MISSED",
        None => "",
    };
    let ratio = peer.map(|peer| format!("{:.2}", peer as f64 / reached.max(1) as f64));
    let shown = |number: Option<u64>| number.map_or("-".into(), grouped);
    let core = machine.core.trim_start_matches("cortex-").to_uppercase();
    Some(format!(
        "{:<32} {model:<4} {:>11} {:>11} {verdict:>7} {:>11} {:>9}  {}\n",
        format!("{core} {}, {}", aim.name(), what.name()),
        grouped(reached),
        shown(target),
        shown(peer),
        ratio.unwrap_or("-".into()),
        change(measured, what, baseline),
    ))
}

/// Against the baseline, in percent.
fn change(measured: &Measured, what: Figure, baseline: &Baseline) -> String {
    let before = Measured {
        run: baseline.accepted(measured.model, &measured.key()).clone(),
        ..*measured
    };
    match before.figure(what).zip(measured.figure(what)) {
        Some((before, now)) => format!(
            "{:+.2} %",
            (now as f64 / before.max(1) as f64 - 1.0) * 100.0
        ),
        None => "none yet".into(),
    }
}

/// With a space before each group of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_says_what_is_missed() {
        let machine = &Machine::ALL[1];
        let run = json!({
            "instructions": 6_000_000, "cycles_estimated": 12_000_000, "arena_bytes": 40_000,
            "stack_peak": 400, "image_bytes": 300_000, "output_channels": 346,
        });
        let measured = Measured {
            model: "ic",
            machine,
            aim: Aim::Speed,
            run,
        };
        let text = table(&[measured], &Baseline::of(json!({})));
        let lines: Vec<_> = text.trim().lines().skip(1).collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(
            lines[0].contains("6 000 000   7 000 000     met  28 506 000      4.75"),
            "{text}"
        );
        assert!(lines[1].contains("MISSED"));
        assert!(lines[2].contains("40 400"));
        assert!(lines[3].ends_with("none yet"));
    }

    #[test]
    fn what_is_missed_is_split_by_layers() {
        let run = |cycles: u64| {
            json!({
                "instructions": 6_000_000, "cycles_estimated": cycles, "output_channels": 346,
                "layers": [{ "opcode": 2, "packing": 4, "instructions": 6_000_000,
                    "cycles_estimated": cycles }],
            })
        };
        let measured = |cycles| Measured {
            model: "ic",
            machine: &Machine::ALL[1],
            aim: Aim::Speed,
            run: run(cycles),
        };
        assert_eq!(splits(&[measured(11_000_000)]), "");
        let text = splits(&[measured(12_000_000)]);
        assert!(
            text.ends_with("0       2        4    6 000 000   12 000 000\n"),
            "{text}"
        );
    }
}
