//! `dunlin bench`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use comfy_table::{Table, presets::NOTHING};
use edge_compiler::AlignedBytes;
use edge_runtime::{FeatureKind, Model};
use field::bench::{self, Figures, alone::Alone};

use super::{made_for, print, print_json, read_image};

#[derive(clap::Args)]
pub struct Arguments {
    /// Model image.
    model: PathBuf,
    /// Emulated board to run on.
    #[arg(long, value_parser = super::emulated)]
    board: String,
    /// Runs the model by itself, operator by operator, also where it has features to compute.
    #[arg(long)]
    alone: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// A model with a feature pipeline runs in the whole firmware where there is one for the board,
    /// any other by itself.
    pub fn run(self) -> Result<()> {
        let image = read_image(&self.model)?;
        let in_firmware = emulator::Board::names().contains(&self.board.as_str());
        if has_features(&image) && in_firmware && !self.alone {
            let figures = bench::run(&self.board, &image)?;
            return if self.json {
                print_json(&figures)
            } else {
                print(&in_words(&figures))
            };
        }
        let figures = bench::alone::run(&self.board, &image)
            .with_context(|| made_for(&image, &self.board))?;
        if self.json {
            print_json(&figures)
        } else {
            print(&table(&figures))
        }
    }
}

/// What is no image has none; whoever runs it says so.
fn has_features(image: &AlignedBytes) -> bool {
    Model::load(image).is_ok_and(|model| model.features().kind != FeatureKind::None)
}

fn in_words(figures: &Figures) -> String {
    format!(
        "{}: {} instructions for an inference, {} for the features of a window\n\
         arena {} bytes, stack peak {} bytes, image {} bytes, firmware {} bytes\n",
        figures.board,
        figures.instructions,
        figures.instructions_features,
        figures.arena_bytes,
        figures.stack_bytes,
        figures.image_bytes,
        figures.firmware_bytes,
    )
}

fn table(figures: &Alone) -> String {
    let shown = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let mut table = Table::new();
    table.load_style(NOTHING).set_header([
        "#",
        "operator",
        "kernel",
        "MACs",
        "instructions",
        "cycles",
    ]);
    for (index, layer) in figures.layers.iter().enumerate() {
        table.add_row([
            index.to_string(),
            layer.operator.clone(),
            layer.kernel.clone(),
            layer.macs.to_string(),
            layer.instructions.to_string(),
            shown(layer.cycles_estimated),
        ]);
    }
    format!(
        "{table}\n{} ({}): {} instructions for an inference, {} estimated cycles, {} MACs\n\
         arena {} bytes, stack peak {} bytes, image {} bytes, with a program of all kernels {} bytes of flash\n",
        figures.board,
        figures.core,
        figures.instructions,
        shown(figures.cycles_estimated),
        figures.macs,
        figures.arena_bytes,
        figures.stack_bytes,
        figures.image_bytes,
        shown(figures.flash_bytes),
    )
}
