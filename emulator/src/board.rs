use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    elf::{self, Firmware},
    error::EmulatorError,
    process,
};

/// Boards that QEMU can stand in for. The name of the board is that of QEMU's machine.
const BOARDS: [&str; 1] = ["mps2-an386"];

/// A board that can be emulated, with its firmware built and checked.
#[derive(Clone, Debug)]
pub struct Board {
    name: &'static str,
    firmware_path: PathBuf,
    firmware: Firmware,
}

impl Board {
    /// Names of the boards that can be emulated.
    pub fn names() -> &'static [&'static str] {
        &BOARDS
    }

    /// Checks that QEMU is there, finds the board's firmware where `cargo xtask firmware` leaves it,
    /// and checks that it starts with a vector table.
    ///
    /// # Errors
    /// [`EmulatorError::UnknownBoard`], [`EmulatorError::QemuMissing`],
    /// [`EmulatorError::FirmwareMissing`], [`EmulatorError::FirmwareBroken`].
    pub fn find(name: &str) -> Result<Self, EmulatorError> {
        let name = BOARDS
            .into_iter()
            .find(|known| *known == name)
            .ok_or_else(|| EmulatorError::UnknownBoard {
                name: name.into(),
                known: BOARDS.join(", "),
            })?;
        process::check_qemu()?;
        Self::with_firmware(name, &firmware_path(name))
    }

    fn with_firmware(name: &'static str, path: &Path) -> Result<Self, EmulatorError> {
        let file = fs::read(path).map_err(|_| EmulatorError::FirmwareMissing {
            path: path.into(),
            board: name.into(),
        })?;
        let firmware =
            elf::check_firmware(&file).map_err(|source| EmulatorError::FirmwareBroken {
                path: path.into(),
                board: name.into(),
                source,
            })?;
        Ok(Board {
            name,
            firmware_path: path.into(),
            firmware,
        })
    }

    /// Name of the board and of QEMU's machine.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The ELF file.
    pub fn firmware_path(&self) -> &Path {
        &self.firmware_path
    }

    /// Bytes of flash that the firmware takes, without models.
    pub fn firmware_bytes(&self) -> u32 {
        self.firmware.loaded_bytes
    }
}

/// Where `cargo xtask firmware` leaves the firmware: below the repository, whatever the target
/// folder of the workspace is.
pub(crate) fn firmware_path(board: &str) -> PathBuf {
    target_folder().join("boards").join(format!("{board}.elf"))
}

/// Where things are built that are no part of the workspace.
pub(crate) fn target_folder() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    repository.unwrap_or(Path::new(".")).join("target")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_board_lists_those_there_are() {
        let message = Board::find("mps3").unwrap_err().to_string();
        assert!(
            message.contains("`mps3`") && message.contains("mps2-an386"),
            "{message}"
        );
    }

    #[test]
    fn a_missing_firmware_names_the_command_that_builds_it() {
        let error = Board::with_firmware("mps2-an386", Path::new("no/such.elf")).unwrap_err();
        assert!(error.is_missing_tool());
        assert!(
            error
                .to_string()
                .contains("cargo xtask firmware mps2-an386"),
            "{error}"
        );
    }

    #[test]
    fn a_file_without_vector_table_is_refused() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = Board::with_firmware("mps2-an386", &path).unwrap_err();
        assert!(
            matches!(error, EmulatorError::FirmwareBroken { .. }),
            "{error}"
        );
    }
}
