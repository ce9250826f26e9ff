//! `cargo xtask firmware BOARD`.

use std::{fmt, fs, path::PathBuf};

use anyhow::{Context, Result, bail};

use crate::{
    elf::{self, Firmware},
    root, setup,
    steps::cargo,
};

/// Boards with a firmware of their own, and the Rust target of each.
pub const BOARDS: [(&str, &str); 1] = [("mps2-an386", "thumbv7em-none-eabihf")];

/// SHA-2 with its rounds in loops: unrolled it takes 33 KB of a device's flash, and a device hashes
/// an image once a boot.
const COMPACT_SHA2: &str = r#"--cfg sha2_backend="soft" --cfg sha2_backend_soft="compact""#;

/// Compiler flags of a board's firmware, as the variable that cargo reads them from and its value.
pub fn flags(target: &str) -> (String, &'static str) {
    let target = target.to_uppercase().replace(['-', '.'], "_");
    (format!("CARGO_TARGET_{target}_RUSTFLAGS"), COMPACT_SHA2)
}

/// A firmware that was built and checked.
pub struct Built {
    board: String,
    path: PathBuf,
    firmware: Firmware,
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "firmware of {}: {} bytes of flash; vector table in place (stack from {:#010x}, reset \
             at {:#010x})\n{}",
            self.board,
            self.firmware.loaded_bytes,
            self.firmware.initial_stack,
            self.firmware.reset_handler,
            self.path.display()
        )
    }
}

/// Builds the firmware of `board` and leaves it as `target/boards/<board>.elf`, where the emulator
/// looks for it: always below the repository, whatever `CARGO_TARGET_DIR` says.
pub fn build(board: &str) -> Result<Built> {
    let Some((_, target)) = BOARDS.into_iter().find(|(name, _)| *name == board) else {
        let known: Vec<_> = BOARDS.iter().map(|(name, _)| *name).collect();
        bail!(
            "no firmware is built for `{board}`; there is: {}",
            known.join(", ")
        );
    };
    setup::rust_targets(&[target])?;
    let folder = root().join("target/boards");
    let (variable, flags) = flags(target);
    let status = cargo()
        .env(variable, flags)
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            target,
            "--manifest-path",
        ])
        .arg(root().join("boards").join(board).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&folder)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the firmware of {board} does not build");
    }
    let built = folder.join(target).join("release").join(board);
    let file = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    // A linker script that was not applied gives a near-empty file and exit code 0.
    let firmware = elf::check_firmware(&file).with_context(|| built.display().to_string())?;
    let path = folder.join(format!("{board}.elf"));
    fs::copy(&built, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Built {
        board: board.into(),
        path,
        firmware,
    })
}
