//! Any bytes as a model image with a correct hash.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dunlin_fuzz::image(bytes));
