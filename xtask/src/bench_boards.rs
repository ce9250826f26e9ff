//! `cargo xtask bench-boards`: the program of `boards/bench`, once for each emulated processor.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{elf, firmware, machine::Machine, root, setup, steps::cargo};

/// What the names of these boards start with, where `cargo xtask firmware` is asked for one.
pub const PREFIX: &str = "bench-";

/// How a program and the runtime in it are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The kernels for speed.
    Speed,
    /// Everything for size.
    Size,
    /// The same, smaller still: for the program of one image.
    Small,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Speed => "release",
            Self::Size => "size",
            Self::Small => "small",
        }
    }
}

/// The image that a program is built for.
#[derive(Clone, Copy, Debug)]
pub struct ForImage<'a> {
    /// Its file.
    pub path: &'a Path,
    /// What of its kernels is left out, a feature of the program; or empty.
    pub less: &'static str,
}

/// A board's program, in both profiles, built and checked.
pub struct Built {
    machine: &'static Machine,
    path: PathBuf,
    bench_bytes: u32,
    small_bytes: u32,
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{PREFIX}{} ({}): {} bytes of flash with all operators, {} built for size; vector table \
             in place, nothing that can panic\n{}",
            self.machine.name,
            self.machine.core,
            self.bench_bytes,
            self.small_bytes,
            self.path.display()
        )
    }
}

/// Builds all of them.
pub fn build_all() -> Result<()> {
    for machine in Machine::ALL {
        println!("{}", build(machine)?);
    }
    Ok(())
}

/// The machine of a name, with or without [`PREFIX`].
pub fn machine(name: &str) -> Result<&'static Machine> {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    let found = Machine::ALL.iter().find(|machine| machine.name == name);
    found.with_context(|| {
        let known: Vec<_> = Machine::ALL.iter().map(|machine| machine.name).collect();
        format!(
            "there is no bench board `{name}`; there is: {}",
            known.join(", ")
        )
    })
}

/// Whether images run on a machine in programs with their own kernels alone, of which some can be left
/// out.
pub fn has_own_programs(machine: &Machine) -> bool {
    machine.core == "cortex-m4"
}

/// Builds the program of a board and leaves it as `target/boards/bench-<board>.elf`, where the
/// emulator looks for it, and built for size as [`small`]; where there are such kernels, also without
/// those that a small program leaves out, for the emulator's tests.
pub fn build(machine: &'static Machine) -> Result<Built> {
    setup::rust_targets(&[machine.target])?;
    let path = folder().join(format!("{PREFIX}{}.elf", machine.name));
    let bench_bytes = program(machine, "bench", Profile::Speed, "", None, &path)?;
    let small_bytes = program(machine, "bench", Profile::Size, "", None, &small(machine))?;
    if has_own_programs(machine) {
        for less in ["short", "compact"] {
            let path = folder().join(format!("{PREFIX}{}-{less}.elf", machine.name));
            program(machine, "bench", Profile::Small, less, None, &path)?;
        }
    }
    Ok(Built {
        machine,
        path,
        bench_bytes,
        small_bytes,
    })
}

/// The board's program as [`build`] leaves it, built for size.
pub fn small(machine: &Machine) -> PathBuf {
    folder().join(format!("{PREFIX}{}-small.elf", machine.name))
}

/// Builds the board's program with the kernels of one image, and no others.
pub fn for_image(
    machine: &'static Machine,
    profile: Profile,
    image: ForImage<'_>,
) -> Result<PathBuf> {
    setup::rust_targets(&[machine.target])?;
    let stem = image.path.file_stem().unwrap_or_default().to_string_lossy();
    let path = folder().join(format!("{PREFIX}{stem}-{}.elf", machine.name));
    program(
        machine,
        "bench",
        profile,
        image.less,
        Some(image.path),
        &path,
    )?;
    Ok(path)
}

/// Bytes of flash that the runtime takes for one image, the image not counted: what a program that
/// loads and runs it has more than the same program without the runtime, which has the vector table,
/// start-up and fault handler.
pub fn code_bytes(machine: &Machine, profile: Profile, image: ForImage<'_>) -> Result<u32> {
    setup::rust_targets(&[machine.target])?;
    let stem = image.path.file_stem().unwrap_or_default().to_string_lossy();
    let path = |name: &str| folder().join(format!("{name}-{}.elf", machine.name));
    let with = program(
        machine,
        "size",
        profile,
        image.less,
        Some(image.path),
        &path(&format!("size-{stem}")),
    )?;
    let without = program(machine, "empty", profile, "", None, &path("empty"))?;
    with.checked_sub(without)
        .context("the runtime takes less than nothing")
}

/// A cargo command on the crate, with everything that a machine's build takes.
pub fn cargo_for(machine: &Machine, subcommand: &str, profile: &str) -> Command {
    let mut command = cargo();
    let (variable, flags) = firmware::flags(machine.target);
    // The processor's own instructions, for the compiler and for `asm!`; the linker script, relative
    // to the crate, where the linker runs; no page alignment of sections in a firmware; symbols that
    // tell one closure's shim from another's.
    let flags = format!(
        "{flags} -C symbol-mangling-version=v0 -C target-cpu={} -C link-arg=-Tmemory/{}.x -C link-arg=-Lmemory -C link-arg=--nmagic",
        machine.core, machine.name
    );
    command
        .env(variable, flags)
        .args([subcommand, "--locked", "--profile", profile])
        .args(["--target", machine.target, "--manifest-path"])
        .arg(manifest())
        // Cargo tells the machines that share a target apart by the flags; only the last file that
        // was linked has the program's name.
        .arg("--target-dir")
        .arg(folder().join("bench"));
    if !machine.feature.is_empty() {
        command.args(["--features", machine.feature]);
    }
    command
}

/// The crate's manifest.
pub fn manifest() -> PathBuf {
    root().join("boards/bench/Cargo.toml")
}

fn folder() -> PathBuf {
    root().join("target/boards")
}

/// Builds a program, for an image where there is one, without what `less` says, checks it and puts it in its place; returns the
/// bytes of flash it takes.
fn program(
    machine: &Machine,
    name: &str,
    profile: Profile,
    less: &str,
    image: Option<&Path>,
    path: &Path,
) -> Result<u32> {
    let mut build = cargo_for(machine, "build", profile.name());
    build.args(["--quiet", "--bin", name]);
    if !less.is_empty() {
        build.args(["--features", less]);
    }
    if let Some(image) = image {
        build.args(["--features", "image"]);
        build.env("DUNLIN_IMAGE", image);
    }
    let status = build.status().context("cannot run cargo")?;
    if !status.success() {
        bail!("the program `{name}` of {} does not build", machine.name);
    }
    let built = folder()
        .join("bench")
        .join(machine.target)
        .join(profile.name())
        .join(name);
    let bytes = check(machine, &built)?;
    fs::copy(&built, path)
        .with_context(|| format!("cannot copy {} to {}", built.display(), path.display()))?;
    Ok(bytes)
}

/// Checks the vector table, and that nothing of a panic is linked; returns the bytes of flash.
fn check(machine: &Machine, path: &Path) -> Result<u32> {
    let file = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let firmware = elf::check_firmware_at(&file, machine.code, machine.ram)
        .with_context(|| path.display().to_string())?;
    let panics = elf::panic_machinery(&file).with_context(|| path.display().to_string())?;
    ensure!(
        panics.is_empty(),
        "{}: the runtime must not be able to panic, but this is linked: {}",
        path.display(),
        panics.join(", ")
    );
    Ok(firmware.loaded_bytes)
}
