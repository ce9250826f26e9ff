//! A model image by itself on an emulated processor: no firmware, no features.

use edge_compiler::AlignedBytes;
use edge_compiler::report::Summary;
use edge_runtime::Model;
use emulator::bench::{BenchBoard, Options};
use emulator::elf;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

use super::BenchError;

/// What a model costs on a processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alone {
    /// Name of the board.
    pub board: String,
    /// Its processor.
    pub core: String,
    /// Instructions of one inference, from input in place to output ready.
    pub instructions: u64,
    /// Cycles of one inference by the emulator crate's model; `None` but on a Cortex-M4.
    pub cycles_estimated: Option<u64>,
    /// Arena of a session.
    pub arena_bytes: usize,
    /// Peak of the stack of an inference, measured.
    pub stack_bytes: u32,
    /// Length of the image.
    pub image_bytes: usize,
    /// Image and program together: the flash of a device that does nothing else. The program has all
    /// kernels of the processor and is built for size; `None` where it is not built.
    pub flash_bytes: Option<u64>,
    /// Multiply-accumulate operations.
    pub macs: u32,
    /// One for each operator of the image. They are counted in a run that stops at each, which takes
    /// some instructions more than a plain one.
    pub layers: Vec<Layer>,
}

/// What an operator costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Its name.
    pub operator: String,
    /// The imported model's operator that it stems from: index and name.
    pub source: Option<(usize, String)>,
    /// The kernel that runs it, instruction set and packing.
    pub kernel: String,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Instructions.
    pub instructions: u64,
    /// Cycles, as for the whole model.
    pub cycles_estimated: Option<u64>,
}

/// Runs an image on a row of noise: an int8 network takes the same path whatever the data.
///
/// # Errors
/// [`BenchError`]; among the emulator's errors [`emulator::EmulatorError::FirmwareMissing`] where the
/// board's program is not built.
pub fn run(board: &str, image: &[u8]) -> Result<Alone, BenchError> {
    let aligned = AlignedBytes::from(image);
    let model = Model::load(&aligned).map_err(BenchError::Load)?;
    let board = BenchBoard::find(board)?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let row: Vec<i8> = (0..model.inputs().map(|input| input.len).sum())
        .map(|_| rng.random_range(i8::MIN..=i8::MAX))
        .collect();
    let options = Options {
        counts: true,
        ..Options::default()
    };
    let run = board.run(image, &[row], options)?;
    let summary = Summary::of(&model);
    let pairs = summary.operators.into_iter().zip(&run.layers);
    let layers = pairs.map(|(operator, layer)| Layer {
        operator: operator.operator,
        source: operator.source,
        kernel: operator.kernel,
        macs: operator.macs,
        instructions: layer.instructions,
        cycles_estimated: layer.cycles_estimated,
    });
    Ok(Alone {
        board: board.machine().name.into(),
        core: board.machine().core.into(),
        instructions: run.instructions_per_row.iter().sum(),
        cycles_estimated: run.cycles_estimated,
        arena_bytes: model.arena_bytes(),
        stack_bytes: run.stack_peak,
        image_bytes: model.image_len(),
        flash_bytes: runtime_bytes(&board)
            .map(|runtime| u64::from(runtime) + model.image_len() as u64),
        macs: model.macs(),
        layers: layers.collect(),
    })
}

/// Flash of the board's program built for size, which `cargo xtask bench-boards` leaves too.
fn runtime_bytes(board: &BenchBoard) -> Option<u32> {
    let machine = board.machine();
    let name = format!("bench-{}-small.elf", machine.name);
    let file = std::fs::read(board.program_path().with_file_name(name)).ok()?;
    let program = elf::check_firmware_at(&file, machine.code, machine.ram).ok()?;
    Some(program.loaded_bytes)
}
