//! Strided copies from dimensions of any number.

use crate::graph::{COPY_RANK, StridedCopy};

/// One dimension of a copy, outermost first in a list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dimension {
    /// Elements along it.
    pub size: usize,
    /// Elements from one to the next in the input.
    pub input: isize,
    /// Elements from one to the next in the output.
    pub output: isize,
}

/// A copy in its shortest form: without dimensions of one element, and with neighbours merged where
/// both sides step through them evenly. `None` if it still has too many dimensions.
pub(crate) fn copy(
    dimensions: &[Dimension],
    input_start: usize,
    output_start: usize,
) -> Option<StridedCopy> {
    let mut merged: Vec<Dimension> = Vec::new();
    for &inner in dimensions.iter().filter(|d| d.size != 1) {
        let size = inner.size as isize;
        match merged.last_mut() {
            Some(outer)
                if outer.input == inner.input.wrapping_mul(size)
                    && outer.output == inner.output.wrapping_mul(size) =>
            {
                *outer = Dimension {
                    size: outer.size.checked_mul(inner.size)?,
                    ..inner
                };
            }
            _ => merged.push(inner),
        }
    }
    let unused = COPY_RANK.checked_sub(merged.len())?;
    let mut copy = StridedCopy {
        sizes: [1; COPY_RANK],
        input_strides: [0; COPY_RANK],
        output_strides: [0; COPY_RANK],
        input_start,
        output_start,
    };
    for (place, dimension) in merged.iter().enumerate() {
        copy.sizes[unused + place] = dimension.size;
        copy.input_strides[unused + place] = dimension.input;
        copy.output_strides[unused + place] = dimension.output;
    }
    Some(copy)
}

/// Whether a copy moves `len` elements one by one from start to start.
pub(crate) fn is_whole(copy: &StridedCopy, len: usize) -> bool {
    let one = Dimension {
        size: len,
        input: 1,
        output: 1,
    };
    Some(copy) == self::copy(&[one], 0, 0).as_ref()
}

/// Elements from one index to the next along each dimension of a row-major tensor.
pub(crate) fn strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1_isize; shape.len()];
    for place in (1..shape.len()).rev() {
        // Wraps only for shapes beyond memory, which no tensor of a graph has.
        strides[place - 1] = strides[place].wrapping_mul(shape[place] as isize);
    }
    strides
}

/// The copy of a whole row-major tensor into a place of a larger one; `None` where the ranks differ,
/// it does not fit, or too many dimensions are left.
pub(crate) fn place(from: &[usize], into: &[usize], at: &[usize]) -> Option<StridedCopy> {
    if from.len() != into.len() || from.len() != at.len() {
        return None;
    }
    let fits = (0..from.len()).all(|i| at[i].checked_add(from[i]).is_some_and(|n| n <= into[i]));
    let (input, output) = (strides(from), strides(into));
    let dimensions: Vec<Dimension> = (0..from.len())
        .map(|i| Dimension {
            size: from[i],
            input: input[i],
            output: output[i],
        })
        .collect();
    let start = at
        .iter()
        .zip(&output)
        .try_fold(0_usize, |start, (&at, &step)| {
            start.checked_add(at.checked_mul(step.unsigned_abs())?)
        })?;
    if fits {
        copy(&dimensions, 0, start)
    } else {
        None
    }
}

/// The copy of a part of a row-major tensor into the whole of another: the inverse of [`place`].
pub(crate) fn cut(from: &[usize], at: &[usize], size: &[usize]) -> Option<StridedCopy> {
    let placed = place(size, from, at)?;
    Some(StridedCopy {
        sizes: placed.sizes,
        input_strides: placed.output_strides,
        output_strides: placed.input_strides,
        input_start: placed.output_start,
        output_start: placed.input_start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_merge_where_both_sides_step_evenly() {
        let copy = place(&[1, 3, 4, 2], &[1, 5, 4, 2], &[0, 1, 0, 0]).unwrap();
        assert_eq!(copy.sizes, [1, 1, 1, 1, 1, 24]);
        assert_eq!(copy.output_start, 8);
        let copy = place(&[1, 3, 4, 2], &[1, 5, 6, 2], &[0, 1, 2, 0]).unwrap();
        assert_eq!(copy.sizes, [1, 1, 1, 1, 3, 8]);
        assert_eq!(copy.output_strides, [0, 0, 0, 0, 12, 1]);
        assert_eq!(copy.output_start, 16);
        assert!(is_whole(&place(&[2, 3], &[2, 3], &[0, 0]).unwrap(), 6));
        assert_eq!(place(&[2, 3], &[2, 3], &[0, 1]), None);
    }
}
