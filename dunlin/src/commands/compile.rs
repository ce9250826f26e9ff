//! `dunlin compile`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use edge_compiler::Target;
use host_trainer::run::Run;

use super::print;

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder that `dunlin train` left.
    run: PathBuf,
    /// Board to compile for; `dunlin boards` lists them.
    #[arg(long, default_value = "host")]
    target: String,
    /// File to write.
    #[arg(short, long)]
    output: PathBuf,
}

impl Arguments {
    pub fn run(self) -> Result<()> {
        let target = Target::board(&self.target)?;
        let run = Run::load(&self.run)
            .with_context(|| format!("{} is no run that can be compiled", self.run.display()))?;
        let compiled = run.compile(&target)?;
        std::fs::write(&self.output, &compiled.image[..])
            .with_context(|| format!("cannot write {}", self.output.display()))?;
        print(&format!(
            "{}: {} bytes for {}\n",
            self.output.display(),
            compiled.image.len(),
            target.name,
        ))
    }
}
