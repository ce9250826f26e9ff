//! What several suites need: where the data is that the project does not contain.

use std::path::PathBuf;

/// The folder of the UCI gas-sensor drift set, which `DUNLIN_DATA` names; `cargo xtask test` sets
/// it where it finds the data. `None`, with the reason on standard error, where there is none.
pub fn gas_data() -> Option<PathBuf> {
    let folder = std::env::var_os("DUNLIN_DATA").map(PathBuf::from);
    let folder = folder.filter(|folder| folder.join("batch1.dat").is_file());
    if folder.is_none() {
        eprintln!("skipped: no gas-sensor data; name its folder in DUNLIN_DATA");
    }
    folder
}
