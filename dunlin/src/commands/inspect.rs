//! `dunlin inspect`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use edge_compiler::report::{self, Summary};
use edge_runtime::Model;

use super::{print, print_json, read_image, write_made};

#[derive(clap::Args)]
pub struct Arguments {
    /// Model image.
    model: PathBuf,
    /// Draws the plan of the arena into this file.
    #[arg(long)]
    svg: Option<PathBuf>,
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
        if let Some(path) = &self.svg {
            let name = self.model.file_stem().unwrap_or_default().to_string_lossy();
            write_made(
                path,
                report::svg(&summary, &name).as_bytes(),
                &[&self.model],
            )?;
        }
        if self.json {
            print_json(&summary)
        } else {
            print(&summary.to_string())
        }
    }
}
