//! `dunlin bench`.

use std::path::PathBuf;

use anyhow::Result;
use field::bench;

use super::{print, print_json, read_image};

#[derive(clap::Args)]
pub struct Arguments {
    /// Model image.
    model: PathBuf,
    /// Emulated board to run on.
    #[arg(long)]
    board: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(self) -> Result<()> {
        let figures = bench::run(&self.board, &read_image(&self.model)?)?;
        if self.json {
            return print_json(&figures);
        }
        print(&format!(
            "{}: {} instructions for an inference, {} for the features of a window\n\
             arena {} bytes, stack peak {} bytes, image {} bytes, firmware {} bytes\n",
            figures.board,
            figures.instructions,
            figures.instructions_features,
            figures.arena_bytes,
            figures.stack_bytes,
            figures.image_bytes,
            figures.firmware_bytes,
        ))
    }
}
