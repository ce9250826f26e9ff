//! Many images in one start of the emulator, which takes longer than a small model does.

use super::{
    BenchBoard, BenchRun,
    files::{self, Mode, Task},
};
use crate::error::EmulatorError;

/// A model image and its rows.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The image.
    pub image: &'a [u8],
    /// All input tensors of the model, one after the other, in each.
    pub rows: &'a [Vec<i8>],
    /// Whether to find out the output of every operator too; then there is no depth of the stack.
    pub trace: bool,
    /// Whether recurrent operators remember the row before.
    pub keep_state: bool,
}

impl BenchBoard {
    /// Runs all jobs, one after the other, on a board that is started once. Outputs of a row are all
    /// output tensors, one after the other. Nothing is counted.
    ///
    /// # Errors
    /// Those of [`BenchBoard::run`]: what concerns one image stands in its place, what ends all of
    /// them is returned.
    pub fn run_all(
        &self,
        jobs: &[Job<'_>],
    ) -> Result<Vec<Result<BenchRun, EmulatorError>>, EmulatorError> {
        let rows: Vec<Vec<&[i8]>> = jobs
            .iter()
            .map(|job| job.rows.iter().map(Vec::as_slice).collect())
            .collect();
        let tasks: Vec<Task<'_>> = jobs
            .iter()
            .zip(&rows)
            .map(|(job, rows)| Task {
                image: job.image,
                rows,
                mode: if job.trace { Mode::Trace } else { Mode::Plain },
                reset: !job.keep_state,
            })
            .collect();
        let (reports, _) = files::run_all(self, &tasks, None)?;
        let run = |report: files::Report| BenchRun {
            outputs: report.outputs,
            traces: report.traces,
            stack_peak: report.stack_peak,
            stack_bound: report.stack_bound,
            arena_bytes: report.arena_bytes,
            ..BenchRun::default()
        };
        Ok(reports.into_iter().map(|report| report.map(run)).collect())
    }
}
