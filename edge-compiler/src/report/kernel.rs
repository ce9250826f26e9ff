//! The kernels of an image by name. The names are those of the folders and packings of
//! `edge_runtime::kernels`; an image says them only as numbers.

use edge_runtime::Model;
use edge_runtime::format::{OperatorRecord, opcode, packing};

use crate::select::InstructionSet;
use crate::source::Source;
use crate::target::Target;

/// What an image is packed for: what its source says, otherwise what its packings say.
pub fn instruction_set(model: &Model<'_>) -> InstructionSet {
    let target = Source::of(model).and_then(|source| Target::board(&source.target).ok());
    match target {
        Some(target) => InstructionSet::of(&target),
        None => {
            let operators = model.operators().iter();
            let packed = operators.filter_map(|o| set_of_packing(o.packing));
            packed
                .into_iter()
                .next()
                .unwrap_or(InstructionSet::Portable)
        }
    }
}

/// The instruction set that a packing was made for; `None` for those that any kernel reads.
fn set_of_packing(packing: u8) -> Option<InstructionSet> {
    match packing {
        packing::CANONICAL | packing::FITTED => None,
        1..8 => Some(InstructionSet::Dsp),
        8..12 => Some(InstructionSet::Mve),
        12..16 => Some(InstructionSet::Portable),
        // One layout for three instruction sets: that of the machine that this program runs on, if
        // it is one of them.
        16..20 => Some(match InstructionSet::of(&Target::host()) {
            set @ (InstructionSet::Neon | InstructionSet::Wasm) => set,
            _ => InstructionSet::X86,
        }),
        _ => None,
    }
}

/// Folder and packing of the kernel that runs an operator, such as `dsp/winograd-4x4`.
pub fn name(operator: &OperatorRecord, image: InstructionSet) -> String {
    let set = match set_of_packing(operator.packing) {
        None => common(operator.opcode, operator.packing, image),
        // What several instruction sets read runs on that of the image.
        Some(_) if (16..20).contains(&operator.packing) => folder(image),
        Some(set) => folder(set),
    };
    format!("{set}/{}", packing_name(operator.opcode, operator.packing))
}

/// The folder of the kernel for a packing that several instruction sets read.
fn common(opcode: u8, packing: u8, image: InstructionSet) -> &'static str {
    let own = match (opcode, packing) {
        (opcode::AVERAGE_POOL_2D | opcode::MAX_POOL_2D, packing::CANONICAL)
        | (opcode::ADD, packing::FITTED) => true,
        (opcode::DEPTHWISE_CONV_2D, packing::CANONICAL) => image == InstructionSet::Dsp,
        _ => false,
    };
    if own { folder(image) } else { "reference" }
}

fn folder(set: InstructionSet) -> &'static str {
    match set {
        InstructionSet::Portable => "portable",
        InstructionSet::Dsp => "dsp",
        InstructionSet::Mve => "mve",
        InstructionSet::X86 => "x86",
        InstructionSet::Neon => "neon",
        InstructionSet::Wasm => "wasm",
    }
}

fn packing_name(opcode: u8, packing: u8) -> String {
    let name = match packing {
        packing::CANONICAL => "canonical",
        packing::DSP_I16 => "int16",
        packing::DSP_I8 => "int8",
        packing::DSP_WINOGRAD_2X2 => "winograd-2x2",
        packing::DSP_WINOGRAD_4X4 => "winograd-4x4",
        packing::DSP_DEPTHWISE => "depthwise-3x3",
        packing::DSP_DEPTHWISE_SMALL => "depthwise-3x3-small",
        packing::FITTED => "linear",
        packing::MVE_DENSE if opcode == opcode::FULLY_CONNECTED => "dense",
        packing::MVE_PANEL => "panel",
        packing::MVE_DIRECT => "direct-3x3",
        packing::MVE_DEPTHWISE => "depthwise-3x3",
        packing::MVE_DEPTHWISE_ANY => "depthwise",
        packing::PAIRS => "pairs",
        packing::DEPTHWISE_CHANNELS => "depthwise",
        packing::DOT_16X4 => "dot-16x4",
        packing::DEPTHWISE_16X4 => "depthwise-16x4",
        packing::ROWS_128 => "sparse-128",
        packing::WINOGRAD_16X2 => "winograd-4x4",
        other => return format!("packing-{other}"),
    };
    name.into()
}
