//! Runs an image on every row of input, between markers at which a plugin of an emulator's counts
//! instructions: `count_image IMAGE ROWS EXPECTED TABLE`. Prints how many bytes of output differ.
//!
//! `ROWS` holds input tensors one after the other, `EXPECTED` the output tensors that they give, a
//! byte an element. `TABLE` says which kernels run: `native`, the best for this machine; `portable`,
//! plain Rust, for an image that was compiled for a core without packed arithmetic; `reference`, the
//! definitions, which take any image and are fast on none.
//!
//! `count_image markers` prints where the markers are instead, as the arguments of
//! `emulator/plugin/counts.c`: before a run, after each operator, after a run. `cargo xtask bench
//! aarch64` builds and runs all this. By hand:
//!
//! ```text
//! gcc -O2 -shared -fPIC -fvisibility=hidden emulator/plugin/counts.c -o counts.so
//! qemu-aarch64 -cpu max \
//!     -plugin ./counts.so,$(qemu-aarch64 count_image markers),code=0,bytes=0,out=counts \
//!     count_image model.dnl model.input.i8 model.output.i8 native
//! ```
#![allow(unsafe_code)] // markers need a name, and must not be optimised away

use edge_runtime::kernels::{Kernel, native, portable, reference};
use edge_runtime::{Model, Session};
use std::error::Error;
use std::process::ExitCode;
use zerocopy::{FromBytes, IntoBytes};

macro_rules! marker {
    ($name:ident) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name() {
            // SAFETY: a comment, different in each marker so that they stay apart.
            unsafe { core::arch::asm!(concat!("/* ", stringify!($name), " */")) }
        }
    };
}
marker!(dunlin_run_starts);
marker!(dunlin_operator_ends);
marker!(dunlin_run_ends);

fn run(
    image: &str,
    rows: &str,
    expected: &str,
    kernels: &'static [Kernel],
) -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(image)?;
    let mut aligned = vec![0_u128; bytes.len().div_ceil(16)];
    aligned.as_mut_bytes()[..bytes.len()].copy_from_slice(&bytes);
    let model = Model::load_with(&aligned.as_bytes()[..bytes.len()], kernels)?;
    let mut arena = vec![0_u128; model.arena_bytes().div_ceil(16)];
    let arena =
        <[i8]>::mut_from_bytes(arena.as_mut_slice().as_mut_bytes()).map_err(|e| e.to_string())?;
    let mut session = Session::new(&model, arena)?;
    let rows = std::fs::read(rows)?;
    let expected = std::fs::read(expected)?;
    let (input, output) = (session.input_mut().len(), session.output().len());
    let mut different = 0;
    for (row, expected) in rows.chunks_exact(input).zip(expected.chunks_exact(output)) {
        session.reset_state();
        for (to, from) in session.input_mut().iter_mut().zip(row) {
            *to = from.cast_signed();
        }
        dunlin_run_starts();
        session.run_traced(|_, _| dunlin_operator_ends());
        dunlin_run_ends();
        let found = session.output().as_bytes().iter();
        different += found.zip(expected).filter(|(a, b)| a != b).count();
    }
    println!("{different}");
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["markers"] => {
            let markers = [dunlin_run_starts, dunlin_operator_ends, dunlin_run_ends];
            let [start, split, stop] = markers.map(|marker: extern "C" fn()| marker as usize);
            println!("start={start:x},split={split:x},stop={stop:x}");
            Ok(())
        }
        [image, rows, expected, "native"] => run(image, rows, expected, native()),
        [image, rows, expected, "portable"] => run(image, rows, expected, &portable::ANY),
        [image, rows, expected, "reference"] => run(image, rows, expected, &reference::KERNELS),
        _ => {
            Err("use: count_image IMAGE ROWS EXPECTED native|portable|reference, or markers".into())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
