//! `dunlin inspect`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use edge_compiler::report::Summary;
use edge_runtime::Model;

use super::{print, print_json, read_image};

#[derive(clap::Args)]
pub struct Arguments {
    /// Model image.
    model: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(self) -> Result<()> {
        let image = read_image(&self.model)?;
        let model = Model::load(&image)
            .with_context(|| format!("{} is not a usable model image", self.model.display()))?;
        let summary = Summary::of(&model);
        if self.json {
            print_json(&summary)
        } else {
            print(&summary.to_string())
        }
    }
}
