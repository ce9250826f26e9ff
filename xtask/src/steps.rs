//! Runs commands one after the other and keeps the times.

use std::{
    env,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// The cargo that runs this program, at the root of the repository.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    command.current_dir(crate::root());
    // Set by the `cargo run` that this program itself runs under; it would make the cargo below
    // build with another toolchain's or package's settings.
    for variable in [
        "CARGO_MANIFEST_DIR",
        "CARGO_PKG_NAME",
        "CARGO_MANIFEST_PATH",
    ] {
        command.env_remove(variable);
    }
    command
}

/// Builds an example of a crate for this machine and returns its path.
pub fn example(package: &str, name: &str) -> Result<PathBuf> {
    let arguments = ["build", "--release", "--locked", "--quiet"];
    let mut build = cargo();
    build
        .args(arguments)
        .args(["-p", package, "--example", name]);
    must_succeed(&mut build)?;
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or(crate::root().join("target"), PathBuf::from);
    let folder = crate::root().join(target).join("release/examples");
    Ok(folder.join(name))
}

/// What was done, for the list at the end.
#[derive(Default)]
pub struct Steps {
    done: Vec<(String, Duration)>,
    skipped: Vec<String>,
}

impl Steps {
    /// Does one step; the first that fails ends the run.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n── {name}");
        let started = Instant::now();
        work().with_context(|| format!("step failed: {name}"))?;
        self.done.push((name.into(), started.elapsed()));
        Ok(())
    }

    /// As [`Self::step`] for one command that has to exit with 0.
    pub fn run(&mut self, name: &str, command: &mut Command) -> Result<()> {
        self.step(name, || must_succeed(command))
    }

    /// Notes what is not done, and why.
    pub fn skip(&mut self, what: &str, why: &str) {
        println!("\n── SKIPPED: {what}: {why}");
        self.skipped.push(format!("{what}: {why}"));
    }

    /// The list of steps with their times, then what was skipped.
    pub fn report(&self) {
        println!("\n── steps");
        for (name, time) in &self.done {
            println!("{:>8.1} s  {name}", time.as_secs_f64());
        }
        for skipped in &self.skipped {
            println!("   SKIPPED  {skipped}");
        }
    }
}

/// Runs a command whose output goes where ours goes.
pub fn must_succeed(command: &mut Command) -> Result<()> {
    let shown = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned())
        .fold(
            command.get_program().to_string_lossy().into_owned(),
            |all, next| all + " " + &next,
        );
    let status = command
        .status()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}
