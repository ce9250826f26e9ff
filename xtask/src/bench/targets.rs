//! What the table compares with: the targets, and TensorFlow Lite Micro with CMSIS-NN.

use super::Aim;
use crate::machine::Machine;

/// The peer's figures of one model, and what follows from the model itself.
///
/// TensorFlow Lite Micro 90b983c2 with CMSIS-NN 99f736a6, GCC 12.2, the MLPerf Tiny reference models
/// (v1.x): instructions of one inference, counted under QEMU 7.2 by a plugin between two markers, the
/// fewest of -O2 and -O3 and their variants.
struct Model {
    name: &'static str,
    /// By board.
    instructions: [(&'static str, u64); 5],
    /// On the Cortex-M4F, -O2, estimated as ours are.
    m4_cycles: u64,
    /// On the Cortex-M4F: the arena that the interpreter used; its stack is not counted.
    m4_arena: u64,
    /// On the Cortex-M4F, -Os, only the operators that the model needs, without the model.
    m4_code: u64,
    /// The `.tflite` file.
    file: u64,
    /// Weights and 4-byte biases of that file.
    tensor_data: u64,
    goals: Goals,
}

/// Most that a figure may be.
struct Goals {
    m4_speed: u64,
    m4_speed_cycles: u64,
    m4_size: u64,
    m55_speed: u64,
    m3_speed: u64,
    m4_memory: u64,
    m4_code_size: u64,
    m4_code_speed: u64,
}

const MODELS: [Model; 4] = [
    Model {
        name: "ic",
        instructions: [
            ("mps2-an385", 41_848_000),
            ("mps2-an386", 28_506_000),
            ("mps2-an500", 30_027_000),
            ("mps2-an505", 29_963_000),
            ("mps3-an547", 4_812_000),
        ],
        m4_cycles: 36_700_000,
        m4_arena: 54_996,
        m4_code: 43_884,
        file: 98_496,
        tensor_data: 78_768,
        goals: Goals {
            m4_speed: 7_000_000,
            m4_speed_cycles: 11_500_000,
            m4_size: 11_500_000,
            m55_speed: 1_800_000,
            m3_speed: 24_000_000,
            m4_memory: 49_664,
            m4_code_size: 16 << 10,
            m4_code_speed: 28 << 10,
        },
    },
    Model {
        name: "kws",
        instructions: [
            ("mps2-an385", 10_533_000),
            ("mps2-an386", 7_227_000),
            ("mps2-an500", 7_644_000),
            ("mps2-an505", 7_680_000),
            ("mps3-an547", 1_785_000),
        ],
        m4_cycles: 9_220_000,
        m4_arena: 22_820,
        m4_code: 46_688,
        file: 53_936,
        tensor_data: 24_392,
        goals: Goals {
            m4_speed: 2_600_000,
            m4_speed_cycles: 4_200_000,
            m4_size: 2_800_000,
            m55_speed: 800_000,
            m3_speed: 6_500_000,
            m4_memory: 18_432,
            m4_code_size: 16 << 10,
            m4_code_speed: 24 << 10,
        },
    },
    Model {
        name: "vww",
        instructions: [
            ("mps2-an385", 31_959_000),
            ("mps2-an386", 22_610_000),
            ("mps2-an500", 24_026_000),
            ("mps2-an505", 24_047_000),
            ("mps3-an547", 6_434_000),
        ],
        m4_cycles: 29_200_000,
        m4_arena: 100_708,
        m4_code: 46_688,
        file: 333_288,
        tensor_data: 219_088,
        goals: Goals {
            m4_speed: 7_400_000,
            m4_speed_cycles: 10_600_000,
            m4_size: 8_000_000,
            m55_speed: 2_400_000,
            m3_speed: 19_000_000,
            m4_memory: 58_368,
            m4_code_size: 16 << 10,
            m4_code_speed: 24 << 10,
        },
    },
    Model {
        name: "ad",
        instructions: [
            ("mps2-an385", 956_000),
            ("mps2-an386", 573_000),
            ("mps2-an500", 583_000),
            ("mps2-an505", 584_000),
            ("mps3-an547", 150_000),
        ],
        m4_cycles: 724_000,
        m4_arena: 2_580,
        m4_code: 23_596,
        file: 276_976,
        tensor_data: 270_896,
        goals: Goals {
            m4_speed: 260_000,
            m4_speed_cycles: 400_000,
            m4_size: 270_000,
            m55_speed: 60_000,
            m3_speed: 600_000,
            m4_memory: 2_304,
            m4_code_size: 8 << 10,
            m4_code_speed: 10 << 10,
        },
    },
];

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Of one inference.
    Instructions,
    /// Of one inference, estimated.
    Cycles,
    /// Arena and greatest depth of the stack.
    Memory,
    /// Flash without the image.
    Code,
    /// Flash of the image.
    Image,
}

impl Figure {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 5] = [
        Self::Instructions,
        Self::Cycles,
        Self::Memory,
        Self::Code,
        Self::Image,
    ];

    /// As the table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Cycles => "cycles (estimate)",
            Self::Memory => "arena + stack",
            Self::Code => "code",
            Self::Image => "image",
        }
    }
}

/// The most that a figure may be, where there is a target; `channels` are the output channels of all
/// layers with weights.
pub fn target(
    model: &str,
    machine: &Machine,
    aim: Aim,
    what: Figure,
    channels: u64,
) -> Option<u64> {
    let model = find(model)?;
    let goals = &model.goals;
    match (machine.core, aim, what) {
        ("cortex-m4", Aim::Speed, Figure::Instructions) => Some(goals.m4_speed),
        ("cortex-m4", Aim::Speed, Figure::Cycles) => Some(goals.m4_speed_cycles),
        ("cortex-m4", Aim::Size, Figure::Instructions) => Some(goals.m4_size),
        ("cortex-m55", Aim::Speed, Figure::Instructions) => Some(goals.m55_speed),
        ("cortex-m3", Aim::Speed, Figure::Instructions) => Some(goals.m3_speed),
        ("cortex-m4", _, Figure::Memory) => Some(goals.m4_memory),
        ("cortex-m4", Aim::Size, Figure::Code) => Some(goals.m4_code_size),
        ("cortex-m4", Aim::Speed, Figure::Code) => Some(goals.m4_code_speed),
        ("cortex-m4", Aim::Size, Figure::Image) => Some(model.tensor_data + 6 * channels + 2048),
        ("cortex-m4", Aim::Speed, Figure::Image) => Some(4 * model.tensor_data + 2048),
        _ => None,
    }
}

/// What the peer takes, where that is known.
pub fn peer(model: &str, machine: &Machine, what: Figure) -> Option<u64> {
    let model = find(model)?;
    let m4 = machine.core == "cortex-m4";
    match what {
        Figure::Instructions => {
            let mut boards = model.instructions.iter();
            let of_board = boards.find(|(board, _)| *board == machine.name);
            of_board.map(|(_, instructions)| *instructions)
        }
        Figure::Cycles => m4.then_some(model.m4_cycles),
        Figure::Memory => m4.then_some(model.m4_arena),
        Figure::Code => m4.then_some(model.m4_code),
        Figure::Image => Some(model.file),
    }
}

fn find(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.name == name)
}
