//! The committed figures, `boards/bench/baseline.json`: by model, board with aim, and figure.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::root;

/// What is gated. All of it is deterministic, but for the compiler's version.
const FIGURES: [&str; 6] = [
    "instructions",
    "cycles_estimated",
    "arena_bytes",
    "stack_peak",
    "code_bytes",
    "image_bytes",
];
/// A figure may grow by this part of the baseline.
const TOLERANCE: f64 = 0.01;

/// The figures, old ones replaced by those that were judged.
pub struct Baseline {
    accepted: Value,
    measured: Value,
}

/// How a run compares.
#[derive(Debug, Default, PartialEq)]
pub struct Verdict {
    /// A sentence for each figure that has grown too much.
    pub grown: Vec<String>,
}

impl Baseline {
    /// Reads the file; where there is none, nothing is known.
    pub fn read() -> Result<Self> {
        let path = path();
        let accepted = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).with_context(|| path.display().to_string())?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => json!({}),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        Ok(Self::of(accepted))
    }

    /// What was accepted of a model on a board; null where nothing was.
    pub fn accepted(&self, model: &str, board: &str) -> &Value {
        &self.accepted[model][board]
    }

    /// With these figures accepted.
    pub fn of(accepted: Value) -> Self {
        Self {
            measured: accepted.clone(),
            accepted,
        }
    }

    /// Compares a run, and takes note of its figures for [`Self::write`].
    pub fn judge(&mut self, model: &str, board: &str, run: &Value) -> Verdict {
        let before = &self.accepted[model][board];
        let mut verdict = Verdict::default();
        for figure in FIGURES {
            let (Some(old), Some(new)) = (before[figure].as_f64(), run[figure].as_f64()) else {
                continue;
            };
            if new > old * (1.0 + TOLERANCE) {
                verdict
                    .grown
                    .push(format!("{figure} has grown from {old} to {new}"));
            }
        }
        for figure in FIGURES.into_iter().filter(|figure| run[*figure].is_u64()) {
            self.measured[model][board][figure] = run[figure].clone();
        }
        verdict
    }

    /// Writes what was judged, and what was accepted before of models and boards that were not.
    pub fn write(&self) -> Result<()> {
        let path = path();
        fs::write(&path, format!("{:#}\n", self.measured))
            .with_context(|| path.display().to_string())
    }
}

fn path() -> PathBuf {
    root().join("boards/bench/baseline.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline() -> Baseline {
        Baseline::of(json!({ "ic": { "m4": { "instructions": 1000, "stack_peak": 200 } } }))
    }

    #[test]
    fn a_percent_is_let_through_and_more_is_not() {
        let run = |instructions: u64, stack: u64| json!({ "instructions": instructions, "stack_peak": stack });
        let judge = |run: &Value| baseline().judge("ic", "m4", run);
        assert!(judge(&run(1010, 202)).grown.is_empty());
        assert!(judge(&run(500, 100)).grown.is_empty());
        let grown = judge(&run(1011, 203));
        assert_eq!(grown.grown.len(), 2, "{grown:?}");
    }

    #[test]
    fn what_was_not_measured_stays() {
        let mut baseline = baseline();
        assert!(baseline.accepted("kws", "m4").is_null());
        baseline.judge("kws", "m4", &json!({ "instructions": 5, "rows": 8 }));
        assert_eq!(
            baseline.measured,
            json!({
                "ic": { "m4": { "instructions": 1000, "stack_peak": 200 } },
                "kws": { "m4": { "instructions": 5 } }
            })
        );
    }
}
