//! Brings in what the tests need and a fresh machine lacks.

use std::{
    env, fs,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::steps::cargo;

/// Installs those of `wanted` that this toolchain has no standard library for.
pub fn rust_targets(wanted: &[&str]) -> Result<()> {
    let installed = installed_rust_targets()?;
    let missing: Vec<_> = wanted
        .iter()
        .filter(|target| !installed.iter().any(|have| have == *target))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let status = Command::new("rustup")
        .args(["target", "add"])
        .args(&missing)
        .current_dir(crate::root())
        .status()
        .context("cannot run rustup, which installs Rust targets; get it from https://rustup.rs")?;
    if !status.success() {
        let names: Vec<_> = missing.iter().map(|name| **name).collect();
        bail!("`rustup target add {}` failed", names.join(" "));
    }
    Ok(())
}

/// Targets with a standard library beside the compiler: what is installed without rustup counts.
fn installed_rust_targets() -> Result<Vec<String>> {
    let output = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()))
        .args(["--print", "sysroot"])
        .current_dir(crate::root())
        .output()
        .context("cannot run rustc")?;
    let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let folder = Path::new(&sysroot).join("lib/rustlib");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    Ok(entries
        .flatten()
        .filter(|entry| entry.path().join("lib").is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect())
}

/// Programs of Debian packages, by the program that is looked for.
pub struct Tool {
    /// In PATH.
    pub program: &'static str,
    /// That has it.
    pub package: &'static str,
}

/// Runs the firmware of the boards.
pub const QEMU_SYSTEM: Tool = Tool {
    program: "qemu-system-arm",
    package: "qemu-system-arm",
};
/// Runs programs built for aarch64.
pub const QEMU_USER: Tool = Tool {
    program: "qemu-aarch64",
    package: "qemu-user",
};

/// Runs WebAssembly modules.
pub const NODE: Tool = Tool {
    program: "node",
    package: "nodejs",
};

/// Compiles QEMU's plugin that counts instructions.
pub const GCC: Tool = Tool {
    program: "gcc",
    package: "gcc",
};

/// Installs those of `tools` that are missing, where that needs no question; returns the packages
/// that are still missing.
pub fn tools(tools: &[Tool]) -> Vec<&'static str> {
    let missing = |tools: &[Tool]| -> Vec<&'static str> {
        tools
            .iter()
            .filter(|tool| !has(tool.program))
            .map(|tool| tool.package)
            .collect()
    };
    let packages = missing(tools);
    if packages.is_empty() {
        return packages;
    }
    match apt_get() {
        Some(apt_get) => {
            let run = |arguments: &[&str]| {
                let mut command = Command::new(apt_get[0]);
                command
                    .args(&apt_get[1..])
                    .args(arguments)
                    .stdin(Stdio::null());
                command.env("DEBIAN_FRONTEND", "noninteractive");
                // The package lists and unpacking steps tell nobody anything, unless they fail.
                command.output().is_ok_and(|output| {
                    if !output.status.success() {
                        eprintln!("{}", String::from_utf8_lossy(&output.stderr).trim());
                    }
                    output.status.success()
                })
            };
            println!("installing {} with apt-get", packages.join(", "));
            let mut install = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
            install.extend(&packages);
            // The lists on the machine may do; a fresh container has none.
            if !run(&install) {
                run(&["update", "--quiet"]);
                run(&install);
            }
        }
        None => println!("apt-get cannot be used here without asking for a password"),
    }
    missing(tools)
}

/// How to run apt-get without a question: as root, or through a sudo that asks for none.
fn apt_get() -> Option<Vec<&'static str>> {
    if !has("apt-get") {
        return None;
    }
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n");
    if root {
        return Some(vec!["apt-get"]);
    }
    // On a terminal somebody's own machine: installing there is for them to decide.
    let sudo = !std::io::stdin().is_terminal()
        && has("sudo")
        && Command::new("sudo")
            .args(["-n", "true"])
            .output()
            .is_ok_and(|o| o.status.success());
    sudo.then(|| vec!["sudo", "-n", "apt-get"])
}

/// Whether a program of that name is in PATH.
pub fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether cargo has a subcommand of that name.
pub fn has_cargo(subcommand: &str) -> bool {
    cargo()
        .args([subcommand, "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The folder of the gas-sensor drift set: what `DUNLIN_DATA` names, else the archive in
/// `../shared/data` beside the repository, unpacked below the repository's target folder.
pub fn gas_data() -> Option<PathBuf> {
    let named = env::var_os("DUNLIN_DATA").map(PathBuf::from);
    if named
        .as_ref()
        .is_some_and(|folder| folder.join("batch1.dat").is_file())
    {
        return named;
    }
    let archive = crate::root().join("../shared/data/gas_drift.tar.xz");
    let folder = crate::root().join("target/data");
    if !archive.is_file() || fs::create_dir_all(&folder).is_err() {
        return None;
    }
    let unpacked = Command::new("tar")
        .arg("xf")
        .arg(archive)
        .arg("-C")
        .arg(&folder)
        .status();
    unpacked
        .is_ok_and(|status| status.success())
        .then(|| folder.join("gas_drift"))
}
