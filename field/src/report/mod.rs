//! What a loop did: `report.json`, the self-contained `report.html`, and a table for the terminal.

mod charts;
mod html;
mod terminal;

pub use terminal::table;

use std::collections::BTreeMap;
use std::path::Path;

use host_trainer::metrics::Metrics;
use serde::{Deserialize, Serialize};

/// Everything a loop reports; `report.json` is this structure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Name of the recipe.
    pub recipe: String,
    /// Seed of data, training and links.
    pub seed: u64,
    /// The first model.
    pub model: ModelFigures,
    /// The board under measurement: the emulated one, or a virtual one.
    pub device: DeviceFigures,
    /// What became of the records.
    pub fleet: FleetFigures,
    /// One entry a round, in order.
    pub rounds: Vec<RoundFigures>,
    /// Names of the monitored features, as `drift_features` and `psi` refer to them.
    pub feature_names: Vec<String>,
    /// Names of the classes.
    pub labels: Vec<String>,
    /// The first model in float on its test set, class by class.
    pub float: Metrics,
    /// The same for the int8 image.
    pub int8: Metrics,
    /// Rows of the data that could not be used, by reason.
    pub rejected_rows: BTreeMap<String, usize>,
}

/// Accuracy and size of the first model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelFigures {
    /// Share of the test windows that the float model classifies correctly.
    pub accuracy_float: f64,
    /// The same for the int8 image, features computed by the device's code.
    pub accuracy_int8: f64,
    /// Unweighted mean of the classes' F1, int8.
    pub macro_f1_int8: f64,
    /// Length of the signed image.
    pub image_bytes: usize,
    /// Arena that a session needs.
    pub arena_bytes: usize,
    /// Multiply-accumulate operations of one inference.
    pub macs: u32,
}

/// What one board was seen to do. Counts that only an emulator can give are absent for a virtual
/// board.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DeviceFigures {
    /// Name of the board.
    pub board: String,
    /// Instructions to compute the features of one window, median.
    pub instructions_features: Option<u64>,
    /// Instructions of one inference, median.
    pub instructions_model: Option<u64>,
    /// Stack peak since boot.
    pub stack_bytes: Option<u64>,
    /// Windows whose feature bytes or outputs differ from the host's.
    pub mismatched_outputs: u64,
    /// Windows compared.
    pub samples_compared: u64,
    /// Flash that the firmware occupies, without the model.
    pub firmware_bytes: Option<u64>,
}

/// Delivery, over the whole run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FleetFigures {
    /// Members of the fleet.
    pub devices: usize,
    /// Inferences that the simulation's own ledger saw the devices make.
    pub produced: u64,
    /// Inferences that the fleet's database holds, counted by SQL.
    pub stored: u64,
    /// Records that arrived again and were dropped.
    pub duplicates_dropped: u64,
    /// `produced - stored`, matched record by record.
    pub lost: u64,
    /// Frames that the links lost.
    pub frames_lost: u64,
    /// Frames that the links delivered twice.
    pub frames_duplicated: u64,
    /// Times the server was killed and opened again.
    pub server_restarts: u64,
    /// Labels asked for in all.
    pub labels_used: u64,
    /// The most that could have been asked for.
    pub label_budget: u64,
    /// Hash of the last release, in hexadecimal.
    pub final_model_hash: String,
    /// Devices that run it at the end.
    pub devices_on_final_model: usize,
}

