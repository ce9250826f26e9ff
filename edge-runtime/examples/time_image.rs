//! Times an image on one row of input: `time_image IMAGE ROWS`.
//!
//! `ROWS` begins with one input of the model, a byte for each element. The first line that is
//! printed is the model's output. Then, for each line with a number on the input, the model is run
//! as often, and the nanoseconds of each run are printed on one line. `cargo xtask bench peers`
//! drives it in turns with other runtimes.

use edge_runtime::{Model, Session};
use std::error::Error;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Instant;
use zerocopy::{FromBytes, IntoBytes};

/// Bytes of a cache line.
const LINE: usize = 64;

fn run(image: &str, rows: &str) -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(image)?;
    // On a line of the cache, which kernels like best.
    let mut room = vec![0; bytes.len() + LINE];
    let start = room.as_ptr().align_offset(LINE);
    let aligned = &mut room[start..start + bytes.len()];
    aligned.copy_from_slice(&bytes);
    let model = Model::load(aligned)?;
    let mut arena = vec![0_u128; model.arena_bytes().div_ceil(16)];
    let arena =
        <[i8]>::mut_from_bytes(arena.as_mut_slice().as_mut_bytes()).map_err(|e| e.to_string())?;
    let mut session = Session::new(&model, arena)?;
    let rows: Vec<i8> = std::fs::read(rows)?
        .iter()
        .map(|b| b.cast_signed())
        .collect();
    let row = rows
        .get(..session.input_mut().len())
        .ok_or("ROWS is shorter than one input")?;

    let mut out = std::io::stdout().lock();
    session.input_mut().copy_from_slice(row);
    session.run();
    print_line(&mut out, session.output())?;
    for line in std::io::stdin().lock().lines() {
        let mut times = vec![0; line?.trim().parse()?];
        for time in &mut times {
            // A run may overwrite its input: copied outside the time, as the others set theirs.
            session.input_mut().copy_from_slice(row);
            let start = Instant::now();
            session.run();
            *time = start.elapsed().as_nanos();
        }
        print_line(&mut out, &times)?;
    }
    Ok(())
}

fn print_line<T: ToString>(out: &mut impl Write, values: &[T]) -> std::io::Result<()> {
    let words: Vec<String> = values.iter().map(T::to_string).collect();
    writeln!(out, "{}", words.join(" "))?;
    out.flush()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, rows] = arguments.as_slice() else {
        eprintln!("use: time_image IMAGE ROWS");
        return ExitCode::from(2);
    };
    match run(image, rows) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
