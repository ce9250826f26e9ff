//! Integers that the model computes from shapes, such as the target of a Flatten with a batch that
//! was open when the model was converted. Shapes are fixed here, so they are computed now and no
//! operator remains of them.

use super::builder::{Lowered, Lowering, axis};
use crate::import::tflite::{ElementType, Operator, Options, StridedSlice};

/// Shapes have at most six values; this stops a hostile chain that doubles its values each time.
const MOST_VALUES: usize = 64;

impl Lowering<'_, '_> {
    /// Computes the output of an operator on integers. `None` for an operator on anything else.
    pub fn fold_integers(&mut self, operator: &Operator) -> Option<Lowered> {
        let output = self.result(operator).ok()?;
        if !matches!(
            self.source(output).element,
            ElementType::Int32 | ElementType::Int64
        ) {
            return None;
        }
        let reads_activations = operator.inputs.iter().flatten().any(|&input| {
            !matches!(
                self.source(input).element,
                ElementType::Int32 | ElementType::Int64
            )
        });
        if reads_activations && operator.name() != "SHAPE" {
            return None;
        }
        let values = match self.computed(operator, output) {
            Ok(values) => values,
            Err(reason) => return Some(Err(reason)),
        };
        if values.len() > MOST_VALUES || Some(values.len()) != self.source(output).elements() {
            let name = self.name(output);
            return Some(Err(format!("{} integers follow for {name}", values.len())));
        }
        self.folded.insert(output, values);
        Some(Ok(()))
    }

    fn computed(&self, operator: &Operator, output: usize) -> Lowered<Vec<i64>> {
        if operator.name() == "SHAPE" {
            let shape = self.shape(self.argument(operator, 0)?).iter();
            return Ok(shape.map(|&size| size as i64).collect());
        }
        let inputs = operator.inputs.iter().flatten();
        let inputs: Vec<Vec<i64>> = inputs.map(|&t| self.integers(t)).collect::<Lowered<_>>()?;
        let first = inputs.first().ok_or("it has no inputs")?;
        let flat = |rank: usize| {
            if rank > 1 {
                return Err(format!("integers of {rank} dimensions"));
            }
            Ok(())
        };
        match &operator.options {
            Options::Pack { .. } => {
                flat(self.shape(output).len())?;
                Ok(inputs.concat())
            }
            Options::Concatenation { .. } => {
                flat(self.shape(output).len())?;
                Ok(inputs.concat())
            }
            Options::Reshape { .. } | Options::Squeeze { .. } | Options::ExpandDims => {
                Ok(first.clone())
            }
            Options::Add(_) => each(&inputs, i64::checked_add),
            Options::Sub(_) => each(&inputs, i64::checked_sub),
            Options::Mul { .. } => each(&inputs, i64::checked_mul),
            Options::StridedSlice(options) => self.slice_of_integers(operator, options, &inputs),
            _ if operator.name() == "CAST" => Ok(first.clone()),
            _ if operator.name() == "REDUCE_PROD" => {
                flat(self.shape(self.argument(operator, 0)?).len())?;
                let product = first.iter().try_fold(1_i64, |n, &v| n.checked_mul(v));
                Ok(vec![product.ok_or("its product is too large")?])
            }
            _ if operator.name() == "GATHER" => {
                let [values, indices] = &inputs[..] else {
                    return Err("it has not two inputs".into());
                };
                let of = |&index: &i64| Ok(values[axis(index, values.len())?]);
                indices.iter().map(of).collect()
            }
            _ => Err("it computes integers at run time".into()),
        }
    }

    fn slice_of_integers(
        &self,
        operator: &Operator,
        options: &StridedSlice,
        inputs: &[Vec<i64>],
    ) -> Lowered<Vec<i64>> {
        let [values, bounds @ ..] = inputs else {
            return Err("it has no inputs".into());
        };
        let from = self.shape(self.argument(operator, 0)?);
        let [(start, len, stride)] = options.taken(from, bounds)?[..] else {
            return Err("integers of other than one dimension".into());
        };
        let start = start as isize;
        let at = (0..len as isize).map(|i| values[(start + i * stride) as usize]);
        Ok(at.collect())
    }
}

/// Element by element; one value stands for as many as the other input has.
fn each(inputs: &[Vec<i64>], compute: fn(i64, i64) -> Option<i64>) -> Lowered<Vec<i64>> {
    let [a, b] = inputs else {
        return Err("it has not two inputs".into());
    };
    let len = if a.len() == 1 { b.len() } else { a.len() };
    if [a.len(), b.len()].iter().any(|&n| n != 1 && n != len) {
        return Err(format!("{} integers with {}", a.len(), b.len()));
    }
    let of = |values: &[i64], i: usize| values[if values.len() == 1 { 0 } else { i }];
    let values = (0..len).map(|i| compute(of(a, i), of(b, i)));
    let values: Option<Vec<i64>> = values.collect();
    values.ok_or_else(|| "a result beyond 64 bits".into())
}
