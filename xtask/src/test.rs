//! `cargo xtask test`: everything that CI runs, the cheapest first.

use std::process::Command;

use anyhow::Result;

use crate::{
    bench, bench_boards, firmware, fuzz,
    machine::Machine,
    setup::{self, GCC, QEMU_SYSTEM, QEMU_USER},
    steps::{Steps, cargo, must_succeed},
};

/// Bare-metal targets that the device crates have to build for.
const BARE_METAL: [&str; 4] = [
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imac-unknown-none-elf",
];
/// Crates that go on a device.
const DEVICE_CRATES: [&str; 3] = ["edge-runtime", "edge-sync", "firmware"];
/// Linux on Arm, for the conformance runs under qemu-user; linked without a C compiler.
const AARCH64: &str = "aarch64-unknown-linux-musl";
const AARCH64_LINKER: &str = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER";
const AARCH64_RUNNER: &str = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER";
/// Processors whose kernels are tested there: with dot products and matrix products, and without.
const AARCH64_CORES: [&str; 2] = ["max", "cortex-a72"];
/// The suites of `edge-compiler` that compare with other programs' answers, or kernels with each
/// other.
const ANSWERS: [&str; 3] = ["models", "litert", "borders"];

/// Runs all steps; the first that fails ends it.
pub fn run() -> Result<()> {
    let mut steps = Steps::default();
    let result = all(&mut steps);
    steps.report();
    result?;
    println!("\nall checks passed");
    Ok(())
}

