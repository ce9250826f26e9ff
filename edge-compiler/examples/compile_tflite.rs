//! Compiles a `.tflite` file: `compile_tflite MODEL.tflite TARGET speed|size litert|tflm OUT.dnl`.

use edge_compiler::import::lower::{ImportOptions, ReferenceRounding, lower};
use edge_compiler::import::tflite;
use edge_compiler::{Optimize, Options, Package, Target, compile_with, report};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, target, optimize, rounding, out] = &arguments[..] else {
        return Err("MODEL.tflite TARGET speed|size litert|tflm OUT.dnl".into());
    };
    let file = std::fs::read(model)?;
    let model = tflite::read(&file)?;
    let imported = lower(
        &model,
        &ImportOptions {
            rounding: match rounding.as_str() {
                "tflm" => ReferenceRounding::Tflm,
                _ => ReferenceRounding::Litert,
            },
        },
    )?;
    let options = Options {
        optimize: match optimize.as_str() {
            "size" => Optimize::Size,
            _ => Optimize::Speed,
        },
        ..Options::default()
    };
    let compiled = compile_with(
        &Package::bare(imported.graph),
        &Target::board(target)?,
        options,
    )?;
    std::fs::write(out, &*compiled.image)?;
    let model = edge_runtime::Model::load(&compiled.image)?;
    println!("{}", report::describe(&model));
    Ok(())
}
