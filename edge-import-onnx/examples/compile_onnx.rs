//! Compiles an `.onnx` file: `compile_onnx MODEL.onnx TARGET OUT.dnl [SAMPLES]`. SAMPLES is a file or
//! a folder, as `samples_from` reads it. The layers and the ends are printed.

use std::path::Path;

use edge_compiler::{Package, Target, compile, report};
use edge_import_onnx::{Calibration, OnnxOptions, import_model, sample_len, samples_from};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, target, out, samples) = match &arguments[..] {
        [model, target, out] => (model, target, out, None),
        [model, target, out, samples] => (model, target, out, Some(samples)),
        _ => return Err("MODEL.onnx TARGET OUT.dnl [SAMPLES]".into()),
    };
    let file = std::fs::read(model)?;
    let mut options = OnnxOptions::default();
    if let Some(samples) = samples {
        options.calibration = Some(Calibration {
            samples: samples_from(Path::new(samples), sample_len(&file)?)?,
            ..Calibration::default()
        });
    }
    let model = import_model(&file, &options)?;
    for note in &model.imported.notes {
        println!("note: {note}");
    }
    let package = Package::bare(model.imported.graph);
    let compiled = compile(&package, &Target::board(target)?)?;
    std::fs::write(out, &*compiled.image)?;
    println!(
        "{}",
        report::describe(&edge_runtime::Model::load(&compiled.image)?)
    );
    println!("{:#?}\n{:#?}", model.inputs, model.outputs);
    Ok(())
}
