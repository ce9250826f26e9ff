//! Constant tensors.

/// A constant, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    pub shape: Vec<usize>,
    pub data: Data,
}

/// Its elements.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Float(Vec<f32>),
    Integer(Vec<i64>),
    /// `real = scale * value`: the zero point is already subtracted.
    Quantised {
        values: Vec<i32>,
        /// One, or as many as dimension `axis` has elements.
        scales: Vec<f32>,
        axis: usize,
    },
}

impl Constant {
    pub fn scalar(value: f32) -> Self {
        Self {
            shape: Vec::new(),
            data: Data::Float(vec![value]),
        }
    }

    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The real values.
    pub fn floats(&self) -> Vec<f32> {
        match &self.data {
            Data::Float(values) => values.clone(),
            Data::Integer(values) => values.iter().map(|&v| v as f32).collect(),
            Data::Quantised {
                values,
                scales,
                axis,
            } => {
                let inner: usize = self.shape.iter().skip(axis + 1).product();
                let scale_of = |index: usize| {
                    let one = (index / inner.max(1)) % scales.len().max(1);
                    scales.get(one).copied().unwrap_or(0.0)
                };
                let scaled = values.iter().enumerate();
                scaled.map(|(i, &v)| v as f32 * scale_of(i)).collect()
            }
        }
    }

    /// The values of an integer tensor.
    pub fn integers(&self) -> Option<&[i64]> {
        match &self.data {
            Data::Integer(values) => Some(values),
            _ => None,
        }
    }

    /// The only value, if there is one only.
    pub fn single(&self) -> Option<f32> {
        match self.floats()[..] {
            [one] => Some(one),
            _ => None,
        }
    }

    /// With dimension `i` of the result being dimension `order[i]` of this, whose shape may be seen
    /// as another one of as many elements.
    pub fn permuted(&self, shape: &[usize], order: &[usize]) -> Self {
        let places = permutation(shape, order);
        fn pick<T: Copy>(values: &[T], places: &[usize]) -> Vec<T> {
            places
                .iter()
                .filter_map(|&p| values.get(p).copied())
                .collect()
        }
        let data = match &self.data {
            Data::Float(values) => Data::Float(pick(values, &places)),
            Data::Integer(values) => Data::Integer(pick(values, &places)),
            Data::Quantised {
                values,
                scales,
                axis,
            } => Data::Quantised {
                values: pick(values, &places),
                scales: scales.clone(),
                axis: order.iter().position(|o| o == axis).unwrap_or(0),
            },
        };
        Self {
            shape: order.iter().map(|&i| shape[i]).collect(),
            data,
        }
    }
}

/// For each element of the permuted tensor, row-major, its place in the one of `shape`.
pub fn permutation(shape: &[usize], order: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    let mut places = vec![0];
    for &dimension in order {
        let (size, stride) = (shape[dimension], strides[dimension]);
        places = places
            .iter()
            .flat_map(|&place| (0..size).map(move |i| place + i * stride))
            .collect();
    }
    places
}

/// Round to nearest, halves to even, as QuantizeLinear does.
pub fn round_half_even(x: f32) -> f32 {
    x.round_ties_even()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutations_follow_the_order() {
        assert_eq!(permutation(&[2, 3], &[1, 0]), [0, 3, 1, 4, 2, 5]);
        let constant = Constant {
            shape: vec![2, 2],
            data: Data::Quantised {
                values: vec![1, 2, 3, 4],
                scales: vec![1.0, 10.0],
                axis: 0,
            },
        };
        assert_eq!(constant.floats(), [1.0, 2.0, 30.0, 40.0]);
        let turned = constant.permuted(&[2, 2], &[1, 0]);
        assert_eq!(turned.floats(), [1.0, 30.0, 2.0, 40.0]);
    }
}
