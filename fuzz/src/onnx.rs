//! What the fuzz target `onnx` does with an input; the regression test of `edge-import-onnx` does the
//! same with what was found once.

use edge_compiler::{AlignedBytes, Package, Target, compile};
use edge_import_onnx::{Calibration, OnnxError, OnnxOptions, import, sample_len};
use edge_runtime::{Model, Session};

/// What takes more multiplications than this is not compiled or run: it would only take long.
const WORK_LIMIT: u64 = 300_000;
/// Tensors with more elements are not compiled, and not calibrated at the model's ends.
const TENSOR_LIMIT: usize = 1 << 16;
/// A greater arena is not tried.
const ARENA_LIMIT: usize = 1 << 20;

/// Imports any bytes as an `.onnx` file, with samples where scales are missing, and runs what comes of
/// them on this machine.
pub fn onnx(bytes: &[u8]) {
    let imported = match import(bytes, &OnnxOptions::default()) {
        Err(error) if error.lacks_samples() => calibrated(bytes),
        other => other,
    };
    let Ok(imported) = imported else {
        return;
    };
    let graph = &imported.graph;
    if graph.work() > WORK_LIMIT || graph.tensors.iter().any(|t| t.len() > TENSOR_LIMIT) {
        return;
    }
    let package = Package::bare(imported.graph);
    let Ok(compiled) = compile(&package, &Target::host()) else {
        return;
    };
    let model = Model::load(&compiled.image).expect("the compiler loaded it");
    if model.arena_bytes() > ARENA_LIMIT {
        return;
    }
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, arena.as_i8_mut()).expect("the arena is large enough");
    for fill in [-128, 127, 3] {
        for index in 0..model.inputs().count() {
            session.input_at_mut(index).fill(fill);
        }
        session.run();
    }
}

/// With two samples of small numbers.
fn calibrated(bytes: &[u8]) -> Result<edge_compiler::import::lower::Imported, OnnxError> {
    let len = sample_len(bytes)?;
    if len > TENSOR_LIMIT {
        return Err(OnnxError::Calibration("too many values".into()));
    }
    let sample = |from: usize| (0..len).map(move |i| ((i * 37 + from) % 64) as f32 / 16.0 - 2.0);
    let calibration = Calibration {
        samples: vec![sample(0).collect(), sample(29).collect()],
        ..Calibration::default()
    };
    let options = OnnxOptions {
        calibration: Some(calibration),
        ..OnnxOptions::default()
    };
    import(bytes, &options)
}
