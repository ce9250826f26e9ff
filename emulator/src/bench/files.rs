//! One start of QEMU: what `boards/bench` reads and writes, as files in a folder of its own.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{BenchBoard, plugin};
use crate::{
    error::EmulatorError,
    process::{self, QEMU},
};

/// For QEMU to start, and for each row. Generous: a large model takes seconds a row where QEMU
/// counts and shares the host with much else.
const START: Duration = Duration::from_secs(60);
const ROW: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// How to run the rows: the second word of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As a device does.
    Plain = 0,
    /// With a mark after each operator.
    Split = 1,
    /// With the output of each operator in the report.
    Trace = 2,
}

/// Added to the mode: states are forgotten before each row.
const RESET: u32 = 4;

/// An image and its rows.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    pub image: &'a [u8],
    /// All input tensors of the model, one after the other.
    pub rows: &'a [&'a [i8]],
    pub mode: Mode,
    pub reset: bool,
}

/// What the board wrote.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub arena_bytes: u32,
    pub stack_bound: u32,
    pub operators: u32,
    pub outputs: Vec<Vec<i8>>,
    pub traces: Vec<Vec<Vec<i8>>>,
    pub stack_peak: u32,
}

/// Exit codes of the board's program.
const DONE: i32 = 0;
const BAD_FILE: i32 = 2;
const FAULTED: i32 = 3;
const PANICKED: i32 = 4;

/// Runs an image over rows; returns the report and what the plugin wrote.
pub fn run(
    board: &BenchBoard,
    image: &[u8],
    rows: &[&[i8]],
    mode: Mode,
    plugin: Option<&str>,
) -> Result<(Report, String), EmulatorError> {
    let task = Task {
        image,
        rows,
        mode,
        reset: false,
    };
    let (mut reports, counts) = run_all(board, &[task], plugin)?;
    let report = reports.pop().unwrap_or(Err(NO_END))?;
    Ok((report, counts))
}

