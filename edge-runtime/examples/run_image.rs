//! Runs an image over rows of samples: `run_image IMAGE ROWS OUT`.
//!
//! `ROWS` holds windows of little-endian `f32`, one after the other. `OUT` gets, for each of them,
//! the quantised features and then the output of the model, one byte each. The same files give the
//! same bytes on every host.

use edge_runtime::{Model, Session};
use std::error::Error;
use std::process::ExitCode;
use zerocopy::{FromBytes, IntoBytes};

fn run(image: &str, rows: &str, out: &str) -> Result<String, Box<dyn Error>> {
    let bytes = std::fs::read(image)?;
    let mut aligned = vec![0_u128; bytes.len().div_ceil(16)];
    aligned.as_mut_bytes()[..bytes.len()].copy_from_slice(&bytes);
    let model = Model::load(&aligned.as_bytes()[..bytes.len()])?;
    let features = model.features();

    let mut arena = vec![0_u128; model.arena_bytes().div_ceil(16)];
    let arena =
        <[i8]>::mut_from_bytes(arena.as_mut_slice().as_mut_bytes()).map_err(|e| e.to_string())?;
    let mut session = Session::new(&model, arena)?;
    if !session.self_test() {
        return Err("the self-test failed".into());
    }

    let samples: Vec<f32> = std::fs::read(rows)?
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    let mut scratch = vec![0.0; features.scratch_len()];
    let mut written = Vec::new();
    let mut skipped = 0;
    for window in samples.chunks_exact(features.window) {
        let mut q = vec![0; features.feature_len()];
        if features.run(window, &mut scratch, &mut q).is_err() {
            skipped += 1;
            continue;
        }
        session.input_mut().copy_from_slice(&q);
        session.run();
        written.extend_from_slice(q.as_bytes());
        written.extend_from_slice(session.output().as_bytes());
    }
    std::fs::write(out, &written)?;
    Ok(format!(
        "{} bytes, {skipped} windows skipped",
        written.len()
    ))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, rows, out] = arguments.as_slice() else {
        eprintln!("use: run_image IMAGE ROWS OUT");
        return ExitCode::from(2);
    };
    match run(image, rows, out) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
