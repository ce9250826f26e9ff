//! MEAN.

use std::collections::BTreeSet;

use super::builder::{Lowered, Lowering, axis, canonical};
use crate::graph::OperatorKind;
use crate::import::tflite::Operator;
use crate::strided::{self, Dimension};

impl Lowering<'_, '_> {
    /// The mean over any dimensions. Where others lie between them, a copy moves those to the front.
    pub fn mean(&mut self, operator: &Operator) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let shape = self.shape(input);
        let axes = self.integers(self.argument(operator, 1)?)?;
        let axes: BTreeSet<usize> = axes
            .into_iter()
            .map(|a| axis(a, shape.len()))
            .collect::<Lowered<_>>()?;
        let x = self.activation(input)?;
        // Dimensions of one element do not matter.
        let reduced: Vec<(usize, bool)> = (0..shape.len())
            .filter(|&i| shape[i] != 1)
            .map(|i| (i, axes.contains(&i)))
            .collect();
        let product = |part: &[(usize, bool)]| part.iter().map(|&(i, _)| shape[i]).product();
        let start = reduced
            .iter()
            .position(|(_, r)| *r)
            .unwrap_or(reduced.len());
        let behind = &reduced[start..];
        let run = behind.iter().position(|(_, r)| !r).unwrap_or(behind.len());
        let rest = &behind[run..];
        let (x, [outer, reduce, inner]) = if rest.iter().any(|(_, r)| *r) {
            let (last, first): (Vec<_>, Vec<_>) = reduced.iter().partition(|(_, r)| *r);
            let order: Vec<usize> = [&first[..], &last]
                .concat()
                .iter()
                .map(|(i, _)| *i)
                .collect();
            let moved: Vec<usize> = order.iter().map(|&i| shape[i]).collect();
            let (from, to) = (strided::strides(shape), strided::strides(&moved));
            let dimensions: Vec<Dimension> = (0..order.len())
                .map(|place| Dimension {
                    size: moved[place],
                    input: from[order[place]],
                    output: to[place],
                })
                .collect();
            let moved = canonical(&moved).ok_or("it is too large")?;
            let name = self.source(output).name.clone();
            let aside = self.temporary(&name, moved, self.quantisation_of(x));
            self.copy("TRANSPOSE", strided::copy(&dimensions, 0, 0), x, aside)?;
            (aside, [product(&first), product(&last), 1])
        } else {
            (
                x,
                [
                    product(&reduced[..start]),
                    product(&behind[..run]),
                    product(rest),
                ],
            )
        };
        let y = self.output(output)?;
        let kind = OperatorKind::Mean {
            outer,
            reduce,
            inner,
        };
        self.push(kind, vec![x], y);
        Ok(())
    }
}
