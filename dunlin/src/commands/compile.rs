//! `dunlin compile`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use edge_compiler::import::Format;
use edge_compiler::import::lower::{self, ImportOptions, Imported, ReferenceRounding};
use edge_compiler::source::{Origin, compile_imported};
use edge_compiler::{Compiled, Optimize, Options, Target, compile_with};
use edge_import_onnx::{Calibration, OnnxOptions};
use host_trainer::run::Run;

use super::{print, write_made};

#[derive(clap::Args)]
pub struct Arguments {
    /// A `.tflite` or `.onnx` file, or a folder that `dunlin train` left.
    model: PathBuf,
    /// Samples that give an ONNX model of real numbers its scales: a folder of files, or one file.
    ///
    /// A file holds raw little-endian f32 values, of one sample or of several, one behind another. A
    /// sample holds all inputs of the model, one behind another, in the file's own order of elements:
    /// images with their channels first, if the file has them so. Some hundred samples of what the
    /// device will see are a good number.
    #[arg(long, value_name = "FOLDER")]
    calibrate: Option<PathBuf>,
    /// Board to compile for; `dunlin boards` lists them.
    #[arg(long, default_value = "host", value_parser = super::target)]
    target: Target,
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
        let options = Options {
            optimize: match self.optimize {
                Goal::Speed => Optimize::Speed,
                Goal::Size => Optimize::Size,
            },
            unfused: self.unfused,
        };
        let compiled = if self.model.is_dir() {
            self.compile_run(&self.target, options)?
        } else {
            self.compile_file(&self.target, options)?
        };
        write_made(&self.output, &compiled.image, &[&self.model])?;
        print(&format!(
            "{}: {} bytes for {}, {} bytes of arena\n",
            self.output.display(),
            compiled.image.len(),
            self.target.name,
            compiled.plan.arena_bytes,
        ))
    }

    /// What `dunlin train` left.
    fn compile_run(&self, target: &Target, options: Options) -> Result<Compiled> {
        ensure!(
            self.calibrate.is_none(),
            "--calibrate is for ONNX models: {} was trained here and has its scales",
            self.model.display()
        );
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
        let options_of_import = ImportOptions { rounding };
        let imported = match Format::of(path, &file) {
            Some(Format::Tflite) => {
                ensure!(
                    self.calibrate.is_none(),
                    "--calibrate is for ONNX models: {} is a .tflite file and has its scales",
                    path.display()
                );
                lower::import(&file, &options_of_import)
                    .with_context(|| format!("{} cannot be imported", path.display()))?
            }
            Some(Format::Onnx) => self.import_onnx(&file, options_of_import)?,
            _ => bail!(
                "{} is neither a .tflite or .onnx file nor a folder that `dunlin train` left",
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

impl Arguments {
    /// An ONNX model, calibrated where that is asked for.
    fn import_onnx(&self, file: &[u8], import: ImportOptions) -> Result<Imported> {
        let failed = || format!("{} cannot be imported", self.model.display());
        let calibration = match &self.calibrate {
            None => None,
            Some(samples) => {
                let len = edge_import_onnx::sample_len(file).with_context(failed)?;
                Some(Calibration {
                    samples: edge_import_onnx::samples_from(samples, len)?,
                    ..Calibration::default()
                })
            }
        };
        let options = OnnxOptions {
            import,
            calibration,
            ..OnnxOptions::default()
        };
        match edge_import_onnx::import(file, &options) {
            Err(error) if error.lacks_samples() => Err(error).with_context(|| {
                format!(
                    "{} has tensors without scales: give samples with --calibrate FOLDER",
                    self.model.display()
                )
            }),
            other => other.with_context(failed),
        }
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
