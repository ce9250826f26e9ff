//! `dunlin train`.

use std::path::PathBuf;

use anyhow::Result;
use host_trainer::run::Run;
use host_trainer::{metrics::Metrics, source, train};

use super::{print, read_recipe};
use crate::{data_folder, progress::TrainingBar};

#[derive(clap::Args)]
pub struct Arguments {
    /// Recipe file; without it the built-in vibration recipe.
    recipe: Option<PathBuf>,
    /// Folder of the data set, where the recipe reads one (or DUNLIN_DATA).
    #[arg(long)]
    data: Option<PathBuf>,
    /// Seed of the split, the initial weights and the shuffling.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder to leave the run in.
    #[arg(short, long, default_value = "runs/latest")]
    output: PathBuf,
}

impl Arguments {
    pub fn run(self) -> Result<()> {
        let recipe = read_recipe(self.recipe.as_deref())?;
        let data = source::load(
            &recipe,
            data_folder(&recipe, self.data)?.as_deref(),
            self.seed,
        )?;
        if !data.train.rejected.is_empty() {
            eprintln!("{}", data.train.rejected);
        }
        let bar = TrainingBar::new("training");
        let run = train::train(&recipe, &data, None, self.seed, &mut |progress| {
            bar.show(progress)
        })?;
        bar.finish();
        run.save(&self.output)?;
        print(&summary(&run, &self.output.display().to_string()))
    }
}

fn summary(run: &Run, folder: &str) -> String {
    let labels = &run.package.labels;
    format!(
        "float\n{}\nint8\n{}\nrun left in {folder}; compile it with \
         `dunlin compile {folder} --target host -o model.dnl`\n",
        figures(&run.evaluation.float, labels),
        figures(&run.evaluation.int8, labels),
    )
}

/// Accuracy, then a line a class with precision, recall, F1 and its row of the confusion matrix.
fn figures(metrics: &Metrics, labels: &[String]) -> String {
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY)
        .set_header([
            "class",
            "precision",
            "recall",
            "F1",
            "answered as (in the order of the classes)",
        ]);
    for (class, label) in labels.iter().enumerate() {
        let row: Vec<_> = metrics.confusion[class]
            .iter()
            .map(u64::to_string)
            .collect();
        table.add_row([
            label.clone(),
            format!("{:.3}", metrics.precision[class]),
            format!("{:.3}", metrics.recall[class]),
            format!("{:.3}", metrics.f1[class]),
            row.join("  "),
        ]);
    }
    format!(
        "accuracy {:.4}, macro F1 {:.4}\n{table}",
        metrics.accuracy, metrics.macro_f1
    )
}
