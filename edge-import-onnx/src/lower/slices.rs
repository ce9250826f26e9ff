//! Operators that take parts of tensors.

use edge_compiler::import::tflite::{Options, StridedSlice};

use super::builder::{Builder, Lowered, Stored, ordered, plain};
use super::pools::axis;
use crate::proto::Attributes;
use crate::source::{Node, ValueId};

impl Builder<'_> {
    /// From `starts` on, every `steps`-th element of each dimension, as many as `shape` has.
    fn part(
        &mut self,
        stored: &Stored,
        from: &[usize],
        output: ValueId,
        shape: &[usize],
        starts: &[i64],
        steps: &[i64],
    ) -> Lowered {
        let rank = from.len();
        let order = if stored.shape == from {
            stored.order.clone()
        } else {
            plain(rank)
        };
        let x = self.in_order(stored, from, &order);
        let mut bounds = [Vec::new(), Vec::new(), Vec::new()];
        for &d in &order {
            let (start, step, len) = (starts[d], steps[d], shape[d] as i64);
            let last = len
                .checked_sub(1)
                .and_then(|n| n.checked_mul(step)?.checked_add(start));
            let inside = |at: i64| (0..from[d] as i64).contains(&at);
            let last = last.filter(|&last| inside(start) && inside(last));
            let last = last.ok_or_else(|| format!("it takes what lies outside {from:?}"))?;
            // An end before the first element would count from the last: that dimension is masked.
            for (list, bound) in bounds.iter_mut().zip([start, last + step.signum(), step]) {
                list.push(i32::try_from(bound).map_err(|_| "it is too large")?);
            }
        }
        let masked = bounds[1].iter().enumerate().filter(|(_, end)| **end < 0);
        let end_mask = masked.fold(0, |mask, (i, _)| mask | (1_i32 << i.min(31)));
        let options = Options::StridedSlice(StridedSlice {
            begin_mask: 0,
            end_mask,
            ellipsis_mask: 0,
            new_axis_mask: 0,
            shrink_axis_mask: 0,
            offset: false,
        });
        let [begin, end, step] = bounds.map(|list| self.integers(&[list.len()], &list));
        let to = stored.quantisation;
        let y = self.tensor(self.name(output), &ordered(shape, &order), to);
        self.emit(
            options,
            vec![Some(x), Some(begin), Some(end), Some(step)],
            y,
        );
        let own = self.shape(output);
        if own == shape {
            return self.set_in(output, y, order, to);
        }
        // A dimension of 1 vanishes.
        let part = Stored {
            tensor: y,
            shape: shape.to_vec(),
            order,
            quantisation: to,
        };
        let y = self.in_order(&part, shape, &plain(rank));
        let y = self.reshaped(y, own, to);
        self.set_in(output, y, plain(own.len()), to)
    }

    fn list(&self, node: &Node, input: usize, name: &str) -> Lowered<Option<Vec<i64>>> {
        match node.input(input) {
            None => Ok(node.attributes.as_slice().ints(name).map(<[i64]>::to_vec)),
            Some(_) => {
                let list = self.source.constant(node, input).and_then(|c| c.integers());
                let list = list.ok_or_else(|| format!("its {name} must be constant"))?;
                Ok(Some(list.to_vec()))
            }
        }
    }

    pub fn slice(&mut self, node: &Node) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        let (from, to) = (self.shape(input), self.shape(output));
        let rank = from.len();
        let begins = self.list(node, 1, "starts")?.ok_or("it has no starts")?;
        let axes = match self.list(node, 3, "axes")? {
            Some(axes) => axes
                .iter()
                .map(|&a| axis(a, rank))
                .collect::<Lowered<Vec<_>>>()?,
            None => (0..begins.len()).collect(),
        };
        let strides = self
            .list(node, 4, "steps")?
            .unwrap_or_else(|| vec![1; axes.len()]);
        if begins.len() != axes.len() || strides.len() != axes.len() || axes.len() > rank {
            return Err("lists of different lengths".into());
        }
        let (mut starts, mut steps) = (vec![0; rank], vec![1; rank]);
        for ((&begin, &step), &along) in begins.iter().zip(&strides).zip(&axes) {
            let size = from[along] as i64;
            let counted = if begin < 0 {
                begin.saturating_add(size)
            } else {
                begin
            };
            starts[along] = if step < 0 {
                counted.clamp(0, size - 1)
            } else {
                counted.clamp(0, size)
            };
            steps[along] = step;
        }
        // How much it takes, its output says.
        let stored = self.activation(input)?;
        self.part(&stored, from, output, to, &starts, &steps)
    }

    pub fn split(&mut self, node: &Node) -> Lowered {
        let input = self.argument(node, 0)?;
        let from = self.shape(input);
        let along = axis(node.attributes.as_slice().int("axis", 0), from.len())?;
        let stored = self.activation(input)?;
        let mut starts = vec![0_i64; from.len()];
        for &output in &node.outputs {
            let shape = self.shape(output);
            self.part(&stored, from, output, shape, &starts, &vec![1; from.len()])?;
            starts[along] += shape.get(along).copied().unwrap_or(0) as i64;
        }
        Ok(())
    }

    /// Of a single index.
    pub fn gather(&mut self, node: &Node) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        let from = self.shape(input);
        let along = axis(node.attributes.as_slice().int("axis", 0), from.len())?;
        let index = self.list(node, 1, "indices")?.unwrap_or_default();
        let &[index] = &index[..] else {
            return Err(format!("{} indices: a single one is possible", index.len()));
        };
        let size = from[along] as i64;
        let mut starts = vec![0; from.len()];
        starts[along] = if index < 0 {
            index.saturating_add(size)
        } else {
            index
        };
        let mut shape = from.to_vec();
        shape[along] = 1;
        let stored = self.activation(input)?;
        self.part(&stored, from, output, &shape, &starts, &vec![1; from.len()])
    }
}
