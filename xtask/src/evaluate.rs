//! `cargo xtask evaluate`: the figures that the loop promises, over many seeds. Too long for every
//! push; the tests hold the same promises for one seed.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::steps::cargo;

/// Runs both loops over their seeds, prints a line a run, and fails where a promise is broken.
/// `data` is the folder of the gas-sensor drift set; without it only the built-in loop runs.
pub fn run(data: Option<&Path>) -> Result<()> {
    let status = cargo().args(["build", "--release", "--locked"]).status()?;
    ensure!(status.success(), "dunlin does not build");
    let mut promises = Promises::default();
    changed_field(&mut promises)?;
    quiet_field(&mut promises)?;
    match data {
        Some(data) => gas(data, &mut promises)?,
        None => println!("skipped: the gas-sensor loop; name the folder of its data with --data"),
    }
    println!("\n{} passed, {} failed", promises.kept, promises.broken);
    ensure!(promises.broken == 0, "not every promise is kept");
    Ok(())
}

/// The built-in loop, seeds 0 to 4.
fn changed_field(promises: &mut Promises) -> Result<()> {
    for seed in 0..5 {
        let report = looped(&[], seed)?;
        let quiet = mean(&report, "accuracy_with_loop", |round| {
            round["changed"] == false
        })?;
        let frozen = mean(&report, "accuracy_without_loop", |round| {
            round["changed"] == true
        })?;
        let rounds = rounds(&report)?;
        let end = rounds
            .last()
            .map_or(0.0, |round| number(&round["accuracy_with_loop"]));
        let change = rounds.iter().position(|round| round["changed"] == true);
        let alarm = rounds.iter().position(|round| round["drift_alarm"] == true);
        let late = alarm
            .zip(change)
            .map(|(alarm, change)| alarm as i64 - change as i64);
        let int8 = number(&report["model"]["accuracy_int8"]);
        let float = number(&report["model"]["accuracy_float"]);
        let raised = late.map_or("never raised".to_owned(), |late| {
            format!("raised {late} rounds after the change")
        });
        println!(
            "vibration, seed {seed}: int8 {int8:.4}, float {float:.4}; before {quiet:.3}, first \
             model after {frozen:.3}, end {end:.3}; drift {raised}"
        );
        let name = format!("vibration, seed {seed}");
        promises.check(&name, "int8 accuracy of at least 0.95", int8 >= 0.95);
        promises.check(
            &name,
            "int8 within 0.01 of float",
            (int8 - float).abs() <= 0.01,
        );
        promises.check(
            &name,
            "the first model loses at least 0.15",
            quiet - frozen >= 0.15,
        );
        promises.check(
            &name,
            "drift within two rounds",
            late.is_some_and(|l| (0..2).contains(&l)),
        );
        promises.check(&name, "recovered to within 0.03", end >= quiet - 0.03);
        delivery(promises, &name, &report);
    }
    Ok(())
}

/// Twenty fields in which nothing changes.
fn quiet_field(promises: &mut Promises) -> Result<()> {
    let (mut alarms, mut all) = (0, 0);
    for seed in 0..20 {
        let report = looped(&["--no-change"], seed)?;
        let rounds = rounds(&report)?;
        let raised = rounds
            .iter()
            .filter(|round| round["drift_alarm"] == true)
            .count();
        println!(
            "no change, seed {seed}: {raised} of {} rounds raised drift",
            rounds.len()
        );
        if seed < 5 {
            promises.check(&format!("no change, seed {seed}"), "silent", raised == 0);
        }
        alarms += raised;
        all += rounds.len();
    }
    promises.check(
        "no change",
        "at most 1 % of rounds alarm",
        alarms * 100 <= all,
    );
    Ok(())
}

/// The loop on recorded data, seeds 0 to 4, with both ways to choose samples.
fn gas(data: &Path, promises: &mut Promises) -> Result<()> {
    let data = data.to_str().context("the folder's name is not UTF-8")?;
    let (mut frozen, mut diverse, mut random) = (0.0, 0.0, 0.0);
    let later = |round: &Value| round["name"] != "batch 2";
    for seed in 0..5 {
        let of = |selection| {
            looped(
                &[
                    "recipes/gas-drift.toml",
                    "--data",
                    data,
                    "--selection",
                    selection,
                ],
                seed,
            )
        };
        let (report, by_chance) = (of("diverse")?, of("random")?);
        let without = mean(&report, "accuracy_without_loop", later)?;
        let with = mean(&report, "accuracy_with_loop", later)?;
        let chance = mean(&by_chance, "accuracy_with_loop", later)?;
        println!(
            "gas drift, seed {seed}, batches 3 to 6: first model {without:.3}, loop {with:.3}, \
             loop with random samples {chance:.3}"
        );
        let raised = rounds(&report)?
            .iter()
            .filter(|r| later(r))
            .all(|r| r["drift_alarm"] == true);
        let name = format!("gas drift, seed {seed}");
        promises.check(&name, "drift on every batch from 3 on", raised);
        delivery(promises, &name, &report);
        frozen += without / 5.0;
        diverse += with / 5.0;
        random += chance / 5.0;
    }
    println!("gas drift, mean: first model {frozen:.3}, loop {diverse:.3}, random {random:.3}");
    promises.check(
        "gas drift",
        "the loop gains at least 0.20",
        diverse - frozen >= 0.20,
    );
    promises.check(
        "gas drift",
        "no worse than random samples",
        diverse >= random,
    );
    Ok(())
}

fn delivery(promises: &mut Promises, name: &str, report: &Value) {
    let fleet = &report["fleet"];
    promises.check(name, "nothing lost", fleet["lost"] == 0);
    let everywhere = fleet["devices_on_final_model"] == fleet["devices"];
    promises.check(name, "every device ends on the last release", everywhere);
    promises.check(
        name,
        "device and host agree",
        report["device"]["mismatched_outputs"] == 0,
    );
}

#[derive(Default)]
struct Promises {
    kept: usize,
    broken: usize,
}

impl Promises {
    fn check(&mut self, of: &str, promise: &str, kept: bool) {
        if kept {
            self.kept += 1;
        } else {
            self.broken += 1;
            println!("BROKEN: {of}: {promise}");
        }
    }
}

/// Runs `dunlin loop` and reads its report.
fn looped(arguments: &[&str], seed: u32) -> Result<Value> {
    let folder = crate::root().join("target/evaluate");
    let output = cargo()
        .args(["run", "--release", "--locked", "--quiet", "--", "loop"])
        .args(arguments)
        .args(["--seed", &seed.to_string(), "--report"])
        .arg(&folder)
        .current_dir(crate::root())
        .output()?;
    if !output.status.success() {
        bail!(
            "dunlin loop {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let text = std::fs::read_to_string(folder.join("report.json"))?;
    serde_json::from_str(&text).context("report.json")
}

fn rounds(report: &Value) -> Result<&Vec<Value>> {
    report["rounds"]
        .as_array()
        .context("the report has no rounds")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn mean(report: &Value, key: &str, select: impl Fn(&Value) -> bool) -> Result<f64> {
    let picked: Vec<f64> = rounds(report)?
        .iter()
        .filter(|round| select(round))
        .map(|round| number(&round[key]))
        .collect();
    ensure!(
        !picked.is_empty(),
        "no round of the report is of the kind asked for"
    );
    Ok(picked.iter().sum::<f64>() / picked.len() as f64)
}
