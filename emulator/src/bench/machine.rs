//! The machines, for the emulator and for what builds their programs: `xtask` includes this file as
//! a module, so that it needs no crate of the workspace to compile before it can build one.

/// A processor and the machine of QEMU's that has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Machine {
    /// Of the machine, and of the board.
    pub name: &'static str,
    /// The processor, as compilers call it.
    pub core: &'static str,
    /// The Rust target of its program.
    pub target: &'static str,
    /// The feature of `edge-runtime` with its fast kernels; empty where it has none of its own.
    pub feature: &'static str,
    /// Where it starts: address of the vector table and of the code behind it.
    pub code: u32,
    /// Topmost byte of the addresses of the RAM that holds stack and arena.
    pub ram: u32,
}

impl Machine {
    /// All that `boards/bench` is built for; its `memory` folder has their maps.
    pub const ALL: &'static [Machine] = &[
        Machine {
            name: "mps2-an385",
            core: "cortex-m3",
            target: "thumbv7m-none-eabi",
            feature: "thumb2",
            code: 0,
            ram: 0x20,
        },
        Machine {
            name: "mps2-an386",
            core: "cortex-m4",
            target: "thumbv7em-none-eabihf",
            feature: "dsp",
            code: 0,
            ram: 0x20,
        },
        Machine {
            name: "mps2-an500",
            core: "cortex-m7",
            target: "thumbv7em-none-eabihf",
            feature: "dsp",
            code: 0,
            ram: 0x20,
        },
        Machine {
            name: "mps2-an505",
            core: "cortex-m33",
            target: "thumbv8m.main-none-eabihf",
            feature: "dsp",
            code: 0x1000_0000,
            ram: 0x38,
        },
        Machine {
            name: "mps3-an547",
            core: "cortex-m55",
            target: "thumbv8m.main-none-eabihf",
            feature: "mve",
            code: 0x1000_0000,
            ram: 0x30,
        },
    ];
}
