//! Any bytes as a `.tflite` file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dunlin_fuzz::tflite(bytes));