fn all(steps: &mut Steps) -> Result<()> {
    steps.step("set-up: Rust targets", || {
        setup::rust_targets(&BARE_METAL)?;
        setup::rust_targets(&[AARCH64])
    })?;
    let missing = setup::tools(&[QEMU_SYSTEM, QEMU_USER, GCC]);
    if missing.contains(&QEMU_SYSTEM.package) {
        steps.skip(
            "the tests on the emulated board",
            "QEMU is missing and could not be installed; `apt-get install qemu-system-arm`",
        );
    }
    if missing.contains(&GCC.package) {
        steps.skip(
            "the counts of instructions",
            "gcc is missing and could not be installed; `apt-get install gcc libc6-dev`",
        );
    }
    if missing.contains(&QEMU_USER.package) {
        steps.skip(
            "the runs on aarch64",
            "qemu-aarch64 is missing and could not be installed; `apt-get install qemu-user`",
        );
    }

    steps.run("formatting", cargo().args(["fmt", "--all", "--check"]))?;
    steps.step("formatting of the boards and fuzz targets", || {
        for (board, _) in firmware::BOARDS {
            must_succeed(
                cargo()
                    .args(["fmt", "--check", "--manifest-path"])
                    .arg(manifest(board)),
            )?;
        }
        must_succeed(
            cargo()
                .args(["fmt", "--check", "--manifest-path"])
                .arg(bench_boards::manifest()),
        )?;
        must_succeed(
            cargo()
                .args(["fmt", "--check", "--manifest-path"])
                .arg(fuzz::manifest()),
        )
    })?;
    steps.step("device crates without std on every target", || {
        for target in BARE_METAL {
            let mut build = cargo();
            build.args(["build", "--locked", "--release", "--target", target]);
            for name in DEVICE_CRATES {
                build.args(["-p", name]);
            }
            must_succeed(&mut build)?;
        }
        Ok(())
    })?;
    for (board, target) in firmware::BOARDS {
        steps.step(&format!("firmware of {board}"), || {
            println!("{}", firmware::build(board)?);
            Ok(())
        })?;
        let folder = crate::root().join("target/boards");
        let (variable, flags) = firmware::flags(target);
        steps.run(
            &format!("clippy on {board}"),
            cargo()
                .env(variable, flags)
                .args([
                    "clippy",
                    "--release",
                    "--locked",
                    "--target",
                    target,
                    "--manifest-path",
                ])
                .arg(manifest(board))
                .arg("--target-dir")
                .arg(folder)
                .args(["--", "-D", "warnings"]),
        )?;
    }
    for machine in Machine::ALL {
        steps.step(&format!("bench board {}", machine.name), || {
            println!("{}", bench_boards::build(machine)?);
            let mut clippy = bench_boards::cargo_for(machine, "clippy", "release");
            must_succeed(clippy.args(["--", "-D", "warnings"]))
        })?;
    }
    let own = crate::root().join("target/boards");
    steps.run(
        "the runtime for aarch64",
        cargo()
            .env(AARCH64_LINKER, "rust-lld")
            .args(["build", "--locked", "--release", "--target", AARCH64])
            .args(["-p", "edge-runtime", "--example", "run_image"])
            .arg("--target-dir")
            .arg(&own),
    )?;
    let run_image = own.join(AARCH64).join("release/examples/run_image");
    if !missing.contains(&QEMU_USER.package) {
        for core in AARCH64_CORES {
            let mut test = cargo();
            test.env(AARCH64_LINKER, "rust-lld")
                .env(AARCH64_RUNNER, format!("qemu-aarch64 -cpu {core}"))
                .args(["test", "--locked", "--release", "--target", AARCH64])
                .args(["-p", "edge-compiler"])
                .arg("--target-dir")
                .arg(&own);
            for suite in ANSWERS {
                test.args(["--test", suite]);
            }
            steps.run(&format!("models on aarch64, {core}"), &mut test)?;
        }
    }
    // These build in no time, so that they can run with overflow checks and debug assertions as
    // well: hostile images and frames have to meet both.
    steps.step("device crates with overflow checks", || {
        let mut test = cargo();
        let nextest = setup::has_cargo("nextest");
        test.args(if nextest {
            &["nextest", "run"][..]
        } else {
            &["test"]
        });
        test.args(["--locked", "--all-features", "-p", "edge-compiler"]);
        for name in DEVICE_CRATES {
            test.args(["-p", name]);
        }
        must_succeed(&mut test)
    })?;
    // The same profile as the tests', so that build scripts and macros are compiled once.
    steps.run(
        "clippy",
        cargo()
            .args([
                "clippy",
                "--release",
                "--locked",
                "--workspace",
                "--all-features",
                "--all-targets",
            ])
            .args(["--", "-D", "warnings"]),
    )?;
    let data = setup::gas_data();
    if data.is_none() {
        steps.skip(
            "the tests on the gas-sensor drift data",
            "there is none; name the folder with batch1.dat to batch6.dat in DUNLIN_DATA",
        );
    }
    // Where QEMU is there, a test that skips itself would hide a fault.
    let tested = |command: &mut Command| {
        if !missing.contains(&QEMU_SYSTEM.package) && !missing.contains(&GCC.package) {
            command.env("DUNLIN_REQUIRE_QEMU", "1");
        }
        if let Some(data) = &data {
            command.env("DUNLIN_DATA", data);
        }
        if !missing.contains(&QEMU_USER.package) {
            command.env("DUNLIN_AARCH64_RUN_IMAGE", &run_image);
        }
        command.args(["--release", "--locked", "--workspace", "--all-features"]);
        must_succeed(command)
    };
    // One runner prints one summary, which comes last; without nextest each binary prints its own.
    if setup::has_cargo("nextest") {
        steps.step("tests in documentation", || {
            tested(cargo().args(["test", "--doc"]))
        })?;
        steps.step("tests", || tested(cargo().args(["nextest", "run"])))?;
    } else {
        steps.step("tests", || tested(cargo().arg("test")))?;
    }
    if missing.contains(&QEMU_SYSTEM.package) {
        return Ok(());
    }
    if bench::models::folder(None).is_none() {
        steps.skip(
            "instructions, memory and flash of the MLPerf Tiny models against the baseline",
            "there are none; name the folder with their files in DUNLIN_MODELS",
        );
        return Ok(());
    }
    steps.step("the MLPerf Tiny models on every emulated processor", || {
        bench::boards(None, &[], false)
    })
}

fn manifest(board: &str) -> std::path::PathBuf {
    crate::root().join("boards").join(board).join("Cargo.toml")
}
