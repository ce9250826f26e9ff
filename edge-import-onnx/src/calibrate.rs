//! Scales for activations that have none, from samples.

use std::path::Path;

use edge_compiler::prepare::Quantisation;

use crate::error::OnnxError;
use crate::lower::{own_quantisation, passes_through};
use crate::source::{Element, Source, ValueId};
use crate::tract;

/// Most values of one tensor that are kept.
const MOST_VALUES: usize = 1 << 16;
/// The least range of an activation, so that its scale is a normal number.
const LEAST_RANGE: f32 = 1e-6;

/// Samples, and how ranges follow from them.
#[derive(Clone, Debug, Default)]
pub struct Calibration {
    /// Each holds all inputs of the model, one behind another, in the file's order of elements.
    pub samples: Vec<Vec<f32>>,
    /// Which range of the values counts.
    pub range: Range,
}

/// Which range of an activation its int8 values cover. It always holds 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Range {
    /// From the least to the greatest value.
    #[default]
    MinMax,
    /// Without the rarest values: this share of them (0..=100, in per cent) lies between the bounds'
    /// ranks at each end; 99.99 leaves out one in ten thousand at either end.
    Percentile(f32),
    /// The share of the whole range, in steps of 5 %, that loses least (mean squared error).
    LeastSquares,
}

/// Reads samples: raw little-endian f32, `len` values a sample, which are all inputs of the model
/// one behind another. `path` is one file of any number of samples, or a folder of such files, which
/// are taken in the order of their names.
///
/// # Errors
/// [`OnnxError::Calibration`] for what cannot be read, and for a file whose size does not fit.
pub fn samples_from(path: &Path, len: usize) -> Result<Vec<Vec<f32>>, OnnxError> {
    let refuse = |reason: String| OnnxError::Calibration(reason);
    let unreadable = |path: &Path, error: std::io::Error| {
        refuse(format!("{} cannot be read: {error}", path.display()))
    };
    let mut files = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(|e| unreadable(path, e))? {
            let file = entry.map_err(|e| unreadable(path, e))?.path();
            if file.is_file() {
                files.push(file);
            }
        }
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    let mut samples = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).map_err(|e| unreadable(&file, e))?;
        let row = len.saturating_mul(4);
        if row == 0 || bytes.is_empty() || bytes.len() % row != 0 {
            let (name, found) = (file.display(), bytes.len());
            return Err(refuse(format!(
                "{name} has {found} bytes: samples of {len} values of 4 bytes are needed"
            )));
        }
        for sample in bytes.chunks_exact(row) {
            let values = sample
                .as_chunks::<4>()
                .0
                .iter()
                .map(|&v| f32::from_le_bytes(v));
            samples.push(values.collect());
        }
    }
    if samples.is_empty() {
        return Err(refuse(format!(
            "there are no samples in {}",
            path.display()
        )));
    }
    Ok(samples)
}

/// The values that need a range: written by operators that do not keep their input's scale.
fn wanted(source: &Source) -> Vec<ValueId> {
    let open = |&value: &ValueId| source.values[value].quantisation.is_none();
    let mut wanted: Vec<ValueId> = source.inputs.iter().map(|input| input.value).collect();
    for node in &source.nodes {
        let own = own_quantisation(&node.operator).is_some() || passes_through(&node.operator);
        if !own || (node.operator == "Concat") {
            wanted.extend(&node.outputs);
        }
    }
    wanted.retain(open);
    wanted
}

/// Gives every activation that needs one a scale and a zero point. `complete` is the model before
/// operators were merged; it has the same values.
///
/// # Errors
/// [`OnnxError::Calibration`].
pub fn calibrate(
    source: &mut Source,
    complete: &Source,
    calibration: &Calibration,
) -> Result<(), OnnxError> {
    let wanted = wanted(source);
    if wanted.is_empty() {
        return Ok(());
    }
    let refuse = OnnxError::Calibration;
    if source
        .inputs
        .iter()
        .any(|input| input.element != Element::Float)
    {
        return Err(refuse("its inputs are not real numbers".into()));
    }
    if calibration.samples.is_empty() {
        return Err(refuse("there are no samples".into()));
    }
    let runner = tract::runner(complete, &wanted).map_err(refuse)?;
    let len: usize = runner
        .inputs
        .iter()
        .map(|shape| shape.iter().product::<usize>())
        .sum();
    let mut columns = vec![Column::default(); wanted.len()];
    let samples = calibration.samples.len();
    for sample in &calibration.samples {
        if sample.len() != len {
            let found = sample.len();
            let reason = format!("a sample has {found} values, the model's inputs {len}");
            return Err(refuse(reason));
        }
        let values = runner.run(sample).map_err(refuse)?;
        for (column, values) in columns.iter_mut().zip(&values) {
            column.add(values, samples);
        }
    }
    for (value, column) in wanted.into_iter().zip(columns) {
        if !(column.least.is_finite() && column.most.is_finite()) {
            let name = &source.values[value].name;
            let reason = format!("`{name}` is not finite on the samples");
            return Err(refuse(reason));
        }
        source.values[value].quantisation = Some(column.quantisation(calibration.range));
    }
    share_with_concatenations(source);
    Ok(())
}

