//! Writes the inputs that fuzzing begins with: `seeds FOLDER` makes `FOLDER/tflite`, `FOLDER/image`
//! and `FOLDER/onnx`, from the repository's random golden models and its sample image.

#[path = "../../../edge-compiler/tests/goldens/mod.rs"]
mod goldens;
#[path = "../../../edge-import-onnx/tests/goldens/mod.rs"]
mod onnx_goldens;

use std::{collections::BTreeMap, error::Error, fs, path::PathBuf};

use edge_compiler::import::lower::{ImportOptions, import};
use edge_compiler::{Optimize, Options, Package, Target, compile_with};

const SAMPLE: &[u8] = include_bytes!("../../../edge-runtime/tests/golden/sample.dnl");
/// Models of a family, and the largest file among them: small inputs are found more in.
const OF_A_FAMILY: usize = 4;
const LARGEST: usize = 6000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("use: seeds FOLDER")?);
    let (models, images) = (folder.join("tflite"), folder.join("image"));
    fs::create_dir_all(&models)?;
    fs::create_dir_all(&images)?;
    fs::write(images.join("sample"), SAMPLE)?;
    let mut families = BTreeMap::<String, usize>::new();
    for golden in goldens::goldens() {
        let family = golden.name.trim_end_matches(|c: char| c.is_ascii_digit());
        let seen = families.entry(family.into()).or_default();
        if *seen >= OF_A_FAMILY || golden.model.len() > LARGEST {
            continue;
        }
        *seen += 1;
        fs::write(models.join(&golden.name), &golden.model)?;
        let Ok(imported) = import(&golden.model, &ImportOptions::default()) else {
            continue;
        };
        let package = Package::bare(imported.graph);
        for name in Target::names() {
            for optimize in [Optimize::Speed, Optimize::Size] {
                let options = Options {
                    optimize,
                    ..Options::default()
                };
                if let Ok(compiled) = compile_with(&package, &Target::board(name)?, options) {
                    let file = format!("{}-{name}-{optimize:?}", golden.name);
                    fs::write(images.join(file), &*compiled.image)?;
                }
            }
        }
    }
    let models = folder.join("onnx");
    fs::create_dir_all(&models)?;
    for golden in onnx_goldens::goldens() {
        if golden.model.len() <= LARGEST {
            fs::write(models.join(&golden.name), &golden.model)?;
        }
    }
    Ok(())
}
