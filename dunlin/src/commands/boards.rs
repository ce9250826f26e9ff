//! `dunlin boards`.

use anyhow::Result;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use edge_compiler::Target;

use super::{print, print_json};

#[derive(clap::Args)]
pub struct Arguments {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(self) -> Result<()> {
        let targets = Target::names().into_iter().map(Target::board);
        let targets = targets.collect::<Result<Vec<_>, _>>()?;
        if self.json {
            return print_json(&targets);
        }
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY).set_header([
            "board",
            "core",
            "clock",
            "flash",
            "RAM",
            "model slot",
            "emulated",
            "",
        ]);
        let size = |bytes: u64| format!("{} KiB", bytes / 1024);
        for target in targets {
            let emulated = emulator::Board::names().contains(&target.name.as_str());
            let clock = match target.clock_hz {
                0 => String::new(),
                hz => format!("{} MHz", hz / 1_000_000),
            };
            table.add_row([
                target.name,
                [vec![target.core], target.features].concat().join("+"),
                clock,
                size(target.flash_bytes),
                size(target.ram_bytes),
                size(target.model_slot_bytes),
                if emulated { "QEMU" } else { "" }.to_string(),
                target.description,
            ]);
        }
        print(&format!("{table}\n"))
    }
}