/// What goes into a concatenation only gets its scale, so that joining is copying.
fn share_with_concatenations(source: &mut Source) {
    for index in (0..source.nodes.len()).rev() {
        if source.nodes[index].operator != "Concat" {
            continue;
        }
        let Some(shared) = source.values[source.nodes[index].outputs[0]].quantisation else {
            continue;
        };
        let inputs: Vec<ValueId> = source.nodes[index]
            .inputs
            .iter()
            .flatten()
            .copied()
            .collect();
        for input in inputs {
            let value = &source.values[input];
            let writer = source
                .nodes
                .iter()
                .find(|node| node.outputs.contains(&input));
            let free = writer.is_some_and(|node| {
                own_quantisation(&node.operator).is_none() && node.operator != "Concat"
            });
            if free && value.quantisation.is_some() && source.only_reader(input).is_some() {
                source.values[input].quantisation = Some(shared);
            }
        }
    }
}

/// Values of one activation, evenly taken from all samples.
#[derive(Clone, Debug)]
struct Column {
    values: Vec<f32>,
    least: f32,
    most: f32,
}

impl Default for Column {
    /// The range of an activation holds 0.
    fn default() -> Self {
        Self {
            values: Vec::new(),
            least: 0.0,
            most: 0.0,
        }
    }
}

impl Column {
    fn add(&mut self, values: &[f32], samples: usize) {
        for &value in values {
            // `min` and `max` would pass over what is not a number.
            if !value.is_finite() {
                self.most = f32::INFINITY;
            }
            self.least = self.least.min(value);
            self.most = self.most.max(value);
        }
        let share = (MOST_VALUES / samples.max(1)).max(1);
        let step = values.len().div_ceil(share).max(1);
        self.values.extend(values.iter().step_by(step));
    }

    fn quantisation(mut self, range: Range) -> Quantisation {
        let (least, most) = (self.least, self.most);
        match range {
            Range::MinMax => between(least, most),
            Range::Percentile(percent) => {
                self.values.sort_unstable_by(f32::total_cmp);
                let beyond = (1.0 - f64::from(percent) / 100.0).clamp(0.0, 0.5);
                let last = self.values.len().saturating_sub(1);
                let rank = (beyond * last as f64).floor() as usize;
                let at = |rank: usize| self.values.get(rank).copied().unwrap_or(0.0);
                between(at(rank).min(0.0), at(last - rank).max(0.0))
            }
            Range::LeastSquares => {
                let error = |q: Quantisation| -> f64 {
                    let lost = self.values.iter().map(|&x| {
                        let held = quantise(x, q) - q.zero_point;
                        f64::from(x - held as f32 * q.scale).powi(2)
                    });
                    lost.sum()
                };
                let shares = (6..=20).rev().map(|share| share as f32 / 20.0);
                let tried = shares.map(|share| between(least * share, most * share));
                let best = tried.min_by(|a, b| error(*a).total_cmp(&error(*b)));
                best.unwrap_or_else(|| between(least, most))
            }
        }
    }
}

/// The int8 value of a real one.
fn quantise(x: f32, q: Quantisation) -> i32 {
    let rounded = crate::constant::round_half_even(x / q.scale) as i32;
    rounded.saturating_add(q.zero_point).clamp(-128, 127)
}

/// Scale and zero point that cover a range with 0 in it.
pub fn between(least: f32, most: f32) -> Quantisation {
    let width = (most - least).max(LEAST_RANGE);
    let scale = width / 255.0;
    let zero_point = (-128.0 - least / scale).round() as i32;
    Quantisation {
        scale,
        zero_point: zero_point.clamp(-128, 127),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_zero_and_their_ends() {
        let q = between(0.0, 2.55);
        assert_eq!(q.zero_point, -128);
        assert_eq!((quantise(0.0, q), quantise(2.55, q)), (-128, 127));
        let q = between(-1.0, 1.0);
        assert_eq!(quantise(0.0, q), q.zero_point);
        assert!(quantise(-1.0, q) <= -127 && quantise(1.0, q) >= 126);
    }

    #[test]
    fn percentiles_leave_outliers_out() {
        let mut column = Column::default();
        let mut values: Vec<f32> = (0..1000).map(|i| i as f32 / 1000.0).collect();
        values.push(100.0);
        column.add(&values, 1);
        let whole = column.clone().quantisation(Range::MinMax);
        let most = column.clone().quantisation(Range::Percentile(99.0));
        assert!(whole.scale > 0.3 && most.scale < 0.005);
        let best = column.quantisation(Range::LeastSquares);
        assert!(best.scale <= whole.scale);
    }
}
