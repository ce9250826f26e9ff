//! The four MLPerf Tiny reference models: where their files are, and their images.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    root,
    steps::{example, must_succeed},
};

/// Names of the models and of their files, which are not part of this repository.
pub const NAMES: [&str; 4] = ["ic", "kws", "vww", "ad"];
/// Names the folder of the models.
pub const VARIABLE: &str = "DUNLIN_MODELS";

/// The folder with `NAME.tflite`, `NAME.input.i8` (input tensors one after the other) and
/// `NAME.output.i8` (what LiteRT's reference kernels make of them) for each model: the one given,
/// else the one that [`VARIABLE`] names, else `../shared/models` beside the repository. `None` where
/// there is no such folder.
pub fn folder(given: Option<&Path>) -> Option<PathBuf> {
    let named = given
        .map(Path::to_owned)
        .or_else(|| env::var_os(VARIABLE).map(PathBuf::from))
        .unwrap_or_else(|| root().join("../shared/models"));
    // What reads the files runs elsewhere.
    let folder = named.canonicalize().ok()?;
    let complete = NAMES.iter().all(|name| {
        let has = |extension: &str| folder.join(format!("{name}.{extension}")).is_file();
        has("tflite") && has("input.i8") && has("output.i8")
    });
    complete.then_some(folder)
}

/// As [`folder`]; an error where there is none.
pub fn required(given: Option<&Path>) -> Result<PathBuf> {
    folder(given).with_context(|| {
        format!(
            "no folder with the `.tflite`, `.input.i8` and `.output.i8` files of {}: name it with \
             --models or in {VARIABLE}",
            NAMES.join(", ")
        )
    })
}

/// Compiles `.tflite` files.
pub struct Compiler(PathBuf);

impl Compiler {
    /// Builds it: the importer and the compiler, without anything that trains.
    pub fn build() -> Result<Self> {
        example("edge-compiler", "compile_tflite").map(Self)
    }

    /// The image of a model for a target (`host` or a board), for `speed` or `size`, rounding as
    /// LiteRT's reference kernels do.
    pub fn image(&self, models: &Path, name: &str, target: &str, aim: &str) -> Result<PathBuf> {
        let folder = root().join("target/bench/images").join(target);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let image = folder.join(format!("{name}-{aim}.dnl"));
        let mut command = Command::new(&self.0);
        command.arg(models.join(format!("{name}.tflite")));
        command.args([target, aim, "litert"]).arg(&image);
        // It describes the image at length.
        command.stdout(std::process::Stdio::null());
        must_succeed(&mut command)?;
        ensure!(image.is_file(), "{} was not written", image.display());
        Ok(image)
    }
}
