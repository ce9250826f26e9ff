//! What the fuzz targets do with an input. A panic is a finding, and so is a difference between two
//! compilations of one model.
//!
//! The regression test of `edge-compiler` includes this file as a module, so that whatever was found
//! once is tried by every test run, without a fuzzer.

use edge_compiler::import::lower::{ImportOptions, ReferenceRounding, import};
use edge_compiler::{AlignedBytes, Compiled, Optimize, Options, Package, Target, compile_with};
use edge_runtime::format::HASH_OFFSET;
use edge_runtime::kernels::{Kernel, native, reference};
use edge_runtime::{Model, Session, image_hash};

/// What takes more multiplications than this is not compiled or run: it would only take long.
const WORK_LIMIT: u64 = 300_000;
/// Tensors with more elements are not compiled.
const TENSOR_LIMIT: usize = 1 << 16;
/// A greater arena is not tried.
const ARENA_LIMIT: usize = 1 << 20;

/// Reads and lowers any bytes as a `.tflite` file. What a model lowers to is compiled for this
/// machine and for a Cortex-M3, M4F or M55, and both have to give the same bytes, on the board's
/// packings by their plain decoders.
pub fn tflite(bytes: &[u8]) {
    let rounding = match bytes.len() % 2 {
        0 => ReferenceRounding::Litert,
        _ => ReferenceRounding::Tflm,
    };
    let Ok(imported) = import(bytes, &ImportOptions { rounding }) else {
        return;
    };
    let graph = &imported.graph;
    if graph.work() > WORK_LIMIT || graph.tensors.iter().any(|t| t.len() > TENSOR_LIMIT) {
        return;
    }
    let package = Package::bare(imported.graph);
    let compiled = |target: &str, options: Options| {
        let target = Target::board(target).expect("boards/ has this board");
        compile_with(&package, &target, options).ok()
    };
    let Some(host) = compiled("host", Options::default()) else {
        return;
    };
    let expected = outputs(&host, &reference::table::KERNELS);
    assert_eq!(outputs(&host, native()), expected, "x86-64");
    // One more of them all for each input: compiling is what takes the time.
    let sum = bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>();
    let target = ["mps2-an385", "mps2-an386", "mps3-an547"][sum % 3];
    let optimize = [Optimize::Speed, Optimize::Size][sum / 3 % 2];
    let options = Options {
        optimize,
        ..Options::default()
    };
    // A board has less memory, nothing else that a model could be refused for.
    if let Some(compiled) = compiled(target, options) {
        let found = outputs(&compiled, &reference::table::KERNELS);
        assert_eq!(found, expected, "{target}, {optimize:?}");
    }
}

/// All outputs of a few inputs.
fn outputs(compiled: &Compiled, kernels: &'static [Kernel]) -> Vec<i8> {
    let model = Model::load_with(&compiled.image, kernels).expect("the compiler loaded it");
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, arena.as_i8_mut()).expect("the arena is large enough");
    let mut outputs = Vec::new();
    let mut state = 1_u32;
    for row in 0..4 {
        for index in 0..model.inputs().count() {
            for value in session.input_at_mut(index) {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *value = match row {
                    0 => i8::MIN,
                    1 => i8::MAX,
                    _ => (state >> 24) as i8,
                };
            }
        }
        session.run();
        for index in 0..model.outputs().count() {
            outputs.extend_from_slice(session.output_at(index));
        }
    }
    outputs
}

/// What a run takes, roughly: multiplications and elements of pools.
fn work(model: &Model<'_>) -> u64 {
    let tensors: Vec<_> = model.tensors().map(|tensor| tensor.len as u64).collect();
    let pools = model.operators().iter().map(|operator| {
        let [height, width] = operator.kernel.map(u64::from);
        tensors[usize::from(operator.output)].saturating_mul(height * width)
    });
    pools.fold(model.macs().into(), u64::saturating_add)
}

/// Loads any bytes as an image, after giving them the hash that they need to get further, and runs
/// it on this machine's kernels and on the reference kernels. Packings for other processors run on
/// their decoders.
pub fn image(bytes: &[u8]) {
    let mut image = AlignedBytes::from(bytes);
    if let Some(hash) = image_hash(&image) {
        image[HASH_OFFSET..HASH_OFFSET + hash.len()].copy_from_slice(&hash);
    }
    for kernels in [native(), &reference::table::KERNELS] {
        let Ok(model) = Model::load_with(&image, kernels) else {
            continue;
        };
        if model.arena_bytes() > ARENA_LIMIT || work(&model) > WORK_LIMIT {
            continue;
        }
        let mut arena = AlignedBytes::zeroed(model.arena_bytes());
        let mut session =
            Session::new(&model, arena.as_i8_mut()).expect("the arena is large enough");
        for fill in [-128, 127, 3] {
            for index in 0..model.inputs().count() {
                session.input_at_mut(index).fill(fill);
            }
            session.run();
        }
        let _ = session.self_test();
        let _ = model.labels().count();
    }
}
