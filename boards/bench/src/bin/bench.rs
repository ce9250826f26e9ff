//! Runs images over rows of inputs, all of them files of the host, and writes a report.
//!
//! Files in the emulator's working directory, integers little-endian:
//! - `command`: jobs of five `u32`: rows, mode, where in `image` the model image begins, its length,
//!   where in `rows` its rows begin. The mode is 0 plain, 1 split by operators or 2 trace; plus 4 where
//!   states are forgotten before each row;
//! - `image`: the model images;
//! - `rows`: the rows of each job, one after the other; a row is all input tensors of the model;
//! - `report`, written here: records of `u32` tag, `u32` length and so many bytes, for each job in
//!   turn.
//!
//! | tag | record | bytes |
//! | --- | --- | --- |
//! | 1 | loaded, once | `u32` arena bytes, stack bound, operators, row length, output length |
//! | 2 | refused, the last one of a job | why, as text |
//! | 3 | operator's output, in mode 2 | `u32` index, then the elements |
//! | 4 | output of a row | the elements of all output tensors |
//! | 5 | done, the last one of a job | `u32` greatest depth of the stack below the caller of `run` |
#![no_std]
#![no_main]

use bench_boards::semihosting::{self, File, FileError};
use bench_boards::{LEFT_OUT, bench_split, bench_start, bench_stop, memory, stack};
use core::fmt::{self, Write};
#[cfg(not(feature = "image"))]
use edge_runtime::kernels::cases;
use edge_runtime::kernels::{Kernel, native_for};
#[cfg(feature = "image")]
use edge_runtime::kernels::{cases_of_image, of_image, of_image_len};
use edge_runtime::{LoadError, Model, Session, TensorInfo};

const LOADED: u32 = 1;
const REFUSED: u32 = 2;
const OPERATOR: u32 = 3;
const OUTPUT: u32 = 4;
const DONE: u32 = 5;

const SPLIT: u32 = 1;
const TRACE: u32 = 2;
/// Added to the mode.
const RESET: u32 = 4;

/// Words of a job in `command`.
const WORDS: usize = 5;

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    semihosting::exit(match bench() {
        Ok(()) => semihosting::DONE,
        Err(FileError) => semihosting::BAD_FILE,
    })
}

fn bench() -> Result<(), FileError> {
    let command = File::open(c"command")?;
    let files = Files {
        images: File::open(c"image")?,
        rows: File::open(c"rows")?,
        report: File::create(c"report")?,
    };
    let (bulk, arena) = memory::take();
    for _ in 0..command.length()? / (4 * WORDS) {
        let mut words = [0; WORDS];
        for word in &mut words {
            *word = self::word(command)?;
        }
        job(files, words, bulk, arena)?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Files {
    images: File,
    rows: File,
    report: File,
}

#[cfg(feature = "image")]
const IMAGE: &[u8] = include_bytes!(env!("DUNLIN_IMAGE"));
#[cfg(feature = "image")]
const CASES: u64 = cases_of_image(IMAGE) & !LEFT_OUT;
/// The kernels of that image, as the program `size` has them.
#[cfg(feature = "image")]
static OWN: [Kernel; of_image_len(IMAGE)] = match of_image(IMAGE, native_for::<CASES>()) {
    Some(kernels) => kernels,
    None => panic!("the image was compiled for another board"),
};

#[cfg(feature = "image")]
static KERNELS: &[Kernel] = &OWN;

#[cfg(not(feature = "image"))]
const CASES: u64 = cases::ALL & !LEFT_OUT;
#[cfg(not(feature = "image"))]
static KERNELS: &[Kernel] = native_for::<CASES>();

fn load(image: &[u8]) -> Result<Model<'_>, LoadError> {
    Model::load_in::<CASES>(image, KERNELS)
}

/// Runs a model over its rows.
fn job(
    files: Files,
    [rows, mode, image_at, image_len, rows_at]: [u32; WORDS],
    bulk: &mut [u8],
    arena: &mut [i8],
) -> Result<(), FileError> {
    let report = files.report;
    let Some(image) = bulk.get_mut(..image_len as usize) else {
        return refuse(report, &"the image is longer than this board's memory");
    };
    files.images.seek(image_at as usize)?;
    files.images.read(image)?;
    let model = match load(image) {
        Ok(model) => model,
        Err(error) => return refuse(report, &error),
    };
    let mut session = match Session::new(&model, arena) {
        Ok(session) => session,
        Err(error) => return refuse(report, &error),
    };
    record(report, LOADED, 20)?;
    let (inputs, outputs) = (model.inputs().count(), model.outputs().count());
    let output_len = total(model.outputs());
    let words = [
        model.arena_bytes(),
        model.stack_bytes(),
        model.operators().len(),
        total(model.inputs()),
        output_len,
    ];
    for word in words {
        report.write(&(word as u32).to_le_bytes())?;
    }

    files.rows.seek(rows_at as usize)?;
    let mut peak = 0;
    for _ in 0..rows {
        if mode & RESET != 0 {
            session.reset_state();
        }
        for index in 0..inputs {
            files.rows.read_i8(session.input_at_mut(index))?;
        }
        match mode & !RESET {
            SPLIT => run_split(&mut session),
            TRACE => run_traced(&mut session, report)?,
            _ => peak = run(&mut session).max(peak),
        }
        record(report, OUTPUT, output_len)?;
        for index in 0..outputs {
            report.write_i8(session.output_at(index))?;
        }
    }
    record(report, DONE, 4)?;
    report.write(&peak.to_le_bytes())
}

/// Elements of several tensors.
fn total(tensors: impl Iterator<Item = TensorInfo>) -> usize {
    tensors.fold(0, |sum, tensor| sum.wrapping_add(tensor.len))
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