/// One round: the devices sense, infer and sync; then the server looks for drift.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RoundFigures {
    /// Name, for example `round 3` or `batch 4`.
    pub name: String,
    /// Whether the field had changed by then.
    pub changed: bool,
    /// Windows in the round.
    pub windows: u64,
    /// Version of the release that the fleet ran.
    pub model_version: u32,
    /// Accuracy of the first model, never replaced.
    pub accuracy_without_loop: f64,
    /// Accuracy of what the devices answered in this round.
    pub accuracy_with_loop: f64,
    /// Recall per class of the first model; absent for a class without windows.
    pub recall_without_loop: Vec<Option<f64>>,
    /// Recall per class of what the devices answered.
    pub recall_with_loop: Vec<Option<f64>>,
    /// Whether the server raised drift.
    pub drift_alarm: bool,
    /// Names of the features that drifted, the strongest first.
    pub drift_features: Vec<String>,
    /// Devices that drifted, the strongest first.
    pub drift_devices: Vec<String>,
    /// Round in which the present run of alarms began.
    pub drift_since: Option<String>,
    /// Population stability index per monitored feature.
    pub psi: Vec<f64>,
    /// Raw samples that came home.
    pub samples_returned: u64,
    /// Labels asked for after this round.
    pub labels_used: u64,
    /// Bytes of the image shipped after this round; 0 where none was.
    pub update_bytes: u64,
    /// Devices that run the new release after an update, on trial or past it.
    pub devices_updated: u64,
}

impl Report {
    /// What must never happen and did, a sentence each: lost records, bytes that differ between
    /// board and host, devices left behind.
    pub fn faults(&self) -> Vec<String> {
        let (fleet, device) = (&self.fleet, &self.device);
        let behind = fleet.devices.saturating_sub(fleet.devices_on_final_model);
        let faults = [
            (
                fleet.lost,
                "records were lost: let devices sync more often than they fill their log",
            ),
            (
                device.mismatched_outputs,
                "windows differ between board and host",
            ),
            (behind as u64, "devices are not on the last release"),
        ];
        let happened = faults.into_iter().filter(|(count, _)| *count > 0);
        happened
            .map(|(count, what)| format!("{count} {what}"))
            .collect()
    }

    /// Makes the folder for [`Report::write`], to find out early that it cannot be made.
    ///
    /// # Errors
    /// The file system's, with the path.
    pub fn prepare(folder: &Path) -> Result<(), ReportError> {
        std::fs::create_dir_all(folder).map_err(|source| ReportError {
            path: folder.display().to_string(),
            source,
        })
    }

    /// Writes `report.json` and `report.html` into `folder`, which is made where it is missing.
    ///
    /// # Errors
    /// The file system's, with the path.
    pub fn write(&self, folder: &Path) -> Result<(), ReportError> {
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |source| ReportError { path, source }
        };
        Self::prepare(folder)?;
        let json = folder.join("report.json");
        let text = serde_json::to_string_pretty(self)
            .map_err(std::io::Error::other)
            .map_err(failed(&json))?;
        std::fs::write(&json, text).map_err(failed(&json))?;
        let page = folder.join("report.html");
        std::fs::write(&page, html::page(self)).map_err(failed(&page))
    }

    /// Accuracy with the loop before the field changed, in its worst round after that, and in the
    /// last round; `None` where the field was never quiet or never changed.
    pub fn before_during_after(&self) -> Option<(f64, f64, f64)> {
        let (_, before) = self.mean_accuracy(|round| !round.changed)?;
        let changed = self.rounds.iter().filter(|round| round.changed);
        let worst = changed
            .map(|round| round.accuracy_with_loop)
            .reduce(f64::min)?;
        let last = self.rounds.last()?.accuracy_with_loop;
        Some((before, worst, last))
    }

    /// Mean accuracy without and with the loop over the rounds that `select` picks; `None` where
    /// it picks none.
    pub fn mean_accuracy(&self, select: impl Fn(&RoundFigures) -> bool) -> Option<(f64, f64)> {
        let picked: Vec<_> = self.rounds.iter().filter(|round| select(round)).collect();
        let count = picked.len() as f64;
        let mean = |value: fn(&RoundFigures) -> f64| {
            picked.iter().map(|round| value(round)).sum::<f64>() / count
        };
        (!picked.is_empty()).then(|| {
            (
                mean(|round| round.accuracy_without_loop),
                mean(|round| round.accuracy_with_loop),
            )
        })
    }
}

/// The report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the report to {path}; choose another folder with --report")]
pub struct ReportError {
    path: String,
    source: std::io::Error,
}

#[cfg(test)]
mod tests;
