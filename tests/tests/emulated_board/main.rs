//! The real firmware of `mps2-an386` under QEMU: bytes equal to the host's, instructions counted,
//! and updates that survive the power failing at any moment.
//!
//! Without QEMU or a built firmware these tests say so and pass; where
//! `DUNLIN_REQUIRE_QEMU` is set, as `cargo xtask test` does when it found or installed
//! QEMU, that is a failure.

mod equality;
mod fleet;
mod life;
mod model;
mod server;
mod updates;

use emulator::{Board, Emulator, Factory};
use tempfile::TempDir;

const BOARD: &str = "mps2-an386";
const DEVICE_ID: u64 = 0xD0_0386;

/// The board, or `None` after saying why it cannot be emulated here.
fn board() -> Option<Board> {
    match Board::find(BOARD) {
        Ok(board) => Some(board),
        Err(error) if error.is_missing_tool() => {
            assert!(
                std::env::var_os("DUNLIN_REQUIRE_QEMU").is_none(),
                "the emulated board is required here: {error}"
            );
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A provisioned board, not started, and the folder that holds its flash.
fn provisioned(board: Board, image: &[u8]) -> (Emulator, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let factory = Factory {
        device_id: DEVICE_ID,
        public_key: server::signing_key().verifying_key().to_bytes(),
        image: Some(image),
        version: 1,
    };
    let flash = folder.path().join("flash");
    let emulator = Emulator::provision(board, &flash, &factory).unwrap();
    (emulator, folder)
}
