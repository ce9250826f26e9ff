//! What models answer on the emulated processors, against what LiteRT and TensorFlow Lite Micro
//! answered: random models, published ones, and layers on both sides of every border between kernels.
//!
//! Without QEMU or the built programs (`cargo xtask bench-boards`) these tests say so and pass; where
//! `DUNLIN_REQUIRE_QEMU` is set, as `cargo xtask test` does when it found or installed QEMU, that is
//! a failure.

mod borders;
mod goldens;
mod models;

// One reader of the archive for all suites.
#[path = "../../../edge-compiler/tests/goldens/mod.rs"]
mod archive;

use emulator::{EmulatorError, bench::BenchBoard};

/// The boards that can be had here; one of them also with programs that lack the kernels without which
/// firmware is smaller.
fn boards() -> Vec<BenchBoard> {
    let less = ["short", "compact"].map(|less| ("mps2-an386", less));
    BenchBoard::names()
        .map(|name| (name, ""))
        .chain(less)
        .filter_map(|(name, less)| match BenchBoard::find_without(name, less) {
            Ok(board) => Some(board),
            Err(error) => {
                skip(&error);
                None
            }
        })
        .collect()
}

/// Says why something cannot be tested here; a failure where it has to be.
fn skip(error: &EmulatorError) {
    assert!(error.is_missing_tool(), "{error}");
    assert!(
        std::env::var_os("DUNLIN_REQUIRE_QEMU").is_none(),
        "the bench boards are required here: {error}"
    );
    eprintln!("SKIPPED: {error}");
}
