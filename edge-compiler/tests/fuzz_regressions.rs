//! Inputs with which a fuzzer once found a fault, and those it begins with: `fuzz/` of the repository
//! looks for more.

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::{fs, path::PathBuf};

/// Files of a folder in `fuzz/regressions`.
fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/regressions");
    fs::read_dir(folder.join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn model_files_that_were_once_at_fault() {
    for (path, bytes) in inputs("tflite") {
        println!("{}", path.display());
        fuzz::tflite(&bytes);
    }
}

#[test]
fn images_that_were_once_at_fault() {
    for (path, bytes) in inputs("image") {
        println!("{}", path.display());
        fuzz::image(&bytes);
    }
}
