//! Reader of the UCI gas-sensor array drift files: `class;concentration 1:value ... 128:value`.
//!
//! Rows carry no session or machine, so the group of a row is its batch and the held-out part of a
//! batch is split by row.

use std::path::{Path, PathBuf};

use crate::dataset::{Dataset, Reason, Rejected, RejectedRow, Row};

/// Values of a row.
pub const WINDOW: usize = 128;
/// Classes; their names are their numbers, because readers of this data disagree about the gases.
pub const CLASSES: u16 = 6;

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GasError {
    /// A file is missing or unreadable.
    #[error(
        "cannot read {} (unpack gas_drift.tar.xz and name its folder with --data)",
        path.display()
    )]
    Io {
        /// The file looked for.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// No row of a file can be used.
    #[error("{} has no usable row\n{rejected}", path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
        /// What is wrong with its rows.
        rejected: Rejected,
    },
}

/// Name of the file of a batch.
pub fn file_name(batch: u32) -> String {
    format!("batch{batch}.dat")
}

/// Reads one batch from its folder; the group of its rows is `batch`.
///
/// # Errors
/// [`GasError::Io`] names the file looked for, [`GasError::NoRows`] a file without usable rows.
/// Single bad rows are left out and listed in [`Dataset::rejected`].
pub fn read_batch(dir: &Path, batch: u32) -> Result<Dataset, GasError> {
    let path = dir.join(file_name(batch));
    let bytes = std::fs::read(&path).map_err(|source| GasError::Io {
        path: path.clone(),
        source,
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let data = parse(&text, &path.display().to_string(), batch);
    if data.rows.is_empty() {
        return Err(GasError::NoRows {
            path,
            rejected: data.rejected,
        });
    }
    Ok(data)
}

/// Reads the text of one batch; `file` is named in [`Dataset::rejected`], `group` is the group of
/// all rows. Blank lines after the last row are no rows.
pub fn parse(text: &str, file: &str, group: u32) -> Dataset {
    let mut data = Dataset {
        window: WINDOW,
        labels: (1..=CLASSES).map(|class| class.to_string()).collect(),
        ..Dataset::default()
    };
    for (index, line) in text.trim_end().lines().enumerate() {
        match parse_row(line) {
            Ok((label, samples)) => data.rows.push(Row::new(samples, label, group)),
            Err(reason) => data.rejected.rows.push(RejectedRow {
                file: file.to_owned(),
                line: index + 1,
                reason,
            }),
        }
    }
    data
}

fn parse_row(line: &str) -> Result<(u16, Vec<f32>), Reason> {
    let mut fields = line.split_ascii_whitespace();
    let head = fields.next().ok_or(Reason::Empty)?;
    let (class, concentration) = head.split_once(';').ok_or(Reason::Unparsable)?;
    concentration
        .parse::<f64>()
        .map_err(|_| Reason::Unparsable)?;
    let class: i64 = class.parse().map_err(|_| Reason::Unparsable)?;
    let label = u16::try_from(class - 1)
        .ok()
        .filter(|&label| label < CLASSES)
        .ok_or(Reason::UnknownLabel)?;
    let mut samples = Vec::with_capacity(WINDOW);
    for field in fields {
        let (index, value) = field.split_once(':').ok_or(Reason::Unparsable)?;
        let index: usize = index.parse().map_err(|_| Reason::Unparsable)?;
        let value: f32 = value.parse().map_err(|_| Reason::Unparsable)?;
        if value.is_nan() {
            return Err(Reason::Nan);
        }
        if value.is_infinite() {
            return Err(Reason::Infinite);
        }
        if index != samples.len() + 1 {
            return Err(Reason::Ragged);
        }
        samples.push(value);
    }
    match samples.len() {
        0 => Err(Reason::Empty),
        WINDOW => Ok((label, samples)),
        _ => Err(Reason::Ragged),
    }
}

#[cfg(test)]
#[path = "gas_tests.rs"]
mod tests;