/// Runs images one after the other, each over its rows; returns a report for each and what the
/// plugin wrote.
pub fn run_all(
    board: &BenchBoard,
    tasks: &[Task<'_>],
    plugin: Option<&str>,
) -> Result<(Vec<Result<Report, EmulatorError>>, String), EmulatorError> {
    let folder = process::scratch_folder()?;
    let result = run_in(&folder, board, tasks, plugin);
    let _ = fs::remove_dir_all(&folder);
    result
}

fn run_in(
    folder: &Path,
    board: &BenchBoard,
    tasks: &[Task<'_>],
    plugin: Option<&str>,
) -> Result<(Vec<Result<Report, EmulatorError>>, String), EmulatorError> {
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(|source| EmulatorError::Io {
            what: "cannot write",
            path,
            source,
        })
    };
    let (mut command, mut images, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut limit = START;
    for task in tasks {
        let mode = task.mode as u32 + if task.reset { RESET } else { 0 };
        let [image_at, rows_at] = [images.len(), rows.len()].map(|at| at as u32);
        let words = [
            task.rows.len() as u32,
            mode,
            image_at,
            task.image.len() as u32,
            rows_at,
        ];
        command.extend_from_slice(words.map(u32::to_le_bytes).as_flattened());
        images.extend_from_slice(task.image);
        rows.extend(task.rows.concat().into_iter().map(i8::cast_unsigned));
        limit += ROW * task.rows.len() as u32;
    }
    write("command", &command)?;
    write("image", &images)?;
    write("rows", &rows)?;

    let status = emulate(folder, board, plugin, limit)?;
    let said = || {
        let text = fs::read_to_string(folder.join("qemu.txt")).unwrap_or_default();
        text.trim().to_owned()
    };
    let report = fs::read(folder.join("report")).unwrap_or_default();
    let mut rest = &report[..];
    let reports: Vec<_> = tasks
        .iter()
        .map(|task| parse_one(&mut rest, task.rows))
        .collect();
    match status.code() {
        Some(DONE) if !rest.is_empty() => Err(EmulatorError::Inconsistent("more than all reports")),
        Some(DONE) => {
            // Without a plugin there are no counts.
            let counts = fs::read_to_string(folder.join(plugin::OUT)).unwrap_or_default();
            Ok((reports, counts))
        }
        Some(FAULTED | PANICKED) => Err(EmulatorError::Panicked(said())),
        // A row that is too short ends the file of the rows early.
        Some(BAD_FILE) if reports.iter().any(is_row_length) => Ok((reports, String::new())),
        _ => Err(EmulatorError::Exited {
            status: status.to_string(),
            output: said(),
        }),
    }
}

fn is_row_length(report: &Result<Report, EmulatorError>) -> bool {
    matches!(report, Err(EmulatorError::RowLength { .. }))
}

fn emulate(
    folder: &Path,
    board: &BenchBoard,
    plugin: Option<&str>,
    limit: Duration,
) -> Result<ExitStatus, EmulatorError> {
    let io = |what| {
        let path = folder.to_path_buf();
        move |source| EmulatorError::Io { what, path, source }
    };
    let stderr = File::create(folder.join("qemu.txt")).map_err(io("cannot write in"))?;
    let program = board
        .program_path()
        .canonicalize()
        .map_err(io("cannot find the program for"))?;
    let mut command = Command::new(QEMU);
    command
        .args(["-M", board.machine().name])
        .args(["-display", "none", "-monitor", "none", "-serial", "none"])
        .args(["-nodefaults", "-semihosting-config"])
        .args(["enable=on,target=native", "-kernel"])
        .arg(program)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr);
    if let Some(plugin) = plugin {
        command.args(["-plugin", plugin]);
    }
    let mut qemu = command.spawn().map_err(process::cannot_run)?;
    let mut watchdog = match process::watchdog(qemu.id()) {
        Ok(watchdog) => watchdog,
        Err(error) => {
            process::end(&mut qemu);
            return Err(error);
        }
    };
    let started = Instant::now();
    let ended = loop {
        match qemu.try_wait() {
            Ok(Some(status)) => break Ok(status),
            Ok(None) if started.elapsed() > limit => {
                let text = fs::read_to_string(folder.join("qemu.txt")).unwrap_or_default();
                let mut output = text.trim().to_owned();
                if !output.is_empty() {
                    output.insert_str(0, ": ");
                }
                break Err(EmulatorError::TimedOut { limit, output });
            }
            Ok(None) => thread::sleep(POLL),
            Err(source) => break Err(io("cannot wait for QEMU in")(source)),
        }
    };
    // The watchdog first: QEMU's number must not be reused while it may still strike.
    process::end(&mut watchdog);
    process::end(&mut qemu);
    ended
}

const NO_END: EmulatorError = EmulatorError::Inconsistent("the report has no end");

/// Reads the report of one task, which is the whole of `bytes`; `boards/bench/src/bin/bench.rs`
/// describes the layout.
#[cfg(test)]
pub fn parse(mut bytes: &[u8], rows: &[&[i8]]) -> Result<Report, EmulatorError> {
    let report = parse_one(&mut bytes, rows)?;
    match bytes {
        [] => Ok(report),
        _ => Err(EmulatorError::Inconsistent("more than all reports")),
    }
}

/// Takes the report of one task off the front of `bytes`.
fn parse_one(bytes: &mut &[u8], rows: &[&[i8]]) -> Result<Report, EmulatorError> {
    let signed = |bytes: &[u8]| bytes.iter().map(|byte| byte.cast_signed()).collect();
    let mut report = Report::default();
    let mut trace = Vec::new();
    let mut wrong_row = None;
    while let Some((header, rest)) = bytes.split_first_chunk::<8>() {
        let [tag, len] = words(header).unwrap_or_default();
        let (content, rest) = rest
            .split_at_checked(len as usize)
            .ok_or(EmulatorError::Inconsistent("a record is cut short"))?;
        *bytes = rest;
        match tag {
            1 => {
                let [arena, stack, operators, input, _output] =
                    words(content).ok_or(EmulatorError::Inconsistent("the first record"))?;
                report.arena_bytes = arena;
                report.stack_bound = stack;
                report.operators = operators;
                let needed = input as usize;
                wrong_row = rows.iter().position(|row| row.len() != needed).map(|row| {
                    let len = rows[row].len();
                    EmulatorError::RowLength { row, len, needed }
                });
            }
            2 => {
                return Err(EmulatorError::Refused {
                    what: "the image",
                    why: String::from_utf8_lossy(content).into_owned(),
                });
            }
            3 => trace.push(signed(content.get(4..).unwrap_or_default())),
            4 => {
                report.outputs.push(signed(content));
                if !trace.is_empty() {
                    report.traces.push(std::mem::take(&mut trace));
                }
            }
            5 => {
                let [peak] =
                    words(content).ok_or(EmulatorError::Inconsistent("the last record"))?;
                report.stack_peak = peak;
                return match wrong_row {
                    Some(error) => Err(error),
                    None if report.outputs.len() == rows.len() => Ok(report),
                    None => Err(EmulatorError::Inconsistent("one output for each row")),
                };
            }
            _ => return Err(EmulatorError::Inconsistent("an unknown record")),
        }
    }
    Err(wrong_row.unwrap_or(NO_END))
}

/// Exactly `N` words; `None` for any other length.
fn words<const N: usize>(bytes: &[u8]) -> Option<[u32; N]> {
    let (chunks, rest) = bytes.as_chunks::<4>();
    let words: [[u8; 4]; N] = chunks.try_into().ok()?;
    rest.is_empty().then(|| words.map(u32::from_le_bytes))
}
