//! `cargo xtask test`: everything that CI runs, the cheapest first.

use std::process::Command;

use anyhow::Result;

use crate::{
    aarch64, bench, bench_boards, firmware, fuzz,
    machine::Machine,
    setup::{self, GCC, NODE, QEMU_SYSTEM, QEMU_USER},
    steps::{Steps, cargo, must_succeed},
    wasm,
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
        setup::rust_targets(&[aarch64::TARGET, wasm::TARGET, wasm::PROGRAMS])
    })?;
    let missing = setup::tools(&[QEMU_SYSTEM, QEMU_USER, GCC, NODE]);
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
        )?;
        must_succeed(
            cargo()
                .args(["fmt", "--check", "--manifest-path"])
                .arg(wasm::manifest()),
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
    let mut run_image = None;
    steps.step("the runtime for aarch64", || {
        run_image = Some(aarch64::example("edge-runtime", "run_image")?);
        Ok(())
    })?;
    if !missing.contains(&QEMU_USER.package) {
        for processor in aarch64::PROCESSORS {
            steps.run(
                &format!("kernels on aarch64, {processor}"),
                aarch64::test(processor).args(["-p", "edge-runtime", "--lib"]),
            )?;
            steps.run(
                &format!("models on aarch64, {processor}"),
                answers(&mut aarch64::test(processor)),
            )?;
        }
    }
    steps.run(
        "clippy on WebAssembly",
        wasm::cargo_for("clippy").args(["--", "-D", "warnings"]),
    )?;
    if missing.contains(&NODE.package) {
        steps.skip(
            "the runs in WebAssembly",
            "Node is missing and could not be installed; `apt-get install nodejs`",
        );
    } else {
        steps.run(
            "kernels in WebAssembly",
            wasm::test().args(["-p", "edge-runtime", "--lib"]),
        )?;
        steps.run("models in WebAssembly", answers(&mut wasm::test()))?;
        if bench::models::folder(None).is_some() {
            steps.step("the runtime as a module", || wasm::run(None))?;
        } else {
            steps.skip(
                "the runtime as a module",
                "there are no models; name the folder with the MLPerf Tiny ones in DUNLIN_MODELS",
            );
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
        if let Some(run_image) = &run_image
            && !missing.contains(&QEMU_USER.package)
        {
            command.env("DUNLIN_AARCH64_RUN_IMAGE", run_image);
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

/// Of a `cargo test` for another processor.
fn answers(test: &mut Command) -> &mut Command {
    test.args(["-p", "edge-compiler"]);
    for suite in ANSWERS {
        test.args(["--test", suite]);
    }
    test
}

fn manifest(board: &str) -> std::path::PathBuf {
    crate::root().join("boards").join(board).join("Cargo.toml")
}
