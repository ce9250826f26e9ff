//! Loads images and runs them on this machine's kernels and on the reference kernels, which must
//! agree: `exercise_images IMAGE...`. Small enough for Miri, which `cargo xtask miri` runs it under.

use std::{env, error::Error, fs};

use edge_runtime::format::ALIGNMENT;
use edge_runtime::kernels::{Kernel, native, reference};
use edge_runtime::{Model, Session};
use zerocopy::{FromBytes, IntoBytes};

/// More multiplications take an interpreter too long.
const WORK_LIMIT: u32 = 6_000;
const ARENA_LIMIT: usize = 8_000;

/// Bytes on a 16-byte boundary.
fn aligned(len: usize) -> Vec<u128> {
    vec![0; len.div_ceil(ALIGNMENT)]
}

/// All outputs of two rows; `None` where the image takes too long.
fn outputs(image: &[u8], kernels: &'static [Kernel]) -> Result<Option<Vec<i8>>, Box<dyn Error>> {
    let model = Model::load_with(image, kernels)?;
    if model.macs() > WORK_LIMIT || model.arena_bytes() > ARENA_LIMIT {
        return Ok(None);
    }
    let mut arena = aligned(model.arena_bytes());
    let arena = <[i8]>::mut_from_bytes(arena.as_mut_bytes()).map_err(|_| "no arena")?;
    let mut session = Session::new(&model, arena)?;
    let mut outputs = Vec::new();
    let mut state = 1_u32;
    for _ in 0..2 {
        for index in 0..model.inputs().count() {
            for value in session.input_at_mut(index) {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *value = (state >> 24) as i8;
            }
        }
        session.run();
        for index in 0..model.outputs().count() {
            outputs.extend_from_slice(session.output_at(index));
        }
    }
    Ok(Some(outputs))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut run = 0;
    for path in env::args().skip(1) {
        let file = fs::read(&path)?;
        let mut image = aligned(file.len());
        let bytes = &mut image.as_mut_bytes()[..file.len()];
        bytes.copy_from_slice(&file);
        let Some(fast) = outputs(bytes, native())? else {
            continue;
        };
        if Some(fast) != outputs(bytes, &reference::table::KERNELS)? {
            return Err(format!("{path}: the kernels disagree").into());
        }
        run += 1;
    }
    println!("{run} images");
    Ok(())
}
