//! Operators that take parts of tensors.

use super::builder::{Lowered, Lowering, axis};
use crate::graph::TensorId;
use crate::import::tflite::{Operator, StridedSlice};
use crate::strided::{self, Dimension};

impl Lowering<'_, '_> {
    pub fn split(&mut self, operator: &Operator) -> Lowered {
        let (along, input) = (self.argument(operator, 0)?, self.argument(operator, 1)?);
        self.split_along(operator, input, along)
    }

    pub fn split_v(&mut self, operator: &Operator) -> Lowered {
        let (input, along) = (self.argument(operator, 0)?, self.argument(operator, 2)?);
        self.split_along(operator, input, along)
    }

    /// One part after another; how large each is, its tensor says.
    fn split_along(&mut self, operator: &Operator, input: usize, along: usize) -> Lowered {
        let along = self.integers(along)?;
        let from = self.shape(input);
        let along = axis(
            along.first().copied().ok_or("its axis is empty")?,
            from.len(),
        )?;
        let x = self.value(input)?;
        let mut at = vec![0; from.len()];
        for &output in &operator.outputs {
            let part = self.shape(output);
            let y = self.output(output)?;
            self.copy("SPLIT", strided::cut(from, &at, part), x, y)?;
            at[along] += part.get(along).copied().unwrap_or(0);
        }
        if at[along] != from[along] {
            return Err(format!(
                "its outputs have {} elements along it, its input {}",
                at[along], from[along]
            ));
        }
        Ok(())
    }

    /// Takes a dimension apart.
    pub fn unpack(&mut self, operator: &Operator, along: i32) -> Lowered {
        let input = self.argument(operator, 0)?;
        let from = self.shape(input);
        let along = axis(along.into(), from.len())?;
        if operator.outputs.len() != from[along] {
            return Err(format!(
                "it has {} outputs of {}",
                operator.outputs.len(),
                from[along]
            ));
        }
        let x = self.value(input)?;
        for (index, &output) in operator.outputs.iter().enumerate() {
            let mut part = self.shape(output).to_vec();
            part.insert(along.min(part.len()), 1);
            let mut at = vec![0; from.len()];
            at[along] = index;
            let y = self.output(output)?;
            self.copy("UNPACK", strided::cut(from, &at, &part), x, y)?;
        }
        Ok(())
    }

    pub fn slice(&mut self, operator: &Operator) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let begin = self.integers(self.argument(operator, 1)?)?;
        let (from, to) = (self.shape(input), self.shape(output));
        let begin: Vec<usize> = begin
            .into_iter()
            .map(|b| usize::try_from(b).map_err(|_| format!("it begins at {b}")))
            .collect::<Lowered<_>>()?;
        let x = self.value(input)?;
        let y = self.output(output)?;
        self.copy("SLICE", strided::cut(from, &begin, to), x, y)
    }

    pub fn strided_slice(&mut self, operator: &Operator, options: &StridedSlice) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let from = self.shape(input);
        let bounds: Vec<Vec<i64>> = (1..4)
            .map(|index| self.integers(self.argument(operator, index)?))
            .collect::<Lowered<_>>()?;
        let taken = options.taken(from, &bounds)?;
        let x = self.value(input)?;
        let steps = strided::strides(from);
        let (mut start, mut sizes, mut dimensions) = (0_usize, Vec::new(), Vec::new());
        for (i, (first, len, stride)) in taken.into_iter().enumerate() {
            // Inside the tensor, which is there.
            start += first * steps[i] as usize;
            if !options.shrinks(i) {
                sizes.push(len);
            }
            // A stride that leads outside is never taken.
            dimensions.push((len, steps[i].wrapping_mul(stride)));
        }
        let to = self.shape(output);
        if sizes != to {
            return Err(format!("its output has shape {to:?}, {sizes:?} follows"));
        }
        let lens: Vec<usize> = dimensions.iter().map(|d| d.0).collect();
        let outputs = strided::strides(&lens);
        let dimensions: Vec<Dimension> = dimensions
            .iter()
            .zip(outputs)
            .map(|(&(size, input), output)| Dimension {
                size,
                input,
                output,
            })
            .collect();
        let y = self.output(output)?;
        self.copy("STRIDED_SLICE", strided::copy(&dimensions, start, 0), x, y)
    }

    /// The elements of `input` from `start` on, as many as `output` has.
    pub fn cut_run(&mut self, input: TensorId, start: usize, output: TensorId) -> Lowered {
        let (from, len) = (self.tensors[input].len(), self.tensors[output].len());
        self.copy(
            "SPLIT",
            strided::cut(&[from], &[start], &[len]),
            input,
            output,
        )
    }

    /// All elements of `input` to `output`, from `start` on.
    pub fn place_run(&mut self, input: TensorId, output: TensorId, start: usize) -> Lowered {
        let (len, to) = (self.tensors[input].len(), self.tensors[output].len());
        self.copy(
            "CONCATENATION",
            strided::place(&[len], &[to], &[start]),
            input,
            output,
        )
    }
}

