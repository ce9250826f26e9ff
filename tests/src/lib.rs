//! What several suites need: where the data is that the project does not contain.

use std::path::PathBuf;
use std::process::Command;

/// The folder of the UCI gas-sensor drift set: `DUNLIN_DATA` where it holds it, else unpacked from
/// the archive in `../shared/data` beside the repository. `None`, with the reason on standard
/// error, where there is neither.
pub fn gas_data() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("DUNLIN_DATA").map(PathBuf::from)
        && folder.join("batch1.dat").is_file()
    {
        return Some(folder);
    }
    let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let archive = repository.join("../shared/data/gas_drift.tar.xz");
    let folder = std::env::temp_dir().join(format!("dunlin-gas-{}", std::process::id()));
    let unpacked = archive.is_file()
        && std::fs::create_dir_all(&folder).is_ok()
        && Command::new("tar")
            .arg("xf")
            .arg(&archive)
            .arg("-C")
            .arg(&folder)
            .status()
            .is_ok_and(|status| status.success());
    if !unpacked {
        eprintln!("skipped: no gas-sensor data; name its folder in DUNLIN_DATA");
        return None;
    }
    Some(folder.join("gas_drift"))
}
