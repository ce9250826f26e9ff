use std::{io, path::PathBuf, time::Duration};

use crate::elf::ElfError;

/// What can go wrong with an emulated board; each says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// There is no board of that name that an emulator could run.
    #[error("no emulated board is called `{name}`; there is: {known}")]
    UnknownBoard {
        /// The name asked for.
        name: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// The emulator is not installed.
    #[error(
        "QEMU (`{program}`) is not installed; on Debian and Ubuntu: \
         `apt-get install qemu-system-arm`"
    )]
    QemuMissing {
        /// The program that was looked for in PATH.
        program: &'static str,
    },
    /// The board's firmware has not been built.
    #[error("the firmware {} is not built; build it with `{}`", path.display(), build_command(board))]
    FirmwareMissing {
        /// Where it was looked for.
        path: PathBuf,
        /// The board.
        board: String,
    },
    /// The firmware could not start.
    #[error(
        "{} is no firmware; build it again with `{}`",
        path.display(),
        build_command(board)
    )]
    FirmwareBroken {
        /// The file.
        path: PathBuf,
        /// The board.
        board: String,
        /// What is wrong with it.
        source: ElfError,
    },
    /// A file or socket that the emulator needs could not be used.
    #[error("{what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The image does not fit a slot of the board's flash.
    #[error("the model image has {len} bytes, a slot of this board holds {capacity}")]
    ImageTooLarge {
        /// Length of the image in bytes.
        len: usize,
        /// Bytes of a slot.
        capacity: usize,
    },
    /// The factory state could not be written into the flash file.
    #[error("the flash of the board could not be provisioned: {0}")]
    Provision(String),
    /// The board is not running: it was killed, or never started.
    #[error("the emulated board is not running; start it first")]
    NotRunning,
    /// QEMU ended by itself.
    #[error("QEMU ended by itself ({status}): {output}")]
    Exited {
        /// Its exit status.
        status: String,
        /// What it had to say.
        output: String,
    },
    /// The firmware stopped with a panic, which is a defect of it.
    #[error("the firmware stopped: {0}")]
    Panicked(String),
    /// Nothing came from the board in time.
    #[error(
        "the emulated board has been silent for {} s while {waiting_for} was awaited{output}",
        after.as_secs()
    )]
    Silent {
        /// How long it was waited.
        after: Duration,
        /// What should have come.
        waiting_for: &'static str,
        /// What the board reported on its debug port, if anything, after a colon.
        output: String,
    },
    /// The board did not take what it was sent.
    #[error("the emulated board refused {what}: {why}")]
    Refused {
        /// What it was sent.
        what: &'static str,
        /// What was wrong with it.
        why: String,
    },
    /// There is no C compiler for the plugin that counts instructions.
    #[error(
        "counting instructions takes a C compiler (`{program}`), which is not installed; on Debian \
         and Ubuntu: `apt-get install gcc libc6-dev`"
    )]
    CompilerMissing {
        /// The program that was looked for in PATH.
        program: &'static str,
    },
    /// The plugin that counts instructions could not be compiled.
    #[error(
        "the counting plugin does not compile; on Debian and Ubuntu `apt-get install gcc libc6-dev` \
         brings what it takes: {output}"
    )]
    PluginBroken {
        /// What the compiler had to say.
        output: String,
    },
    /// A run took too long.
    #[error("the emulated board was not done after {} s{output}", limit.as_secs())]
    TimedOut {
        /// The time it had.
        limit: Duration,
        /// What QEMU had to say, if anything, after a colon.
        output: String,
    },
    /// A row of inputs has not the length of the model's input tensor.
    #[error("row {row} has {len} elements, the model's input has {needed}")]
    RowLength {
        /// Its index.
        row: usize,
        /// Its elements.
        len: usize,
        /// Elements of the input tensor.
        needed: usize,
    },
    /// A board's report, or the counts of a run, are not what they should be: a defect of the board's
    /// program or of the plugin.
    #[error("the files that a run left are inconsistent: {0}")]
    Inconsistent(&'static str),
}

impl EmulatorError {
    /// Whether the tool or the firmware is absent, so that a test may be skipped for that reason.
    pub fn is_missing_tool(&self) -> bool {
        matches!(
            self,
            EmulatorError::QemuMissing { .. }
                | EmulatorError::FirmwareMissing { .. }
                | EmulatorError::CompilerMissing { .. }
        )
    }
}

/// What builds a board's program.
fn build_command(board: &str) -> String {
    match board.strip_prefix("bench-") {
        Some(_) => "cargo xtask bench-boards".into(),
        None => format!("cargo xtask firmware {board}"),
    }
}