impl StridedSlice {
    /// First element, number and stride of what is taken of each dimension of `from`. `bounds` are
    /// the begins, ends and strides.
    pub(super) fn taken(
        &self,
        from: &[usize],
        bounds: &[Vec<i64>],
    ) -> Lowered<Vec<(usize, usize, isize)>> {
        if self.ellipsis_mask != 0 || self.new_axis_mask != 0 || self.offset {
            return Err("ellipsis, new axes, or ends that count from the begins".into());
        }
        let [begins, ends, strides] = bounds else {
            return Err("it has not three inputs of bounds".into());
        };
        let own = |values: &[i64], i: usize| values.get(i).copied();
        let dimensions = from.iter().enumerate().map(|(i, &size)| {
            let slice = Slice {
                begin: own(begins, i).filter(|_| !masked(self.begin_mask, i)),
                end: own(ends, i).filter(|_| !masked(self.end_mask, i)),
                stride: own(strides, i).unwrap_or(1),
                shrink: self.shrinks(i),
            };
            let nothing = || format!("it takes nothing of dimension {i}, or something outside");
            slice.of(size as i64).ok_or_else(nothing)
        });
        dimensions.collect()
    }

    /// Whether a dimension is one element and vanishes.
    fn shrinks(&self, dimension: usize) -> bool {
        masked(self.shrink_axis_mask, dimension)
    }
}

fn masked(mask: i32, dimension: usize) -> bool {
    dimension < 32 && mask & (1 << dimension) != 0
}

/// A slice of one dimension, as STRIDED_SLICE says it; `None` for a bound that is masked.
struct Slice {
    begin: Option<i64>,
    end: Option<i64>,
    stride: i64,
    shrink: bool,
}

impl Slice {
    /// First element, number and stride of what it takes of `size` elements; `None` if that is
    /// nothing.
    fn of(&self, size: i64) -> Option<(usize, usize, isize)> {
        let counted = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
        if self.shrink {
            let at = self.begin.map_or(0, counted);
            return (0..size).contains(&at).then_some((at as usize, 1, 1));
        }
        // What lies just before the first or behind the last element.
        let (low, high) = if self.stride > 0 {
            (0, size)
        } else {
            (-1, size - 1)
        };
        let (first, last) = if self.stride > 0 {
            (low, high)
        } else {
            (high, low)
        };
        let begin = self.begin.map_or(first, |at| counted(at).clamp(low, high));
        let end = self.end.map_or(last, |at| counted(at).clamp(low, high));
        let way = (end - begin).checked_mul(self.stride.signum())?;
        if way <= 0 || self.stride == 0 {
            return None;
        }
        let len = way.unsigned_abs().div_ceil(self.stride.unsigned_abs());
        Some((begin as usize, len as usize, self.stride as isize))
    }
}

#[cfg(test)]
mod tests {
    use super::Slice;

    #[test]
    fn slices_are_those_of_numpy() {
        let of = |begin, end, stride| {
            let slice = Slice {
                begin,
                end,
                stride,
                shrink: false,
            };
            slice.of(10)
        };
        assert_eq!(of(Some(2), Some(-2), 3), Some((2, 2, 3)));
        assert_eq!(of(None, None, -1), Some((9, 10, -1)));
        assert_eq!(of(Some(-1), Some(-20), -4), Some((9, 3, -4)));
        assert_eq!(of(Some(99), None, -1), Some((9, 10, -1)));
        assert_eq!(of(Some(5), Some(5), 1), None);
        assert_eq!(of(Some(0), Some(1), 0), None);
    }
}
