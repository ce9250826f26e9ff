//! A summary in words.

use std::fmt::{self, Display, Write};
use std::ops::Range;

use edge_runtime::format::NO_TENSOR;

use super::arena::{self, Region};
use super::cost;
use super::{Features, Part, Summary, Tensor};

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "image    {} bytes, sha256 {}",
            grouped(self.image_bytes),
            self.hash
        )?;
        writeln!(f, "graph    sha256 {}", self.graph_hash)?;
        let (arena, stack) = (grouped(self.arena_bytes), grouped(self.stack_bytes));
        writeln!(
            f,
            "needs    {arena} bytes of arena, {stack} of stack, {} MACs",
            grouped(self.macs)
        )?;
        self.write_ends(f, "input", &self.inputs)?;
        self.write_ends(f, "output", &self.outputs)?;
        self.write_features(f)?;
        if !self.labels.is_empty() {
            writeln!(f, "labels   {}", self.labels.join(", "))?;
        }
        self.write_origin(f)?;
        self.write_operators(f)?;
        self.write_arena(f)?;
        writeln!(f, "\nFlash")?;
        for Part { part, bytes } in &self.flash {
            writeln!(f, "  {part:<16} {:>10}", grouped(*bytes))?;
        }
        self.write_predictions(f)
    }
}

impl Summary {
    fn write_ends(&self, f: &mut fmt::Formatter<'_>, what: &str, ends: &[usize]) -> fmt::Result {
        for &end in ends {
            let Some(tensor) = self.tensors.get(end) else {
                continue;
            };
            let shape = self.shape(u16::try_from(end).unwrap_or(NO_TENSOR));
            let (scale, zero_point) = (tensor.scale, tensor.zero_point);
            writeln!(
                f,
                "{what:<8} {shape}, int8, real = {scale:?} * (q - {zero_point})"
            )?;
        }
        Ok(())
    }

    fn write_features(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Features {
            kind,
            window,
            bands,
            sample_rate_hz,
        } = &self.features;
        if kind == "none" {
            return Ok(());
        }
        write!(f, "features {kind}, window {window}")?;
        if *bands > 0 {
            write!(f, ", {bands} bands")?;
        }
        if *sample_rate_hz > 0.0 {
            write!(f, ", {sample_rate_hz} Hz")?;
        }
        writeln!(f, "; {} monitored for drift", self.monitored_features)
    }

    fn shape(&self, tensor: u16) -> String {
        match self.tensors.get(usize::from(tensor)) {
            Some(Tensor {
                shape: [_, h, w, c],
                ..
            }) => format!("t{tensor} {h}x{w}x{c}"),
            None if tensor == NO_TENSOR => "-".into(),
            None => format!("t{tensor}"),
        }
    }

    fn write_operators(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "#",
            "operator",
            "input",
            "output",
            "window",
            "rounding",
            "kernel",
            "MACs",
            "constants",
            "predicted",
        ];
        let predicted = self
            .predicted
            .first()
            .map(|prediction| &prediction.layers[..]);
        let rows = self.operators.iter().enumerate();
        let rows = rows.map(|(index, o)| {
            let [rows, columns] = o.window;
            let [down, right] = o.stride;
            let window = match o.window {
                [1, 1] if o.stride == [1, 1] => "-".into(),
                _ => format!("{rows}x{columns}/{down}x{right}"),
            };
            let input = match o.second_input {
                Some(second) => format!("{}, t{second}", self.shape(o.input)),
                None => self.shape(o.input),
            };
            let predicted = predicted.and_then(|layers| *layers.get(index)?);
            [
                index.to_string(),
                o.operator.clone(),
                input,
                self.shape(o.output),
                window,
                o.rounding.into(),
                o.kernel.clone(),
                grouped(o.macs),
                grouped(o.constant_bytes),
                predicted.map_or("-".into(), grouped),
            ]
        });
        let rows: Vec<_> = std::iter::once(head.map(String::from))
            .chain(rows)
            .collect();
        let widths: [usize; 10] =
            std::array::from_fn(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or(0));
        writeln!(f)?;
        for row in &rows {
            let mut line = String::new();
            for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
                // Numbers to the right.
                if at == 0 || at >= 7 {
                    write!(line, "  {cell:>width$}")?;
                } else {
                    write!(line, "  {cell:<width$}")?;
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Where the model comes from; metadata of another kind as they are.
    fn write_origin(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(source) = &self.source else {
            let metadata = self.metadata.trim_end();
            if !metadata.is_empty() {
                writeln!(f, "metadata {}", metadata.replace('\n', "\n         "))?;
            }
            return Ok(());
        };
        writeln!(
            f,
            "source   {}, compiled for {} ({}), rounding as {}",
            source.file, source.target, source.optimize, source.rounding
        )?;
        source
            .notes
            .iter()
            .try_for_each(|note| writeln!(f, "note     {note}"))
    }

    /// Offsets downwards, operators to the right, and in each cell what lives there.
    fn write_arena(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ROWS: usize = 16;
        let step = self.arena_bytes.div_ceil(ROWS).next_multiple_of(16).max(16);
        writeln!(
            f,
            "\nArena, {} bytes a row; columns are operators, cells what is live: tensors (t), scratch (w)",
            grouped(step)
        )?;
        let mut line = format!("{:>10} ", "offset");
        for index in 0..self.operators.len() {
            write!(line, "{index:>5}")?;
        }
        writeln!(f, "{}", line.trim_end())?;
        for start in (0..self.arena_bytes).step_by(step) {
            let mut line = format!("{:>10} ", grouped(start));
            for operator in 0..self.operators.len() {
                let label = self.label(&(start..start + step), operator);
                write!(line, "{label:>5}")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn label(&self, range: &Range<usize>, operator: usize) -> &str {
        let tenant = arena::tenant(&self.arena, range, operator);
        let region: Option<&Region> = tenant.and_then(|index| self.arena.get(index));
        region.map_or(".", |region| &region.label)
    }

    fn write_predictions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.predicted.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\nPredicted instructions of an inference (MLPerf Tiny's models: within {:.0} %); \
             `dunlin bench` counts them",
            100.0 * cost::ERROR
        )?;
        for prediction in &self.predicted {
            let board = &prediction.board;
            write!(f, "  {board:<16} {:>12}", grouped(prediction.instructions))?;
            match prediction.unknown.len() {
                0 => writeln!(f)?,
                count => writeln!(f, " without {count} operators that there is no figure for")?,
            }
        }
        Ok(())
    }
}

/// `12,345`.
pub(super) fn grouped(n: impl Display) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
