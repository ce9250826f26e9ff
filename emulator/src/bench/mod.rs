//! Runs a model image on an emulated processor, alone, and counts exactly what a run executes.
//!
//! [`BenchBoard`] is one of five machines with the program of `boards/bench`. A run is deterministic:
//! the same image, rows and program give the same counts on every host. Instructions are counted by
//! a plugin of QEMU's (`plugin/counts.c`, compiled with gcc when it is first needed), from the input
//! in place to the output ready: the call of `edge_runtime::Session::run` and nothing else.

mod batch;
mod counts;
mod cycles;
mod files;
mod machine;
mod plugin;

pub use batch::Job;
pub use counts::Counts;
pub use cycles::{Class, Instruction, decode, estimate};
pub use machine::Machine;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{board, elf, error::EmulatorError, process};
use files::{Mode, Report};
use plugin::Window;

/// An emulated machine and the program of `boards/bench` for it, found and checked.
#[derive(Clone, Debug)]
pub struct BenchBoard {
    machine: &'static Machine,
    path: PathBuf,
    program: Program,
}

/// What the host needs to know of the program.
#[derive(Clone, Debug)]
struct Program {
    /// Address and bytes of the code, constants included.
    code: Code,
    window: Window,
    /// Name, address without the Thumb bit and size of each function, by address.
    functions: Vec<(String, u32, u32)>,
}

/// The instructions of a program.
#[derive(Clone, Debug)]
pub struct Code {
    /// Of the first byte.
    pub address: u32,
    /// Half-words, little-endian.
    pub bytes: Vec<u8>,
}

/// What to find out besides outputs, stack and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The output of every operator, in a run of its own.
    pub trace: bool,
    /// Instructions, and those of each operator in a run of its own. Needs gcc at first.
    pub counts: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct BenchRun {
    /// One output tensor a row.
    pub outputs: Vec<Vec<i8>>,
    /// With [`Options::trace`]: for each row the output of each operator.
    pub traces: Vec<Vec<Vec<i8>>>,
    /// With [`Options::counts`]: instructions of each row.
    pub instructions_per_row: Vec<u64>,
    /// With [`Options::counts`], on a Cortex-M4: cycles of a row by the model of [`estimate`], the
    /// mean over the rows rounded to the nearest.
    pub cycles_estimated: Option<u64>,
    /// Greatest depth of the stack in `run` in bytes, by what was written.
    pub stack_peak: u32,
    /// The compiler's bound of the same.
    pub stack_bound: u32,
    /// Bytes of arena that the model needs.
    pub arena_bytes: u32,
    /// With [`Options::counts`]: how often each instruction was executed, all rows together.
    pub counts: Counts,
    /// With [`Options::counts`]: one for each operator, of the first row. They are counted in a run
    /// that stops at each operator, which takes some instructions more than a plain one.
    pub layers: Vec<Layer>,
}

/// What one operator took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    /// Instructions.
    pub instructions: u64,
    /// On a Cortex-M4: cycles by the model of [`estimate`].
    pub cycles_estimated: Option<u64>,
    /// How often each of its instructions was executed.
    pub counts: Counts,
}

