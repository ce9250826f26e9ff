//! Progress bars, on standard error; silent where that is no terminal.

use std::time::Duration;

use field::live::Event;
use host_trainer::train::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The bar of one training.
pub struct TrainingBar(ProgressBar);

impl TrainingBar {
    /// A bar that waits for the first epoch.
    pub fn new(what: &'static str) -> Self {
        let bar = bar(what);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// Shows an epoch.
    pub fn show(&self, progress: Progress) {
        show_epoch(&self.0, progress);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

fn show_epoch(bar: &ProgressBar, progress: Progress) {
    bar.set_length(progress.epochs.into());
    bar.set_position(progress.epoch.into());
    bar.set_message(format!(
        "loss {:.3}, validation {:.3}, accuracy {:.3}",
        progress.loss, progress.validation_loss, progress.validation_accuracy
    ));
}

/// A bar in the one style.
pub fn bar(what: &'static str) -> ProgressBar {
    // The template is a constant; a wrong one would show in the first run.
    let style = ProgressStyle::with_template("{prefix:>10} [{bar:30}] {pos}/{len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0)
        .with_style(style.progress_chars("=> "))
        .with_prefix(what)
}

/// The bars of a loop: the training under way, and the rounds.
pub struct LoopBars {
    training: ProgressBar,
    rounds: ProgressBar,
}

impl LoopBars {
    /// Bars that wait for the first event.
    pub fn new() -> Self {
        let both = MultiProgress::new();
        Self {
            training: both.add(bar("training")),
            rounds: both.add(bar("rounds")),
        }
    }

    /// Shows what happened.
    pub fn show(&self, event: Event<'_>) {
        match event {
            Event::Rejected(rejected) => eprintln!("{rejected}"),
            Event::Training {
                retraining,
                progress,
            } => {
                self.training
                    .set_prefix(if retraining { "retraining" } else { "training" });
                show_epoch(&self.training, progress);
            }
            Event::Round {
                index,
                rounds,
                figures,
            } => {
                self.rounds.set_length(rounds as u64);
                self.rounds.set_position(index as u64 + 1);
                self.rounds.set_message(format!(
                    "{}: accuracy {:.3}, without the loop {:.3}{}",
                    figures.name,
                    figures.accuracy_with_loop,
                    figures.accuracy_without_loop,
                    if figures.drift_alarm { ", drift" } else { "" }
                ));
            }
        }
    }

    /// Takes the bars away.
    pub fn finish(&self) {
        self.training.finish_and_clear();
        self.rounds.finish_and_clear();
    }
}
