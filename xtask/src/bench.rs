//! `cargo xtask bench boards`: what a model costs on each emulated processor, beside what
//! TensorFlow Lite Micro with CMSIS-NN needs for it, and against the committed baseline.

mod baseline;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::{bench_boards, machine::Machine, root, setup, steps::cargo};

/// TensorFlow Lite Micro 90b983c2 with CMSIS-NN 99f736a6, GCC 12.2, the MLPerf Tiny reference models
/// (v1.x): instructions of one inference, counted under QEMU 7.2 by a plugin between two markers, the
/// fewest of -O2 and -O3 and their variants.
struct Peer {
    model: &'static str,
    /// By board.
    instructions: [(&'static str, u64); 5],
    /// On the Cortex-M4F, -O2, estimated as ours are.
    m4_cycles: u64,
    /// On the Cortex-M4F: the arena that the interpreter used.
    m4_arena: u64,
}

const PEERS: [Peer; 4] = [
    Peer {
        model: "ic",
        instructions: [
            ("mps2-an385", 41_848_000),
            ("mps2-an386", 28_506_000),
            ("mps2-an500", 30_027_000),
            ("mps2-an505", 29_963_000),
            ("mps3-an547", 4_812_000),
        ],
        m4_cycles: 36_700_000,
        m4_arena: 54_996,
    },
    Peer {
        model: "kws",
        instructions: [
            ("mps2-an385", 10_533_000),
            ("mps2-an386", 7_227_000),
            ("mps2-an500", 7_644_000),
            ("mps2-an505", 7_680_000),
            ("mps3-an547", 1_785_000),
        ],
        m4_cycles: 9_220_000,
        m4_arena: 22_820,
    },
    Peer {
        model: "vww",
        instructions: [
            ("mps2-an385", 31_959_000),
            ("mps2-an386", 22_610_000),
            ("mps2-an500", 24_026_000),
            ("mps2-an505", 24_047_000),
            ("mps3-an547", 6_434_000),
        ],
        m4_cycles: 29_200_000,
        m4_arena: 100_708,
    },
    Peer {
        model: "ad",
        instructions: [
            ("mps2-an385", 956_000),
            ("mps2-an386", 573_000),
            ("mps2-an500", 583_000),
            ("mps2-an505", 584_000),
            ("mps3-an547", 150_000),
        ],
        m4_cycles: 724_000,
        m4_arena: 2_580,
    },
];

/// A model and the files beside it.
struct Subject {
    name: String,
    image: PathBuf,
    inputs: PathBuf,
    outputs: PathBuf,
}

/// Runs all models of a folder on the boards asked for (none: all), prints a table, and leaves
/// `target/bench/boards.json`. Fails where an output is wrong or a figure has grown by more than the
/// baseline allows; with `accept` the figures become the baseline.
pub fn boards(models: &Path, boards: &[String], accept: bool) -> Result<()> {
    let missing = setup::tools(&[setup::QEMU_SYSTEM]);
    ensure!(missing.is_empty(), "apt-get install {}", missing.join(" "));
    let machines: Vec<&Machine> = if boards.is_empty() {
        Machine::ALL.iter().collect()
    } else {
        let named = boards.iter().map(|name| bench_boards::machine(name));
        named.collect::<Result<_>>()?
    };
    let subjects = subjects(models)?;
    for machine in &machines {
        println!("{}", bench_boards::build(machine)?);
    }
    let mut baseline = baseline::Baseline::read()?;
    let mut results = Map::new();
    let mut faults = Vec::new();
    println!("\n{HEADING}");
    for subject in &subjects {
        let mut of_boards = Map::new();
        for machine in &machines {
            let run = run(machine, subject)?;
            let verdict = baseline.judge(&subject.name, machine.name, &run);
            println!("{}", line(subject, machine, &run, &verdict));
            let wrong = number(&run, "wrong_output_bytes");
            if wrong != Some(0) {
                let wrong = wrong.map_or("unknown".to_owned(), |wrong| wrong.to_string());
                faults.push(format!(
                    "{} on {}: wrong bytes of output: {wrong}",
                    subject.name, machine.name
                ));
            }
            faults.extend(
                verdict
                    .grown
                    .iter()
                    .filter(|_| !accept)
                    .map(|grown| format!("{} on {}: {grown}", subject.name, machine.name)),
            );
            of_boards.insert(machine.name.into(), run);
        }
        results.insert(subject.name.clone(), Value::Object(of_boards));
    }
    let folder = root().join("target/bench");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let path = folder.join("boards.json");
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

/// The models of a folder, by name.
fn subjects(folder: &Path) -> Result<Vec<Subject>> {
    // The commands below run elsewhere.
    let folder = folder
        .canonicalize()
        .with_context(|| folder.display().to_string())?;
    let mut subjects = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let image = entry?.path();
        if image.extension().is_none_or(|extension| extension != "dnl") {
            continue;
        }
        let beside = |extension: &str| {
            let path = image.with_extension(extension);
            ensure!(
                path.is_file(),
                "{} is missing beside the model",
                path.display()
            );
            Ok(path)
        };
        subjects.push(Subject {
            name: image
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default(),
            inputs: beside("input.i8")?,
            outputs: beside("output.i8")?,
            image,
        });
    }
    ensure!(
        !subjects.is_empty(),
        "no model image (`*.dnl`) in {}",
        folder.display()
    );
    subjects.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(subjects)
}

fn run(machine: &Machine, subject: &Subject) -> Result<Value> {
    let output = cargo()
        .args(["run", "--release", "--locked", "--quiet", "-p", "emulator"])
        .args(["--example", "bench_board", "--", machine.name])
        .args([&subject.image, &subject.inputs, &subject.outputs])
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!(
            "{} on {}: {}",
            subject.name,
            machine.name,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    serde_json::from_slice(&output.stdout).context("the output of `bench_board`")
}

const HEADING: &str = "model        core         instructions  per MAC   peer/ours   M4 cycles   \
peer/ours   arena+stack  peer's arena  wrong  baseline";

fn line(subject: &Subject, machine: &Machine, run: &Value, verdict: &baseline::Verdict) -> String {
    let peer = PEERS.iter().find(|peer| peer.model == subject.name);
    let peer_instructions = peer.and_then(|peer| {
        let of_board = peer.instructions.iter();
        let mut of_board = of_board.filter(|(board, _)| *board == machine.name);
        of_board.next().map(|(_, instructions)| *instructions)
    });
    let m4 = machine.core == "cortex-m4";
    let instructions = number(run, "instructions");
    let cycles = number(run, "cycles_estimated");
    let ratio = |of: Option<u64>, to: Option<u64>| match of.zip(to) {
        Some((of, to)) => format!("{:.2}", of as f64 / to.max(1) as f64),
        None => "-".into(),
    };
    let memory = number(run, "arena_bytes").zip(number(run, "stack_peak"));
    format!(
        "{:12} {:12} {:>12} {:>8} {:>11} {:>11} {:>11} {:>13} {:>13} {:>6}  {}",
        subject.name,
        machine.core,
        shown(instructions),
        ratio(instructions, number(run, "macs")),
        ratio(peer_instructions, instructions),
        shown(cycles),
        ratio(peer.filter(|_| m4).map(|peer| peer.m4_cycles), cycles),
        memory.map_or("-".into(), |(arena, stack)| format!("{arena}+{stack}")),
        shown(peer.filter(|_| m4).map(|peer| peer.m4_arena)),
        shown(number(run, "wrong_output_bytes")),
        verdict,
    )
}

fn number(run: &Value, key: &str) -> Option<u64> {
    run[key].as_u64()
}

fn shown(number: Option<u64>) -> String {
    number.map_or("-".into(), |number| number.to_string())
}
