//! Runs an image over rows of inputs, all of them files of the host, and writes a report.
//!
//! Files in the emulator's working directory, integers little-endian:
//! - `command`: `u32` rows, `u32` mode (0 plain, 1 split by operators, 2 trace);
//! - `image`: the model image;
//! - `rows`: the input tensors, one after the other;
//! - `report`, written here: records of `u32` tag, `u32` length and so many bytes.
//!
//! | tag | record | bytes |
//! | --- | --- | --- |
//! | 1 | loaded, once | `u32` arena bytes, stack bound, operators, input length, output length |
//! | 2 | refused, the last one | why, as text |
//! | 3 | operator's output, in mode 2 | `u32` index, then the elements |
//! | 4 | output of a row | the elements |
//! | 5 | done, the last one | `u32` greatest depth of the stack below the caller of `run` |
#![no_std]
#![no_main]

use bench_boards::semihosting::{self, File, FileError};
use bench_boards::{bench_split, bench_start, bench_stop, memory, stack};
use core::fmt::{self, Write};
use edge_runtime::{Model, Session};

const LOADED: u32 = 1;
const REFUSED: u32 = 2;
const OPERATOR: u32 = 3;
const OUTPUT: u32 = 4;
const DONE: u32 = 5;

const SPLIT: u32 = 1;
const TRACE: u32 = 2;

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    semihosting::exit(match bench() {
        Ok(()) => semihosting::DONE,
        Err(FileError) => semihosting::BAD_FILE,
    })
}

fn bench() -> Result<(), FileError> {
    let command = File::open(c"command")?;
    let (rows, mode) = (word(command)?, word(command)?);
    let report = File::create(c"report")?;
    let (bulk, arena) = memory::take();

    let file = File::open(c"image")?;
    let Some(image) = bulk.get_mut(..file.length()?) else {
        return refuse(report, &"the image is longer than this board's memory");
    };
    file.read(image)?;
    let model = match Model::load(image) {
        Ok(model) => model,
        Err(error) => return refuse(report, &error),
    };
    let mut session = match Session::new(&model, arena) {
        Ok(session) => session,
        Err(error) => return refuse(report, &error),
    };
    record(report, LOADED, 20)?;
    let words = [
        model.arena_bytes(),
        model.stack_bytes(),
        model.operators().len(),
        model.input().len,
        model.output().len,
    ];
    for word in words {
        report.write(&(word as u32).to_le_bytes())?;
    }

    let input = File::open(c"rows")?;
    let mut peak = 0;
    for _ in 0..rows {
        input.read_i8(session.input_mut())?;
        match mode {
            SPLIT => run_split(&mut session),
            TRACE => run_traced(&mut session, report)?,
            _ => peak = run(&mut session).max(peak),
        }
        let output = session.output();
        record(report, OUTPUT, output.len())?;
        report.write_i8(output)?;
    }
    record(report, DONE, 4)?;
    report.write(&peak.to_le_bytes())
}

/// What is counted: from the input in place to the output ready. Returns how deep the stack went.
#[inline(never)]
fn run(session: &mut Session<'_, '_>) -> u32 {
    let top = stack::paint();
    bench_start();
    session.run();
    bench_stop();
    stack::depth(top)
}

#[inline(never)]
fn run_split(session: &mut Session<'_, '_>) {
    bench_start();
    session.run_traced(|_, _| bench_split());
    bench_stop();
}

#[inline(never)]
fn run_traced(session: &mut Session<'_, '_>, report: File) -> Result<(), FileError> {
    let mut written = Ok(());
    session.run_traced(|index, output| {
        written = written
            .and_then(|()| record(report, OPERATOR, output.len() + 4))
            .and_then(|()| report.write(&(index as u32).to_le_bytes()))
            .and_then(|()| report.write_i8(output));
    });
    written
}

fn refuse(report: File, why: &dyn fmt::Display) -> Result<(), FileError> {
    let mut text = Text {
        bytes: [0; 256],
        len: 0,
    };
    // What does not fit is cut off.
    let _ = write!(text, "{why}");
    let text = text.bytes.get(..text.len).unwrap_or_default();
    record(report, REFUSED, text.len())?;
    report.write(text)
}

fn record(report: File, tag: u32, len: usize) -> Result<(), FileError> {
    report.write(&tag.to_le_bytes())?;
    report.write(&(len as u32).to_le_bytes())
}

fn word(file: File) -> Result<u32, FileError> {
    let mut bytes = [0; 4];
    file.read(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

struct Text {
    bytes: [u8; 256],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.bytes.get_mut(self.len).ok_or(fmt::Error)? = byte;
            self.len += 1;
        }
        Ok(())
    }
}
