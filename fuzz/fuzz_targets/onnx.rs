//! Any bytes as an `.onnx` file.
#![no_main]

#[path = "../src/onnx.rs"]
mod onnx;

libfuzzer_sys::fuzz_target!(
    // A panic of tract becomes an error, which the fuzzer's own hook would not let it. A panic that
    // gets out of the importer is a finding all the same.
    init: std::panic::set_hook(Box::new(|_| {})),
    |bytes: &[u8]| onnx::onnx(bytes)
);