impl BenchBoard {
    /// Names of the boards, which are those of QEMU's machines.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Machine::ALL.iter().map(|machine| machine.name)
    }

    /// Checks that QEMU is there, finds the board's program where `cargo xtask bench-boards` leaves
    /// it, and checks its vector table and markers.
    ///
    /// # Errors
    /// [`EmulatorError::UnknownBoard`], [`EmulatorError::QemuMissing`],
    /// [`EmulatorError::FirmwareMissing`], [`EmulatorError::FirmwareBroken`].
    pub fn find(name: &str) -> Result<Self, EmulatorError> {
        Self::find_without(name, "")
    }

    /// As [`Self::find`], the program that lacks the kernels that a small one leaves out: by the name of
    /// that feature of `boards/bench`, or empty.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_without(name: &str, less: &str) -> Result<Self, EmulatorError> {
        let machine = Machine::ALL
            .iter()
            .find(|machine| machine.name == name)
            .ok_or_else(|| EmulatorError::UnknownBoard {
                name: name.into(),
                known: Self::names().collect::<Vec<_>>().join(", "),
            })?;
        process::check_qemu()?;
        let separator = if less.is_empty() { "" } else { "-" };
        let program = format!("bench-{name}{separator}{less}");
        Self::with_program(machine, &board::firmware_path(&program))
    }

    /// As [`Self::find`] with the program of another file.
    ///
    /// # Errors
    /// [`EmulatorError::FirmwareMissing`], [`EmulatorError::FirmwareBroken`].
    pub fn with_program(machine: &'static Machine, path: &Path) -> Result<Self, EmulatorError> {
        let board = || format!("bench-{}", machine.name);
        let file = fs::read(path).map_err(|_| EmulatorError::FirmwareMissing {
            path: path.into(),
            board: board(),
        })?;
        let program = program(&file, machine).map_err(|source| EmulatorError::FirmwareBroken {
            path: path.into(),
            board: board(),
            source,
        })?;
        Ok(Self {
            machine,
            path: path.into(),
            program,
        })
    }

    /// The machine.
    pub fn machine(&self) -> &'static Machine {
        self.machine
    }

    /// The ELF file.
    pub fn program_path(&self) -> &Path {
        &self.path
    }

    /// The code of the program, for [`decode`] and [`estimate`].
    pub fn code(&self) -> &Code {
        &self.program.code
    }

    /// The function that an instruction belongs to, as the linker knows it.
    pub fn function_at(&self, address: u32) -> Option<&str> {
        let functions = &self.program.functions;
        let after = functions.partition_point(|(_, start, _)| *start <= address);
        let (name, start, size) = functions.get(after.checked_sub(1)?)?;
        (address - start < (*size).max(2)).then_some(name.as_str())
    }

    /// Runs an image over rows of inputs, each of them as long as the model's input tensor.
    ///
    /// # Errors
    /// [`EmulatorError::Refused`] with the reason that the runtime gives, [`EmulatorError::RowLength`],
    /// [`EmulatorError::Panicked`] for a fault or panic of the program, [`EmulatorError::TimedOut`],
    /// [`EmulatorError::Exited`], [`EmulatorError::Io`], [`EmulatorError::Inconsistent`]; with
    /// [`Options::counts`] also [`EmulatorError::CompilerMissing`], [`EmulatorError::PluginBroken`].
    pub fn run(
        &self,
        image: &[u8],
        rows: &[impl AsRef<[i8]>],
        options: Options,
    ) -> Result<BenchRun, EmulatorError> {
        let rows: Vec<&[i8]> = rows.iter().map(AsRef::as_ref).collect();
        let mut run = BenchRun::default();
        let report = if options.counts && !rows.is_empty() {
            let plugin = plugin::built()?;
            let (report, counted) = self.counted(&plugin, image, &rows, Mode::Plain)?;
            let [whole] = counted.parts.as_slice() else {
                return Err(EmulatorError::Inconsistent("a plain run has one part"));
            };
            let rows_counted = counted.runs.len() as u64;
            run.cycles_estimated = self
                .cycles(whole)
                .map(|cycles| (cycles + rows_counted / 2) / rows_counted.max(1));
            run.counts = whole.clone();
            run.instructions_per_row = counted.runs;
            if let Some(first) = rows.first() {
                run.layers = self.layers(&plugin, image, first, &report)?;
            }
            report
        } else {
            files::run(self, image, &rows, Mode::Plain, None)?.0
        };
        if options.trace {
            let (traced, _) = files::run(self, image, &rows, Mode::Trace, None)?;
            same_outputs(&report.outputs, &traced.outputs)?;
            run.traces = traced.traces;
        }
        run.outputs = report.outputs;
        run.stack_peak = report.stack_peak;
        run.stack_bound = report.stack_bound;
        run.arena_bytes = report.arena_bytes;
        Ok(run)
    }

    /// What each operator takes, less what belongs to none: what follows the last of them.
    fn layers(
        &self,
        plugin: &Path,
        image: &[u8],
        row: &[i8],
        plain: &Report,
    ) -> Result<Vec<Layer>, EmulatorError> {
        let (report, counted) = self.counted(plugin, image, &[row], Mode::Split)?;
        same_outputs(&plain.outputs[..1], &report.outputs)?;
        let operators = report.operators as usize;
        if counted.parts.len() != operators + 1 {
            return Err(EmulatorError::Inconsistent("one part for each operator"));
        }
        let layer = |counts: Counts| Layer {
            instructions: counts.total(),
            cycles_estimated: self.cycles(&counts),
            counts,
        };
        Ok(counted
            .parts
            .into_iter()
            .take(operators)
            .map(layer)
            .collect())
    }

    fn counted(
        &self,
        plugin: &Path,
        image: &[u8],
        rows: &[&[i8]],
        mode: Mode,
    ) -> Result<(Report, plugin::Counted), EmulatorError> {
        let plugin = plugin::argument(plugin, &self.program.window);
        let (report, text) = files::run(self, image, rows, mode, Some(&plugin))?;
        let counted = plugin::parse(&text)?;
        if counted.runs.len() != rows.len() {
            return Err(EmulatorError::Inconsistent("one count for each row"));
        }
        Ok((report, counted))
    }

    fn cycles(&self, counts: &Counts) -> Option<u64> {
        (self.machine.core == "cortex-m4").then(|| estimate(self.code(), counts))
    }
}

fn same_outputs(plain: &[Vec<i8>], other: &[Vec<i8>]) -> Result<(), EmulatorError> {
    if plain == other {
        return Ok(());
    }
    Err(EmulatorError::Inconsistent(
        "two runs of the same rows have different outputs",
    ))
}

fn program(file: &[u8], machine: &Machine) -> Result<Program, elf::ElfError> {
    elf::check_firmware_at(file, machine.code, machine.ram)?;
    let symbols = elf::symbols(file)?;
    let marker = |name| {
        let symbol = symbols.iter().find(|symbol| symbol.name == name);
        symbol
            .map(|symbol| symbol.address & !1)
            .ok_or(elf::ElfError::SymbolMissing { name })
    };
    let segment = elf::segments(file)?
        .into_iter()
        .find(|segment| segment.address == machine.code);
    let code = Code {
        address: machine.code,
        bytes: segment.map_or(&[][..], |segment| segment.bytes).to_vec(),
    };
    let window = Window {
        start: marker("bench_start")?,
        split: marker("bench_split")?,
        stop: marker("bench_stop")?,
        code: code.address,
        bytes: code.bytes.len() as u32,
    };
    let mut functions: Vec<_> = symbols
        .iter()
        .filter(|symbol| symbol.address & 1 == 1)
        .map(|symbol| (symbol.name.to_owned(), symbol.address & !1, symbol.size))
        .collect();
    functions.sort_by_key(|(_, address, size)| (*address, *size));
    Ok(Program {
        code,
        window,
        functions,
    })
}

#[cfg(test)]
mod tests;
