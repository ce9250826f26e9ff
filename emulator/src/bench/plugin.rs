//! The plugin that counts: compiled once, told what to count, and its file read.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Counts;
use crate::{board, error::EmulatorError, process::escaped};

const SOURCE: &str = include_str!("../../plugin/counts.c");
const COMPILER: &str = "gcc";
/// The plugin's file in the folder of a run.
pub const OUT: &str = "counts";

/// What to count: addresses of the markers, without the Thumb bit, and the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start: u32,
    pub split: u32,
    pub stop: u32,
    pub code: u32,
    pub bytes: u32,
}

/// What the plugin counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Instructions of each run.
    pub runs: Vec<u64>,
    /// Each part, all runs together.
    pub parts: Vec<Counts>,
}

/// The plugin, compiled now unless it was before.
pub fn built() -> Result<PathBuf, EmulatorError> {
    let folder = board::target_folder().join("emulator");
    let mut hash = DefaultHasher::new();
    SOURCE.hash(&mut hash);
    let path = folder.join(format!("counts-{:016x}.so", hash.finish()));
    if path.is_file() {
        return Ok(path);
    }
    let failed = |what, path: &Path| {
        let path = path.to_path_buf();
        move |source| EmulatorError::Io { what, path, source }
    };
    fs::create_dir_all(&folder).map_err(failed("cannot create", &folder))?;
    // Under another name first: another thread or process may be compiling it as well.
    let scratch = crate::process::scratch_folder()?;
    let result = compile(COMPILER, SOURCE, &scratch.join("counts.so")).and_then(|()| {
        let unique = scratch.file_name().unwrap_or_default();
        let half_way = folder.join(unique).with_extension("tmp");
        fs::copy(scratch.join("counts.so"), &half_way)
            .and_then(|_| fs::rename(&half_way, &path))
            .map_err(failed("cannot write", &path))
    });
    let _ = fs::remove_dir_all(&scratch);
    result.map(|()| path)
}

pub fn compile(compiler: &'static str, source: &str, to: &Path) -> Result<(), EmulatorError> {
    let cannot = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => EmulatorError::CompilerMissing { program: compiler },
        _ => EmulatorError::Io {
            what: "cannot run",
            path: compiler.into(),
            source,
        },
    };
    let mut running = Command::new(compiler)
        .args(["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-x", "c"])
        .args(["-", "-o"])
        .arg(to)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    if let Some(mut stdin) = running.stdin.take() {
        // A compiler that does not read has something to say.
        let _ = stdin.write_all(source.as_bytes());
    }
    let output = running.wait_with_output().map_err(cannot)?;
    if output.status.success() {
        return Ok(());
    }
    Err(EmulatorError::PluginBroken {
        output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// The value of QEMU's option `-plugin`.
pub fn argument(plugin: &Path, window: &Window) -> String {
    format!(
        "{},start={:x},split={:x},stop={:x},code={:x},bytes={:x},out={OUT}",
        escaped(plugin),
        window.start,
        window.split,
        window.stop,
        window.code,
        window.bytes
    )
}

/// Reads the file that `counts.c` describes.
pub fn parse(text: &str) -> Result<Counted, EmulatorError> {
    let mut counted = Counted::default();
    let mut totals = Vec::new();
    let mut ended = false;
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words.get(index).and_then(|word| word.parse::<u64>().ok());
        let read = match words[0] {
            "run" => number(1).map(|total| counted.runs.push(total)),
            "part" => number(2).zip(number(3)).map(|(total, elsewhere)| {
                totals.push(total);
                counted.parts.push(Counts {
                    elsewhere,
                    ..Counts::default()
                });
            }),
            "at" => words
                .get(1)
                .and_then(|address| u32::from_str_radix(address, 16).ok())
                .zip(number(2))
                .zip(counted.parts.last_mut())
                .map(|(at, part)| part.at.push(at)),
            "end" => {
                ended = true;
                Some(())
            }
            _ => None,
        };
        if read.is_none() {
            return Err(EmulatorError::Inconsistent("a line of the counts"));
        }
    }
    if !ended {
        return Err(EmulatorError::Inconsistent("the counts have no end"));
    }
    let summed: Vec<u64> = counted.parts.iter().map(Counts::total).collect();
    if summed != totals || summed.iter().sum::<u64>() != counted.runs.iter().sum::<u64>() {
        return Err(EmulatorError::Inconsistent("the sums of the counts"));
    }
    Ok(counted)
}
