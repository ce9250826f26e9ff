//! `dunlin loop`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use field::live::{self, Options};
use field::report::Report;
use host_trainer::recipe::Selection;

use super::{print, read_recipe};
use crate::{data_folder, progress::LoopBars};

#[derive(clap::Args)]
pub struct Arguments {
    /// Recipe file; without it the built-in vibration recipe.
    recipe: Option<PathBuf>,
    /// Folder of the data set, where the recipe reads one (or DUNLIN_DATA).
    #[arg(long)]
    data: Option<PathBuf>,
    /// Makes one member of the fleet this board, emulated.
    #[arg(long, value_parser = super::firmware_board)]
    board: Option<String>,
    /// Seed of data, training and links.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for report.json and report.html.
    #[arg(long, default_value = "report")]
    report: PathBuf,
    /// Leaves the built-in field as it is.
    #[arg(long)]
    no_change: bool,
    /// How devices choose the samples that come home, instead of the recipe's way.
    #[arg(long, value_enum)]
    selection: Option<Chosen>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Chosen {
    /// As different from each other as can be.
    Diverse,
    /// By chance.
    Random,
}

impl Arguments {
    pub fn run(self) -> Result<()> {
        let mut recipe = read_recipe(self.recipe.as_deref())?;
        if let Some(selection) = self.selection {
            recipe.fleet.selection = match selection {
                Chosen::Diverse => Selection::Diverse,
                Chosen::Random => Selection::Random,
            };
        }
        let options = Options {
            seed: self.seed,
            data: data_folder(&recipe, self.data)?,
            board: self.board,
            no_change: self.no_change,
        };
        Report::prepare(&self.report)?;
        let bars = LoopBars::new();
        let report = live::run(&recipe, &options, &mut |event| bars.show(event))?;
        bars.finish();
        report.write(&self.report)?;
        print(&format!(
            "{}report    {}\n",
            field::report::table(&report),
            self.report.join("report.html").display()
        ))?;
        let faults = report.faults();
        ensure!(faults.is_empty(), "{}", faults.join("; "));
        Ok(())
    }
}
