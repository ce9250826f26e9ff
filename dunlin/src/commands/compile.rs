//! `dunlin compile`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use edge_compiler::import::Format;
use edge_compiler::import::lower::{self, ImportOptions, ReferenceRounding};
use edge_compiler::source::{Origin, compile_imported};
use edge_compiler::{Compiled, Optimize, Options, Target, compile_with};
use host_trainer::run::Run;

use super::print;

#[derive(clap::Args)]
pub struct Arguments {
    /// A `.tflite` file, or a folder that `dunlin train` left.
    model: PathBuf,
    /// Board to compile for; `dunlin boards` lists them.
    #[arg(long, default_value = "host")]
    target: String,
    /// What kernels are chosen for.
    #[arg(long, value_enum, default_value_t = Goal::Speed)]
    optimize: Goal,
    /// Whose results to give where they differ: LiteRT's reference kernels or TensorFlow Lite Micro.
    /// Only for imported models; litert where nothing is said.
    #[arg(long, value_enum)]
    rounding: Option<Rounding>,
    /// Leaves every operator as it is, so that a trace shows the output of each.
    #[arg(long)]
    unfused: bool,
    /// File to write.
    #[arg(short, long)]
    output: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Goal {
    /// The fewest instructions.
    Speed,
    /// The smallest image.
    Size,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Rounding {
    /// LiteRT's reference kernels.
    Litert,
    /// TensorFlow Lite Micro.
    Tflm,
}

impl Arguments {
    pub fn run(self) -> Result<()> {
        let target = Target::board(&self.target)?;
        let options = Options {
            optimize: match self.optimize {
                Goal::Speed => Optimize::Speed,
                Goal::Size => Optimize::Size,
            },
            unfused: self.unfused,
        };
        let compiled = if self.model.is_dir() {
            self.compile_run(&target, options)?
        } else {
            self.compile_file(&target, options)?
        };
        std::fs::write(&self.output, &compiled.image[..])
            .with_context(|| format!("cannot write {}", self.output.display()))?;
        print(&format!(
            "{}: {} bytes for {}, {} bytes of arena\n",
            self.output.display(),
            compiled.image.len(),
            target.name,
            compiled.plan.arena_bytes,
        ))
    }

    /// What `dunlin train` left.
    fn compile_run(&self, target: &Target, options: Options) -> Result<Compiled> {
        ensure!(
            self.rounding.is_none(),
            "--rounding is for imported models: {} was trained here and has its own",
            self.model.display()
        );
        let run = Run::load(&self.model)
            .with_context(|| format!("{} is no run that can be compiled", self.model.display()))?;
        Ok(compile_with(&run.package, target, options)?)
    }

    /// Another tool's model.
    fn compile_file(&self, target: &Target, options: Options) -> Result<Compiled> {
        let path = &self.model;
        let file =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let rounding = match self.rounding {
            Some(Rounding::Tflm) => ReferenceRounding::Tflm,
            Some(Rounding::Litert) | None => ReferenceRounding::Litert,
        };
        let imported = match Format::of(path, &file) {
            Some(Format::Tflite) => lower::import(&file, &ImportOptions { rounding })
                .with_context(|| format!("{} cannot be imported", path.display()))?,
            _ => bail!(
                "{} is neither a .tflite file nor a folder that `dunlin train` left",
                path.display()
            ),
        };
        for note in &imported.notes {
            eprintln!("note: {note}");
        }
        let origin = Origin {
            file: &file_name(path),
            rounding,
        };
        compile_imported(&imported, origin, target, options)
            .with_context(|| format!("{} cannot be compiled for {}", path.display(), target.name))
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
