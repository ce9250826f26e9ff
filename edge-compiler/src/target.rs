//! What a model is compiled for.

use serde::{Deserialize, Serialize};

/// A board as `boards/<name>/board.toml` describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Name of its folder in `boards/`.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Processor core, such as `cortex-m4f`; `host` for the machine that compiles.
    pub core: String,
    /// What the core adds to its base instruction set, such as `dsp` and `fpu`.
    pub features: Vec<String>,
    /// Told apart by the signed manifest: an update for another number is refused.
    pub hardware_id: u32,
    /// Clock in Hz; 0 where it has no meaning.
    pub clock_hz: u64,
    /// Flash for the program, in bytes.
    pub flash_bytes: u64,
    /// RAM in bytes.
    pub ram_bytes: u64,
    /// The part of `flash_bytes` that the firmware itself takes, without models.
    pub firmware_flash_bytes: u64,
    /// The part of `ram_bytes` that the firmware takes for buffers and its own stack, without the
    /// arena and the stack of an inference.
    pub firmware_ram_bytes: u64,
    /// Bytes of one of the two model slots: the largest image.
    pub model_slot_bytes: u64,
}

/// Why a target cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// No such board.
    #[error("there is no board {name:?}: the boards are {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// A `board.toml` that does not parse.
    #[error("{file}: {message}")]
    Parse {
        /// Its name.
        file: String,
        /// What is wrong with it, with the line.
        message: String,
    },
}

/// A board's name and what its file says.
macro_rules! board {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../boards/", $name, "/board.toml")),
        )
    };
}

/// Every board in `boards/`.
const BOARDS: [(&str, &str); 8] = [
    ("host", include_str!("../../boards/host/board.toml")),
    board!("aarch64"),
    board!("wasm32"),
    board!("mps2-an385"),
    board!("mps2-an386"),
    board!("mps2-an500"),
    board!("mps2-an505"),
    board!("mps3-an547"),
];

impl Target {
    /// The machine that compiles, and the virtual boards on it.
    pub fn host() -> Self {
        // The file is part of this program; `every_board_parses` covers it.
        Self::board("host").expect("boards/host/board.toml is part of the build")
    }

    /// The board of this name.
    ///
    /// # Errors
    /// [`TargetError::Unknown`], which lists the boards there are.
    pub fn board(name: &str) -> Result<Self, TargetError> {
        match BOARDS.iter().find(|(known, _)| *known == name) {
            Some((name, text)) => Self::parse(text, &format!("boards/{name}/board.toml")),
            None => Err(TargetError::Unknown {
                name: name.into(),
                known: Self::names(),
            }),
        }
    }

    /// Names of all boards, `host` first.
    pub fn names() -> Vec<&'static str> {
        BOARDS.iter().map(|(name, _)| *name).collect()
    }

    /// Reads a `board.toml`; `file` is named in the error.
    ///
    /// # Errors
    /// [`TargetError::Parse`] with the line and what is wrong with it.
    pub fn parse(text: &str, file: &str) -> Result<Self, TargetError> {
        toml::from_str(text).map_err(|e| TargetError::Parse {
            file: file.into(),
            message: e.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_parses_and_has_its_folders_name() {
        for name in Target::names() {
            let target = Target::board(name).unwrap();
            assert_eq!(target.name, name);
            assert!(target.firmware_ram_bytes < target.ram_bytes);
            assert!(target.firmware_flash_bytes < target.flash_bytes);
            assert_eq!(target.model_slot_bytes % 16, 0);
        }
    }

    #[test]
    fn hardware_ids_differ() {
        let mut ids: Vec<u32> = Target::names()
            .iter()
            .map(|n| Target::board(n).unwrap().hardware_id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), Target::names().len());
    }

    #[test]
    fn the_emulated_m4_is_what_its_manual_says() {
        let target = Target::board("mps2-an386").unwrap();
        assert_eq!(target.core, "cortex-m4f");
        assert_eq!(target.features, ["dsp", "fpu"]);
        assert_eq!(target.clock_hz, 25_000_000);
        assert_eq!((target.flash_bytes, target.ram_bytes), (4 << 20, 4 << 20));
    }

    #[test]
    fn an_unknown_board_lists_those_there_are() {
        let message = Target::board("mps3").unwrap_err().to_string();
        assert!(
            message.contains("mps3") && message.contains("mps2-an386"),
            "{message}"
        );
    }

    #[test]
    fn a_bad_file_names_itself_and_the_key() {
        let text = "name = 'x'\nclock_mhz = 3\n";
        let message = Target::parse(text, "x.toml").unwrap_err().to_string();
        assert!(
            message.contains("x.toml") && message.contains("clock_mhz"),
            "{message}"
        );
    }
}
